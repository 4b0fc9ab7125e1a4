"""How the executions of an order are fetched, exchange by exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dashtrade.brokers.crypto.exchange import MAX_PAGES
from dashtrade.domain.ports import Unavailable
from dashtrade.domain.values import ZERO, finite

OKX_PAGE_SIZE = 100


def _trades_of_order(client: Any, order: Any) -> Sequence[Any]:
    return client.fetch_order_trades(order["id"], order["symbol"])


def _trades_by_ids(client: Any, order: Any) -> Sequence[Any]:
    ids = [trade["id"] for trade in order.get("trades") or ()]
    if not ids:  # an order found by our id may lack them
        ids = [trade["id"] for trade in client.fetch_order(order["id"], order["symbol"]).get("trades") or ()]
    # Kraken returns twenty at a time, and ccxt makes an empty extra request after every full twenty.
    batches = [ids[first : first + 19] for first in range(0, len(ids), 19)]
    by_batch = [
        client.fetch_order_trades(order["id"], order["symbol"], None, None, {"trades": batch})
        for batch in batches
    ]
    return [trade for batch in by_batch for trade in batch]


def _trades_by_fills(client: Any, order: Any) -> Sequence[Any]:
    """OKX: the last three days first, at 60 in 2 s; then three months, at 10 in 2 s. ccxt uses the slow list
    alone."""
    market, wanted = client.market(order["symbol"]), finite(order.get("filled")) or ZERO
    trades: list[Any] = []
    for fetch in (client.privateGetTradeFills, client.privateGetTradeFillsHistory):
        params = {"instType": "SPOT", "instId": market["id"], "ordId": order["id"]}
        trades = client.parse_trades(_all_fills(fetch, params), market)
        if sum((finite(trade["amount"]) or ZERO for trade in trades), ZERO) >= wanted:
            break
    return trades


def _all_fills(fetch: Callable[[dict[str, str]], Any], params: dict[str, str]) -> list[Any]:
    found: list[Any] = []
    for _ in range(MAX_PAGES):
        page = fetch(dict(params))["data"]
        found += page
        if len(page) < OKX_PAGE_SIZE:
            return found
        params = params | {"after": page[-1]["billId"]}
    raise Unavailable("OKX lists more executions of one order than DashTrade can read.")


def _trades_filtered(client: Any, order: Any) -> Sequence[Any]:
    return client.fetch_my_trades(order["symbol"], None, 250, {"order_ids": [order["id"]]})


def _trades_in_order(client: Any, order: Any) -> Sequence[Any]:
    raw = order["info"].get("trades")
    if raw is None:
        raw = (
            client.privatePostV1OrderStatus({"order_id": order["id"], "include_trades": True}).get("trades")
            or []
        )
    return client.parse_trades(raw, client.market(order["symbol"]))


def _trades_guessed(client: Any, order: Any) -> Sequence[Any]:
    if client.has.get("fetchOrderTrades"):
        return client.fetch_order_trades(order["id"], order["symbol"])
    if not client.has.get("fetchMyTrades"):
        return ()
    return [trade for trade in client.fetch_my_trades(order["symbol"]) if trade.get("order") == order["id"]]


TRADES: dict[str, Callable[[Any, Any], Sequence[Any]]] = {
    "order": _trades_of_order,
    "ids": _trades_by_ids,
    "fills": _trades_by_fills,
    "filter": _trades_filtered,
    "in_order": _trades_in_order,
    "guess": _trades_guessed,
}
