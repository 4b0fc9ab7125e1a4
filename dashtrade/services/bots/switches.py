"""Stopping and resuming: a bot, an account, a user's trading, or all users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.bots import Stop
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.values import Malformed
from dashtrade.services.refusals import NotFound
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import switches as switch_table


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchRecord:
    """A switch that is on."""

    scope: str
    scope_id: int
    stop: Stop
    reason: str
    at: datetime


def switches(app: App, user: User) -> list[SwitchRecord]:
    """The user's own switches and the one for all users."""
    with app.db.read() as conn:
        found = switch_table.list_switches(conn, user.id)
    return [
        SwitchRecord(
            scope=row.scope, scope_id=row.scope_id, stop=Stop(row.stop), reason=row.reason, at=row.at
        )
        for row in found
    ]


def put_switch(app: App, user: User, *, scope: str, scope_id: int | None, stop: Stop, reason: str) -> None:
    """Takes effect at once: the switch is read at each decision and again before each order is sent."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        number = check_scope(conn, user, scope, scope_id)
        owner = 0 if scope == "all" else user.id
        switch_table.put_switch(
            conn, owner, scope=scope, scope_id=number, stop=stop, reason=reason[:200], set_by=user.id, at=now
        )
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.SWITCH,
            now=now,
            subject=number,
            detail={"scope": scope, "stop": stop},
        )
        if stop.weight >= Stop.REDUCE_ONLY.weight:
            order_table.cancel_entries(conn, scope=scope, scope_id=number)
        if stop is Stop.HALT:
            table.pause_scope(
                conn, scope=scope, scope_id=number, reason=Reason(Code.HALTED_BY_SWITCH), now=now
            )

    app.db.write(work)


def check_scope(conn: sa.Connection, user: User, scope: str, scope_id: int | None) -> int:
    """The id of the scope, if it belongs to this user."""
    match scope:
        case "all":
            return 0
        case "user":
            return user.id
        case "account" if scope_id and account_table.get(conn, user.id, scope_id):
            return scope_id
        case "bot" if scope_id and table.get(conn, user.id, scope_id):
            return scope_id
    if scope_id is None:
        raise Malformed(f"the scope {scope} needs an id", where="id", hint=f"Send the id of the {scope}.")
    raise NotFound(scope)
