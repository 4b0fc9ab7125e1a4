"""Protections: list, add, change, remove; and unlocking by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import protections as domain
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.protections import Scope
from dashtrade.domain.reasons import Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.wording import words
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.bots.switches import check_scope
from dashtrade.services.operations import quotas
from dashtrade.services.records import record, records
from dashtrade.tables import messages as message_table
from dashtrade.tables import protections as table


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRecord:
    """A protection as its user has set it up."""

    id: int
    kind: str
    scope: str
    scope_id: int
    settings: dict[str, Any]
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """A lock on record, active or past."""

    id: int
    protection_id: int
    kind: str
    scope: str
    scope_id: int
    symbol: Symbol | None
    bot_id: int
    signal_id: str
    reason: Reason
    numbers: dict[str, Any]
    since: datetime
    until: datetime | None
    unlocked_at: datetime | None
    unlocked_by: int | None

    def stands(self, now: datetime) -> bool:
        return self.unlocked_at is None and (self.until is None or self.until > now)


def protections(app: App, user: User) -> list[ProtectionRecord]:
    with app.db.read() as conn:
        return records(ProtectionRecord, table.list_all(conn, user.id))


def locks(
    app: App, user: User, *, limit: int, before: int | None = None, standing: bool = False
) -> list[LockRecord]:
    """Newest first; `standing`: only those active now."""
    at = app.clock.now() if standing else None
    with app.db.read() as conn:
        found = table.list_locks(conn, user.id, before=before, limit=limit, active_at=at)
    return records(LockRecord, found)


def add(
    app: App, user: User, *, kind: str, scope: Scope, scope_id: int | None, settings: Mapping[str, Any]
) -> int:
    protection = domain.read(kind, scope, settings)
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        number = check_scope(conn, user, scope, scope_id)
        quotas.claim(conn, user, quotas.PROTECTIONS, now)
        made = table.add(
            conn,
            user.id,
            kind=kind,
            scope=scope,
            scope_id=number,
            settings=domain.written_settings(protection),
            created_at=now,
            updated_at=now,
            deleted_at=None,
        )
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.PROTECTION_ADDED,
            now=now,
            subject=made,
            detail={"kind": kind, "scope": scope},
        )
        return made

    return app.db.write(work)


def of(app: App, user: User, protection_id: int) -> ProtectionRecord:
    with app.db.read() as conn:
        found = table.get(conn, user.id, protection_id)
    if found is None:
        raise NotFound("protection")
    return record(ProtectionRecord, found)


def change(
    app: App, user: User, protection_id: int, *, settings: Mapping[str, Any] | None, is_active: bool | None
) -> None:
    """Settings left out stay as they are. Switching off ends its locks."""
    before = of(app, user, protection_id)
    values: dict[str, Any] = {}
    if settings is not None:
        protection = domain.read(before.kind, Scope(before.scope), {**before.settings, **settings})
        values["settings"] = domain.written_settings(protection)
    if is_active is not None:
        values["is_active"] = is_active
    _write(app, user, protection_id, values, AuditAction.PROTECTION_CHANGED)


def remove(app: App, user: User, protection_id: int) -> None:
    """Ends its locks, which stay on record."""
    of(app, user, protection_id)
    _write(
        app,
        user,
        protection_id,
        {"deleted_at": app.clock.now(), "is_active": False},
        AuditAction.PROTECTION_REMOVED,
    )


def _write(app: App, user: User, protection_id: int, values: dict[str, Any], action: AuditAction) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        if not values:
            return
        table.change(conn, user.id, protection_id, **values, updated_at=now)
        if values.get("is_active") is False:
            table.unlock(conn, user.id, by=user.id, now=now, protection_id=protection_id)
        detail = {name: value for name, value in values.items() if name in ("settings", "is_active")}
        message_table.record(
            conn, actor=user.id, action=action, now=now, subject=protection_id, detail=detail
        )

    app.db.write(work)


def unlock(app: App, user: User, lock_id: int) -> LockRecord:
    """Takes effect at once; what led to the lock no longer counts, as the next alert would lock again."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> LockRecord:
        lock = table.get_lock(conn, user.id, lock_id)
        if lock is None:
            raise NotFound("lock")
        if not table.unlock(conn, user.id, by=user.id, now=now, lock_id=lock_id):
            raise Refusal("the lock has already ended", "Nothing to unlock: entries are not blocked by it.")
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.PROTECTION_UNLOCKED,
            now=now,
            subject=lock_id,
            detail={"kind": lock.kind, "reason": words(lock.reason)},
        )
        return record(LockRecord, table.get_lock(conn, user.id, lock_id))

    return app.db.write(work)
