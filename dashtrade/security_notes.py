"""Audit entries about failed sign-ins and refusals: one line for a minute's worth.

A refusal does not wait for a write, and an attacker cannot fill the table: each minute has few lines, with
counts."""

from __future__ import annotations

import logging
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.ports import Clock
from dashtrade.domain.values import sha256
from dashtrade.limits import network_of
from dashtrade.tables import messages as message_table

log = logging.getLogger("dashtrade.security")
WRITE_EVERY_SECONDS = 10.0
LINES_A_MINUTE = 50  # of one kind and process; further ones are counted in one line


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    action: AuditAction
    actor: int | None
    subject: int | None
    who: str
    reason: str
    address: str
    minute: datetime

    @property
    def key(self) -> str:
        return sha256(repr(self))


class Notes:
    """Counts refusals and writes them at intervals, so that a flood of refusals is no flood of writes."""

    def __init__(self, db: Database, clock: Clock, write_every_seconds: float = WRITE_EVERY_SECONDS) -> None:
        self._db, self._clock = db, clock
        self._pending: Counter[Note] = Counter()
        self._minute: datetime | None = None
        self._own: defaultdict[str, set[Note]] = defaultdict(set)  # by kind: notes with a line in this minute
        self._every, self._lock = write_every_seconds, threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def note(
        self,
        action: AuditAction,
        *,
        who: str = "",
        reason: str = "",
        address: str = "",
        actor: int | None = None,
        subject: int | None = None,
    ) -> None:
        """Never waits for the database."""
        minute = self._clock.now().replace(second=0, microsecond=0)
        note = Note(
            action=action,
            actor=actor,
            subject=subject,
            who=who[:254],
            reason=reason[:200],
            address=network_of(address)[:60],
            minute=minute,
        )
        with self._lock:
            self._pending[self._counted_as(note)] += 1
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(self._every, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _counted_as(self, note: Note) -> Note:
        """The note itself; or, beyond the limit per minute, one common line for its kind."""
        if self._minute != note.minute:
            self._minute = note.minute
            self._own.clear()
        own = self._own[note.action]
        if note not in own and len(own) >= LINES_A_MINUTE:
            nobody: dict[str, Any] = {"actor": None, "subject": None, "who": "", "address": ""}
            return Note(action=note.action, reason="of many", minute=note.minute, **nobody)
        own.add(note)
        return note

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self.flush()

    def flush(self) -> None:
        with self._lock:
            found, self._pending = self._pending, Counter()
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if not found:
            return
        now = self._clock.now()

        def work(conn: sa.Connection) -> None:
            for note, count in found.items():
                detail = {"account": note.who, "reason": note.reason}
                message_table.record_often(
                    conn,
                    key=note.key,
                    count=count,
                    actor=note.actor,
                    action=note.action,
                    now=now,
                    subject=note.subject,
                    detail={name: value for name, value in detail.items() if value},
                    address=note.address,
                )

        try:
            self._db.write_unchecked(work)
        except DatabaseUnavailable as away:  # the refusal itself remains in effect
            log.warning("%s refusals are not in the audit log: %s", found.total(), away)
