"""A paper day in memory: the same alerts, decided by the kernel's functions without a database. Accounts,
bots and protections are read once from an installation's tables."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.bots import Stop
from dashtrade.domain.kernel import accepting, reporting, sending
from dashtrade.domain.kernel.accepting import Alert, Receipt
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Cancel, Decide, Lane, Send, actions
from dashtrade.domain.kernel.memory_books import MemoryBooks, MemoryPaperStore
from dashtrade.domain.kernel.memory_rows import MemoryRows, Protection, Tables
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import OrderReport
from dashtrade.domain.protections import ActiveProtection, Scope
from dashtrade.domain.record import field_names, replace
from dashtrade.engine.sending import CANCEL_AGAIN_AFTER
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_days, bots, fills, messages, order_events, paper, protections, risk_events
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import storage as storage_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.switches import switches
from tests.support import memory_user
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.paper_day import PaperDay


def begun(conn: sa.Connection) -> MemoryRows:
    """Accounts, bots and protections of an installation that has not traded yet."""
    numbers = conn.scalars(sa.select(account_table.accounts.c.id).order_by(account_table.accounts.c.id))
    found = [account_table.load(conn, number) for number in numbers.all()]
    return MemoryRows(
        Tables(
            accounts={account.id: account for account in found},
            bots={bot.id: bot for row in _all(conn, bots.bots) for bot in [bots.bot_from_row(row)]},
            protections=[_protection(row) for row in _all(conn, protections.protections) if row.is_active],
            stored_bytes={row.user_id: row.bytes for row in _all(conn, storage_table.stored)},
            paper_cash={row.account_id: row.cash for row in _all(conn, paper.accounts)},
        )
    )


def _all(conn: sa.Connection, table: sa.Table) -> list[Any]:
    return list(conn.execute(sa.select(table).order_by(*table.primary_key)))


def _protection(row: Any) -> Protection:
    active = ActiveProtection(
        id=row.id, kind=row.kind, scope=Scope(row.scope), scope_id=row.scope_id, settings=row.settings
    )
    return Protection(user_id=row.user_id, active=active)


@dataclass
class MemoryDay:
    """`day` lends its clock, its prices and its settings; nothing is stored in its database any more."""

    day: PaperDay
    books: MemoryBooks

    def __post_init__(self) -> None:
        app = self.day.app
        self.brokers = {
            account.id: PaperBroker(
                MemoryPaperStore(self.books, account.id, self.books.run),
                self.day.feed,
                self.day.clock,
                PaperSettings.from_options(account.options),
                app.trading_days.sessions,
            )
            for account in self.books.rows.accounts.values()
        }
        app.engine._broker_of = lambda account: self.brokers[account.id]

    @property
    def clock(self) -> ManualClock:
        return self.day.clock

    @property
    def feed(self) -> ManualFeed:
        return self.day.feed

    def renew(self) -> None:
        """Nobody else could take the lanes."""

    # --- trading ---

    def one_by_one(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            receipt = self.books.run(lambda books, alert=alert: accepting.accept(books, alert))  # type: ignore[misc]
            if isinstance(receipt, Receipt):
                for lane in receipt.lanes:
                    self.run_lane(lane)

    def run_lane(self, lane: Lane) -> None:
        for _ in range(200):
            now, books = self.day.clock.now(), self.books
            waiting = books.due(lane.account_id, lane.symbol, now, 2)
            action = next(actions(books.open_in_lane(lane), waiting, now), None)
            match action:
                case None:
                    return
                case Decide(task):
                    account = books.account(lane.account_id)
                    books.run(
                        lambda each, task=task, account=account: self.day.app.engine._decide_locally(
                            each, task, account
                        )
                    )
                case Send(order):
                    books.run(lambda each, order=order: self._send(each, order))  # type: ignore[misc]
                case Cancel(order):
                    self._cancel(order)
                case _:
                    raise AssertionError(f"{action} on paper")
        raise AssertionError(f"{lane} does not come to an end")

    def _send(self, books: Books, order: Order) -> None:
        broker = self.brokers[order.account_id]
        started = sending.start(books, order.id, broker.capabilities, self.day.clock.now())
        if started is not None:
            self.day.app.engine.sender.carry_out(books, started, broker)

    def _cancel(self, order: Order) -> None:
        broker, again_at = self.brokers[order.account_id], self.day.clock.now() + CANCEL_AGAIN_AFTER
        broker.cancel(order.ref)
        for report in broker.poll([order.ref]):
            self._book(report)
        self.books.run(lambda books: sending.cancel_again_at(books, order.id, again_at))

    def _book(self, report: OrderReport) -> Order:
        now, order_id = self.day.clock.now(), report.client_order_id
        return self.books.run(lambda books: reporting.apply_report(books, order_id, report, now)).order

    def collect(self, account_id: int) -> list[Lane]:
        working = [o for o in self.books.open_orders(account_id) if o.status is OrderStatus.WORKING]
        reports = self.brokers[account_id].poll([order.ref for order in working]) if working else []
        known, changed = {order.id: order for order in working}, set()
        for report in reports:
            before, after = known[report.client_order_id], self._book(report)
            if (after.status, after.filled_quantity) != (before.status, before.filled_quantity):
                changed.add(Lane(account_id, before.symbol))
        return list(changed)

    # --- what its user does ---

    def set_active(self, bot_id: int, active: bool) -> None:
        memory_user.set_active(self.books.rows, bot_id, active, self.day.clock.now())

    def put_switch(self, scope: str, scope_id: int, stop: Stop) -> None:
        memory_user.put_switch(self.books.rows, scope, scope_id, stop)

    def unlock(self, lock_id: int) -> None:
        locks = self.books.rows.locks
        locks[lock_id] = replace(locks[lock_id], unlocked_at=self.day.clock.now())


# --- every row, as the tables have it -----------------------------------------------------------------------


def rows_of(rows: MemoryRows) -> dict[str, list[dict[str, Any]]]:
    """With the words of the modules that store them."""
    signals = [
        signal_table._new_values(one.new, one.change)
        | {"duplicate_count": one.repeats, "repeated_at": one.repeated_at}
        for one in rows.signals.values()
    ]
    lots = [
        fills._lot_values(kept.opened, kept.lot.remaining) | {"closed_at": kept.closed_at}
        for kept in rows.lots.values()
    ]
    locks = [
        {field.name: getattr(kept.lock, field.name) for field in fields(kept.lock)}
        | {"id": kept.id, "unlocked_at": kept.unlocked_at}
        for kept in rows.locks.values()
    ]
    days = [
        {"bot_id": bot_id, "day": day, "user_id": rows.bots[bot_id].user_id}
        | {name: getattr(one, name) for name in bot_days._DAY_RESULT}
        for (bot_id, day), one in rows.days.items()
    ]
    return {
        "signals": signals,
        "decisions": [decision_table._new_values(one.task, one.change) for one in rows.decisions.values()],
        "orders": [
            {column: getattr(order, name) for name, column in order_table._FIELD_COLUMNS}
            for order in rows.orders.values()
        ],
        "order_events": [
            {
                "user_id": e.order.user_id,
                "order_id": e.order.id,
                "at": e.at,
                "status": e.status,
                "detail": e.detail,
            }
            for e in rows.events
        ],
        "fills": [fills._fill_values(one) for one in rows.fills],
        "lots": lots,
        "bot_trades": [trade_table._new_values(change) for change in rows.trades.values()],
        "round_trips": [trip_table._new_values(trip) for trip in rows.trips.values()],
        "outbox": [messages._values(message) for message in rows.messages],
        "bot_risk_events": [_risk_values(event) for event in rows.risk_events],
        "protection_locks": locks,
        "bot_performance": days,
        "stored_bytes": [{"user_id": user, "bytes": n} for user, n in rows.stored_bytes.items()],
        "switches": [
            {"scope": one.scope, "scope_id": one.scope_id, "stop": one.stop} for one in rows.switches.values()
        ],
        "paper_accounts": [{"account_id": n, "cash": cash} for n, cash in rows.paper_cash.items()],
        "paper_positions": [
            {"account_id": n} | {name: getattr(one, name) for name in ("symbol", "quantity", "average_price")}
            for (n, _), one in rows.paper_positions.items()
        ],
        "paper_orders": [paper._order_values(n, one) for (n, _), one in rows.paper_orders.items()],
        "paper_fills": [paper._fill_values(n, one) for n, one in rows.paper_fills],
    }


def _risk_values(event: Any) -> dict[str, Any]:
    bot = event.bot
    row = {name: getattr(event, name) for name in field_names(type(event)) if name != "bot"}
    return row | {"user_id": bot.user_id, "account_id": bot.account_id, "bot_id": bot.id}


TABLES: dict[str, sa.Table] = {
    table.name: table
    for table in (
        signal_table.signals,
        signal_table.decisions,
        order_table.orders,
        order_events.events,
        fills.fills,
        fills.lots,
        trade_table.trades,
        trip_table.trips,
        messages.outbox,
        risk_events.risk_events,
        protections.locks,
        bot_days.performance,
        storage_table.stored,
        switches,
        paper.accounts,
        paper.positions,
        paper.orders,
        paper.fills,
    )
}


def stored_rows(conn: sa.Connection, name: str, like: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a table, in its order, with the columns that `like` has."""
    return [
        {column: row[column] for column in like} for row in conn.execute(sa.select(TABLES[name])).mappings()
    ]
