"""How an order is found by our id, exchange by exchange."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dashtrade.brokers.crypto.exchange import MAX_PAGES, Exchange
from dashtrade.domain.ports import OrderRef, Unavailable


def is_not_found(client: Any, venue: Exchange, error: Exception) -> bool:
    """The exchange itself answered, readably, that it has no such order."""
    import ccxt

    reply = client.last_response
    if reply.answer is None or (reply.status or 0) >= 500:
        return False
    if venue.absent:  # for these, ccxt's OrderNotFound also means that an answer lacked the order
        return isinstance(error, ccxt.ExchangeError) and venue.matches("absent", reply.body)
    return isinstance(error, ccxt.OrderNotFound)


def _same_id(one: object, other: str) -> bool:
    return str(one or "").replace("-", "") == other.replace("-", "")


def _with_our_id(orders: Sequence[Any], ref: OrderRef) -> Any:
    """Only an order that carries our id: an exchange that ignores the filter would return another
    program's."""
    found = [order for order in orders if _same_id(order.get("clientOrderId"), ref.client_order_id)]
    if len(found) > 1:
        raise Unavailable(
            f"{len(found)} orders carry the id {ref.client_order_id}. Check at the exchange which of "
            "them is right."
        )
    return found[0] if found else None


def _by_fetch(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    if ref.broker_order_id:
        return client.fetch_order(ref.broker_order_id, symbol)
    return client.fetch_order("", symbol, {"clientOrderId": ref.client_order_id})


def _by_open_and_closed(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    """Open first: an order that closes between the two requests is then seen by the second."""
    if ref.broker_order_id:
        return client.fetch_order(ref.broker_order_id, symbol)
    params = {"clientOrderId": ref.client_order_id, "trades": True}
    for fetch, listed in ((client.fetch_open_orders, "open"), (client.fetch_closed_orders, "closed")):
        found = _with_our_id(fetch(None, None, None, dict(params)), ref)
        if found:
            return found
        _require_list(client, client.safe_dict(client.last_response.answer, "result"), listed)
    return None


def _require_list(client: Any, answer: Any, listed: str) -> None:
    """ccxt takes an answer without the list for an empty one."""
    if not isinstance(answer, dict) or listed not in answer:
        raise Unavailable(
            f"{client.name} answered without a list of orders. No current data; DashTrade retries."
        )


def _by_list(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    if ref.broker_order_id:
        return client.fetch_order(ref.broker_order_id, symbol)
    if venue.proven:
        return _by_pages(client, venue, symbol, ref)
    since = _since(ref)
    fetches = [
        name for name in ("fetchOpenOrders", "fetchClosedOrders", "fetchOrders") if client.has.get(name)
    ]
    for name in fetches:
        found = _with_our_id(
            getattr(client, re.sub("[A-Z]", lambda match: "_" + match[0].lower(), name))(symbol, since), ref
        )
        if found:
            return found
    return None


def _by_pages(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    cursor: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        orders = client.fetch_orders(symbol, _since(ref), 100, dict(cursor))
        found = _with_our_id(orders, ref)
        if found:
            return found
        _require_list(client, client.last_response.answer, "orders")
        next_cursor = next((order["info"]["cursor"] for order in orders if order["info"].get("cursor")), None)
        if not next_cursor:
            return None
        cursor = {"cursor": next_cursor}
    raise Unavailable(
        f"{venue.name} lists more orders than DashTrade can search. Check there for the order "
        f"{ref.client_order_id}."
    )


def _by_status(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    identity = (
        {"order_id": ref.broker_order_id} if ref.broker_order_id else {"client_order_id": ref.client_order_id}
    )
    answer = client.privatePostV1OrderStatus({**identity, "include_trades": True})
    orders = [client.parse_order(each) for each in (answer if isinstance(answer, list) else [answer])]
    return orders[0] if ref.broker_order_id else _with_our_id(orders, ref)


def _since(ref: OrderRef) -> int:
    return int((ref.created_at - timedelta(hours=1)).timestamp() * 1000)  # clocks differ


LOOKUPS = {"fetch": _by_fetch, "open_closed": _by_open_and_closed, "list": _by_list, "status": _by_status}
