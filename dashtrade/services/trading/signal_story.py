"""A signal's story, from stored data: received, parsed, checked, decided, sent, filled, booked, notified.

Records with reasons and times; sentences are made of them when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.kernel.outcomes import UNDER_WAY
from dashtrade.domain.notices.stored import Message
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import NO_REASON, Code, Reason, from_data, quoted, reason, several
from dashtrade.domain.signal_outcome import BotOutcome, SignalOutcome
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.wording import words
from dashtrade.services.records import record
from dashtrade.services.trading.signals import SignalRecord
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import order_events, user_orders
from dashtrade.tables import signals as table


class StepKind(StrEnum):
    """In the order in which they happen, where they happen at the same time."""

    RECEIVED = "received"
    READ = "read"
    REPEATED = "repeated"
    CHECK = "check"
    REFUSED = "refused"
    DECIDED = "decided"
    ORDER = "order"
    FILLED = "filled"
    BOOKED = "booked"
    MESSAGE = "message"


_RANK = {kind: rank for rank, kind in enumerate(StepKind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryCheck:
    name: str
    ok: bool
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    at: datetime
    kind: StepKind
    detail: Reason = NO_REASON
    check: StoryCheck | None = None
    order_status: str = ""  # of a step of an order
    message: Message | None = None

    def words(self, zone: tzinfo) -> str:
        """In the reader's time zone."""
        return words(self.detail, zone) if self.message is None else self.message.words(zone).text


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDecision:
    bot_id: int
    status: str
    reason: Reason
    would: Reason
    checks: tuple[StoryCheck, ...]
    numbers: Mapping[str, str]
    decided_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalStory:
    signal: SignalRecord
    status: str  # for its reader: working, while it is in progress
    reason: Reason
    raw: str | None
    steps: tuple[StoryStep, ...]
    orders: tuple[Order, ...]
    bots: tuple[BotDecision, ...]


def outcome(app: App, owner: int, signal_id: str) -> SignalOutcome | None:
    """The outcome so far: the answer to `?wait=`."""
    found = _so_far(app, owner, signal_id)
    return found[0] if found else None


def settled(app: App, owner: int, signal_id: str) -> SignalOutcome | None:
    """The final outcome; None while the signal is in progress."""
    so_far, under_way = _so_far(app, owner, signal_id) or (None, True)
    return None if under_way else so_far


def _so_far(app: App, owner: int, signal_id: str) -> tuple[SignalOutcome, bool] | None:
    """The outcome so far, and whether the signal is in progress."""
    with app.db.read() as conn:
        row = table.get(conn, owner, signal_id)
        if row is None:
            return None
        decisions = decision_table.bot_statuses(conn, owner, signal_id)
        orders = user_orders.for_signal(conn, owner, signal_id)
    status, why = _shown(row, decisions)
    return SignalOutcome(
        signal_id=signal_id,
        status=status,
        reason=why,
        orders=tuple(orders),
        bots=tuple(BotOutcome(bot_id=d.bot_id, status=_status(d.status), reason=d.reason) for d in decisions),
    ), row.status == "accepted"


def _shown(row: Any, decisions: list[Any]) -> tuple[str, Reason]:
    """A signal in progress is shown by what delays it, if anything: a closed market, an unreachable
    broker."""
    if row.status != "accepted":
        return row.status, row.reason
    delays = (d.reason for d in decisions if d.status == "waiting" and d.reason)
    return "working", next(delays, Reason(Code.UNDER_WAY))


def _status(decision: str) -> str:
    return "working" if decision in UNDER_WAY else decision


def story(app: App, owner: int, signal_id: str) -> SignalStory | None:
    """All steps, in order."""
    with app.db.read() as conn:
        row = table.get(conn, owner, signal_id)
        if row is None:
            return None
        decisions = decision_table.bot_outcomes(conn, owner, signal_id)
        orders = user_orders.for_signal(conn, owner, signal_id)
        bots = tuple(_decision(d) for d in decisions)
        steps = [
            *_received(row),
            *_decided(bots),
            *_order_steps(conn, owner, signal_id),
            *_filled(conn, owner, signal_id),
            *_messages(conn, owner, signal_id),
        ]
    status, why = _shown(row, decisions)
    return SignalStory(
        signal=record(SignalRecord, row),
        status=status,
        reason=why,
        raw=row.raw,
        steps=tuple(sorted(steps, key=lambda step: (step.at, _RANK[step.kind]))),
        orders=tuple(orders),
        bots=bots,
    )


def _received(row: Any) -> list[StoryStep]:
    at = row.received_at
    arrival = reason(Code.ALERT_RECEIVED, origin=row.origin, sender=row.sender)
    steps = [StoryStep(at=at, kind=StepKind.RECEIVED, detail=arrival)]
    if row.symbol is not None:
        steps.append(StoryStep(at=at, kind=StepKind.READ, detail=_reading(row)))
    if row.repeated_at is not None:
        repeats = reason(Code.ALERT_REPEATED, count=row.duplicate_count)
        steps.append(StoryStep(at=row.repeated_at, kind=StepKind.REPEATED, detail=repeats))
    if row.ended_at == at and row.status == "refused":
        steps.append(StoryStep(at=at, kind=StepKind.REFUSED, detail=row.reason))
    return steps


def _reading(row: Any) -> Reason:
    notes = row.reading.get("notes", ()) if row.reading else ()
    return reason(
        Code.ALERT_READ,
        action=row.action,
        symbol=row.symbol.short,
        timeframe=Timeframe(row.timeframe).shown if row.timeframe else "",
        dialect=row.dialect,
        notes=tuple(quoted(note) for note in notes),
    )


def _decision(row: Any) -> BotDecision:
    return BotDecision(
        bot_id=row.bot_id,
        status=_status(row.status),
        reason=row.reason,
        would=row.would,
        checks=tuple(_check(stored) for stored in row.checks or ()),
        numbers=row.numbers or {},
        decided_at=row.decided_at,
    )


def _check(stored: dict[str, Any]) -> StoryCheck:
    """Older checks were stored as text, newer ones as codes."""
    why = from_data(stored) if "code" in stored else quoted(stored["detail"])
    return StoryCheck(name=stored["check"], ok=stored["ok"], reason=why)


def _decided(bots: tuple[BotDecision, ...]) -> list[StoryStep]:
    steps: list[StoryStep] = []
    for bot in bots:
        if bot.decided_at is None:
            continue
        for check in bot.checks:
            found = reason(Code.CHECKED, check=check.name, ok=int(check.ok), found=check.reason)
            steps.append(StoryStep(at=bot.decided_at, kind=StepKind.CHECK, detail=found, check=check))
        why = tuple(part for part in (bot.reason, bot.would) if part)
        detail = several(why) if why else reason(Code.BOT_ACTS, bot=bot.bot_id)
        kind = StepKind.REFUSED if bot.status == "refused" else StepKind.DECIDED
        steps.append(StoryStep(at=bot.decided_at, kind=kind, detail=detail))
    return steps


def _order_steps(conn: sa.Connection, owner: int, signal_id: str) -> list[StoryStep]:
    return [
        StoryStep(
            at=event.at,
            kind=StepKind.ORDER,
            order_status=event.status,
            detail=reason(Code.ORDER_STEP, because=event.detail, status=event.status, order=event.order_id),
        )
        for event in order_events.events_for_signal(conn, owner, signal_id)
    ]


def _filled(conn: sa.Connection, owner: int, signal_id: str) -> list[StoryStep]:
    steps: list[StoryStep] = []
    for fill in fill_table.fills_for_signal(conn, owner, signal_id):
        fee = {"fee": fill.fee} if fill.fee else {}
        made = reason(Code.FILL, side=fill.side, quantity=fill.quantity, price=fill.price, **fee)
        realized = {"realized": fill.realized} if fill.realized else {}
        booked = reason(Code.BOOKED, bot=fill.bot_id, **realized)
        steps.append(StoryStep(at=fill.booked_at, kind=StepKind.FILLED, detail=made))
        steps.append(StoryStep(at=fill.booked_at, kind=StepKind.BOOKED, detail=booked))
    return steps


def _messages(conn: sa.Connection, owner: int, signal_id: str) -> list[StoryStep]:
    found = message_table.for_signal(conn, owner, signal_id)
    return [StoryStep(at=message.at, kind=StepKind.MESSAGE, message=message) for message in found]
