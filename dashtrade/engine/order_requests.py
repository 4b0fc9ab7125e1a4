"""The request for an order: no more of it than leaves the account on one side of zero."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.decisions.netting import split_at_zero, split_reason
from dashtrade.domain.exits.broker_held import leg_prices
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Broker, Capabilities, OrderRequest
from dashtrade.domain.reasons import Code, reason
from dashtrade.engine import holdings
from dashtrade.tables import order_events
from dashtrade.tables import orders as order_table


def request_of(order: Order, account_holds: Decimal | None = None) -> OrderRequest:
    return OrderRequest(
        client_order_id=order.id,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        time_in_force=order.time_in_force,
        extended_hours=order.extended_hours,
        reduces=order.effect.reduces,
        account_holds=account_holds,
        **leg_prices(order.exits),
    )


def booked_holdings(db: Database, order: Order, broker: Broker) -> Decimal | None:
    """The size available to an exit: bots' positions and the user's own holdings, not just the net."""
    if not order.effect.reduces or broker.capabilities.crosses_zero:
        return None
    with db.read() as conn:
        return holdings.account_net(conn, order.account_id, order.symbol)


def part_to_send(conn: sa.Connection, order: Order, can: Capabilities, now: datetime) -> Order:
    """An order from long to short is sent in two parts; the second is checked against the account's holdings
    at that time."""
    net = None if can.crosses_zero else holdings.account_net(conn, order.account_id, order.symbol)
    if net is None:
        return order
    first, rest = split_at_zero(order, net, can)
    if first.quantity != order.quantity:
        order_table.reduce_quantity(conn, first)
    if rest is not None:
        order_table.insert(conn, [rest])
        rest_reason = reason(Code.REST_OF_STEP, side=str(rest.side), quantity=rest.quantity)
        order_events.log(
            conn,
            [
                (first, now, str(first.status), split_reason(first, rest)),
                (rest, now, str(rest.status), rest_reason),
            ],
        )
    return first
