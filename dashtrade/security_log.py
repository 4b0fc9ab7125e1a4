"""The security log: sign-ins, failed attempts, refusals, and permissions granted and revoked.

A separate file with the entries of the audit log except trading, one line each: `TIME INFO security
{"action": …}`. Several processes write to it (the receiver, the dashboard, the worker, commands): each line
under a lock, and any of them rotates the full file. Users are numbers here, so a deleted user's name does not
remain."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dashtrade.locks import LockTimeout, flock
from dashtrade.logs import WINDOW_SECONDS, Repeats
from dashtrade.redaction import redacted

FILE = "security.log"
MOST_BYTES, FILES = 5_000_000, 8
LINES_OF_ONE = 30  # per minute, of the same action by the same user and address; further ones are counted
LOCK_SECONDS = 0.5
NAMES = frozenset({"account", "email", "from", "to"})  # details of users, who are also given as numbers
_logger = logging.getLogger("dashtrade.security.file")
_logger.propagate = False
_logger.setLevel(logging.INFO)
log = logging.getLogger("dashtrade.security")


def write_event(
    *,
    action: str,
    at: datetime,
    user: int | None,
    subject: int | None,
    address: str,
    detail: Mapping[str, Any] | None,
) -> None:
    """Write one line; nothing if no file is open (a bench, a test)."""
    hidden = NAMES if subject is not None else frozenset()
    kept = {name: value for name, value in detail.items() if name not in hidden} if detail else None
    event = {"action": action, "user": user, "subject": subject, "address": address, "detail": kept}
    given = {name: value for name, value in event.items() if value not in (None, "", {})}
    _logger.info(action, extra={"event": given, "at": at})


def set_folder(folder: Path) -> None:
    """From now on this process writes to the file in that folder."""
    for handler in list(_logger.handlers):
        _logger.removeHandler(handler)
        handler.close()
    _logger.addHandler(SharedFile(folder / FILE))


class SharedFile(logging.Handler):
    """A file that several processes write to. No process keeps it open, or continues with a rotated one."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES, files: int = FILES) -> None:
        super().__init__()
        self._path, self._most, self._files = path, most_bytes, files
        self._repeats = Repeats(WINDOW_SECONDS, remembered=4000)

    def emit(self, record: logging.LogRecord) -> None:
        lines = [_line(one.record, more=one.hidden) for one in self._repeats.ended(record.created)]
        event = record.event  # type: ignore[attr-defined]
        again = self._repeats.seen((event["action"], event.get("user"), event.get("address")), record)
        if again.count > LINES_OF_ONE:
            again.hidden += 1
        else:
            lines.append(_line(record))
        self._write(lines)

    def close(self) -> None:
        self._write([_line(one.record, more=one.hidden) for one in self._repeats.ended(float("inf"))])
        super().close()

    def _write(self, lines: list[str]) -> None:
        text = "".join(lines).encode()
        if not text:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                self._rotate(len(text))
                file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(file, text)
                finally:
                    os.close(file)
        except OSError as error:  # a full disk must not block the action: the audit log has it too
            log.warning("the security log cannot be written: %s", error.strerror)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        file = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with suppress(LockTimeout):  # a process stopped while holding the lock must not stop the others
                flock(file, LOCK_SECONDS)
            yield
        finally:
            os.close(file)

    def _rotate(self, more: int) -> None:
        if not self._path.exists() or self._path.stat().st_size + more <= self._most:
            return
        for number in range(self._files - 2, 0, -1):
            older = self._path.with_name(f"{FILE}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{FILE}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{FILE}.1"))


def _line(record: logging.LogRecord, *, more: int = 0) -> str:
    """JSON, so that any user input stays within one line."""
    event = record.event | ({"more_in_60_s": more} if more else {})  # type: ignore[attr-defined]
    at = record.at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]  # type: ignore[attr-defined]
    text = json.dumps(event, default=str).replace("\x7f", "\\u007f")
    return f"{at} INFO security {redacted(text)}\n"
