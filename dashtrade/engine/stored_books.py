"""The kernel's books on the database: read within a transaction, and stored in it, each row once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import sqlalchemy as sa

from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.books import Books, Changes, TripInputs
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import BookedFill
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order
from dashtrade.domain.record import replace
from dashtrade.failpoints import failpoint
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import protections as protection_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import trades as trade_table

T = TypeVar("T")


class DecidedElsewhere(Exception):
    """Another worker made the decision first. Decisions are stored first, so nothing of the books is stored;
    a caller that has written more lets it roll the transaction back."""


def on_books(conn: sa.Connection, fn: Callable[[Books], T]) -> T:
    """Run a step of the kernel in this transaction. The account must be locked."""
    books = Books(StoredBooks(conn))
    result = fn(books)
    store(conn, books)
    return result


class StoredBooks:
    """The source of the books: the tables."""

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn

    def order(self, order_id: str) -> Order:
        return order_table.load(self._conn, order_id)

    def orders_of_signal(self, signal_id: str, bot_id: int) -> list[Order]:
        return order_table.of_signal(self._conn, signal_id, bot_id)

    def bot(self, bot_id: int) -> Bot:
        return bot_positions.load(self._conn, bot_id)

    def lots(self, bot_id: int) -> list[Lot]:
        return fill_table.open_lots(self._conn, bot_id)

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]:
        return fill_table.known_fills(self._conn, order_id)

    def trip_inputs(self, order: Order) -> TripInputs:
        trip, origin, cause = trip_table.latest(self._conn, order)
        return TripInputs(trip=trip, origin=origin, cause=cause)

    def outcomes(self, signal_id: str) -> dict[int, Outcome]:
        # otherwise two that end at once might each miss the other, and the signal would never end
        signal_table.lock_signal(self._conn, signal_id)
        found = decision_table.decisions_of(self._conn, signal_id)
        return {one.id: Outcome(one.status, one.reason) for one in found}


def store(conn: sa.Connection, books: Books) -> None:
    changes = books.changes
    for task in changes.pending.values():
        decision_table.put_pending(conn, task)
    _store_decisions(conn, changes)
    for order in changes.orders.values():
        _store_order(conn, books.orders_before.get(order.id), order)
    order_events.log(conn, [(one.order, one.at, one.status, one.detail) for one in changes.events])
    for fill in changes.fills:
        _store_fill(conn, fill, changes)
    for lot in changes.lots.values():
        if lot.id > 0:
            fill_table.put_lot(conn, lot, changes.fills[-1].booked_at)
    for trade in changes.trades:
        trade_table.put_trade(
            conn, trade.order, fee=trade.fee, realized=trade.realized, at=trade.at, first=trade.first
        )
    for trip in changes.trips.values():
        trip_table.put(conn, trip if trip.id > 0 else replace(trip, id=0))
    _store_bots(conn, books)
    for lock in changes.locks:
        protection_table.add_lock(conn, lock)
    for event in changes.risk_events:
        risk_event_table.add_risk_event(
            conn,
            event.bot,
            at=event.at,
            kind=event.kind,
            threshold=event.threshold,
            actual=event.actual,
            action=event.action,
            detail=event.detail,
            signal_id=event.signal_id,
        )
    for message in changes.messages:
        message_table.notify(
            conn, message.user_id, message.notice, now=message.at, signal_id=message.signal_id
        )


def _store_decisions(conn: sa.Connection, changes: Changes) -> None:
    for decision_id, change in changes.decisions.items():
        if change.made is None:
            decision_table.end_decision(
                conn, decision_id, status=change.status, reason=change.reason, ended=change.ended_at
            )
        elif not decision_table.store_decision(
            conn,
            decision_id,
            status=change.status,
            reason=change.reason,
            counterfactual=change.made.counterfactual,
            checks=change.made.checks,
            numbers=change.made.numbers,
            now=change.made.at,
            ended=change.ended_at,
        ):
            raise DecidedElsewhere
    for signal_id, end in changes.signals.items():
        signal_table.end_signal(conn, signal_id, status=end.status, reason=end.reason, ended=end.ended_at)


def _store_order(conn: sa.Connection, before: Order | None, order: Order) -> None:
    if before is None:
        order_table.insert(conn, [order])
        return
    if order.cancel_requested and not before.cancel_requested:
        order_table.request_cancel(conn, [order.id])
    if replace(before, cancel_requested=order.cancel_requested) == order:
        return
    if not order_table.update(conn, before, order):
        raise AssertionError(f"order {order.id} was changed without its account's lock")


def _store_fill(conn: sa.Connection, booked: BookedFill, changes: Changes) -> None:
    fill, order, now = booked.fill, booked.order, booked.booked_at
    fill_id = fill_table.add_fill(
        conn,
        {
            "user_id": order.user_id,
            "account_id": order.account_id,
            "bot_id": order.bot_id,
            "order_id": order.id,
            "broker_fill_id": fill.id,
            "side": order.side,
            "quantity": fill.quantity,
            "price": fill.price,
            "fee": fill.fee,
            "fee_base": fill.fee_base,
            "realized": booked.realized,
            "at": fill.at,
            "booked_at": now,
        },
    )
    failpoint("in_booking")
    if booked.lot_id:
        left = changes.lots[booked.lot_id].remaining
        fill_table.add_lot(
            conn,
            {
                "user_id": order.user_id,
                "bot_id": order.bot_id,
                "fill_id": fill_id,
                "quantity": booked.opened,
                "remaining": left,
                "price": fill.price,
                "opened_at": fill.at,
                "closed_at": None if left else now,
            },
        )


def _store_bots(conn: sa.Connection, books: Books) -> None:
    for bot in books.changes.bots.values():
        before = books.bots_before.get(bot.id)
        booked = bot.id in books.changes.booked_bots
        if booked or before is None or before.exits != bot.exits:
            bot_positions.book(conn, bot, now=bot.updated_at)
        else:
            bot_positions.save_status(conn, bot)
    for bot_id in books.changes.booked_bots:
        day_table.put_day(conn, books.changes.bots[bot_id])
