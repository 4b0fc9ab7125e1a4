"""What the audit log says of those who did not get in or were refused: one line for a minute's worth of the same, with a count."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from bot_database import DatabaseAway
from dashtrade.domain.values import sha256
from dashtrade.limits import Rate
from dashtrade.tables import messages as message_table

if TYPE_CHECKING:
    from dashtrade.app import App

log = logging.getLogger("dashtrade.security")
PENDING = 1000  # lines that wait to be written; beyond that, further ones are counted in none


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    action: str
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
    """A flood of refusals must not become a flood of writes: some are written a second, the others wait for the next."""

    def __init__(self, per_second: float = 5) -> None:
        self._pending: Counter[Note] = Counter()
        self._rate, self._lock = Rate(per_second, burst_seconds=4), threading.Lock()

    def note(self, app: App, action: str, *, who: str = "", reason: str = "", address: str = "", actor: int | None = None,
             subject: int | None = None) -> None:
        minute = app.clock.now().replace(second=0, microsecond=0)
        note = Note(action=action, actor=actor, subject=subject, who=who[:254], reason=reason[:200], address=address[:60], minute=minute)
        with self._lock:
            if note in self._pending or len(self._pending) < PENDING:
                self._pending[note] += 1
        if not self._rate.take(""):
            self.flush(app)

    def flush(self, app: App) -> None:
        with self._lock:
            found, self._pending = self._pending, Counter()
        if not found:
            return
        now = app.clock.now()

        def work(conn: sa.Connection) -> None:
            for note, count in found.items():
                detail = {"account": note.who, "reason": note.reason}
                message_table.record_often(
                    conn, key=note.key, count=count, actor=note.actor, action=note.action, now=now, subject=note.subject,
                    detail={name: value for name, value in detail.items() if value}, address=note.address,
                )

        try:
            app.db.write_unasked(work)
        except DatabaseAway as away:  # the refusal itself stands
            log.warning("%s refusals are not in the audit log: %s", found.total(), away)
