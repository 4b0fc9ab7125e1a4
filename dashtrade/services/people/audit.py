"""The audit log, for admins who may see the system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashtrade.context import App
from dashtrade.domain.access import Permission
from dashtrade.domain.audit import AuditAction, AuditTopic
from dashtrade.domain.people import User
from dashtrade.services.people.permission import require
from dashtrade.services.records import records
from dashtrade.tables import messages as table


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    id: int
    at: datetime
    user_id: int | None  # None: the system
    subject_id: int | None
    action: str
    detail: Any
    address: str

    @property
    def topic(self) -> AuditTopic:
        """Of an action of another version: of people."""
        return AuditAction(self.action).topic if self.action in set(AuditAction) else AuditTopic.PEOPLE


def entries(app: App, actor: User, *, limit: int, before: int | None = None) -> list[AuditEntry]:
    """Newest first."""
    require(actor, Permission.SEE_SYSTEM)
    with app.db.read() as conn:
        return records(AuditEntry, table.everything_recorded(conn, before=before, limit=limit))
