"""Translates between Alpaca's JSON and our types. Pure: no connection, no clock, no client library.

Alpaca's peculiarities are here: which statuses end an order, how many digits a price may have, how a coin is
named where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.alpaca.answers import clean
from dashtrade.domain.ports import (
    AccountState,
    BrokerPosition,
    Candle,
    FoundOrder,
    Leg,
    OrderReport,
    Quote,
    Rules,
    VenueStatus,
)
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, Malformed, OrderSide, OrderType, TimeInForce, exact

SHARE_STEP, WHOLE_SHARE = Decimal("0.000000001"), Decimal(1)  # Alpaca counts shares to nine decimals

CENT, SUB_CENT = Decimal("0.01"), Decimal("0.0001")


_FINAL_STATUS = {
    "filled": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
    "replaced": VenueStatus.CANCELED,
}

_REASONS = {
    "canceled": "cancelled at Alpaca",
    "expired": "expired at Alpaca",
    "replaced": "replaced at Alpaca by another order",
    "rejected": "Alpaca accepted the order and then rejected it; the order's page at Alpaca may show why",
}


def status_of(text: object) -> VenueStatus:
    """An unknown status counts as an order that may still trade. `done_for_day` and `calculated` do not end
    an order."""
    return _FINAL_STATUS.get(str(text), VenueStatus.WORKING)


def number(value: object, where: str = "number") -> Decimal:
    return ZERO if value in (None, "") else exact(value, where)


def report_of(order: Any, client_order_id: str | None = None) -> OrderReport:
    """Raises Malformed on anything that is not an order, or not the one of that id.

    `fills` stays empty and the engine books the difference of totals. The executions have ids of their own
    only among the account's activities, a separate resource that lags behind: an order could be `filled` here
    with its executions still missing there, and once a total is booked, a later execution would be counted
    twice. Quantity and average come from one object, the same in submit, look-up, list and stream, so in any
    order of arrival the sums are right."""
    if (
        not isinstance(order, dict)
        or not order.get("id")
        or not isinstance(order.get("client_order_id"), str)
    ):
        raise Malformed("that is no order", where="order")
    if client_order_id is not None and order["client_order_id"] != client_order_id:
        raise Malformed("that is another order", where="client_order_id")
    average = number(order.get("filled_avg_price"), "filled_avg_price")
    return OrderReport(
        client_order_id=order["client_order_id"],
        broker_order_id=str(order["id"]),
        status=status_of(order.get("status")),
        filled_quantity=number(order.get("filled_qty"), "filled_qty"),
        average_price=average if average > 0 else None,
        reason=_REASONS.get(str(order.get("status")), ""),
        legs=tuple(_leg_of(leg) for leg in order.get("legs") or ()),
    )


def _leg_of(leg: Any) -> Leg:
    time_in_force = str(leg.get("time_in_force"))
    return Leg(
        client_order_id=str(leg["client_order_id"]),
        broker_order_id=str(leg["id"]),
        side=OrderSide(leg["side"]),
        type=OrderType(leg["type"]),
        quantity=exact(leg["qty"], "qty"),
        time_in_force=TimeInForce(time_in_force) if time_in_force in set(TimeInForce) else TimeInForce.GTC,
        limit_price=number(leg.get("limit_price"), "limit_price") or None,
        stop_price=number(leg.get("stop_price"), "stop_price") or None,
    )


def found_order_of(order: Any) -> FoundOrder:
    symbol = (
        coin_pair(order["symbol"])
        if _class_of(order) == "crypto"
        else Symbol.parse(f"NYSE:{order['symbol']}")
    )
    filled = number(order.get("filled_qty"), "filled_qty")
    return FoundOrder(
        client_order_id=order["client_order_id"],
        broker_order_id=str(order["id"]),
        symbol=symbol,
        side=OrderSide(order["side"]),
        type=OrderType(order.get("type") or order["order_type"]),
        quantity=number(order.get("qty"), "qty") or filled,
        filled_quantity=filled,
        limit_price=number(order.get("limit_price"), "limit_price") or None,
        created_at=moment(order.get("created_at") or order["submitted_at"]),
    )


def merge_replacement(before: OrderReport, after: OrderReport) -> OrderReport:
    """An order and its replacement as one: under the first one's name, with the fills of both."""
    quantity = before.filled_quantity + after.filled_quantity
    cost = sum(
        (of.filled_quantity * of.average_price for of in (before, after) if of.average_price is not None),
        ZERO,
    )
    return replace(
        before,
        status=after.status,
        filled_quantity=quantity,
        average_price=cost / quantity if quantity and cost else None,
        reason=after.reason,
    )


def hours_of(body: Any) -> tuple[bool, timedelta | None]:
    """Whether the market is open, and how long that holds by Alpaca's own clock, if known."""
    change = body.get("next_close" if body["is_open"] else "next_open")
    if change is None or body.get("timestamp") is None:
        return bool(body["is_open"]), None
    return bool(body["is_open"]), max(moment(change) - moment(body["timestamp"]), timedelta(0))


def moment(text: object) -> datetime:
    """Parses a timestamp with zero to nine digits of a second and any offset."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise Malformed(f"{str(text)[:40]!r} is no time", where="time") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def account_of(body: Any) -> AccountState:
    blocked = [
        name
        for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user")
        if body.get(name) is True
    ]
    allowed = () if blocked or body.get("status", "ACTIVE") != "ACTIVE" else ("trade",)
    optional = [
        ("short", body.get("shorting_enabled") is True),
        ("crypto", body.get("crypto_status") == "ACTIVE"),
    ]
    options, cash = body.get("options_approved_level"), exact(body["cash"], "cash")
    equity, power = (
        next((body[name] for name in names if body.get(name) is not None), cash)
        for names in (("equity", "portfolio_value"), ("buying_power",))
    )
    return AccountState(
        equity=exact(equity, "equity"),
        cash=cash,
        currency=clean(body.get("currency") or "USD"),
        buying_power=exact(power, "buying_power"),
        number=clean(body.get("account_number") or body.get("id") or ""),
        permissions=(
            *allowed,
            *(name for name, yes in optional if yes),
            *([f"options level {options}"] if options else []),
            *blocked,
        ),
    )


def position_of(body: Any) -> BrokerPosition | None:
    """None for what DashTrade does not trade, such as an option."""
    kind = _class_of(body)
    if kind not in ("us_equity", "crypto"):
        return None
    size = exact(body["qty"], "qty")
    short = body.get("side") == "short"
    mark = number(body.get("current_price"), "current_price")
    return BrokerPosition(
        symbol=coin_pair(body["symbol"]) if kind == "crypto" else Symbol.parse(f"NYSE:{body['symbol']}"),
        quantity=-abs(size) if short else size,
        average_price=number(body.get("avg_entry_price"), "avg_entry_price") or None,
        mark=mark or None,
    )


def _class_of(body: Any) -> object:
    return body.get("asset_class") or ("crypto" if "/" in str(body["symbol"]) else "us_equity")


def coin_pair(text: str) -> Symbol:
    """Positions name a pair without its slash: BTCUSD; and USDTUSD is not USD in TUSD."""
    base, slash, quote = text.partition("/")
    if not slash:
        quote = next(
            (end for end in ("USDT", "USDC", "USD", "BTC") if text.endswith(end) and text != end), ""
        )
        base = text.removesuffix(quote)
    if not base or not quote:
        raise Malformed(f"{text[:20]!r} is no pair of coins", where="symbol")
    return Symbol(market="CRYPTO", base=base, quote=quote)


def rules_of(asset: Any, price: Decimal | None) -> Rules:
    """From the raw asset: the library's model requires `easy_to_borrow`, which `borrow_status` has
    replaced."""
    tradable = asset.get("tradable") is True and asset.get("status", "active") == "active"
    if asset.get("class") == "crypto":
        return Rules(
            quantity_step=exact(asset["min_trade_increment"]),
            price_step=exact(asset["price_increment"]),
            min_quantity=exact(asset["min_order_size"]),
            shortable=False,
            tradable=tradable,
            fractionable=True,
        )
    fractions, borrow = asset.get("fractionable") is True, asset.get("borrow_status")
    hard_to_borrow = borrow == "hard_to_borrow" if borrow else asset.get("easy_to_borrow") is False
    return Rules(
        quantity_step=SHARE_STEP if fractions else WHOLE_SHARE,
        price_step=SUB_CENT if price is not None and price < 1 else CENT,
        min_quantity=ZERO if fractions else WHOLE_SHARE,
        min_notional=Decimal(1) if fractions else ZERO,
        shortable=asset.get("shortable") is True and not hard_to_borrow,
        tradable=tradable,
        fractionable=fractions,
    )


def assumed_rules(symbol: Symbol) -> Rules:
    """For a server without an asset list: permissive rules. The server itself checks the order."""
    step = SHARE_STEP if symbol.is_crypto else WHOLE_SHARE
    return Rules(
        quantity_step=step,
        price_step=SHARE_STEP if symbol.is_crypto else CENT,
        min_quantity=step,
        shortable=not symbol.is_crypto,
        fractionable=symbol.is_crypto,
        note=reason(Code.RULES_ASSUMED, broker="Alpaca", fractions=int(symbol.is_crypto)),
    )


def last_trade(symbol: Symbol, body: Any) -> Quote:
    price = exact(body["p"], "price")
    if price <= 0:
        raise Malformed(f"the last trade of {symbol.short} has no price", where="trade")
    return Quote(symbol=symbol, bid=price, ask=price, at=moment(body["t"]), note=Reason(Code.LAST_PRICE_USED))


def quote_of(symbol: Symbol, body: Any) -> Quote:
    bid, ask = exact(body["bp"], "bid"), exact(body["ap"], "ask")
    if bid <= 0 or ask <= 0:
        raise Malformed(f"no {'bid' if bid <= 0 else 'ask'} for {symbol.short} at this moment", where="quote")
    return Quote(symbol=symbol, bid=min(bid, ask), ask=max(bid, ask), at=moment(body["t"]))


def candle_of(bar: Any) -> Candle:
    opening, high, low, close = (exact(bar[name], name) for name in "ohlc")
    return Candle(
        at=moment(bar["t"]), open=opening, high=high, low=low, close=close, volume=number(bar.get("v"), "v")
    )
