"""The books as one transaction sees and changes them.

A step reads and changes them here alone. `Books` reads an order, a bot or its lots at most once from its
`Source`, remembers the last form of everything changed, and writes nothing: afterwards the engine stores
`changes`, each row once. In memory, without a database, the same steps run on another `Source`."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import (
    BookedFill,
    DecisionChange,
    MadeDecision,
    Message,
    NewLock,
    NewSignal,
    OrderEvent,
    Repeat,
    RiskEvent,
    SignalChange,
    TradeChange,
)
from dashtrade.domain.kernel.source import NewRow, Source, TripInputs
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import replace
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.symbols import Symbol


@dataclass(slots=True)
class Changes:
    """The last form of every changed row, and what was added."""

    new_signals: dict[str, NewSignal] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    stored_bytes: dict[int, int] = field(default_factory=dict)  # by user: how many more
    new_decisions: dict[int, PendingDecision] = field(default_factory=dict)
    new_orders: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
    bots: dict[int, Bot] = field(default_factory=dict)
    booked_bots: set[int] = field(default_factory=set)
    days: dict[tuple[int, date], Bot] = field(default_factory=dict)  # a booked bot's performance of the day
    new_lots: set[int] = field(default_factory=set)
    lots: dict[int, Lot] = field(default_factory=dict)
    new_trips: set[int] = field(default_factory=set)
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
    paper_cash: dict[int, Decimal] = field(default_factory=dict)  # by account
    paper_positions: dict[tuple[int, Symbol], PaperPosition] = field(default_factory=dict)
    new_paper_orders: set[tuple[int, str]] = field(default_factory=set)
    paper_orders: dict[tuple[int, str], PaperOrder] = field(default_factory=dict)
    paper_fills: list[tuple[int, BrokerFill]] = field(default_factory=list)

    def copied(self) -> Changes:
        return Changes(**{each.name: copy.copy(getattr(self, each.name)) for each in fields(self)})

    def take(self, later: Changes) -> None:
        """Add what a later step changed. Its decisions, trades and bytes are the caller's, as they add up."""
        for name in _ADDED_TO:
            mine, more = getattr(self, name), getattr(later, name)
            if isinstance(mine, list):
                mine.extend(more)
            else:
                mine.update(more)


_ADDED_TO = tuple(
    each.name for each in fields(Changes) if each.name not in ("decisions", "trades", "stored_bytes")
)


class Books:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.changes = Changes()
        self.orders_before: dict[str, Order] = {}  # as they were read; a new order is not among them
        self.bots_before: dict[int, Bot] = {}
        self._of_signal: dict[tuple[str, int], list[str]] = {}
        self._lots: dict[int, list[Lot]] = {}

    # --- orders ---------------------------------------------------------------------------------------------

    def order(self, order_id: str) -> Order:
        changed = self.changes.orders.get(order_id)
        if changed is not None:
            return changed
        if order_id not in self.orders_before:
            self.orders_before[order_id] = self.source.order(order_id)
        return self.orders_before[order_id]

    def remember(self, orders: Iterable[Order]) -> None:
        """Orders that were read in this transaction already."""
        for order in orders:
            self.orders_before.setdefault(order.id, order)

    def put_order(self, order: Order) -> None:
        self.changes.orders[order.id] = order

    def add_order(self, order: Order) -> None:
        self.changes.new_orders.add(order.id)
        self.changes.orders[order.id] = order

    def orders_of_signal(self, signal_id: str, bot_id: int) -> list[Order]:
        """The bot's orders for the signal, in their order; the exits that a broker holds for them too."""
        key = (signal_id, bot_id)
        if key not in self._of_signal:
            found = list(self.source.orders_of_signal(signal_id, bot_id))
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
            self.bots_before[bot_id] = self.source.bot(bot_id)
        return self.bots_before[bot_id]

    def put_bot(self, bot: Bot) -> None:
        self.changes.bots[bot.id] = bot

    def put_booked_bot(self, bot: Bot) -> None:
        """After fills: its performance of the day changed too."""
        self.put_bot(bot)
        self.changes.booked_bots.add(bot.id)
        self.changes.days[bot.id, bot.last_day.date] = bot

    def lots(self, bot_id: int) -> list[Lot]:
        """The lots that the bot holds, oldest first."""
        if bot_id not in self._lots:
            self._lots[bot_id] = list(self.source.lots(bot_id))
        now = self.changes.lots
        new = [now[fill.lot_id] for fill in self.changes.fills if fill.lot_id and fill.order.bot_id == bot_id]
        held = [*(now.get(lot.id, lot) for lot in self._lots[bot_id]), *new]
        return [lot for lot in held if lot.remaining]

    def put_lot(self, lot: Lot) -> None:
        self.changes.lots[lot.id] = lot

    def add_lot(self, remaining: Decimal, price: Decimal, opened_at: datetime) -> Lot:
        lot = Lot(id=self.source.new_id(NewRow.LOT), remaining=remaining, price=price, opened_at=opened_at)
        self.changes.new_lots.add(lot.id)
        self.put_lot(lot)
        return lot

    def booked_fills(self, order_id: str) -> dict[str, Fees]:
        """The fees of the order's booked executions, by id."""
        new = {
            one.fill.id: (one.fill.fee, one.fill.fee_base)
            for one in self.changes.fills
            if one.order.id == order_id
        }
        return {**self.source.booked_fills(order_id), **new}

    def trip_inputs(self, order: Order) -> TripInputs:
        found = self.source.trip_inputs(order)
        changed = [trip for trip in self.changes.trips.values() if trip.bot_id == order.bot_id]
        return replace(found, trip=changed[-1]) if changed else found

    def put_trip(self, trip: RoundTrip) -> None:
        if not trip.id:
            trip = replace(trip, id=self.source.new_id(NewRow.TRIP))
            self.changes.new_trips.add(trip.id)
        self.changes.trips.pop(trip.id, None)  # the latest is the last
        self.changes.trips[trip.id] = trip

    # --- decisions and signals ------------------------------------------------------------------------------

    def add_signal(self, signal: NewSignal) -> None:
        self.changes.new_signals[signal.id] = signal

    def add_decision(self, task: PendingDecision) -> None:
        self.changes.new_decisions[task.id] = task

    def add_stored_bytes(self, owner: int, more: int) -> int:
        """The user's total then."""
        added = self.changes.stored_bytes
        added[owner] = added.get(owner, 0) + more
        return self.source.stored_bytes(owner) + added[owner]

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
        found = dict(self.source.outcomes(signal_id))
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
