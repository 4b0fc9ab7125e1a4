"""What must be true after any crash: nothing lost, nothing double, nothing stuck, and the ledger equal to the
venue's books."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bench.crash_world import Plan, World
from dashtrade.domain.notices.trading import OrderFilled
from dashtrade.domain.orders import OPEN, UNCONFIRMED, IllegalTransition, Order, OrderStatus, check_transition
from dashtrade.domain.values import client_order_id
from dashtrade.domain.wording import words
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bot_positions, order_events
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import trades as trade_table

ZERO = Decimal(0)
Finding = tuple[str, str]  # ("lost" | "double" | "stuck" | "mismatch", what)


class StoredRows:
    """Everything the database holds after a run, read once."""

    def __init__(self, world: World) -> None:
        with world.app.db.read() as conn:
            self.signals = self._all(conn, signal_table.signals)
            self.decisions = self._all(conn, signal_table.decisions)
            self.orders: dict[str, Order] = {
                row.id: order_table.load(conn, row.id) for row in self._all(conn, order_table.orders)
            }
            self.events = conn.execute(
                sa.select(order_events.events).order_by(order_events.events.c.id)
            ).all()
            self.fills, self.lots = self._all(conn, fill_table.fills), self._all(conn, fill_table.lots)
            self.trades, self.messages = (
                self._all(conn, trade_table.trades),
                self._all(conn, message_table.outbox),
            )
            self.days = self._all(conn, day_table.performance)
            self.bots = {bot_id: bot_positions.load(conn, bot_id) for bot_id in world.bots.values()}

    @staticmethod
    def _all(conn: sa.Connection, table: sa.Table) -> list[Any]:
        return list(conn.execute(sa.select(table)))

    def fills_of(self, **wanted: Any) -> list[Any]:
        return [
            fill for fill in self.fills if all(getattr(fill, name) == value for name, value in wanted.items())
        ]


def check(world: World, of: Plan, answered: list[tuple[int, str]], books: Any) -> list[Finding]:
    facts = StoredRows(world)
    every = (
        _lost(world, of, answered, facts),
        doubled(facts, books),
        left_stuck(facts, books),
        orders_agree(facts, books),
        ledger_agrees(facts, books),
        cash_agrees(facts, books),
        story_agrees(facts),
        _left(of, facts),
    )
    return [finding for findings in every for finding in findings]


def _lost(world: World, of: Plan, answered: list[tuple[int, str]], facts: StoredRows) -> Iterator[Finding]:
    known = {signal.id for signal in facts.signals}
    ids: dict[int, set[str]] = defaultdict(set)
    for number, signal_id in answered:
        ids[number].add(signal_id)
        if signal_id not in known:
            yield "lost", f"signal {number} was answered and is not there"
    decided = Counter(decision.signal_id for decision in facts.decisions)
    for signal in facts.signals:
        if decided[signal.id] != 1:
            yield "lost", f"signal {signal.id} has {decided[signal.id]} decisions for its one bot"
    for number, given in ids.items():
        if len(given) > 1:
            yield "double", f"signal {number} became {len(given)} signals"
    if len(facts.signals) != len(ids):
        yield "double", f"{len(of.bodies)} alerts, {len(ids)} answered, {len(facts.signals)} signals"


def doubled(facts: StoredRows, books: Any) -> Iterator[Finding]:
    own_fills = {
        client_order_id(order.signal_id, order.bot_id, order.step): order for order in facts.orders.values()
    }
    for client, times in books.placed.items():
        if client not in own_fills:
            yield "double", f"the venue has an order that no decision made: {client}"
        if times > 1:
            yield "double", f"order {client} was placed {times} times"
    for (decision, step), count in Counter((o.decision_id, o.step) for o in facts.orders.values()).items():
        if count > 1:
            yield "double", f"decision {decision} has {count} orders for step {step}"


def left_stuck(facts: StoredRows, books: Any) -> Iterator[Finding]:
    stopped = {order.symbol for order in facts.orders.values() if order.status is OrderStatus.ATTENTION}
    for order in facts.orders.values():
        at_venue = books.placed[order.id]
        if order.status is OrderStatus.ATTENTION and at_venue:
            yield "stuck", f"order {order.id} needs attention, and the venue shows it"
        elif (order.status is OrderStatus.WORKING and not order.rests) or order.status in UNCONFIRMED - {
            OrderStatus.ATTENTION
        }:
            yield "stuck", f"order {order.id} is {order.status}: {words(order.reason)}"
        elif (
            order.status is OrderStatus.CREATED
            and order.symbol not in stopped
            and not waits_behind_a_resting_one(order, facts.orders.values())
        ):
            yield "stuck", f"order {order.id} was never sent: {words(order.reason)}"
    open_of = {order.decision_id for order in facts.orders.values() if order.status in OPEN}
    for decision in facts.decisions:
        if decision.status == "waiting" and decision.symbol not in stopped:
            yield "stuck", f"decision {decision.id} was never made"
        if decision.ended_at is None and decision.id not in open_of and decision.status != "waiting":
            yield "stuck", f"decision {decision.id} is {decision.status} with no order open"


def waits_behind_a_resting_one(order: Order, orders: Iterable[Order]) -> bool:
    """The rest of an order that was split at zero, whose first part waits for its price."""
    return order.status is OrderStatus.CREATED and any(
        other.decision_id == order.decision_id
        and other.step < order.step
        and other.status is OrderStatus.WORKING
        and other.rests
        for other in orders
    )


def orders_agree(facts: StoredRows, books: Any) -> Iterator[Finding]:
    at_venue = {order.client_order_id: order for order in books.orders}
    for order in facts.orders.values():
        if order.crossed_with is not None:
            yield from _crossed_agree(order, facts.orders[order.crossed_with], at_venue)
            continue
        venue = at_venue.get(order.id)
        filled = venue.filled if venue else ZERO
        if order.filled_quantity != filled:
            yield (
                "mismatch",
                f"order {order.id} ({order.status}) has {order.filled_quantity} filled, the venue {filled}",
            )
        booked = sum((fill.quantity for fill in facts.fills_of(order_id=order.id)), ZERO)
        if booked != order.filled_quantity:
            yield "mismatch", f"order {order.id} has {order.filled_quantity} filled and {booked} in fills"
        if venue and order.status is not OrderStatus.ATTENTION and str(order.status) != venue.status:
            yield "mismatch", f"order {order.id} is {order.status}, at the venue {venue.status}"
    if not books.totals_only:
        own_fills = {
            (f.broker_fill_id, f.order_id, f.quantity, f.price, f.fee, f.fee_base)
            for f in facts.fills
            if facts.orders[f.order_id].crossed_with is None  # the venue never heard of those
        }
        venue_fills = {
            (f.id, o.client_order_id, f.quantity, f.price, f.fee, f.fee_base)
            for o in books.orders
            for f in o.fills
        }
        if own_fills != venue_fills:
            yield (
                "mismatch",
                f"fills differ: {len(own_fills - venue_fills)} only here, "
                f"{len(venue_fills - own_fills)} only at the venue",
            )


def _crossed_agree(one: Order, other: Order, at_venue: dict[str, Any]) -> Iterator[Finding]:
    """Settled between two bots: the same quantity at the same price, both or neither, and nothing of it at
    the venue."""
    same = (
        one.side is not other.side
        and one.filled_quantity == other.filled_quantity == one.quantity
        and one.filled_notional == other.filled_notional
    )
    if not same or one.id in at_venue or other.crossed_with != one.id:
        yield "mismatch", f"order {one.id} crossed with {other.id}, and they do not match"


def _left(of: Plan, facts: StoredRows) -> Iterator[Finding]:
    """On a netted account every exit passes: a bot whose last word was to close owns nothing, unless an order
    of the symbol is in doubt."""
    if of.broker != "netted" or any(order.status is OrderStatus.ATTENTION for order in facts.orders.values()):
        return
    actions = {signal.id: signal.action for signal in facts.signals}
    last = {decision.bot_id: decision for decision in sorted(facts.decisions, key=lambda one: one.id)}
    for bot_id, decision in last.items():
        if actions[decision.signal_id] == "close" and facts.bots[bot_id].position.quantity:
            yield (
                "mismatch",
                (
                    f"bot {bot_id} was told to close and owns {facts.bots[bot_id].position.quantity}: "
                    f"{decision.status}, {words(decision.reason)}"
                ),
            )


def ledger_agrees(facts: StoredRows, books: Any) -> Iterator[Finding]:
    net: dict[str, Decimal] = defaultdict(Decimal)
    for bot in facts.bots.values():
        net[bot.symbol.text] += bot.position.quantity
        fills = facts.fills_of(bot_id=bot.id)
        signed = sum(((f.quantity if f.side == "buy" else -f.quantity) - f.fee_base for f in fills), ZERO)
        lots = [lot for lot in facts.lots if lot.bot_id == bot.id]
        days = [day for day in facts.days if day.bot_id == bot.id]
        pairs = {
            "position and fills": (bot.position.quantity, signed),
            "position and lots": (bot.position.quantity, sum((lot.remaining for lot in lots), ZERO)),
            "cost and lots": (bot.position.cost, sum((lot.remaining * lot.price for lot in lots), ZERO)),
            "profit and fills": (bot.realized_pnl, sum((f.realized for f in fills), ZERO)),
            "profit and days": (bot.realized_pnl, sum((day.realized for day in days), ZERO)),
            "fees and days": (sum((_fees(f) for f in fills), ZERO), sum((day.fees for day in days), ZERO)),
            "volume and days": (
                sum((f.quantity * f.price for f in fills), ZERO),
                sum((day.volume for day in days), ZERO),
            ),
            "trades and days": (
                Decimal(len({f.order_id for f in fills})),
                Decimal(sum(day.trades for day in days)),
            ),
            "trades and bot": (Decimal(len({f.order_id for f in fills})), Decimal(bot.total_trades)),
        }
        for what, (one, other) in pairs.items():
            if not _same(one, other, books):
                yield "mismatch", f"bot {bot.id}: {what} differ: {one} and {other}"
    for symbol in books.symbols | set(net):
        if net[symbol] != books.position(symbol):
            yield "mismatch", f"{symbol}: bots own {net[symbol]}, the venue holds {books.position(symbol)}"


def _same(one: Decimal, other: Decimal, books: Any) -> bool:
    """To the last digit, where the venue tells its executions; an average price has been rounded already."""
    return abs(one - other) < Decimal("0.000001") if books.totals_only else one == other


def _fees(fill: Any) -> Decimal:
    """Those taken out of the bought coin at what it cost."""
    return fill.fee + fill.fee_base * fill.price


def cash_agrees(facts: StoredRows, books: Any) -> Iterator[Finding]:
    paid = sum(
        ((f.quantity * f.price if f.side == "buy" else -f.quantity * f.price) + f.fee for f in facts.fills),
        ZERO,
    )
    if not _same(books.start_cash - paid, books.cash, books):
        yield "mismatch", f"cash by our fills {books.start_cash - paid}, at the venue {books.cash}"
    kept = sum((bot.realized_pnl - bot.position.cost for bot in facts.bots.values()), ZERO) - sum(
        (_fees(f) for f in facts.fills), ZERO
    )
    if not _same(books.start_cash + kept, books.cash, books):
        yield "mismatch", f"cash by profit and cost {books.start_cash + kept}, at the venue {books.cash}"


def story_agrees(facts: StoredRows) -> Iterator[Finding]:
    """Each change of state is on record and legal; each fill was told to its user; each filled order is a
    trade."""
    at: dict[str, OrderStatus] = {}
    for event in facts.events:
        status = OrderStatus(event.status)
        try:
            if event.order_id in at:
                check_transition(at[event.order_id], status)
        except IllegalTransition as error:
            yield "mismatch", f"order {event.order_id}: {error}"
        at[event.order_id] = status
    for order in facts.orders.values():
        if at.get(order.id) is not order.status:
            yield "mismatch", f"order {order.id} is {order.status}, its story ends with {at.get(order.id)}"
        trades = [trade.quantity for trade in facts.trades if trade.order_id == order.id]
        if trades != ([order.filled_quantity] if order.filled_quantity else []):
            yield "mismatch", f"order {order.id} filled {order.filled_quantity}, its trades {trades}"
    for signal in facts.signals:
        filled = sum((o.filled_quantity for o in facts.orders.values() if o.signal_id == signal.id), ZERO)
        notified = sum(
            (
                Decimal(m.facts["quantity"])
                for m in facts.messages
                if m.signal_id == signal.id and m.kind == OrderFilled.kind
            ),
            ZERO,
        )
        if filled != notified:
            yield "mismatch", f"signal {signal.id} filled {filled}, its user was told of {notified}"


def attention(conn: sa.Connection) -> int:
    o = order_table.orders
    return (
        conn.scalar(sa.select(sa.func.count()).select_from(o).where(o.c.status == OrderStatus.ATTENTION)) or 0
    )
