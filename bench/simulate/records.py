"""The records of a schedule at rest, from the database or from memory, for the checks."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.bots import Bot, Day
from dashtrade.domain.kernel.memory_rows import KeptDecision, KeptLot, KeptSignal, MemoryRows
from dashtrade.domain.kernel.records import BookedFill, Message
from dashtrade.domain.notices.trading import OrderFilled
from dashtrade.domain.orders import Order
from dashtrade.domain.paper_account import PaperOrder
from dashtrade.domain.ports import BrokerFill
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import order_events
from dashtrade.tables import orders as order_table
from dashtrade.tables import paper as paper_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.compiled_sql import rows

ZERO = Decimal(0)
_EVERYTHING = {
    name: sa.select(table).order_by(*table.primary_key)
    for name, table in {
        "signals": signal_table.signals,
        "decisions": signal_table.decisions,
        "orders": order_table.orders,
        "events": order_events.events,
        "fills": fill_table.fills,
        "lots": fill_table.lots,
        "trades": trade_table.trades,
        "messages": message_table.outbox,
        "days": day_table.performance,
        "bots": bot_table.bots,
        "drifts": drift_table.drifts,
        "paper_orders": paper_table.orders,
        "paper_fills": paper_table.fills,
        "paper_positions": paper_table.positions,
        "paper_accounts": paper_table.accounts,
    }.items()
}


class Records:
    """Everything that the books hold, read once."""

    def __init__(self, every: dict[str, list[Any]], orders: list[Order], bots: dict[int, Bot]) -> None:
        self.all, self.orders, self.bots = every, orders, bots

    def of(self, account_id: int) -> Facts:
        return Facts(self, account_id)


def stored(conn: sa.Connection) -> Records:
    """From the database."""
    every = {name: rows(conn, select) for name, select in _EVERYTHING.items()}
    orders = [order_table.order_from_row(row) for row in every["orders"]]
    return Records(every, orders, {row.id: bot_table.bot_from_row(row) for row in every["bots"]})


def kept(held: MemoryRows) -> Records:
    """From memory, with the names of the tables' columns where those are asked for."""
    every: dict[str, list[Any]] = {
        "signals": [_signal(one) for one in held.signals.values()],
        "decisions": [_decision(one) for one in held.decisions.values()],
        "orders": list(held.orders.values()),
        "events": [_Row(id=n, order_id=e.order.id, status=e.status) for n, e in enumerate(held.events, 1)],
        "fills": [_fill(one) for one in held.fills],
        "lots": [_lot(one) for one in held.lots.values()],
        "trades": [_Row(order_id=n, quantity=one.order.filled_quantity) for n, one in held.trades.items()],
        "messages": [_message(one) for one in held.messages],
        "days": [_day(bot_id, day) for (bot_id, _), day in held.days.items()],
        "bots": list(held.bots.values()),
        "drifts": [],
        "paper_orders": [_paper(number, one) for (number, _), one in held.paper_orders.items()],
        "paper_fills": [_paper_fill(number, one) for number, one in held.paper_fills],
        "paper_positions": [
            _Row(account_id=number, symbol=symbol, quantity=one.quantity)
            for (number, symbol), one in held.paper_positions.items()
        ],
        "paper_accounts": [_Row(account_id=number, cash=cash) for number, cash in held.paper_cash.items()],
    }
    return Records(every, every["orders"], dict(held.bots))


_Row = SimpleNamespace


def _signal(one: KeptSignal) -> Any:
    new = one.new
    return _Row(
        id=new.id,
        status=one.change.status if one.change is not None else "accepted",
        action=new.signal.action,
        dedupe_key=new.dedupe_key,
        received_at=new.received_at,
    )


def _decision(one: KeptDecision) -> Any:
    task, change = one.task, one.change
    made = change.made if change is not None else None
    return _Row(
        id=task.id,
        signal_id=task.signal_id,
        bot_id=task.bot_id,
        account_id=task.account_id,
        symbol=task.symbol,
        status=task.status,
        reason=task.reason,
        ended_at=change.ended_at if change is not None else None,
        numbers=made.numbers if made is not None else None,
    )


def _fill(one: BookedFill) -> Any:
    order, fill = one.order, one.fill
    return _Row(
        order_id=order.id,
        bot_id=order.bot_id,
        account_id=order.account_id,
        side=order.side,
        broker_fill_id=fill.id,
        quantity=fill.quantity,
        price=fill.price,
        fee=fill.fee,
        fee_base=fill.fee_base,
        realized=one.realized,
        booked_at=one.booked_at,
    )


def _lot(one: KeptLot) -> Any:
    return _Row(bot_id=one.opened.order.bot_id, remaining=one.lot.remaining, price=one.lot.price)


def _message(one: Message) -> Any:
    facts = {"quantity": one.notice.quantity} if isinstance(one.notice, OrderFilled) else {}
    return _Row(kind=one.notice.kind, signal_id=one.signal_id, facts=facts)


def _day(bot_id: int, day: Day) -> Any:
    return _Row(bot_id=bot_id, realized=day.realized, fees=day.fees, volume=day.volume, trades=day.trades)


def _paper(account_id: int, one: PaperOrder) -> Any:
    return _Row(
        account_id=account_id,
        client_order_id=one.client_order_id,
        status=one.status,
        filled_quantity=one.filled_quantity,
    )


def _paper_fill(account_id: int, one: BrokerFill) -> Any:
    return _Row(
        account_id=account_id,
        client_order_id=one.client_order_id,
        fill_id=one.id,
        quantity=one.quantity,
        price=one.price,
        fee=one.fee,
    )


class Facts:
    """Those of one account, in the words of the crash bench's checks."""

    def __init__(self, records: Records, account_id: int) -> None:
        every = records.all
        self.orders = {order.id: order for order in records.orders if order.account_id == account_id}
        self.bots = {i: bot for i, bot in records.bots.items() if bot.account_id == account_id}
        self.decisions = [d for d in every["decisions"] if d.account_id == account_id]
        heard = {decision.signal_id for decision in self.decisions}
        self.signals = [signal for signal in every["signals"] if signal.id in heard]
        self.events = [event for event in every["events"] if event.order_id in self.orders]
        self.fills = [fill for fill in every["fills"] if fill.account_id == account_id]
        self.lots = [lot for lot in every["lots"] if lot.bot_id in self.bots]
        self.trades = [trade for trade in every["trades"] if trade.order_id in self.orders]
        self.days = [day for day in every["days"] if day.bot_id in self.bots]
        self.messages = every["messages"]

    def fills_of(self, **wanted: Any) -> list[Any]:
        return [
            fill for fill in self.fills if all(getattr(fill, name) == value for name, value in wanted.items())
        ]


class PaperBooks:
    """The paper broker's own tables, in the words of a venue's books."""

    totals_only, start_cash = False, Decimal(100_000)

    def __init__(self, records: Records, account_id: int) -> None:
        every = records.all
        found = [order for order in every["paper_orders"] if order.account_id == account_id]
        self.placed = Counter(order.client_order_id for order in found)
        fills = [fill for fill in every["paper_fills"] if fill.account_id == account_id]
        self.orders = [_PaperOrder(order, fills) for order in found]
        held = {
            row.symbol.text: row.quantity for row in every["paper_positions"] if row.account_id == account_id
        }
        self._held, self.symbols = held, set(held)
        self.cash = next(
            (row.cash for row in every["paper_accounts"] if row.account_id == account_id), self.start_cash
        )

    def position(self, symbol: str) -> Decimal:
        return self._held.get(symbol, ZERO)


class _PaperOrder:
    def __init__(self, row: Any, fills: list[Any]) -> None:
        self.client_order_id, self.status, self.filled = row.client_order_id, row.status, row.filled_quantity
        self.fills = [_PaperFill(fill) for fill in fills if fill.client_order_id == row.client_order_id]


class _PaperFill:
    def __init__(self, row: Any) -> None:
        self.id, self.quantity, self.price, self.fee = row.fill_id, row.quantity, row.price, row.fee
        self.fee_base = ZERO
