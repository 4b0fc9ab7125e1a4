"""Decisions: one for each signal and bot, kept with its outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import field_names
from dashtrade.domain.signals import Origin
from dashtrade.tables.base import Instrument, Json, ReasonText
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import first, rows, run
from dashtrade.tables.lanes import Lane
from dashtrade.tables.signals import IS_WAITING, decisions, signals

SYSTEM = {
    "store_decision",
    "decisions_of",
    "due_in_lane",
    "end_decision",
    "put_pending",
    "next_waiting",
    "open_lanes",
    "queue_state",
    "waiting_for_open",
    "waiting_in_account",
    "waits",
}


_IS_DUE = sa.or_(decisions.c.due_at.is_(None), decisions.c.due_at <= p("now"))
_NOT_HELD = sa.or_(decisions.c.held_until.is_(None), decisions.c.held_until <= p("now"))
_OPEN_LANES = (
    sa.select(decisions.c.account_id, decisions.c.symbol).where(IS_WAITING, _IS_DUE, _NOT_HELD).distinct()
)


def open_lanes(conn: sa.Connection, now: datetime) -> list[Lane]:
    """Lanes with a pending decision."""
    return [Lane(row.account_id, row.symbol) for row in rows(conn, _OPEN_LANES, {"now": now})]


# --- deciding -----------------------------------------------------------------------------------------------

# fields whose columns have another name
_COLUMNS = {"cancelled_count": "taken_back", "sole_recipient": "alone"}
_TASK = [decisions.c[_COLUMNS.get(name, name)].label(name) for name in field_names(PendingDecision)]

_IN_ORDER = (
    sa.select(*_TASK)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        IS_WAITING,
        _IS_DUE,
    )
    .order_by(decisions.c.id)
)
_FIRST = _IN_ORDER.limit(2)


def next_waiting(conn: sa.Connection, lane: Lane, now: datetime) -> list[PendingDecision]:
    """The next two in order. A deferred one (`held_until`) keeps its place; a delayed one has none until it
    is due."""
    found = rows(conn, _FIRST, {"account_id": lane.account_id, "symbol": lane.symbol, "now": now})
    return [PendingDecision(**row._asdict()) for row in found]


_DUE = _IN_ORDER.where(_NOT_HELD).limit(50)


def due_in_lane(conn: sa.Connection, lane: Lane, now: datetime) -> list[PendingDecision]:
    """Those that could be decided now, in order."""
    found = rows(conn, _DUE, {"account_id": lane.account_id, "symbol": lane.symbol, "now": now})
    return [PendingDecision(**row._asdict()) for row in found]


def waiting_in_account(conn: sa.Connection, account_id: int) -> list[PendingDecision]:
    query = sa.select(*_TASK).where(decisions.c.account_id == account_id, IS_WAITING).order_by(decisions.c.id)
    return [PendingDecision(**row._asdict()) for row in conn.execute(query)]


_WAITS = (
    sa.select(decisions.c.id)
    .join(signals, signals.c.id == decisions.c.signal_id)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        IS_WAITING,
        decisions.c.bot_id == p("bot_id"),
        signals.c.origin == p("origin"),
    )
    .limit(1)
)


def waits(conn: sa.Connection, bot: Bot, origin: Origin) -> bool:
    """Is a signal of that origin still to be decided for the bot?"""
    given = {"account_id": bot.account_id, "symbol": bot.symbol, "bot_id": bot.id, "origin": origin}
    return first(conn, _WAITS, given) is not None


_WAITING_FOR_OPEN = (
    sa.select(
        decisions.c.id, decisions.c.signal_id, decisions.c.alone.label("sole_recipient"), signals.c.action
    )
    .join(signals, signals.c.id == decisions.c.signal_id)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        IS_WAITING,
        decisions.c.bot_id == p("bot_id"),
        decisions.c.due_at > p("now"),
        decisions.c.held_until == decisions.c.due_at,
        decisions.c.id != p("decision_id"),
    )
    .order_by(decisions.c.id)
)


def waiting_for_open(conn: sa.Connection, task: PendingDecision, now: datetime) -> list[Any]:
    """Other entries of the task's bot that wait for the market to open; due at the open (`put_pending`)."""
    given = {
        "account_id": task.account_id,
        "symbol": task.symbol,
        "bot_id": task.bot_id,
        "now": now,
        "decision_id": task.id,
    }
    return rows(conn, _WAITING_FOR_OPEN, given)


_BY_SIGNAL = sa.select(*_TASK).where(decisions.c.signal_id == p("signal_id")).order_by(decisions.c.id)


def decisions_of(conn: sa.Connection, signal_id: str) -> list[PendingDecision]:
    return [PendingDecision(**row._asdict()) for row in rows(conn, _BY_SIGNAL, {"signal_id": signal_id})]


_STORE_DECISION = (
    sa.update(decisions)
    .where(decisions.c.id == p("decision_id"), IS_WAITING)
    .values(
        status=p("new_status"),
        reason=p("why", type_=ReasonText),
        would=p("would_", type_=ReasonText),
        checks=p("checks_", type_=Json),
        numbers=p("numbers_", type_=Json),
        decided_at=p("now"),
        ended_at=p("ended"),
    )
)


def store_decision(
    conn: sa.Connection,
    decision_id: int,
    *,
    status: str,
    reason: Reason,
    counterfactual: Reason,
    checks: Any,
    numbers: Any,
    now: datetime,
    ended: datetime | None,
) -> bool:
    """False, and no change, if it was decided already."""
    return (
        run(
            conn,
            _STORE_DECISION,
            {
                "decision_id": decision_id,
                "new_status": status,
                "why": reason,
                "would_": counterfactual,
                "checks_": checks,
                "numbers_": numbers,
                "now": now,
                "ended": ended,
            },
        )
        == 1
    )


_PUT_PENDING = (
    sa.update(decisions)
    .where(decisions.c.id == p("decision_id"), IS_WAITING)
    .values(
        due_at=p("due"), held_until=p("held"), reason=p("why", type_=ReasonText), taken_back=p("cancelled")
    )
)


def put_pending(conn: sa.Connection, task: PendingDecision) -> None:
    """When and why it is decided again: once cancelled orders have ended, the broker answers, or the market
    opens. Both times equal: an entry that gives up its place until the open."""
    run(
        conn,
        _PUT_PENDING,
        {
            "decision_id": task.id,
            "due": task.due_at,
            "held": task.held_until,
            "why": task.reason,
            "cancelled": task.cancelled_count,
        },
    )


_END = (
    sa.update(decisions)
    .where(decisions.c.id == p("decision_id"))
    .values(status=p("new_status"), reason=p("why", type_=ReasonText), ended_at=p("ended"))
)


def end_decision(
    conn: sa.Connection, decision_id: int, *, status: str, reason: Reason, ended: datetime | None
) -> None:
    run(conn, _END, {"decision_id": decision_id, "new_status": status, "why": reason, "ended": ended})


def queue_state(conn: sa.Connection, now: datetime) -> tuple[int, datetime | None]:
    """How many could be decided by now, and since when the oldest of them could; one that its user delays
    does not count before it is due."""
    ready_at = sa.func.coalesce(
        decisions.c.due_at, decisions.c.received_at, type_=decisions.c.received_at.type
    )
    query = sa.select(sa.func.count(), sa.func.min(ready_at, type_=decisions.c.received_at.type)).where(
        IS_WAITING, ready_at <= now
    )
    count, oldest = conn.execute(query).one()
    return count, oldest


_ENGAGED = sa.select(bots.c.id, bots.c.position_quantity).where(
    bots.c.user_id == p("owner"),
    bots.c.id.in_(p("bot_ids", expanding=True)),
    sa.or_(
        bots.c.status != "READY",
        sa.exists().where(
            IS_WAITING,
            decisions.c.account_id == bots.c.account_id,
            decisions.c.symbol == bots.c.symbol,
            decisions.c.bot_id == bots.c.id,
        ),
    ),
)


def engaged(conn: sa.Connection, owner: int, bot_ids: list[int]) -> list[Any]:
    """Of these bots, those with a position, an open order, or a pending decision."""
    return list(conn.execute(_ENGAGED, {"owner": owner, "bot_ids": bot_ids}))


_OUTCOMES = (
    sa.select(decisions)
    .where(decisions.c.user_id == p("owner"), decisions.c.signal_id == p("signal_id"))
    .order_by(decisions.c.id)
)


def bot_outcomes(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    return rows(conn, _OUTCOMES, {"owner": owner, "signal_id": signal_id})


_STATUSES = (
    sa.select(decisions.c.bot_id, decisions.c.status, decisions.c.reason)
    .where(decisions.c.user_id == p("owner"), decisions.c.signal_id == p("signal_id"))
    .order_by(decisions.c.id)
)


def bot_statuses(conn: sa.Connection, owner: int, signal_id: str) -> list[Any]:
    """The outcome for each bot, in short."""
    return rows(conn, _STATUSES, {"owner": owner, "signal_id": signal_id})


def last_outcomes(conn: sa.Connection, owner: int, bot_ids: list[int]) -> dict[int, str]:
    """The outcome of each bot's newest signal: one index look-up each."""
    found = {}
    for bot_id in bot_ids:
        row = first(conn, _LAST_OUTCOME, {"owner": owner, "bot_id": bot_id})
        if row is not None:
            found[bot_id] = row.status
    return found


def recently_refused(conn: sa.Connection, owner: int, *, since: datetime, among: int = 2000) -> list[Any]:
    """Among the owner's newest signals only, to avoid scanning a year of them for an overview."""
    first_id = f"{int(since.timestamp() * 1000):012x}"  # an id begins with its time
    newest = (
        sa.select(signals.c.id)
        .where(signals.c.user_id == owner, signals.c.id > first_id)
        .order_by(signals.c.id.desc())
        .limit(among)
        .subquery()
    )
    query = sa.select(*[c for c in signals.c if c.name != "raw"]).where(
        signals.c.id.in_(sa.select(newest.c.id)), signals.c.user_id == owner, signals.c.status == "refused"
    )
    return list(conn.execute(query.order_by(signals.c.id.desc()).limit(30)))


_LAST_OUTCOME = (
    sa.select(decisions.c.status)
    .where(decisions.c.bot_id == p("bot_id"), decisions.c.user_id == p("owner"))
    .order_by(decisions.c.id.desc())
    .limit(1)
)
