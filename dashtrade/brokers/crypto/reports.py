"""What an exchange says, in our words: orders with their executions and fees, balances, rules, candles."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from dashtrade.brokers.crypto.errors import not_offered
from dashtrade.brokers.crypto.venues import Exchange
from dashtrade.domain.ports import BrokerFill, Candle, OrderRef, OrderReport, Rules, Unavailable, VenueStatus
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, OrderSide, plain, round_to

MOST_PAGES = 20
OKX_PAGE = 100
_STATUS = {
    "open": VenueStatus.WORKING,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
}
_RAW_STATUS = {
    "FAILED": VenueStatus.REJECTED,
    "EXPIRED": VenueStatus.EXPIRED,
    "order_failed": VenueStatus.REJECTED,
}
_WHY = ("reject_message", "cancel_message", "reject_reason", "reason", "cancelSourceReason")
_NO_WHY = "REJECT_REASON_UNSPECIFIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What is needed to turn executions into fills: the symbol's steps, the time, and the price of another
    coin."""

    rules: Rules
    now: datetime
    lag: timedelta  # how long executions may come after their order was first seen ended
    # when that was; told times do not serve, as Coinbase tells that of placing alone
    ended: Callable[[str], datetime]
    price: Callable[[str], Decimal | None]


def number(said: object) -> Decimal | None:
    try:
        found = Decimal(str(said)) if said is not None else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


# --- markets ------------------------------------------------------------------------------------------------


def rules_of(market: Any) -> Rules:
    precision, limits = market["precision"], market["limits"]
    return Rules(
        quantity_step=_step(precision.get("amount")),
        price_step=_step(precision.get("price")),
        min_quantity=number(limits.get("amount", {}).get("min")) or ZERO,
        min_notional=number(limits.get("cost", {}).get("min")) or ZERO,
        shortable=False,
        tradable=market.get("active") is not False,
    )


def taker_fee(market: Any) -> Decimal | None:
    """The account's own rate, where the exchange tells it with its markets."""
    return number(market.get("taker"))


def _step(said: object) -> Decimal:
    """ccxt tells a step, or, for a few exchanges, a number of decimals."""
    step = number(said)
    if step is None or step <= 0:
        return Decimal("0.00000001")
    return Decimal(1).scaleb(-int(step)) if step == step.to_integral_value() and step > 1 else step


def detail(client: Any, market: Any) -> Any:
    """The list of markets lacks steps and minimums, and without them ccxt fails with a bare AssertionError.
    Of the details nothing else is taken: a spot pair names there in what it is paid for, which ccxt takes for
    a perpetual."""
    said = client.publicGetV1SymbolsDetailsSymbol({"symbol": market["id"]})
    if str(said.get("symbol", "")).lower() != market["id"] or said.get("product_type", "spot") != "spot":
        raise Unavailable(
            f"{client.name} told the details of another pair than {market['symbol']}. Nothing is known "
            "from it now; it is asked again."
        )
    steps = [plain(_step(said.get(name))) for name in ("tick_size", "quote_increment")]
    market["precision"] |= {"amount": steps[0], "price": steps[1]}
    market["limits"] = {**market["limits"], "amount": {"min": said.get("min_order_size"), "max": None}}
    market["active"] = said.get("status") not in ("closed", "cancel_only")
    return market


def balances(client: Any, venue: Exchange) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """All of each coin, and what of it is free. Coinbase tells its accounts by pages, of which ccxt reads the
    first."""
    total: dict[str, Decimal] = {}
    free: dict[str, Decimal] = {}
    asked: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        page = client.fetch_balance(dict(asked))
        for coin in page["total"]:
            name = coin.removesuffix(venue.rewards)
            if venue.rewards and "." in name:
                continue
            total[name] = total.get(name, ZERO) + (number(page["total"][coin]) or ZERO)
            free[name] = free.get(name, ZERO) + (number(page["free"].get(coin)) or ZERO)
        info = page.get("info")
        if not (isinstance(info, dict) and info.get("has_next") and info.get("cursor")):
            return {coin: amount for coin, amount in total.items() if amount}, free
        asked = {"cursor": info["cursor"]}
    raise Unavailable(
        "The exchange lists more coins than can be read. Close the accounts that are empty there."
    )


def prices(client: Any, coins: Sequence[str], money: str) -> dict[str, Decimal]:
    """What each coin costs, in one call; a coin nobody trades against that money has no price."""
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
    """With bid and ask, where the exchange tells them at all; else with the last price alone."""
    seen: dict[str, Any] = {}
    trouble: list[Exception] = []
    for ask in (_whole_ticker, _best_of, _top_of_book, _last_price):
        try:
            seen |= {key: said for key, said in ask(client, name).items() if said is not None}
        except Exception as error:
            if ask is _whole_ticker and not not_offered(client, error):
                raise
            trouble.append(error)
        if number(seen.get("bid")) and number(seen.get("ask")):
            break
    if not seen:
        raise trouble[0]
    return seen


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
    bid, ask = number(ticker.get("bid")), number(ticker.get("ask"))
    return (bid + ask) / 2 if bid and ask else number(ticker.get("last"))


# --- looking orders up --------------------------------------------------------------------------------------


def says_absent(client: Any, venue: Exchange, error: Exception) -> bool:
    """The exchange itself said, readably, that it has no such order."""
    import ccxt

    heard = client.heard
    if heard.answer is None or (heard.status or 0) >= 500:
        return False
    if venue.absent:  # there, ccxt's OrderNotFound also means that an answer lacked the order
        return isinstance(error, ccxt.ExchangeError) and venue.says("absent", heard.body)
    return isinstance(error, ccxt.OrderNotFound)


def _same(one: object, other: str) -> bool:
    return str(one or "").replace("-", "") == other.replace("-", "")


def _mine(orders: Sequence[Any], ref: OrderRef) -> Any:
    """Only an order that carries our id: an exchange that ignores the filter would hand us a stranger's."""
    found = [order for order in orders if _same(order.get("clientOrderId"), ref.client_order_id)]
    if len(found) > 1:
        raise Unavailable(
            f"{len(found)} orders carry the id {ref.client_order_id}. Look at the exchange which one is "
            "meant."
        )
    return found[0] if found else None


def _by_fetch(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    if ref.broker_order_id:
        return client.fetch_order(ref.broker_order_id, symbol)
    return client.fetch_order("", symbol, {"clientOrderId": ref.client_order_id})


def _by_open_and_closed(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    """Open first: an order that closes between the two questions is then seen by the second."""
    if ref.broker_order_id:
        return client.fetch_order(ref.broker_order_id, symbol)
    asked = {"clientOrderId": ref.client_order_id, "trades": True}
    for fetch, listed in ((client.fetch_open_orders, "open"), (client.fetch_closed_orders, "closed")):
        found = _mine(fetch(None, None, None, dict(asked)), ref)
        if found:
            return found
        _require(client, client.safe_dict(client.heard.answer, "result"), listed)
    return None


def _require(client: Any, answer: Any, listed: str) -> None:
    """ccxt takes an answer without the list for an empty one."""
    if not isinstance(answer, dict) or listed not in answer:
        raise Unavailable(
            f"{client.name} answered without a list of orders. Nothing is known from it now; it is asked "
            "again."
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
        found = _mine(
            getattr(client, re.sub("[A-Z]", lambda of: "_" + of[0].lower(), name))(symbol, since), ref
        )
        if found:
            return found
    return None


def _by_pages(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    cursor: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        orders = client.fetch_orders(symbol, _since(ref), 100, dict(cursor))
        found = _mine(orders, ref)
        if found:
            return found
        _require(client, client.heard.answer, "orders")
        following = next((order["info"]["cursor"] for order in orders if order["info"].get("cursor")), None)
        if not following:
            return None
        cursor = {"cursor": following}
    raise Unavailable(
        f"{venue.name} lists more orders than can be searched. Look there whether {ref.client_order_id} is "
        "among them."
    )


def _by_status(client: Any, venue: Exchange, symbol: str, ref: OrderRef) -> Any:
    named = (
        {"order_id": ref.broker_order_id} if ref.broker_order_id else {"client_order_id": ref.client_order_id}
    )
    said = client.privatePostV1OrderStatus({**named, "include_trades": True})
    orders = [client.parse_order(each) for each in (said if isinstance(said, list) else [said])]
    return orders[0] if ref.broker_order_id else _mine(orders, ref)


def _since(ref: OrderRef) -> int:
    return int((ref.created_at - timedelta(hours=1)).timestamp() * 1000)  # clocks differ


LOOKUPS = {"fetch": _by_fetch, "open_closed": _by_open_and_closed, "list": _by_list, "status": _by_status}


# --- orders -------------------------------------------------------------------------------------------------


def report(client: Any, venue: Exchange, ref: OrderRef, order: Any, money: Money) -> OrderReport:
    """Fills alone are booked, never totals beside them: a total told before its fills would be booked twice.
    So an order that has ended counts as working until its executions are all there, or until they can no
    longer be expected."""
    status, reason = _status(order)
    filled = number(order.get("filled")) or ZERO
    offered, fills, notes = _told_fills(client, venue, ref, order, money) if filled else (True, (), "")
    have = sum((fill.quantity for fill in fills), ZERO)
    average = number(order.get("average"))
    complete, fee, fee_base = have > filled - money.rules.quantity_step, ZERO, ZERO
    ended = status is not VenueStatus.WORKING
    if not complete and (not offered or (ended and money.now - money.ended(str(order["id"])) >= money.lag)):
        fills, have = (), filled  # the totals are all there is
        said: list[str] = []
        fee, fee_base = _fees(ref, order, average or ZERO, money, said)
        notes = " ".join(filter(None, (notes, *said)))
    elif not complete and status is not VenueStatus.WORKING:
        status, reason = VenueStatus.WORKING, "it has ended; its executions are still to come"
    if fills:
        average = sum(fill.quantity * fill.price for fill in fills) / have
    return OrderReport(
        client_order_id=ref.client_order_id,
        broker_order_id=str(order.get("id") or ref.broker_order_id or "") or None,
        status=status,
        filled_quantity=have,
        average_price=average if have else None,
        fills=fills,
        total_fee=fee,
        total_fee_base=fee_base,
        reason=" ".join(filter(None, (reason, notes))),
    )


def _status(order: Any) -> tuple[VenueStatus, str]:
    """A word nobody has heard of is an order that works: it may yet fill."""
    info = order.get("info") or {}
    raw = str(info.get("status") or info.get("state") or "")
    status = _RAW_STATUS.get(raw) or _STATUS.get(str(order.get("status")), VenueStatus.WORKING)
    told = (str(info[name]) for name in _WHY if info.get(name) not in (None, "", _NO_WHY))
    why = next(told, "") if status is not VenueStatus.FILLED else ""
    unheard = status is VenueStatus.WORKING and order.get("status") not in ("open", None)
    return status, f"the exchange says {raw or order.get('status')}" if unheard else why


def _told_fills(
    client: Any, venue: Exchange, ref: OrderRef, order: Any, money: Money
) -> tuple[bool, tuple[BrokerFill, ...], str]:
    """False, where the exchange has no list of executions: the totals will have to do."""
    try:
        fills, note = _fills(client, venue, ref, order, money)
    except Exception as error:
        if not_offered(client, error):
            return False, (), "Its executions and their fees are not told."
        raise
    return True, fills, note


def _fills(
    client: Any, venue: Exchange, ref: OrderRef, order: Any, money: Money
) -> tuple[tuple[BrokerFill, ...], str]:
    trades: Sequence[Any] = [
        trade for trade in order.get("trades") or () if trade.get("amount") and trade.get("id")
    ]
    told = sum((number(trade["amount"]) or ZERO for trade in trades), ZERO)
    filled = number(order.get("filled")) or ZERO
    if told < filled:
        trades = TRADES[venue.trades](client, order)
    notes: list[str] = []
    fills = {str(trade["id"]): _fill(ref, order, trade, money, notes) for trade in trades}
    return tuple(sorted(fills.values(), key=lambda fill: (fill.at, fill.id))), " ".join(dict.fromkeys(notes))


def _fill(ref: OrderRef, order: Any, trade: Any, money: Money, notes: list[str]) -> BrokerFill:
    price, quantity = number(trade["price"]) or ZERO, number(trade["amount"]) or ZERO
    whole = round_to(quantity, money.rules.quantity_step)
    if abs(whole - quantity) < money.rules.quantity_step / 1000:  # ccxt divided a cost by a price
        quantity = whole
    fee, fee_base = _fees(ref, trade, price, money, notes)
    return BrokerFill(
        # A trade's number is unique within a symbol at most, and is shared by both sides of a trade with
        # oneself.
        id=f"{order['id']}:{trade['id']}",
        client_order_id=ref.client_order_id,
        quantity=quantity,
        price=price,
        at=datetime.fromtimestamp(int(trade["timestamp"]) / 1000, UTC)
        if trade.get("timestamp")
        else money.now,
        fee=fee,
        fee_base=fee_base,
    )


def _fees(
    ref: OrderRef, trade: Any, price: Decimal, money: Money, notes: list[str]
) -> tuple[Decimal, Decimal]:
    """In the quote currency, and in the bought coin; a third coin is valued at its price of now, or left out
    and said."""
    fee, fee_base = ZERO, ZERO
    for each in trade.get("fees") or [trade.get("fee") or {}]:
        cost, coin = number(each.get("cost")), each.get("currency")
        if not cost:
            continue
        if coin in (ref.symbol.quote, None):
            fee += cost
        elif coin == ref.symbol.base and ref.side is OrderSide.BUY:
            fee_base += cost
        elif coin == ref.symbol.base:
            fee += cost * price
        elif (worth := money.price(coin)) is not None:
            fee += cost * worth
        else:
            notes.append(f"A fee in {coin} is left out: no price of it in {ref.symbol.quote} is known.")
    return fee, fee_base


def _trades_of_order(client: Any, order: Any) -> Sequence[Any]:
    return client.fetch_order_trades(order["id"], order["symbol"])


def _trades_by_ids(client: Any, order: Any) -> Sequence[Any]:
    ids = [trade["id"] for trade in order.get("trades") or ()]
    if not ids:  # an order found by our id may come without them
        ids = [trade["id"] for trade in client.fetch_order(order["id"], order["symbol"]).get("trades") or ()]
    # Kraken tells twenty at a time, and ccxt asks once more, for none, after every full twenty.
    some = [ids[first : first + 19] for first in range(0, len(ids), 19)]
    told = [
        client.fetch_order_trades(order["id"], order["symbol"], None, None, {"trades": part}) for part in some
    ]
    return [trade for part in told for trade in part]


def _trades_by_fills(client: Any, order: Any) -> Sequence[Any]:
    """OKX. Of three days first, at 60 in 2 s; then of three months, at 10 in 2 s. ccxt asks the slow list
    alone."""
    market, wanted = client.market(order["symbol"]), number(order.get("filled")) or ZERO
    trades: list[Any] = []
    for ask in (client.privateGetTradeFills, client.privateGetTradeFillsHistory):
        asked = {"instType": "SPOT", "instId": market["id"], "ordId": order["id"]}
        trades = client.parse_trades(_all_fills(ask, asked), market)
        if sum((number(trade["amount"]) or ZERO for trade in trades), ZERO) >= wanted:
            break
    return trades


def _all_fills(ask: Callable[[dict[str, str]], Any], asked: dict[str, str]) -> list[Any]:
    found: list[Any] = []
    for _ in range(MOST_PAGES):
        page = ask(dict(asked))["data"]
        found += page
        if len(page) < OKX_PAGE:
            return found
        asked = asked | {"after": page[-1]["billId"]}
    raise Unavailable("OKX lists more executions of one order than can be read.")


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


# --- candles ------------------------------------------------------------------------------------------------


def candles(
    client: Any, venue: Exchange, symbol: str, timeframe: Timeframe, end: datetime, count: int
) -> Sequence[Candle]:
    """A timeframe the exchange lacks (Kraken's 2h, Coinbase's 4h) is put together from the longest one that
    fits into it."""
    known = {client.parse_timeframe(name): name for name in client.timeframes}
    unit = max((seconds for seconds in known if timeframe.seconds % seconds == 0), default=None)
    if unit is None:
        raise Unavailable(
            f"{venue.name} has no candles of {timeframe.shown}. Choose one of {', '.join(client.timeframes)}."
        )
    since = int((end - timeframe.span * (count + 1)).timestamp() * 1000)
    rows = _rows(client, venue, symbol, known[unit], since, int(end.timestamp() * 1000))
    found = [_candle(row) for row in rows]
    if unit != timeframe.seconds:
        found = _merged(found, timeframe.seconds)
    return [candle for candle in found if candle.at < end][-count:]


def _rows(client: Any, venue: Exchange, symbol: str, name: str, since: int, end: int) -> list[Any]:
    """A page may be empty although there is more: nobody traded for so long."""
    rows: dict[int, Any] = {}
    length = client.parse_timeframe(name) * 1000
    for _ in range(MOST_PAGES):
        page = client.fetch_ohlcv(symbol, name, since, venue.candles_page)
        fresh = [int(row[0]) for row in page if int(row[0]) not in rows]
        rows.update({int(row[0]): row for row in page})
        since = max(fresh) + 1 if fresh else since + venue.candles_page * length
        if since + length > end:
            break
    return [rows[at] for at in sorted(rows)]


def _candle(row: Any) -> Candle:
    opened, high, low, closed, volume = (number(value) or ZERO for value in row[1:6])
    return Candle(
        at=datetime.fromtimestamp(int(row[0]) / 1000, UTC),
        open=opened,
        high=high,
        low=low,
        close=closed,
        volume=volume,
    )


def _merged(parts: Sequence[Candle], seconds: int) -> list[Candle]:
    groups: dict[int, list[Candle]] = {}
    for part in parts:
        groups.setdefault(int(part.at.timestamp()) // seconds * seconds, []).append(part)
    return [
        Candle(
            at=datetime.fromtimestamp(at, UTC),
            open=group[0].open,
            high=max(c.high for c in group),
            low=min(c.low for c in group),
            close=group[-1].close,
            volume=sum((c.volume for c in group), ZERO),
        )
        for at, group in sorted(groups.items())
    ]
