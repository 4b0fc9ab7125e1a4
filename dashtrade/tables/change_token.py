"""Detects changes of a user's data since the last look: queried once a second for each open page, so it is
cheap."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.tables.accounts import accounts
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import rows
from dashtrade.tables.drifts import drifts
from dashtrade.tables.flattens import flattens
from dashtrade.tables.messages import outbox
from dashtrade.tables.orders import orders
from dashtrade.tables.protections import locks
from dashtrade.tables.readings import readings
from dashtrade.tables.risk_events import risk_events
from dashtrade.tables.signals import signals
from dashtrade.tables.switches import switches

_SIGNALS = (
    sa.select(signals.c.id, signals.c.status, signals.c.duplicate_count)
    .where(signals.c.user_id == p("owner"))
    .order_by(signals.c.id.desc())
    .limit(12)
)
_ORDERS = (
    sa.select(orders.c.id, orders.c.status, orders.c.filled_quantity, orders.c.cancel_requested)
    .where(orders.c.user_id == p("owner"))
    .order_by(orders.c.created_at.desc())
    .limit(12)
)
_BOTS = sa.select(
    sa.func.count().label("bots"),
    sa.func.max(bots.c.updated_at).label("updated"),
    sa.func.max(bots.c.last_signal_at).label("heard"),
).where(bots.c.user_id == p("owner"), bots.c.deleted_at.is_(None))
_SWITCHES = sa.select(switches.c.scope, switches.c.scope_id, switches.c.stop).where(
    sa.or_(switches.c.user_id == p("owner"), switches.c.scope == "all")
)
_ACCOUNTS = sa.select(accounts.c.id, accounts.c.label, accounts.c.is_active, accounts.c.checked_at).where(
    accounts.c.user_id == p("owner"), accounts.c.deleted_at.is_(None)
)
_MESSAGES = sa.select(sa.func.max(outbox.c.id).label("newest")).where(outbox.c.user_id == p("owner"))
_EVENTS = sa.select(sa.func.max(risk_events.c.id).label("newest")).where(risk_events.c.user_id == p("owner"))
_DRIFTS = sa.select(sa.func.count().label("drifts"), sa.func.max(drifts.c.updated_at).label("updated")).where(
    drifts.c.user_id == p("owner")
)
_FLATTENS = (
    sa.select(flattens.c.id, flattens.c.status)
    .where(flattens.c.user_id == p("owner"))
    .order_by(flattens.c.id.desc())
    .limit(1)
)
_LOCKS = sa.select(
    sa.func.count().label("locks"),
    sa.func.max(locks.c.since).label("newest"),
    sa.func.max(locks.c.unlocked_at).label("opened"),
).where(locks.c.user_id == p("owner"))
_READINGS = sa.select(
    sa.func.count().label("readings"), sa.func.max(readings.c.changed_at).label("changed")
).where(readings.c.user_id == p("owner"))
_ALL = (
    _SIGNALS,
    _ORDERS,
    _BOTS,
    _SWITCHES,
    _ACCOUNTS,
    _MESSAGES,
    _EVENTS,
    _DRIFTS,
    _FLATTENS,
    _LOCKS,
    _READINGS,
)

SYSTEM: set[str] = set()


def of(conn: sa.Connection, owner: int) -> str:
    """A token of the present state: a different one means that something changed."""
    seen = tuple(tuple(map(tuple, rows(conn, query, {"owner": owner}))) for query in _ALL)
    return f"{hash(seen) & 0xFFFFFFFFFFFF:x}"
