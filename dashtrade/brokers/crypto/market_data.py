"""An exchange's markets, balances and prices in our types."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from dashtrade.brokers.crypto.errors import not_offered
from dashtrade.brokers.crypto.exchange import MAX_PAGES, Exchange
from dashtrade.domain.ports import Rules, Unavailable
from dashtrade.domain.values import ZERO, finite, plain


def rules_of(market: Any) -> Rules:
    precision, limits = market["precision"], market["limits"]
    return Rules(
        quantity_step=_step(precision.get("amount")),
        price_step=_step(precision.get("price")),
        min_quantity=finite(limits.get("amount", {}).get("min")) or ZERO,
        min_notional=finite(limits.get("cost", {}).get("min")) or ZERO,
        shortable=False,
        tradable=market.get("active") is not False,
    )


def taker_fee(market: Any) -> Decimal | None:
    """The account's own rate, where the exchange returns it with its markets."""
    return finite(market.get("taker"))


def _step(value: object) -> Decimal:
    """ccxt gives a step, or, for a few exchanges, a number of decimals."""
    step = finite(value)
    if step is None or step <= 0:
        return Decimal("0.00000001")
    return Decimal(1).scaleb(-int(step)) if step == step.to_integral_value() and step > 1 else step


def complete_market(client: Any, market: Any) -> Any:
    """The list of markets lacks steps and minimums, and without them ccxt fails with a bare AssertionError.
    Nothing else of the details is used: they name a spot pair's settlement coin, which ccxt takes for a
    perpetual."""
    details = client.publicGetV1SymbolsDetailsSymbol({"symbol": market["id"]})
    if (
        str(details.get("symbol", "")).lower() != market["id"]
        or details.get("product_type", "spot") != "spot"
    ):
        raise Unavailable(
            f"{client.name} sent details of another pair than {market['symbol']}. No current data; "
            "DashTrade retries."
        )
    steps = [plain(_step(details.get(name))) for name in ("tick_size", "quote_increment")]
    market["precision"] |= {"amount": steps[0], "price": steps[1]}
    market["limits"] = {**market["limits"], "amount": {"min": details.get("min_order_size"), "max": None}}
    market["active"] = details.get("status") not in ("closed", "cancel_only")
    return market


def balances(client: Any, venue: Exchange) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Each coin's total and free balance. Coinbase lists its accounts in pages, of which ccxt reads the
    first."""
    total: dict[str, Decimal] = {}
    free: dict[str, Decimal] = {}
    params: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        page = client.fetch_balance(dict(params))
        for coin in page["total"]:
            name = coin.removesuffix(venue.reward_suffix)
            if venue.reward_suffix and "." in name:
                continue
            total[name] = total.get(name, ZERO) + (finite(page["total"][coin]) or ZERO)
            free[name] = free.get(name, ZERO) + (finite(page["free"].get(coin)) or ZERO)
        info = page.get("info")
        if not (isinstance(info, dict) and info.get("has_next") and info.get("cursor")):
            return {coin: amount for coin, amount in total.items() if amount}, free
        params = {"cursor": info["cursor"]}
    raise Unavailable(
        "The exchange lists more coins than DashTrade can read. Close the empty accounts there."
    )


def prices(client: Any, coins: Sequence[str], money: str) -> dict[str, Decimal]:
    """The price of each coin, in one call; a coin not traded against that currency has no price."""
    names = [
        f"{coin}/{money}"
        for coin in coins
        if (client.markets.get(f"{coin}/{money}") or {}).get("active") is not False
    ]
    names = [name for name in names if name in client.markets]
    if not names:
        return {}
    few = len(names) <= 3 or not client.has.get("fetchTickers")
    tickers = {name: ticker(client, name) for name in names} if few else client.fetch_tickers(names)
    found = {name: mid(tickers[name]) for name in names if name in tickers}
    return {name.partition("/")[0]: price for name, price in found.items() if price}


def ticker(client: Any, name: str) -> Any:
    """With bid and ask where the exchange has them; else only the last price."""
    found: dict[str, Any] = {}
    errors: list[Exception] = []
    for ask in (_whole_ticker, _best_of, _top_of_book, _last_price):
        try:
            found |= {key: value for key, value in ask(client, name).items() if value is not None}
        except Exception as error:
            if ask is _whole_ticker and not not_offered(client, error):
                raise
            errors.append(error)
        if finite(found.get("bid")) and finite(found.get("ask")):
            break
    if not found:
        raise errors[0]
    return found


def _whole_ticker(client: Any, name: str) -> Any:
    return client.fetch_ticker(name)


def _best_of(client: Any, name: str) -> Any:
    return client.fetch_bids_asks([name])[name]


def _top_of_book(client: Any, name: str) -> Any:
    book = client.fetch_order_book(name, 5)
    return {side: book[f"{side}s"][0][0] if book[f"{side}s"] else "0" for side in ("bid", "ask")}


def _last_price(client: Any, name: str) -> Any:
    return {"last": client.fetch_last_prices([name])[name]["price"]}


def mid(ticker: Any) -> Decimal | None:
    bid, ask = finite(ticker.get("bid")), finite(ticker.get("ask"))
    return (bid + ask) / 2 if bid and ask else finite(ticker.get("last"))
