"""Alpaca's wire in our words, and our words on Alpaca's wire. Pure: no connection, no clock, no client
library.

What Alpaca does that others do not is written here once: which statuses end an order, how many digits a price
may have, what a coin is called where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from dashtrade.brokers.alpaca.answers import clean
from dashtrade.domain.ports import (
    AccountState,
    BrokerPosition,
    Candle,
    Capabilities,
    FoundOrder,
    Leg,
    OrderReport,
    OrderRequest,
    Quote,
    Rejected,
    Rules,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import (
    ZERO,
    Malformed,
    OrderSide,
    OrderType,
    TimeInForce,
    exact,
    floor_to,
    given,
    plain,
)

SHARE_STEP, WHOLE = Decimal("0.000000001"), Decimal(1)  # Alpaca counts shares to nine decimals
CENT, SUB_CENT = Decimal("0.01"), Decimal("0.0001")
COIN_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})
COIN_TIMES = frozenset({TimeInForce.GTC, TimeInForce.IOC})

CAPABILITIES = Capabilities(
    name="Alpaca",
    order_types=frozenset(OrderType),
    times_in_force=frozenset(TimeInForce),
    shorts=True,
    fractional=True,
    fractions_by_the_day=frozenset(OrderType) - {OrderType.TRAILING_STOP},
    notional=True,
    extended_hours=True,
    native_bracket=True,
    refuses_repeats=True,
    crosses_zero=False,
    opposite_orders=False,
    settle=timedelta(seconds=5),
    sandbox=True,
    requests_per_minute=200,
    stocks=True,
    crypto=True,
    lists_orders=True,
    unseen_coin_fee=Decimal("0.01"),
    notes=(
        "Fractions of a share: market, limit, stop and stop-limit orders of the day, never short, with no "
        "exits held at Alpaca.",
        "Shorts: whole shares of easy-to-borrow stocks, with an equity of 2,000 dollars or more.",
        "Outside the regular hours: limit orders.",
        "Coins: market, limit and stop-limit orders, good till cancelled or immediate; no shorts, no "
        "brackets; the fee is taken out of what was bought, at the end of the day.",
        "Two opposite orders of one account on one symbol are refused as a wash trade: another bot's order "
        "makes room for an exit.",
        "An order that would take the account from long to short is split there. What an exit may sell is "
        "checked against what all bots and you hold.",
    ),
)

# --- reading ------------------------------------------------------------------------------------------------

_ENDED = {
    "filled": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
    "replaced": VenueStatus.CANCELED,
}
_REASONS = {
    "canceled": "cancelled at Alpaca",
    "expired": "its time ran out at Alpaca",
    "replaced": "replaced at Alpaca by another order",
    "rejected": "Alpaca took the order and then rejected it; Alpaca's own page of the order may say why",
}


def status_of(written: object) -> VenueStatus:
    """An unknown status is an order that may still trade. `done_for_day` and `calculated` are no ends: the
    venue goes on."""
    return _ENDED.get(str(written), VenueStatus.WORKING)


def number(value: object, where: str = "number") -> Decimal:
    return ZERO if value in (None, "") else exact(value, where)


def report_of(order: Any, client_order_id: str | None = None) -> OrderReport:
    """Raises Malformed on anything that is not an order, or not the one of that id.

    `fills` stays empty and the engine books the difference of totals. The executions have ids of their own
    only among the account's activities, which are another resource that trails this one: an order could be
    `filled` here with its executions still missing there, and once a total is booked, an execution that turns
    up would be counted twice. Quantity and average come from one object, the same in submit, look-up, list
    and stream, so whichever arrives first, the sums are right."""
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
    when = str(leg.get("time_in_force"))
    return Leg(
        client_order_id=str(leg["client_order_id"]),
        broker_order_id=str(leg["id"]),
        side=OrderSide(leg["side"]),
        type=OrderType(leg["type"]),
        quantity=exact(leg["qty"], "qty"),
        time_in_force=TimeInForce(when) if when in set(TimeInForce) else TimeInForce.GTC,
        limit_price=number(leg.get("limit_price"), "limit_price") or None,
        stop_price=number(leg.get("stop_price"), "stop_price") or None,
    )


def found_of(order: Any) -> FoundOrder:
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


def continued(before: OrderReport, after: OrderReport) -> OrderReport:
    """One order in two parts, as it was replaced half-way: under the first one's name, with the fills of
    both."""
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
    """Whether the market is open, and for how long that holds by the venue's own clock, where it tells."""
    change = body.get("next_close" if body["is_open"] else "next_open")
    if change is None or body.get("timestamp") is None:
        return bool(body["is_open"]), None
    return bool(body["is_open"]), max(moment(change) - moment(body["timestamp"]), timedelta(0))


def moment(written: object) -> datetime:
    """Zero to nine digits of a second, any offset."""
    try:
        found = datetime.fromisoformat(str(written))
    except ValueError as error:
        raise Malformed(f"{str(written)[:40]!r} is no time", where="time") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def account_of(body: Any) -> AccountState:
    blocked = [
        name
        for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user")
        if body.get(name) is True
    ]
    allowed = () if blocked or body.get("status", "ACTIVE") != "ACTIVE" else ("trade",)
    more = [
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
            *(name for name, yes in more if yes),
            *([f"options level {options}"] if options else []),
            *blocked,
        ),
    )


def position_of(body: Any) -> BrokerPosition | None:
    """None: something DashTrade does not trade, such as an option."""
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


def coin_pair(written: str) -> Symbol:
    """Positions name a pair without its slash: BTCUSD, and USDTUSD, which is not USD in TUSD."""
    base, slash, quote = written.partition("/")
    if not slash:
        quote = next(
            (end for end in ("USDT", "USDC", "USD", "BTC") if written.endswith(end) and written != end), ""
        )
        base = written.removesuffix(quote)
    if not base or not quote:
        raise Malformed(f"{written[:20]!r} is no pair of coins", where="symbol")
    return Symbol(market="CRYPTO", base=base, quote=quote)


def rules_of(asset: Any, price: Decimal | None) -> Rules:
    """From the raw asset: the library's model insists on `easy_to_borrow`, which `borrow_status` has
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
    hard = borrow == "hard_to_borrow" if borrow else asset.get("easy_to_borrow") is False
    return Rules(
        quantity_step=SHARE_STEP if fractions else WHOLE,
        price_step=SUB_CENT if price is not None and price < 1 else CENT,
        min_quantity=ZERO if fractions else WHOLE,
        min_notional=Decimal(1) if fractions else ZERO,
        shortable=asset.get("shortable") is True and not hard,
        tradable=tradable,
        fractionable=fractions,
    )


def assumed_rules(symbol: Symbol) -> Rules:
    """Of a server that does not tell of its assets: what any of them takes. The order itself is its to
    refuse."""
    note = (
        "Alpaca's server does not tell about its assets: "
        f"{'its finest steps' if symbol.is_crypto else 'whole shares'} are assumed"
    )
    step = SHARE_STEP if symbol.is_crypto else WHOLE
    return Rules(
        quantity_step=step,
        price_step=SHARE_STEP if symbol.is_crypto else CENT,
        min_quantity=step,
        shortable=not symbol.is_crypto,
        fractionable=symbol.is_crypto,
        note=note,
    )


def last_trade(symbol: Symbol, body: Any) -> Quote:
    price = exact(body["p"], "price")
    if price <= 0:
        raise Malformed(f"the last trade of {symbol.short} has no price", where="trade")
    return Quote(
        symbol=symbol,
        bid=price,
        ask=price,
        at=moment(body["t"]),
        note="no quote is told: the last trade's price stands in for it",
    )


def quote_of(symbol: Symbol, body: Any) -> Quote:
    bid, ask = exact(body["bp"], "bid"), exact(body["ap"], "ask")
    if bid <= 0 or ask <= 0:
        raise Malformed(
            f"nobody {'buys' if bid <= 0 else 'sells'} {symbol.short} at this moment", where="quote"
        )
    return Quote(symbol=symbol, bid=min(bid, ask), ask=max(bid, ask), at=moment(body["t"]))


def candle_of(bar: Any) -> Candle:
    opened, high, low, close = (exact(bar[name], name) for name in "ohlc")
    return Candle(
        at=moment(bar["t"]), open=opened, high=high, low=low, close=close, volume=number(bar.get("v"), "v")
    )


# --- writing ------------------------------------------------------------------------------------------------


def name_at_alpaca(symbol: Symbol) -> str:
    if symbol.is_crypto:
        return f"{symbol.base}/{symbol.quote}"
    if symbol.market != "NYSE":
        raise Rejected(
            f"Alpaca trades US-listed stocks and coins, and {symbol.text} is neither. Use another broker "
            "account for it."
        )
    return symbol.base


def name_in_path(symbol: Symbol) -> str:
    """The library puts a name into the path as it is: a slash in it would be another path."""
    return name_at_alpaca(symbol).replace("/", "")


def check(request: OrderRequest) -> None:
    """What is wrong with a request whatever the account holds: said here, as the library lets a negative
    quantity pass."""
    name_at_alpaca(request.symbol)
    amount = request.quantity if request.notional is None else request.notional
    if (request.quantity is None) == (request.notional is None) or not _positive(amount):
        raise Rejected(
            "the order needs a quantity or an amount of money, one of them, above zero. Nothing was sent."
        )
    needs = {
        OrderType.LIMIT: ("limit_price",),
        OrderType.STOP: ("stop_price",),
        OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
    }.get(request.type, ())
    for name in needs:
        if not _positive(getattr(request, name)):
            raise Rejected(
                f"a {_words(request.type)} order needs a {_words(name)} above zero. Nothing was sent."
            )
    trails = [trail for trail in (request.trail_amount, request.trail_percent) if trail is not None]
    if request.type is OrderType.TRAILING_STOP and not (len(trails) == 1 and _positive(trails[0])):
        raise Rejected(
            "a trailing stop needs a distance above zero: an amount or a percentage, one of them. Nothing "
            "was sent."
        )
    if request.symbol.is_crypto:
        _check_coin(request)


def _check_coin(request: OrderRequest) -> None:
    if request.type not in COIN_TYPES:
        raise Rejected(
            f"Alpaca has no {_words(request.type)} orders for coins. Use market, limit or stop-limit. "
            "Nothing was sent."
        )
    if request.take_profit or request.stop_loss:
        raise Rejected("Alpaca holds no exits for coins. Let DashTrade keep them. Nothing was sent.")
    if request.time_in_force not in COIN_TIMES and request.type is not OrderType.MARKET:
        raise Rejected(
            f"Alpaca takes no {request.time_in_force} orders for coins, whose market has no day. Set the "
            "time in force to gtc or ioc. Nothing was sent."
        )


def _positive(value: Decimal | None) -> bool:
    return value is not None and value.is_finite() and value > 0


def _words(name: str) -> str:
    return name.replace("_", " ")


def wire_order(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    """The body of POST /v2/orders. Numbers leave as text: the library's own request models make floats of
    them, and 0.1 + 0.2 would arrive as 0.30000000000000004."""
    wire: dict[str, Any] = {
        "symbol": name_at_alpaca(request.symbol),
        "side": str(request.side),
        "type": str(request.type),
        "client_order_id": request.client_order_id,
        "time_in_force": str(request.time_in_force),
        **_amount(request, rules),
    }
    if request.extended_hours and not request.symbol.is_crypto:  # coins have no other hours
        wire["extended_hours"] = True
    if request.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        wire["limit_price"] = _limit(
            given(request.limit_price, "limit price"), request.side, rules, request.symbol
        )
    if request.type in (OrderType.STOP, OrderType.STOP_LIMIT):
        wire["stop_price"] = _stop(given(request.stop_price, "stop price"), rules, request.symbol)
    if request.type is OrderType.TRAILING_STOP and request.trail_amount is not None:
        wire["trail_price"] = plain(max(request.trail_amount.quantize(CENT, ROUND_HALF_UP), CENT))
    elif request.type is OrderType.TRAILING_STOP:
        wire["trail_percent"] = plain(
            max(given(request.trail_percent, "trail").quantize(CENT, ROUND_HALF_UP), CENT)
        )
    if request.type is OrderType.MARKET and _market_time(request, wire):
        wire["time_in_force"] = _market_time(request, wire)
    return wire | _exits(request, rules)


def _amount(request: OrderRequest, rules: Rules) -> dict[str, str]:
    if request.notional is not None:
        return {"notional": plain(floor_to(request.notional, CENT))}
    by_the_day = request.type is OrderType.MARKET or request.time_in_force is TimeInForce.DAY
    takes = by_the_day and request.type in CAPABILITIES.fractions_by_the_day
    plain_buy = takes and request.side is OrderSide.BUY and not has_exits(request)
    # Alpaca takes fractions in plain day orders only, and never short: an entry of 12.34 shares good till
    # cancelled is 12, rather than a refusal. A closing order is left as it is, as its rest would stay behind
    # unseen.
    step = rules.quantity_step if request.symbol.is_crypto or request.reduces or plain_buy else WHOLE
    asked = given(request.quantity, "quantity")
    quantity = floor_to(asked, step)
    if quantity <= 0 or quantity < rules.min_quantity:
        least = max(rules.min_quantity, step)
        raise Rejected(
            f"{plain(asked)} {request.symbol.short} is less than Alpaca takes in an order like this, "
            f"{plain(least)}. Use a larger size. Nothing was sent."
        )
    return {"qty": plain(quantity)}


def _market_time(request: OrderRequest, wire: dict[str, Any]) -> str:
    """A market order fills now, so `day` and `gtc` mean the same; Alpaca insists on one of them for coins and
    for fractions."""
    when = request.time_in_force
    if request.symbol.is_crypto:
        return "gtc" if when not in COIN_TIMES else ""
    fraction = "notional" in wire or Decimal(wire["qty"]) % 1 != 0
    return "day" if fraction and when is TimeInForce.GTC else ""


def has_exits(request: OrderRequest) -> bool:
    return request.take_profit is not None or request.stop_loss is not None


def _exits(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    if not has_exits(request):
        return {}
    out, legs = request.side.opposite, {}
    if request.take_profit is not None:
        legs["take_profit"] = {"limit_price": _limit(request.take_profit, out, rules, request.symbol)}
    if request.stop_loss is not None:
        legs["stop_loss"] = {"stop_price": _stop(request.stop_loss, rules, request.symbol)}
        if request.stop_loss_limit is not None:
            legs["stop_loss"]["limit_price"] = _limit(request.stop_loss_limit, out, rules, request.symbol)
    return {"order_class": "bracket" if len(legs) == 2 else "oto", **legs}


def _tick(price: Decimal, rules: Rules, symbol: Symbol) -> Decimal:
    """A stock's step follows the order's own price, not the market's: 2 decimals from a dollar up, 4
    below."""
    return rules.price_step if symbol.is_crypto else CENT if price >= 1 else SUB_CENT


def _limit(price: Decimal, side: OrderSide, rules: Rules, symbol: Symbol) -> str:
    """To the step on the user's side: never paying more or taking less than was said."""
    step = _tick(price, rules, symbol)
    rounding = ROUND_FLOOR if side is OrderSide.BUY else ROUND_CEILING
    return _above_zero((price / step).to_integral_value(rounding) * step, price)


def _stop(price: Decimal, rules: Rules, symbol: Symbol) -> str:
    step = _tick(price, rules, symbol)
    return _above_zero((price / step).to_integral_value(ROUND_HALF_UP) * step, price)


def _above_zero(rounded: Decimal, price: Decimal) -> str:
    if rounded <= 0:
        raise Rejected(f"the price {plain(price)} is below Alpaca's smallest step. Nothing was sent.")
    return plain(rounded)
