"""The account's orders that carry our ids, as an exchange lists them: to find orders missing here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dashtrade.brokers.crypto.exchange import MAX_PAGES, Exchange
from dashtrade.domain.ports import FoundOrder, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderSide, OrderType, bot_of_order, finite

PAGE_SIZE = 500


def orders_since(
    client: Any, venue: Exchange, since: datetime, symbols: Sequence[Symbol]
) -> list[FoundOrder]:
    found = {
        str(order["id"]): order
        for order in LISTS[venue.listing](client, int(since.timestamp() * 1000), symbols)
        if order.get("id")
    }
    read = [_found_order(order) for order in found.values() if bot_of_order(_our_id(order)) is not None]
    return sorted(
        (order for order in read if order.created_at >= since),
        key=lambda order: (order.created_at, order.broker_order_id),
    )


def _our_id(order: Any) -> str:
    return str(order.get("clientOrderId") or "").replace("-", "")


def _found_order(order: Any) -> FoundOrder:
    filled = finite(order.get("filled")) or ZERO
    limit = finite(order.get("price")) if order.get("type") == "limit" else None
    return FoundOrder(
        client_order_id=_our_id(order),
        broker_order_id=str(order["id"]),
        symbol=Symbol.parse(f"CRYPTO:{order['symbol']}"),
        side=OrderSide(order["side"]),
        type=OrderType.LIMIT if limit else OrderType.MARKET,
        quantity=finite(order.get("amount")) or filled,
        limit_price=limit,
        filled_quantity=filled,
        created_at=datetime.fromtimestamp(int(order["timestamp"]) / 1000, UTC),
    )


def _orders_of(client: Any, name: str, start: int) -> Any:
    return client.fetch_orders(name, start, PAGE_SIZE)


def _by_symbol(client: Any, since: int, symbols: Sequence[Symbol]) -> Iterator[Any]:
    for symbol in symbols:
        yield from _paged(partial(_orders_of, client, symbol.short), since)


def _open_and_closed(client: Any, since: int, symbols: Sequence[Symbol]) -> Iterator[Any]:
    """Ended orders come in pages, newest first: one that ends meanwhile only shifts the others; none is
    missed."""
    yield from client.fetch_open_orders()
    read_count = 0
    for _ in range(MAX_PAGES):
        page = client.fetch_closed_orders(None, since, None, {"ofs": read_count} if read_count else {})
        yield from page
        read_count += len(page)
        count = client.last_response.answer["result"].get("count")
        if not page or (count is not None and read_count >= int(count)):
            return
    raise Unavailable("The exchange lists more orders than DashTrade can search.")


def _paged(fetch: Callable[[int], Sequence[Any]], since: int) -> Iterator[Any]:
    seen: set[str] = set()
    for _ in range(MAX_PAGES):
        page = fetch(since)
        new_orders = [order for order in page if str(order["id"]) not in seen]
        seen |= {str(order["id"]) for order in new_orders}
        yield from new_orders
        if len(page) < PAGE_SIZE or not new_orders:
            return
        since = max(int(order["timestamp"]) for order in page)
    raise Unavailable("The exchange lists more orders than DashTrade can search.")


def _by_cursor(client: Any, since: int, symbols: Sequence[Symbol]) -> Iterator[Any]:
    for symbol in symbols:
        cursor: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            orders = client.fetch_orders(symbol.short, since, 100, dict(cursor))
            yield from orders
            next_cursor = next(
                (order["info"]["cursor"] for order in orders if order["info"].get("cursor")), None
            )
            if not next_cursor:
                break
            cursor = {"cursor": next_cursor}
        else:
            raise Unavailable("The exchange lists more orders than DashTrade can search.")


LISTS: dict[str, Callable[[Any, int, Sequence[Symbol]], Iterator[Any]]] = {
    "symbol": _by_symbol,
    "open_closed": _open_and_closed,
    "pages": _by_cursor,
}
