"""The kernel's source in memory alone, as the truth itself: no database. A step's changes count once it has
ended; one that raises has changed nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.memory_protections import MemoryProtections
from dashtrade.domain.kernel.memory_rows import Holder, MemoryRows
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.paper_pages import PaperPages
from dashtrade.domain.kernel.source import Listener, NewRow, StoredAlert, TripInputs
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.paper_account import PaperBook, PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.position_mismatch import Drift, asset_of
from dashtrade.domain.signals import Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO

T = TypeVar("T")
MAX_LISTENERS = 10_000
_TO_DO = frozenset({OrderStatus.CREATED, OrderStatus.SUBMITTING, OrderStatus.UNKNOWN})


class MemoryBooks(MemoryProtections):
    def __init__(self, rows: MemoryRows | None = None) -> None:
        super().__init__(rows or MemoryRows())
        self._last_ids: dict[NewRow, int] = dict.fromkeys(NewRow, 0)

    # --- steps ----------------------------------------------------------------------------------------------

    def run(self, fn: Callable[[Books], T]) -> T:
        """One step, which counts whole or not at all."""
        last_ids, books = dict(self._last_ids), Books(self)
        try:
            result = fn(books)
            self.take(books)
        except BaseException:
            self._last_ids = last_ids
            raise
        return result

    def take(self, books: Books) -> None:
        self.rows.take(books.changes)

    def new_id(self, row: NewRow) -> int:
        self._last_ids[row] += 1
        return self._last_ids[row]

    # --- accounts -------------------------------------------------------------------------------------------

    def account(self, account_id: int) -> Account:
        return self.rows.accounts[account_id]

    def order(self, order_id: str) -> Order:
        return self.rows.orders[order_id]

    def open_orders(self, account_id: int) -> Sequence[Order]:
        return self.rows.open_orders.get(account_id, ())

    def orders_of_signal(self, signal_id: str, bot_id: int) -> Sequence[Order]:
        found = [self.rows.orders[order_id] for order_id in self.rows.orders_of.get((signal_id, bot_id), ())]
        return sorted(found, key=lambda order: (order.step, order.id))

    def bot(self, bot_id: int) -> Bot:
        return self.rows.bots[bot_id]

    def bots_on(self, account_id: int, symbol: Symbol) -> Sequence[Bot]:
        return [
            bot
            for bot in self.rows.bots.values()
            if bot.account_id == account_id
            and bot.symbol == symbol
            and (bot.deleted_at is None or bot.status != "READY")
        ]

    def lots(self, bot_id: int) -> Sequence[Lot]:
        return self.rows.held_lots.get(bot_id, ())

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]:
        return {
            one.fill.id: (one.fill.fee, one.fill.fee_base) for one in self.rows.fills_of.get(order_id, ())
        }

    def trip_inputs(self, order: Order) -> TripInputs:
        held, closed = self.rows.trips_of.get(order.bot_id, (None, None))
        if held is None and closed is None:
            return TripInputs(trip=None, origin="", cause=None)
        new = self.rows.signals[order.signal_id].new
        return TripInputs(trip=held or closed, origin=new.origin, cause=new.exit_cause)

    def drift(self, account_id: int, symbol: Symbol) -> Drift | None:
        return self.rows.drifts.get((account_id, asset_of(symbol)))

    def outside_quantity(self, account_id: int, symbol: Symbol) -> Decimal:
        return self.rows.outside.get((account_id, asset_of(symbol)), ZERO)

    # --- decisions ------------------------------------------------------------------------------------------

    def due(self, account_id: int, symbol: Symbol, now: datetime, limit: int) -> Sequence[PendingDecision]:
        waiting = self.rows.waiting.get(Lane(account_id, symbol), ())
        return [task for task in waiting if task.due_at is None or task.due_at <= now][:limit]

    def waiting_for_open(self, task: PendingDecision, now: datetime) -> Sequence[WaitingEntry]:
        return [
            WaitingEntry(
                decision_id=other.id,
                signal_id=other.signal_id,
                sole_recipient=other.sole_recipient,
                action=self.signal(other.signal_id).action,
            )
            for other in self.rows.waiting.get(Lane(task.account_id, task.symbol), ())
            if other.bot_id == task.bot_id
            and other.id != task.id
            and other.due_at is not None
            and other.held_until == other.due_at > now
        ]

    def outcomes(self, signal_id: str) -> Mapping[int, Outcome]:
        found = [self.rows.decisions[number].task for number in self.rows.decisions_of.get(signal_id, ())]
        return {task.id: Outcome(task.status, task.reason) for task in found}

    def signal(self, signal_id: str) -> Signal:
        return self.rows.signals[signal_id].new.signal

    # --- alerts ---------------------------------------------------------------------------------------------

    def repeat_of(self, owner: int, key: str) -> StoredAlert | None:
        signal_id = self.rows.alerts.get((owner, key))
        if signal_id is None:
            return None
        new = self.rows.signals[signal_id].new
        return StoredAlert(id=new.id, body_hash=new.body_hash, received_at=new.received_at)

    def listening_on(self, owner: int, symbol: Symbol) -> Sequence[Listener]:
        return [listener for listener in self._listeners(owner) if listener.symbol == symbol]

    def all_listeners(self, owner: int) -> Sequence[Listener]:
        return list(self._listeners(owner))[:MAX_LISTENERS]

    def _listeners(self, owner: int) -> Iterator[Listener]:
        for bot in self.rows.bots.values():
            if bot.user_id == owner and bot.deleted_at is None:
                yield Listener(
                    id=bot.id,
                    user_id=owner,
                    account_id=bot.account_id,
                    symbol=bot.symbol,
                    timeframe=bot.timeframe.seconds,
                    name=bot.name,
                )

    def engaged(self, owner: int, bot_ids: Sequence[int]) -> Sequence[Decimal]:
        bots = [bot for number, bot in self.rows.bots.items() if number in bot_ids and bot.user_id == owner]
        return [bot.position.quantity for bot in bots if bot.status != "READY" or self._is_to_decide_for(bot)]

    def _is_to_decide_for(self, bot: Bot) -> bool:
        waiting = self.rows.waiting.get(Lane(bot.account_id, bot.symbol), ())
        return any(task.bot_id == bot.id for task in waiting)

    def stored_bytes(self, owner: int) -> int:
        return self.rows.stored_bytes.get(owner, 0)

    # --- paper ----------------------------------------------------------------------------------------------

    def paper_cash(self, account_id: int) -> Decimal:
        return self.rows.paper_cash[account_id]

    def paper_positions(self, account_id: int) -> Sequence[PaperPosition]:
        found = [held for (account, _), held in self.rows.paper_positions.items() if account == account_id]
        return sorted(found, key=lambda held: held.symbol.text)

    def paper_working(self, account_id: int) -> Sequence[PaperOrder]:
        found = [order for (account, _), order in self.rows.paper_working.items() if account == account_id]
        return sorted(found, key=lambda order: (order.created_at, order.client_order_id))

    def paper_order(self, account_id: int, client_order_id: str) -> PaperOrder | None:
        return self.rows.paper_orders.get((account_id, client_order_id))

    def paper_fills(self, account_id: int, client_order_id: str) -> Sequence[BrokerFill]:
        return self.rows.paper_fills_of.get((account_id, client_order_id), ())

    # --- lanes ----------------------------------------------------------------------------------------------

    def token_of(self, lane: Lane) -> int | None:
        holder = self.rows.lanes.get(lane)
        return holder.token if holder is not None else None

    def claim(self, lane: Lane, owner: str, ttl: float, now: float) -> int | None:
        """Claim the lane if it is free: the new token, or None. `now` is in seconds."""
        known = self.rows.lanes.get(lane)
        if known is not None and known.owner != owner and known.expires >= now:
            return None
        token = known.token + 1 if known is not None else 1
        self.rows.lanes[lane] = Holder(owner=owner, token=token, expires=now + ttl)
        return token

    def renew(self, owner: str, ttl: float, now: float) -> None:
        for lane, holder in self.rows.lanes.items():
            if holder.owner == owner and holder.expires >= now:
                self.rows.lanes[lane] = Holder(owner=owner, token=holder.token, expires=now + ttl)

    def release(self, owner: str | None = None) -> None:
        """All lanes of that owner; without one, of everybody."""
        for lane, holder in self.rows.lanes.items():
            if owner in (None, holder.owner):
                self.rows.lanes[lane] = Holder(owner=holder.owner, token=holder.token, expires=0.0)

    # --- what there is to do --------------------------------------------------------------------------------

    def find_order(self, account_id: int, order_id: str) -> Order | None:
        """By account too: the id comes from the broker, where others may place orders as well."""
        order = self.rows.orders.get(order_id)
        return order if order is not None and order.account_id == account_id else None

    def open_in_lane(self, lane: Lane) -> Sequence[Order]:
        return [order for order in self.open_orders(lane.account_id) if order.symbol == lane.symbol]

    def open_lanes(self, now: datetime) -> set[Lane]:
        """With a decision to make, an order to send, look up or cancel."""
        found = {
            Lane(task.account_id, task.symbol)
            for waiting in self.rows.waiting.values()
            for task in waiting
            if (task.due_at is None or task.due_at <= now)
            and (task.held_until is None or task.held_until <= now)
        }
        for orders in self.rows.open_orders.values():
            for order in orders:
                is_to_do = order.status in _TO_DO or (
                    order.status is OrderStatus.WORKING and order.cancel_requested
                )
                if is_to_do and (order.due_at is None or order.due_at <= now):
                    found.add(Lane(order.account_id, order.symbol))
        return found


class MemoryPaperStore:
    """One paper account's own books among them. `run` runs a step on them."""

    def __init__(
        self, books: MemoryBooks, account_id: int, run: Callable[[Callable[[Books], Any]], Any]
    ) -> None:
        self._books, self._account_id, self._run = books, account_id, run

    def write(self, work: Callable[[PaperBook], T]) -> T:
        result: T = self._run(lambda books: work(PaperPages(books, self._account_id)))
        return result

    def read(self, work: Callable[[PaperBook], T]) -> T:
        return work(PaperPages(Books(self._books), self._account_id))
