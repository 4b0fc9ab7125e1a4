"""The request for an order: no more of it than leaves the account on one side of zero."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.exits.broker_held import leg_prices
from dashtrade.domain.kernel.holdings import account_net
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Broker, OrderRequest
from dashtrade.engine.store import Store


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


def booked_holdings(store: Store, order: Order, broker: Broker) -> Decimal | None:
    """The size available to an exit: bots' positions and the user's own holdings, not just the net."""
    if not order.effect.reduces or broker.capabilities.crosses_zero:
        return None
    with store.look() as source:
        return account_net(source, order.account_id, order.symbol)
