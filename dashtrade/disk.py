"""The disk that the database is on: a full one must not stand between a user and the way out of what they
hold.

An exit takes some kilobytes, so little has to be kept back for it. While little is free, alerts that are no
exits are refused. Where something else fills the disk further, the ballast is given up: a file beside the
database that only holds its place, so that exits are decided, sent and booked. It is made again when there is
room. Every process looks for itself, which takes microseconds; nothing is known of the disk of a PostgreSQL.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

MB = 1024 * 1024
LOW = 128 * MB  # free space below which only exits are taken
# below which the ballast is given up; with it in hand there is still less than LOW, so nothing flaps
LEAST = 16 * MB
BALLAST = 64 * MB


class Disk:
    def __init__(self, database: Path | None) -> None:
        self._folder = database.parent if database is not None else None
        self.ballast = database.with_name(f"{database.name}.ballast") if database is not None else None

    def free(self) -> int | None:
        """Bytes that can be written; None where that is not known."""
        try:
            return shutil.disk_usage(self._folder).free if self._folder is not None else None
        except OSError:  # the folder is gone: the database will say so
            return None

    def is_low(self) -> bool:
        """Are only exits taken now? Gives the ballast up where next to nothing is left."""
        free = self.free()
        if free is None or free >= LOW:
            return False
        if free < LEAST and self.ballast is not None:
            self.ballast.unlink(missing_ok=True)
        return True

    def take_ballast(self) -> None:
        """Unless it is there, or there is no room for it yet."""
        free = self.free()
        if self.ballast is None or free is None or self.ballast.exists() or free < LOW + BALLAST:
            return
        partial = self.ballast.with_name(f"{self.ballast.name}.partial")
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                block = os.urandom(MB)  # zeros take no space at all on some file systems
                for _ in range(BALLAST // MB):  # written, as macOS knows no way to only reserve it
                    file.write(block)
            os.replace(partial, self.ballast)
        except OSError:  # filled by somebody else at this moment: at the next look
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
