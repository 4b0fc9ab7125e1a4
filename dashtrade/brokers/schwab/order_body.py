"""An order on Schwab's wire: what cannot be placed, and the body that is sent."""

from __future__ import annotations

from typing import Any

from dashtrade.brokers.schwab.reports import WORDS, spelled
from dashtrade.domain.ports import OrderRequest, Rules
from dashtrade.domain.values import OrderType, given, plain, round_to


def order_body(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    body = {
        "orderType": request.type.upper(),
        "session": "NORMAL",
        "duration": WORDS[request.time_in_force],
        "orderStrategyType": "SINGLE",
        "orderLegCollection": [
            {
                "instruction": request.side.upper(),
                "quantity": int(given(request.quantity, "quantity")),
                "instrument": {"symbol": spelled(request.symbol), "assetType": "EQUITY"},
            }
        ],
    }
    if request.type is OrderType.LIMIT:
        body["price"] = plain(round_to(given(request.limit_price, "limit price"), rules.price_step))
    return body
