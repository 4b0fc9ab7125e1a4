"""An order for Schwab: checks, and the request body."""

from __future__ import annotations

from typing import Any

from dashtrade.brokers.schwab.reports import TIMES_IN_FORCE, schwab_name
from dashtrade.domain.ports import Capabilities, OrderRequest, Rejected, Rules
from dashtrade.domain.values import OrderType, given, plain, round_to


def check(request: OrderRequest, can: Capabilities) -> None:
    """Checks that need no request."""
    problem = ""
    if request.symbol.is_crypto or request.symbol.market != "NYSE":
        problem = f"{request.symbol.short} is no stock of the US market"
    elif request.notional is not None or request.quantity is None:
        problem = "orders need a number of shares, not an amount of money: size the bot by quantity"
    elif request.quantity <= 0 or request.quantity % 1:
        problem = f"only whole shares can be traded, at least one, and not {plain(request.quantity)}"
    elif request.type not in can.order_types:
        problem = (
            f"DashTrade places market and limit orders there, and no {request.type.replace('_', '-')} ones"
        )
    elif request.time_in_force not in can.times_in_force:
        problem = f"there is no time in force {request.time_in_force}; use day or gtc"
    elif request.type is OrderType.LIMIT and not (request.limit_price and request.limit_price > 0):
        problem = "a limit order needs a limit price above zero"
    elif request.extended_hours:
        problem = "DashTrade places no orders outside regular hours there: switch extended hours off"
    elif request.take_profit or request.stop_loss or request.stop_loss_limit:
        problem = "orders cannot carry exits there: DashTrade manages exits"
    if problem:
        raise Rejected(f"Schwab would refuse this order: {problem}. No order was placed.")


def order_body(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    body = {
        "orderType": request.type.upper(),
        "session": "NORMAL",
        "duration": TIMES_IN_FORCE[request.time_in_force],
        "orderStrategyType": "SINGLE",
        "orderLegCollection": [
            {
                "instruction": request.side.upper(),
                "quantity": int(given(request.quantity, "quantity")),
                "instrument": {"symbol": schwab_name(request.symbol), "assetType": "EQUITY"},
            }
        ],
    }
    if request.type is OrderType.LIMIT:
        body["price"] = plain(round_to(given(request.limit_price, "limit price"), rules.price_step))
    return body
