"""Orders booked to a bot that DashTrade did not decide: an order found at the broker, a trade that its user
made by hand.

Each gets the rows of a decided order (signal, decision, order), so that booking and history work the same
way."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.domain.alert_retention import alert_bytes
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Bot
from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.exits.state import after_split
from dashtrade.domain.kernel.accepting import new_decision
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import MadeDecision, NewSignal, RiskEvent
from dashtrade.domain.ledger import Position
from dashtrade.domain.notices.trading import PositionSplit
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.domain.position_mismatch import Drift, scaled
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce, plain, sha256
from dashtrade.engine import booking
from dashtrade.engine.steps import on_books
from dashtrade.tables import bot_positions
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import round_trips as trip_table


def signal_id_of(order_id: str, at: datetime) -> str:
    """Derived from the order, so that repeated discoveries give one signal. Sorts by time like every signal
    id."""
    return f"{int(at.timestamp() * 1000):012x}{sha256(order_id)[:20]}"


@record
class ExternalOrder:
    """What was traded, with its id in DashTrade."""

    id: str
    side: OrderSide
    symbol: Symbol
    quantity: Decimal
    at: datetime
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    broker_order_id: str | None = None
    step: int = 0
    final: bool = True
    exits: OrderExits | None = None  # held by the broker for this order


def add_signal(
    conn: sa.Connection,
    bot: Bot | None,
    user_id: int,
    external: ExternalOrder,
    origin: Origin,
    refused: Reason = NO_REASON,
) -> str:
    """The signal the order would have had, and its decision. Without a bot it is refused, with the reason."""
    at, side, symbol = external.at, str(external.side), external.symbol
    raw = json.dumps(
        {"action": side, "symbol": str(symbol), "quantity": plain(external.quantity), "id": external.id}
        | ({"bot": str(bot.id)} if bot else {})
    )
    signal = NewSignal(
        id=signal_id_of(external.id, at),
        user_id=user_id,
        signal=parse(raw.encode()).signal,
        received_at=at,
        origin=origin,
        sender="DashTrade",
        raw=raw,
        dedupe_key=f"{origin}:{external.id}",
        body_hash=sha256(raw),
        exit_cause=None,
    )
    on_books(conn, lambda books: _add_signal(books, bot, signal, refused))
    return signal.id


def _add_signal(books: Books, bot: Bot | None, signal: NewSignal, refused: Reason) -> None:
    books.add_stored_bytes(signal.user_id, alert_bytes(signal.raw, 1))
    books.add_signal(signal)
    if refused:
        books.put_signal(signal.id, Outcome("refused", refused), signal.received_at)
    elif bot is not None:
        books.add_decision(new_decision(books, signal.id, bot, signal.received_at))


def effect_on(position: Position, side: OrderSide, quantity: Decimal) -> Effect:
    if position.quantity * side.sign >= 0:
        return Effect.ADD if position.quantity else Effect.OPEN
    return Effect.CLOSE if quantity >= abs(position.quantity) else Effect.REDUCE


def store_working_order(
    conn: sa.Connection,
    bot: Bot,
    signal_id: str,
    decision_id: int,
    external: ExternalOrder,
    why: Reason,
    now: datetime,
) -> Order:
    """Store the order as working, under a decision created with it."""
    order = _working_order(bot, signal_id, decision_id, external, now)
    made = MadeDecision(counterfactual=NO_REASON, checks=None, numbers=None, at=now)

    def step(books: Books) -> None:
        books.make_decision(decision_id, "sending", why, made, ended_at=None)
        books.add_order(order)
        books.log(order, now, "working", why)

    on_books(conn, step)
    return order


def _working_order(
    bot: Bot, signal_id: str, decision_id: int, external: ExternalOrder, now: datetime
) -> Order:
    return Order(
        id=external.id,
        user_id=bot.user_id,
        account_id=bot.account_id,
        bot_id=bot.id,
        signal_id=signal_id,
        decision_id=decision_id,
        step=external.step,
        final=external.final,
        sole_recipient=True,
        symbol=bot.symbol,
        side=external.side,
        effect=effect_on(bot.position, external.side, external.quantity),
        type=external.type,
        quantity=external.quantity,
        limit_price=external.limit_price,
        stop_price=None,
        trail_amount=None,
        trail_percent=None,
        time_in_force=TimeInForce.GTC,
        extended_hours=False,
        status=OrderStatus.WORKING,
        reason=NO_REASON,
        broker_order_id=external.broker_order_id,
        filled_quantity=ZERO,
        filled_notional=ZERO,
        reserve=ZERO,
        exits=external.exits,
        cancel_requested=False,
        sends=1,
        due_at=None,
        sent_at=external.at,
        created_at=external.at,
        updated_at=now,
    )


def assign_difference(conn: sa.Connection, drift: Drift, bot: Bot, price: Decimal, now: datetime) -> Order:
    """The user assigned the difference to the bot: book it as bought or sold by the bot at this price."""
    quantity, order_id = (
        abs(drift.difference),
        sha256(f"adjustment|{drift.id}|{plain(drift.difference)}")[:32],
    )
    side = OrderSide.BUY if drift.difference > 0 else OrderSide.SELL
    external = ExternalOrder(id=order_id, side=side, symbol=bot.symbol, quantity=quantity, at=now)
    signal_id = add_signal(conn, bot, bot.user_id, external, Origin.ADJUSTMENT)
    decision = decision_table.decisions_of(conn, signal_id)[0]
    why = reason(Code.DIFFERENCE_ASSIGNED, detail=drift.detail, price=price)
    order = store_working_order(conn, bot, signal_id, decision.id, external, why, now)
    fill = BrokerFill(
        id=f"adjustment-{order_id}", client_order_id=order_id, quantity=quantity, price=price, at=now
    )
    report = OrderReport(
        client_order_id=order_id,
        broker_order_id=None,
        status=VenueStatus.FILLED,
        filled_quantity=quantity,
        average_price=price,
        fills=(fill,),
    )
    return booking.apply_report(conn, order, report, now).order


def apply_split(conn: sa.Connection, bot: Bot, ratio: Decimal, now: datetime) -> None:
    """Multiply what the bot owns by `ratio` and divide its price by it; its cost stays exactly the same."""
    for lot in fill_table.open_lots(conn, bot.id):
        fill_table.split_lot(conn, lot, scaled(lot.remaining, ratio), ratio)
    trip_table.split(conn, bot.id, ratio)
    new_position = Position(quantity=scaled(bot.position.quantity, ratio), cost=bot.position.cost)
    bot_positions.split_position(
        conn, bot.id, new_position, after_split(bot.exits, ratio, new_position.side.sign), now
    )
    risk_event_table.add(
        conn,
        RiskEvent(
            bot=bot,
            at=now,
            kind="split",
            threshold=bot.position.quantity,
            actual=new_position.quantity,
            action=Reason(Code.POSITION_SPLIT),
            detail=reason(Code.SPLIT_APPLIED, symbol=bot.symbol.short, ratio=ratio),
            signal_id=None,
        ),
    )
    message_table.notify(
        conn,
        bot.user_id,
        PositionSplit(
            bot=bot.name,
            symbol=bot.symbol.text,
            ratio=ratio,
            before=bot.position.quantity,
            after=new_position.quantity,
        ),
        now=now,
    )
