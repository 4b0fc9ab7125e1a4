"""All rows of an installation's trading, in memory: the truth itself, or what a backtest and a simulation
begin with. Ended rows stay.

`take` adds what a step changed, as `storing.store` adds it to the tables. What is looked for often has an
index: the open orders of an account, the waiting decisions of a lane, the lots that a bot holds."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot, Day, Switch
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.books import Changes
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.records import (
    BookedFill,
    DecisionChange,
    Message,
    NewLock,
    NewSignal,
    OrderEvent,
    RiskEvent,
    SignalChange,
    TradeChange,
)
from dashtrade.domain.kernel.taking import DecidedElsewhere, added_up, lots_after, orders_after, waiting_after
from dashtrade.domain.ledger import Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill, VenueStatus
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.protections import ActiveProtection
from dashtrade.domain.record import record, replace
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.symbols import Symbol


@record
class KeptSignal:
    new: NewSignal
    change: SignalChange | None = None
    repeats: int = 0
    repeated_at: datetime | None = None


@record
class KeptDecision:
    task: PendingDecision  # its status and reason as they are now
    change: DecisionChange | None = None

    @property
    def waits(self) -> bool:
        return self.task.status == "waiting"


@record
class KeptLot:
    lot: Lot
    opened: BookedFill
    closed_at: datetime | None


@record
class KeptLock:
    id: int
    lock: NewLock
    unlocked_at: datetime | None = None


@record
class Protection:
    """One that its user has set up, and that is active."""

    user_id: int
    active: ActiveProtection


@record
class Holder:
    """Who holds a lane, with the token of the claim, until a time in seconds."""

    owner: str
    token: int
    expires: float


@dataclass(slots=True)
class Tables:
    """Each by its key, in the order of insertion."""

    accounts: dict[int, Account] = field(default_factory=dict)
    bots: dict[int, Bot] = field(default_factory=dict)
    days: dict[tuple[int, date], Day] = field(default_factory=dict)
    signals: dict[str, KeptSignal] = field(default_factory=dict)
    decisions: dict[int, KeptDecision] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)
    fills: list[BookedFill] = field(default_factory=list)
    lots: dict[int, KeptLot] = field(default_factory=dict)
    trips: dict[int, RoundTrip] = field(default_factory=dict)
    trades: dict[str, TradeChange] = field(default_factory=dict)  # by order
    messages: list[Message] = field(default_factory=list)
    risk_events: list[RiskEvent] = field(default_factory=list)
    protections: list[Protection] = field(default_factory=list)
    locks: dict[int, KeptLock] = field(default_factory=dict)
    switches: dict[tuple[str, int], Switch] = field(default_factory=dict)
    drifts: dict[tuple[int, str], Drift] = field(default_factory=dict)  # unresolved, by account and asset
    outside: dict[tuple[int, str], Decimal] = field(default_factory=dict)
    stored_bytes: dict[int, int] = field(default_factory=dict)
    paper_cash: dict[int, Decimal] = field(default_factory=dict)
    paper_positions: dict[tuple[int, Symbol], PaperPosition] = field(default_factory=dict)
    paper_orders: dict[tuple[int, str], PaperOrder] = field(default_factory=dict)
    paper_fills: list[tuple[int, BrokerFill]] = field(default_factory=list)
    lanes: dict[Lane, Holder] = field(default_factory=dict)


class MemoryRows(Tables):
    __slots__ = (
        "alerts",
        "decisions_of",
        "fills_of",
        "held_lots",
        "open_orders",
        "orders_of",
        "paper_fills_of",
        "paper_working",
        "trips_of",
        "waiting",
    )

    def __init__(self, tables: Tables | None = None) -> None:
        """On copies of the tables, which may have accounts and bots, with nothing traded yet."""
        given = tables or Tables()
        super().__init__(**{each.name: copy.copy(getattr(given, each.name)) for each in fields(Tables)})
        assert not self.orders and not self.signals, "there are indexes of what was traded"
        self.alerts: dict[tuple[int, str], str] = {}  # the newest signal, by owner and key
        self.decisions_of: defaultdict[str, list[int]] = defaultdict(list)  # by signal
        self.waiting: dict[Lane, list[PendingDecision]] = {}
        self.orders_of: defaultdict[tuple[str, int], list[str]] = defaultdict(list)  # by signal and bot
        self.open_orders: dict[int, list[Order]] = {}  # by account, in order of creation
        self.fills_of: defaultdict[str, list[BookedFill]] = defaultdict(list)  # by order
        self.held_lots: dict[int, tuple[Lot, ...]] = {}  # by bot
        self.trips_of: dict[int, tuple[RoundTrip | None, RoundTrip | None]] = {}  # by bot: open; last closed
        self.paper_working: dict[tuple[int, str], PaperOrder] = {}
        self.paper_fills_of: defaultdict[tuple[int, str], list[BrokerFill]] = defaultdict(list)

    # --- after a step ---------------------------------------------------------------------------------------

    def take(self, changes: Changes) -> None:
        self._check(changes)
        self._take_alerts(changes)
        self._take_decisions(changes)
        if changes.orders or changes.events:
            self._take_orders(changes)
        if changes.fills or changes.trades:
            self._take_fills(changes)
        for trip in changes.trips.values():
            self._put_trip(trip)
        self.bots.update(changes.bots)
        self.days.update((key, bot.last_day) for key, bot in changes.days.items())
        self.messages += changes.messages
        self.risk_events += changes.risk_events
        for lock in changes.locks:
            number = len(self.locks) + 1
            self.locks[number] = KeptLock(id=number, lock=lock)
        if changes.paper_orders or changes.paper_cash:
            self._take_paper(changes)

    def _check(self, changes: Changes) -> None:
        """A decision is made once: whoever comes second changes nothing."""
        for number, change in changes.decisions.items():
            known = self.decisions.get(number)
            if change.made is not None and known is not None and not known.waits:
                raise DecidedElsewhere

    def _take_alerts(self, changes: Changes) -> None:
        for signal in changes.new_signals.values():
            self.signals[signal.id] = KeptSignal(new=signal)
            if signal.dedupe_key is not None:
                key = (signal.user_id, signal.dedupe_key)
                self.alerts[key] = max(signal.id, self.alerts.get(key, ""))
        for signal_id, change in changes.signals.items():
            self.signals[signal_id] = replace(self.signals[signal_id], change=change)
        for repeat in changes.repeats:
            known = self.signals[repeat.signal_id]
            self.signals[repeat.signal_id] = replace(known, repeats=known.repeats + 1, repeated_at=repeat.at)
        for owner, more in changes.stored_bytes.items():
            self.stored_bytes[owner] = self.stored_bytes.get(owner, 0) + more

    def _take_decisions(self, changes: Changes) -> None:
        lanes: set[Lane] = set()
        for task in changes.new_decisions.values():
            self.decisions[task.id] = KeptDecision(task=task)
            self.decisions_of[task.signal_id].append(task.id)
            lanes.add(Lane(task.account_id, task.symbol))
        for number, task in changes.pending.items():
            if self.decisions[number].waits:
                self.decisions[number] = KeptDecision(task=task)
                lanes.add(Lane(task.account_id, task.symbol))
        for number, change in changes.decisions.items():
            known = self.decisions[number]
            if change.made is None and known.change is not None:
                change = replace(change, made=known.change.made)
            task = replace(known.task, status=change.status, reason=change.reason)
            self.decisions[number] = KeptDecision(task=task, change=change)
            lanes.add(Lane(task.account_id, task.symbol))
        for lane in lanes:
            self.waiting[lane] = waiting_after(self.waiting.get(lane, []), changes, lane)

    def _take_orders(self, changes: Changes) -> None:
        for order_id in changes.orders:
            if order_id in changes.new_orders:
                order = changes.orders[order_id]
                self.orders_of[order.signal_id, order.bot_id].append(order_id)
        self.orders.update(changes.orders)
        self.put_orders(changes.orders.values())
        self.events += changes.events

    def put_orders(self, changed: Iterable[Order]) -> None:
        """Orders that are there already, as they are now."""
        by_id = {order.id: order for order in changed}
        self.orders.update(by_id)
        for account_id in {order.account_id for order in by_id.values()}:
            self.open_orders[account_id] = orders_after(
                self.open_orders.get(account_id, []), by_id, account_id
            )

    def _take_fills(self, changes: Changes) -> None:
        self.fills += changes.fills
        for fill in changes.fills:
            self.fills_of[fill.order.id].append(fill)
            if fill.lot_id:
                lot = changes.lots[fill.lot_id]
                closed_at = None if lot.remaining else fill.booked_at
                self.lots[lot.id] = KeptLot(lot=lot, opened=fill, closed_at=closed_at)
        for lot in changes.lots.values():
            if lot.id not in changes.new_lots:
                closed_at = None if lot.remaining else changes.fills[-1].booked_at
                self.lots[lot.id] = replace(self.lots[lot.id], lot=lot, closed_at=closed_at)
        for bot_id in changes.booked_bots:
            self.held_lots[bot_id] = lots_after(self.held_lots.get(bot_id, ()), changes, bot_id)
        for change in changes.trades:
            self._take_trade(change)

    def _take_trade(self, change: TradeChange) -> None:
        known = self.trades.get(change.order.id)
        if known is not None:  # its row keeps the broker's number of the first fill
            order = replace(change.order, broker_order_id=known.order.broker_order_id)
            change = added_up(known, replace(change, order=order))
        self.trades[change.order.id] = change

    def _put_trip(self, trip: RoundTrip) -> None:
        self.trips[trip.id] = trip
        still_open, closed = self.trips_of.get(trip.bot_id, (None, None))
        if trip.closed_at is None:
            still_open = trip
            closed = None if closed is not None and closed.id == trip.id else closed
        else:
            still_open = None if still_open is not None and still_open.id == trip.id else still_open
            if closed is None or closed.id == trip.id or _ended(closed) <= _ended(trip):
                closed = trip
        self.trips_of[trip.bot_id] = (still_open, closed)

    def _take_paper(self, changes: Changes) -> None:
        self.paper_cash.update(changes.paper_cash)
        for key, position in changes.paper_positions.items():
            self.paper_positions.pop(key, None)
            if position.quantity:
                self.paper_positions[key] = position
        for client, order in changes.paper_orders.items():
            self.paper_orders[client] = order
            self.paper_working.pop(client, None)
            if order.status is VenueStatus.WORKING:
                self.paper_working[client] = order
        self.paper_fills += changes.paper_fills
        for account_id, fill in changes.paper_fills:
            self.paper_fills_of[account_id, fill.client_order_id].append(fill)


def _ended(trip: RoundTrip) -> tuple[datetime, int]:
    assert trip.closed_at is not None
    return trip.closed_at, trip.id
