"""The kernel's source in memory: what was read stays, and what steps change is changed here too.

It is exact as long as nobody else writes (`last_writer`). Otherwise everything is forgotten, and read again
where it is needed. What steps changed is stored before anything else is read, and at the end; after an error
everything is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import sqlalchemy as sa

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.source import Listener, NewRow, Resets, StoredAlert, TripInputs
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.position_mismatch import Drift, asset_of
from dashtrade.domain.protections import BotRestrictions, OtherHolding, PastExit, Scope, SentEntry
from dashtrade.domain.signals import Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.kept_rows import KeptRows
from dashtrade.engine.last_writer import LastWriter
from dashtrade.engine.steps import AccountBusy, Step
from dashtrade.engine.stored_books import StoredBooks, alert_key, protections_key
from dashtrade.engine.storing import merged, store_changes
from dashtrade.tables import accounts as account_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import new_ids, storage
from dashtrade.tables import signals as signal_table
from dashtrade.tables.base import is_postgres
from dashtrade.tables.compiled_sql import one_message

T = TypeVar("T")
MAX_ROWS = 100_000  # kept; then everything is forgotten
MAX_WAITING = 500  # decisions of a lane that are kept; of a longer queue nothing is


class KeptBooks:
    """Used by one thread."""

    def __init__(self, writer: LastWriter) -> None:
        self.rows = KeptRows()
        self._writer = writer
        self._conn: sa.Connection | None = None
        self._locked: set[int] = set()
        self._more_bytes: dict[int, int] = {}  # by user: of what was stored in this transaction
        self._unstored: list[Books] = []
        self.done: list[Books] = []  # the steps of this transaction
        self._accepted: set[str] = set()  # signals of this transaction
        self.failure: Exception | None = None  # of storing: nothing of the transaction counts

    # --- a transaction --------------------------------------------------------------------------------------

    def begin(self, conn: sa.Connection) -> None:
        if not self._writer.begin(conn) or self._conn is not None or self.rows.count > MAX_ROWS:
            self._start_anew()
        self._conn, self.done, self.failure = conn, [], None
        self._locked, self._accepted, self._more_bytes = set(), set(), {}
        self._is_alone = not is_postgres(conn)  # nobody else writes meanwhile

    def run(self, step: Step) -> Any:
        """Its changes stay in memory until `finish`, and count from now on."""
        self.lock(step.account_id)
        if step.lease is not None:
            step.check(self._token(step.lease.lane))
        return self.run_on_books(step.fn)

    def run_on_books(self, fn: Callable[[Books], T]) -> T:
        books = Books(self)
        result = fn(books)
        self.rows.take(books)
        self._unstored.append(books)
        self.done.append(books)
        self._accepted.update(books.changes.new_signals)
        return result

    def lock(self, account_id: int) -> None:
        """Never waits: two that wait for each other's accounts would wait for ever."""
        if account_id in self._locked:
            return
        conn = self._open()
        if not account_table.try_lock(conn, account_id):
            raise AccountBusy
        self._locked.add(account_id)
        self.look_again()

    def look_again(self) -> None:
        """Has another written since?"""
        if not self._writer.still(self._open()):
            self._flush()
            self.rows = KeptRows()

    def _take_turn(self, got_lock: bool) -> None:
        if not got_lock:
            raise AccountBusy

    def finish(self) -> None:
        self._flush()
        # at the very end, as each user's total is a row that others wait for
        storage.add_to_all(self._open(), self._more_bytes)
        self._writer.finish(self._open())
        self.rows.spare_ids.clear()
        self._conn = None

    def forget(self) -> None:
        """The transaction failed: the next one reads everything anew."""
        self._writer.forget()
        self._start_anew()

    def _start_anew(self) -> None:
        self.rows, self._unstored, self._conn = KeptRows(), [], None

    def _open(self) -> sa.Connection:
        assert self._conn is not None, "no transaction is open"
        return self._conn

    def _flush(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._unstored:
            unstored, self._unstored = self._unstored, []
            try:
                with one_message(self._open()):
                    self._store(unstored)
            except Exception as error:
                self.failure = error  # of an earlier step, whoever wanted to read
                raise

    def _store(self, steps: Sequence[Books]) -> None:
        changes = merged(steps)
        for owner, more in changes.stored_bytes.items():
            self._more_bytes[owner] = self._more_bytes.get(owner, 0) + more
        store_changes(self._open(), steps, changes)

    @property
    def _stored(self) -> StoredBooks:
        """The tables, with all that was changed."""
        self._flush()
        return self._tables

    @property
    def _tables(self) -> StoredBooks:
        """The tables, perhaps without the last changes: for rows that are kept from the moment they exist."""
        return StoredBooks(self._open())

    def _token(self, lane: Lane) -> int | None:
        return self._kept(self.rows.tokens, lane, lambda: lane_table.token_now(self._connection(), lane))

    def _connection(self) -> sa.Connection:
        self._flush()
        return self._open()

    @staticmethod
    def _kept(rows: dict[Hashable, T], key: Hashable, read: Callable[[], T]) -> T:
        if key not in rows:
            rows[key] = read()
        return rows[key]

    def new_id(self, row: NewRow) -> int:
        """Given by the database, several at a time, and used within this transaction."""
        spare = self.rows.spare_ids.setdefault(row, [])
        if not spare:
            spare += new_ids.next_ids(self._connection(), row, last=self.rows.last_ids.get(row))
        self.rows.last_ids[row] = spare.pop(0)
        return self.rows.last_ids[row]

    # --- accounts -------------------------------------------------------------------------------------------

    def account(self, account_id: int) -> Account:
        return self._kept(self.rows.accounts, account_id, lambda: self._stored.account(account_id))

    def order(self, order_id: str) -> Order:
        return self.rows.open_order(order_id) or self._stored.order(order_id)

    def open_orders(self, account_id: int) -> Sequence[Order]:
        if account_id not in self.rows.open_orders:
            self.rows.keep_open_orders(account_id, self._stored.open_orders(account_id))
        return self.rows.open_orders[account_id]

    def orders_of_signal(self, signal_id: str, bot_id: int) -> Sequence[Order]:
        return self._stored.orders_of_signal(signal_id, bot_id)

    def bot(self, bot_id: int) -> Bot:
        return self._kept(self.rows.bots, bot_id, lambda: self._stored.bot(bot_id))

    def bots_on(self, account_id: int, symbol: Symbol) -> Sequence[Bot]:
        def read() -> tuple[int, ...]:
            return tuple(self.rows.keep_bot(bot) for bot in self._stored.bots_on(account_id, symbol))

        return [self.bot(number) for number in self._kept(self.rows.bots_on, (account_id, symbol), read)]

    def lots(self, bot_id: int) -> Sequence[Lot]:
        return self._kept(self.rows.lots, bot_id, lambda: tuple(self._stored.lots(bot_id)))

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]:
        return self._stored.booked_fills(order_id)

    def trip_inputs(self, order: Order) -> TripInputs:
        signal = self.rows.signals.get(order.signal_id)
        if signal is None or order.bot_id not in self.rows.trips:
            found = self._stored.trip_inputs(order)
            self.rows.trips[order.bot_id] = found.trip
            return found
        trip = self.rows.trips[order.bot_id]
        if trip is None:
            return TripInputs(trip=None, origin="", cause=None)
        return TripInputs(trip=trip, origin=signal.origin, cause=signal.exit_cause)

    def drift(self, account_id: int, symbol: Symbol) -> Drift | None:
        key = (account_id, asset_of(symbol))
        return self._kept(self.rows.drifts, key, lambda: self._stored.drift(account_id, symbol))

    def outside_quantity(self, account_id: int, symbol: Symbol) -> Decimal:
        key = (account_id, asset_of(symbol))
        return self._kept(self.rows.outside, key, lambda: self._stored.outside_quantity(account_id, symbol))

    # --- decisions ------------------------------------------------------------------------------------------

    def due(self, account_id: int, symbol: Symbol, now: datetime, limit: int) -> Sequence[PendingDecision]:
        waiting = self._waiting(account_id, symbol)
        if waiting is None:
            return self._stored.due(account_id, symbol, now, limit)
        return [task for task in waiting if task.due_at is None or task.due_at <= now][:limit]

    def waiting_for_open(self, task: PendingDecision, now: datetime) -> Sequence[WaitingEntry]:
        waiting = self._waiting(task.account_id, task.symbol)
        if waiting is not None and not any(
            other.bot_id == task.bot_id and other.id != task.id and other.due_at is not None
            for other in waiting
        ):
            return ()
        return self._stored.waiting_for_open(task, now)

    def _waiting(self, account_id: int, symbol: Symbol) -> Sequence[PendingDecision] | None:
        """The lane's decisions to make, in order; None: too many to keep."""
        lane = Lane(account_id, symbol)
        if lane not in self.rows.waiting:
            found = decision_table.waiting_in_lane(self._connection(), account_id, symbol, MAX_WAITING + 1)
            if len(found) > MAX_WAITING:
                return None
            self.rows.keep_waiting(lane, found)
        return self.rows.waiting[lane]

    def outcomes(self, signal_id: str) -> Mapping[int, Outcome]:
        kept = self.rows.outcomes.get(signal_id)
        if kept is not None and (self._is_alone or signal_id in self._accepted):
            return kept
        self._take_turn(signal_table.try_lock_signal(self._open(), signal_id))
        return self._stored.outcomes(signal_id)

    def signal(self, signal_id: str) -> Signal:
        kept = self.rows.signals.get(signal_id)
        return kept.signal if kept is not None else self._stored.signal(signal_id)

    # --- protections ----------------------------------------------------------------------------------------

    def restrictions(self, bot: Bot, now: datetime) -> BotRestrictions:
        """Locks end while they are kept; those that had ended are not read."""
        since, kept = self.rows.restrictions.get(bot.id, (None, None))
        if since is None or kept is None or now < since:
            kept = self._stored.restrictions(bot, now)
            self.rows.restrictions[bot.id] = now, kept
        if any(lock.until is not None and lock.until <= now for lock in kept.locks):
            return self._stored.restrictions(bot, now)
        return kept

    def lock_protections(self, user_id: int) -> None:
        if not self._is_alone:
            self._take_turn(signal_table.try_lock_key(self._open(), protections_key(user_id)))
            self.rows.restrictions.clear()

    def past_exits(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[PastExit]:
        return self._stored.past_exits(bot, scope, since)

    def sent_entries(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[SentEntry]:
        return self._stored.sent_entries(bot, scope, since)

    def other_holdings(self, bot: Bot, scope: Scope) -> Sequence[OtherHolding]:
        return self._stored.other_holdings(bot, scope)

    def resets(self, protection_ids: Sequence[int]) -> Resets:
        return self._stored.resets(protection_ids)

    # --- alerts ---------------------------------------------------------------------------------------------

    def repeat_of(self, owner: int, key: str) -> StoredAlert | None:
        kept = self.rows.alerts.get((owner, key))
        if kept is not None and self._is_alone:
            return kept
        self._take_turn(signal_table.try_lock_key(self._open(), alert_key(owner, key)))
        stored = self._tables.repeat_of(owner, key)
        return max(filter(None, (kept, stored)), key=lambda alert: alert.id, default=None)

    def listening_on(self, owner: int, symbol: Symbol) -> Sequence[Listener]:
        key = (owner, symbol)
        return self._kept(self.rows.listening, key, lambda: self._stored.listening_on(owner, symbol))

    def all_listeners(self, owner: int) -> Sequence[Listener]:
        return self._kept(self.rows.listeners, owner, lambda: self._stored.all_listeners(owner))

    def engaged(self, owner: int, bot_ids: Sequence[int]) -> Sequence[Decimal]:
        return self._stored.engaged(owner, bot_ids)

    def stored_bytes(self, owner: int) -> int:
        def read() -> int:
            return storage.used(self._connection(), owner) + self._more_bytes.get(owner, 0)

        return self._kept(self.rows.stored_bytes, owner, read)

    # --- paper ----------------------------------------------------------------------------------------------

    def paper_cash(self, account_id: int) -> Decimal:
        return self._kept(self.rows.paper_cash, account_id, lambda: self._stored.paper_cash(account_id))

    def paper_positions(self, account_id: int) -> Sequence[PaperPosition]:
        def read() -> dict[Symbol, PaperPosition]:
            return {held.symbol: held for held in self._stored.paper_positions(account_id)}

        return list(self._kept(self.rows.paper_positions, account_id, read).values())

    def paper_working(self, account_id: int) -> Sequence[PaperOrder]:
        return self._stored.paper_working(account_id)

    def paper_order(self, account_id: int, client_order_id: str) -> PaperOrder | None:
        kept = self.rows.paper_orders.get((account_id, client_order_id))
        return kept or self._tables.paper_order(account_id, client_order_id)

    def paper_fills(self, account_id: int, client_order_id: str) -> Sequence[BrokerFill]:
        return self._stored.paper_fills(account_id, client_order_id)
