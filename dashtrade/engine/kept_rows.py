"""The rows that are kept in memory, and what a step changes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.books import Books, Changes
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import NewSignal
from dashtrade.domain.kernel.source import Listener, StoredAlert
from dashtrade.domain.kernel.taking import lots_after, orders_after, waiting_after
from dashtrade.domain.ledger import Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.protections import BotRestrictions
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.symbols import Symbol


class KeptRows:
    """What was read. A step changes only what is here; the rest is read when it is needed."""

    def __init__(self) -> None:
        self.tokens: dict[Any, int | None] = {}  # by lane
        self.last_ids: dict[Any, int] = {}
        self.spare_ids: dict[Any, list[int]] = {}
        self.accounts: dict[Any, Account] = {}
        self.bots: dict[Any, Bot] = {}
        self.bots_on: dict[Any, tuple[int, ...]] = {}
        self.lots: dict[Any, tuple[Lot, ...]] = {}  # by bot
        self.trips: dict[int, RoundTrip | None] = {}  # by bot: the latest
        self.drifts: dict[Any, Drift | None] = {}
        self.outside: dict[Any, Decimal] = {}
        self.restrictions: dict[int, tuple[datetime, BotRestrictions]] = {}
        self.open_orders: dict[int, list[Order]] = {}  # by account, in order of creation
        self.waiting: dict[Lane, list[PendingDecision]] = {}
        self.signals: dict[str, NewSignal] = {}  # those accepted here
        self.alerts: dict[tuple[int, str], StoredAlert] = {}
        self.outcomes: dict[str, dict[int, Outcome]] = {}
        self.listening: dict[Any, Sequence[Listener]] = {}
        self.listeners: dict[Any, Sequence[Listener]] = {}
        self.stored_bytes: dict[Any, int] = {}
        self.paper_cash: dict[Any, Decimal] = {}
        self.paper_positions: dict[Any, dict[Symbol, PaperPosition]] = {}
        self.paper_orders: dict[tuple[int, str], PaperOrder] = {}  # those changed here
        self._orders: dict[str, Order] = {}  # the open ones of all kept accounts
        self._lane_of: dict[int, Lane] = {}  # of the waiting decisions
        self._signal_of: dict[int, str] = {}  # of the decisions made of signals accepted here

    @property
    def count(self) -> int:
        """Of what grows with every alert."""
        return len(self.signals) + len(self.paper_orders)

    def open_order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def keep_open_orders(self, account_id: int, orders: Sequence[Order]) -> None:
        self.open_orders[account_id] = list(orders)
        self._orders.update({order.id: order for order in orders})

    def keep_waiting(self, lane: Lane, tasks: Sequence[PendingDecision]) -> None:
        self.waiting[lane] = list(tasks)
        self._lane_of.update((task.id, lane) for task in tasks)

    def keep_bot(self, bot: Bot) -> int:
        self.bots.setdefault(bot.id, bot)
        return bot.id

    # --- after a step ---------------------------------------------------------------------------------------

    def take(self, books: Books) -> None:
        changes = books.changes
        self._take_alerts(changes)
        self._take_decisions(changes)
        self._take_orders(changes.orders)
        self.bots.update(changes.bots)
        self._take_lots(changes)
        for trip in changes.trips.values():  # the latest is the last
            self.trips[trip.bot_id] = trip
        if changes.locks:
            self.restrictions.clear()
        self._take_paper(changes)

    def _take_alerts(self, changes: Changes) -> None:
        for signal in changes.new_signals.values():
            self.signals[signal.id] = signal
            if signal.dedupe_key is not None:
                self.alerts[signal.user_id, signal.dedupe_key] = StoredAlert(
                    id=signal.id, body_hash=signal.body_hash, received_at=signal.received_at
                )
        for owner, more in changes.stored_bytes.items():
            if owner in self.stored_bytes:
                self.stored_bytes[owner] += more

    def _take_decisions(self, changes: Changes) -> None:
        for task in changes.new_decisions.values():
            self._signal_of[task.id] = task.signal_id
            self.outcomes.setdefault(task.signal_id, {})[task.id] = Outcome(task.status, task.reason)
        for number, change in changes.decisions.items():
            if number in self._signal_of:
                self.outcomes[self._signal_of[number]][number] = Outcome(change.status, change.reason)
        for number, task in changes.pending.items():
            if number in self._signal_of:
                self.outcomes[self._signal_of[number]][number] = Outcome(task.status, task.reason)
        self._take_waiting(changes)

    def _take_waiting(self, changes: Changes) -> None:
        for task in changes.new_decisions.values():
            lane = Lane(task.account_id, task.symbol)
            if lane in self.waiting:
                self._lane_of[task.id] = lane
        touched = [*changes.new_decisions, *changes.decisions, *changes.pending]
        for lane in {self._lane_of[number] for number in touched if number in self._lane_of}:
            self.waiting[lane] = waiting_after(self.waiting[lane], changes, lane)
        for number, change in changes.decisions.items():
            if change.made is not None:
                self._lane_of.pop(number, None)

    def _take_orders(self, changed: Mapping[str, Order]) -> None:
        for account_id in {order.account_id for order in changed.values()} & self.open_orders.keys():
            now = orders_after(self.open_orders[account_id], changed, account_id)
            self.open_orders[account_id] = now
            for order in changed.values():
                self._orders.pop(order.id, None)
            self._orders.update({order.id: order for order in now if order.id in changed})

    def _take_lots(self, changes: Changes) -> None:
        for bot_id in changes.booked_bots & self.lots.keys():
            self.lots[bot_id] = lots_after(self.lots[bot_id], changes, bot_id)

    def _take_paper(self, changes: Changes) -> None:
        self.paper_cash.update(changes.paper_cash)
        for (account_id, symbol), position in changes.paper_positions.items():
            held = self.paper_positions.get(account_id)
            if held is None:
                continue
            held.pop(symbol, None)
            if position.quantity:
                held[symbol] = position
        self.paper_orders.update(changes.paper_orders)
