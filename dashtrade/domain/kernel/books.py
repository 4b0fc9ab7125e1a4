"""The books as one transaction sees and changes them.

A step reads and changes them here alone. `Books` reads an order, a bot or its lots at most once from its
`Source`, remembers the last form of everything changed, and writes nothing: afterwards the engine stores
`changes`, each row once. In memory, without a database, the same steps run on another `Source`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Protocol

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import (
    BookedFill,
    DecisionChange,
    MadeDecision,
    Message,
    NewLock,
    OrderEvent,
    RiskEvent,
    SignalChange,
    TradeChange,
)
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.orders import Order
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.signals import ExitCause


@record
class TripInputs:
    """What the round trips of an order's fills are made from."""

    trip: RoundTrip | None  # the bot's latest
    origin: str  # of the order's signal
    cause: ExitCause | None  # of a signal by which DashTrade itself closes


class Source(Protocol):
    """Where `Books` reads from. The account of whatever is read is locked."""

    def order(self, order_id: str) -> Order: ...
    def orders_of_signal(self, signal_id: str, bot_id: int) -> Iterable[Order]: ...
    def bot(self, bot_id: int) -> Bot: ...
    def lots(self, bot_id: int) -> Iterable[Lot]: ...
    def booked_fills(self, order_id: str) -> Mapping[str, Fees]: ...
    def trip_inputs(self, order: Order) -> TripInputs: ...
    def outcomes(self, signal_id: str) -> Mapping[int, Outcome]:
        """Each decision's status. Of two transactions that ask, one waits for the other."""
        ...


@dataclass(slots=True)
class Changes:
    """New lots and round trips have a negative id."""

    orders: dict[str, Order] = field(default_factory=dict)
    bots: dict[int, Bot] = field(default_factory=dict)
    booked_bots: set[int] = field(default_factory=set)  # whose performance of the day changed
    lots: dict[int, Lot] = field(default_factory=dict)
    trips: dict[int, RoundTrip] = field(default_factory=dict)
    pending: dict[int, PendingDecision] = field(default_factory=dict)  # decided again later
    decisions: dict[int, DecisionChange] = field(default_factory=dict)
    signals: dict[str, SignalChange] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)
    fills: list[BookedFill] = field(default_factory=list)
    trades: list[TradeChange] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    risk_events: list[RiskEvent] = field(default_factory=list)
    locks: list[NewLock] = field(default_factory=list)

    def copied(self) -> Changes:
        return Changes(**{each.name: copy.copy(getattr(self, each.name)) for each in fields(self)})


class Books:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.changes = Changes()
        self.orders_before: dict[str, Order] = {}  # as they were read; a new order is not among them
        self.bots_before: dict[int, Bot] = {}
        self._of_signal: dict[tuple[str, int], list[str]] = {}
        self._lots: dict[int, list[Lot]] = {}
        self._new_ids = 0

    # --- orders ---------------------------------------------------------------------------------------------

    def order(self, order_id: str) -> Order:
        changed = self.changes.orders.get(order_id)
        if changed is not None:
            return changed
        if order_id not in self.orders_before:
            self.orders_before[order_id] = self._source.order(order_id)
        return self.orders_before[order_id]

    def remember(self, orders: Iterable[Order]) -> None:
        """Orders that were read in this transaction already."""
        for order in orders:
            self.orders_before.setdefault(order.id, order)

    def put_order(self, order: Order) -> None:
        """The changed order; or a new one, if none of that id was read before."""
        self.changes.orders[order.id] = order

    def orders_of_signal(self, signal_id: str, bot_id: int) -> list[Order]:
        """The bot's orders for the signal, in their order; the exits that a broker holds for them too."""
        key = (signal_id, bot_id)
        if key not in self._of_signal:
            found = list(self._source.orders_of_signal(signal_id, bot_id))
            self.remember(found)
            self._of_signal[key] = [order.id for order in found]
        new = [o.id for o in self.changes.orders.values() if (o.signal_id, o.bot_id) == key]
        every = [self.order(order_id) for order_id in dict.fromkeys([*self._of_signal[key], *new])]
        return sorted(every, key=lambda order: order.step)

    def legs_of(self, entry: Order) -> list[Order]:
        """The exits that the broker holds for an entry, ended ones too."""
        every = self.orders_of_signal(entry.signal_id, entry.bot_id)
        return [order for order in every if order.parent_id == entry.id]

    def request_cancel(self, orders: Iterable[Order]) -> None:
        for order in orders:
            if order.is_open:
                self.put_order(replace(order, cancel_requested=True))

    def log(self, order: Order, at: datetime, status: str, detail: Reason) -> None:
        self.changes.events.append(OrderEvent(order=order, at=at, status=status, detail=detail))

    # --- bots, fills, round trips ---------------------------------------------------------------------------

    def bot(self, bot_id: int) -> Bot:
        changed = self.changes.bots.get(bot_id)
        if changed is not None:
            return changed
        if bot_id not in self.bots_before:
            self.bots_before[bot_id] = self._source.bot(bot_id)
        return self.bots_before[bot_id]

    def put_bot(self, bot: Bot) -> None:
        self.changes.bots[bot.id] = bot

    def put_booked_bot(self, bot: Bot) -> None:
        """After fills: its performance of the day changed too."""
        self.put_bot(bot)
        self.changes.booked_bots.add(bot.id)

    def lots(self, bot_id: int) -> list[Lot]:
        """The lots that the bot holds, oldest first."""
        if bot_id not in self._lots:
            self._lots[bot_id] = list(self._source.lots(bot_id))
        now = self.changes.lots
        new = [now[fill.lot_id] for fill in self.changes.fills if fill.lot_id and fill.order.bot_id == bot_id]
        held = [*(now.get(lot.id, lot) for lot in self._lots[bot_id]), *new]
        return [lot for lot in held if lot.remaining]

    def put_lot(self, lot: Lot) -> None:
        self.changes.lots[lot.id] = lot

    def booked_fills(self, order_id: str) -> dict[str, Fees]:
        """The fees of the order's booked executions, by id."""
        new = {
            one.fill.id: (one.fill.fee, one.fill.fee_base)
            for one in self.changes.fills
            if one.order.id == order_id
        }
        return {**self._source.booked_fills(order_id), **new}

    def trip_inputs(self, order: Order) -> TripInputs:
        found = self._source.trip_inputs(order)
        changed = [trip for trip in self.changes.trips.values() if trip.bot_id == order.bot_id]
        return replace(found, trip=changed[-1]) if changed else found

    def put_trip(self, trip: RoundTrip) -> None:
        trip = trip if trip.id else replace(trip, id=self.new_id())
        self.changes.trips.pop(trip.id, None)  # the latest is the last
        self.changes.trips[trip.id] = trip

    def new_id(self) -> int:
        """Until the row is stored: different from every stored row's."""
        self._new_ids -= 1
        return self._new_ids

    # --- decisions and signals ------------------------------------------------------------------------------

    def put_pending(self, task: PendingDecision) -> None:
        """It waits, and is decided again."""
        self.changes.pending[task.id] = task

    def make_decision(
        self, decision_id: int, status: str, reason: Reason, made: MadeDecision, ended_at: datetime | None
    ) -> None:
        self.changes.decisions[decision_id] = DecisionChange(
            status=status, reason=reason, ended_at=ended_at, made=made
        )

    def put_outcome(self, decision_id: int, outcome: Outcome, ended_at: datetime | None) -> None:
        known = self.changes.decisions.get(decision_id)
        self.changes.decisions[decision_id] = DecisionChange(
            status=outcome.status,
            reason=outcome.reason,
            ended_at=ended_at,
            made=known.made if known is not None else None,
        )

    def outcomes(self, signal_id: str) -> list[Outcome]:
        """The status of each of the signal's decisions."""
        found = dict(self._source.outcomes(signal_id))
        changed = {
            decision_id: Outcome(one.status, one.reason)
            for decision_id, one in self.changes.decisions.items()
            if decision_id in found
        }
        return list((found | changed).values())

    def put_signal(self, signal_id: str, outcome: Outcome, ended_at: datetime | None) -> None:
        self.changes.signals[signal_id] = SignalChange(
            status=outcome.status, reason=outcome.reason, ended_at=ended_at
        )

    # --- messages -------------------------------------------------------------------------------------------

    def notify(self, user_id: int, notice: Notice, *, signal_id: str | None, at: datetime) -> None:
        self.changes.messages.append(Message(user_id=user_id, notice=notice, signal_id=signal_id, at=at))

    def add_risk_event(self, event: RiskEvent) -> None:
        self.changes.risk_events.append(event)
