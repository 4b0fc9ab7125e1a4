"""Watches the database's disk: a full disk must not block exits.

An exit takes some kilobytes, so a small reserve is enough. While free space is low, alerts that are no exits
are refused. If other programs fill the disk further, the ballast is deleted: a file beside the database that
only reserves space, so that exits are decided, sent and booked. It is created again when there is room. Every
process checks on its own, which takes microseconds; the disk of a PostgreSQL server is not checked."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

MB = 1024 * 1024
LOW_BYTES = 128 * MB  # free space below which only exits are accepted
# below which the ballast is deleted; the freed space still stays below LOW, so nothing flaps
CRITICAL_BYTES = 16 * MB
BALLAST_BYTES = 64 * MB


class Disk:
    def __init__(self, database: Path | None) -> None:
        self._folder = database.parent if database is not None else None
        self.ballast = database.with_name(f"{database.name}.ballast") if database is not None else None

    def free(self) -> int | None:
        """Free bytes; None if unknown."""
        try:
            return shutil.disk_usage(self._folder).free if self._folder is not None else None
        except OSError:  # the folder is gone: the database will report it
            return None

    def is_low(self) -> bool:
        """Are only exits accepted now? Deletes the ballast if almost no space is left."""
        free = self.free()
        if free is None or free >= LOW_BYTES:
            return False
        if free < CRITICAL_BYTES and self.ballast is not None:
            self.ballast.unlink(missing_ok=True)
        return True

    def take_ballast(self) -> None:
        """Create the ballast, if missing and there is room."""
        free = self.free()
        if self.ballast is None or free is None or self.ballast.exists() or free < LOW_BYTES + BALLAST_BYTES:
            return
        partial = self.ballast.with_name(f"{self.ballast.name}.partial")
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                block = os.urandom(MB)  # zeros take no space on some file systems
                for _ in range(BALLAST_BYTES // MB):  # written out, as macOS has no way to only reserve space
                    file.write(block)
            os.replace(partial, self.ballast)
        except OSError:  # filled by another program just now: retried at the next check
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
