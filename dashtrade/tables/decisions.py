"""Decisions: one for each signal and bot, kept with its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam as p

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.records import DecisionChange
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.record import field_names
from dashtrade.domain.signals import Action, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.tables.base import Instrument, Json, ReasonText
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import first, rows, run, run_many
from dashtrade.tables.signals import IS_WAITING, decisions, signals

SYSTEM = {
    "add",
    "store_decisions",
    "decisions_of",
    "due_in_lane",
    "end_decisions",
    "put_pending",
    "open_lanes",
    "queue_state",
    "waiting_for_open",
    "waiting_in_account",
    "waiting_in_lane",
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
_DUE = _IN_ORDER.limit(p("most", type_=sa.Integer))


def due_in_lane(
    conn: sa.Connection, account_id: int, symbol: Symbol, now: datetime, most: int
) -> list[PendingDecision]:
    """The first in order. A deferred one (`held_until`) keeps its place; a delayed one has none until it is
    due."""
    given = {"account_id": account_id, "symbol": symbol, "now": now, "most": most}
    return [PendingDecision(**row._asdict()) for row in rows(conn, _DUE, given)]


_WAITING_IN_LANE = (
    sa.select(*_TASK)
    .where(
        decisions.c.account_id == p("account_id"),
        decisions.c.symbol == p("symbol", type_=Instrument),
        IS_WAITING,
    )
    .order_by(decisions.c.id)
    .limit(p("most", type_=sa.Integer))
)


def waiting_in_lane(conn: sa.Connection, account_id: int, symbol: Symbol, most: int) -> list[PendingDecision]:
    """The first in order, delayed ones too."""
    given = {"account_id": account_id, "symbol": symbol, "most": most}
    return [PendingDecision(**row._asdict()) for row in rows(conn, _WAITING_IN_LANE, given)]


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


def waiting_for_open(conn: sa.Connection, task: PendingDecision, now: datetime) -> list[WaitingEntry]:
    """Other entries of the task's bot that wait for the market to open; due at the open (`put_pending`)."""
    given = {
        "account_id": task.account_id,
        "symbol": task.symbol,
        "bot_id": task.bot_id,
        "now": now,
        "decision_id": task.id,
    }
    return [
        WaitingEntry(
            decision_id=row.id,
            signal_id=row.signal_id,
            sole_recipient=row.sole_recipient,
            action=Action(row.action),
        )
        for row in rows(conn, _WAITING_FOR_OPEN, given)
    ]


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


def store_decisions(conn: sa.Connection, made: Mapping[int, DecisionChange]) -> bool:
    """False, and no change of that one, if one of them was decided already."""
    values = [_made_values(decision_id, change) for decision_id, change in made.items()]
    return run_many(conn, _STORE_DECISION, values, counted=True) == len(made)


def _made_values(decision_id: int, change: DecisionChange) -> dict[str, Any]:
    made = change.made
    assert made is not None
    return {
        "decision_id": decision_id,
        "new_status": change.status,
        "why": change.reason,
        "would_": made.counterfactual,
        "checks_": made.checks,
        "numbers_": made.numbers,
        "now": made.at,
        "ended": change.ended_at,
    }


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


def end_decisions(conn: sa.Connection, ended: Mapping[int, DecisionChange]) -> None:
    values = [
        {"decision_id": number, "new_status": one.status, "why": one.reason, "ended": one.ended_at}
        for number, one in ended.items()
    ]
    run_many(conn, _END, values)


_ADD = sa.insert(decisions)


def add(conn: sa.Connection, new: Iterable[PendingDecision], made: Mapping[int, DecisionChange]) -> None:
    """Those that were made in the same transaction in their last form."""
    run_many(conn, _ADD, [_new_values(task, made.get(task.id)) for task in new])


def _new_values(task: PendingDecision, change: DecisionChange | None) -> dict[str, Any]:
    made = change.made if change is not None else None
    return {
        "id": task.id,
        "user_id": task.user_id,
        "signal_id": task.signal_id,
        "bot_id": task.bot_id,
        "account_id": task.account_id,
        "symbol": task.symbol,
        "status": change.status if change is not None else task.status,
        "reason": change.reason if change is not None else task.reason,
        "would": made.counterfactual if made is not None else NO_REASON,
        "alone": task.sole_recipient,
        "checks": made.checks if made is not None else None,
        "numbers": made.numbers if made is not None else None,
        "taken_back": task.cancelled_count,
        "received_at": task.received_at,
        "due_at": task.due_at,
        "held_until": task.held_until,
        "expires_at": task.expires_at,
        "decided_at": made.at if made is not None else None,
        "ended_at": change.ended_at if change is not None else None,
    }


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
