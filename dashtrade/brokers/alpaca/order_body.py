"""An order for Alpaca: checks, names, and the request body."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.wire import CENT, SUB_CENT, WHOLE_SHARE
from dashtrade.domain.ports import OrderRequest, Rejected, Rules
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, TimeInForce, floor_to, given, plain

COIN_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})

COIN_TIMES_IN_FORCE = frozenset({TimeInForce.GTC, TimeInForce.IOC})


def name_at_alpaca(symbol: Symbol) -> str:
    if symbol.is_crypto:
        return f"{symbol.base}/{symbol.quote}"
    if symbol.market != "NYSE":
        raise Rejected(
            f"Alpaca trades US-listed stocks and coins, and {symbol.text} is neither. Use another broker "
            "account."
        )
    return symbol.base


def name_in_path(symbol: Symbol) -> str:
    """The library inserts a name into the path unescaped: a slash would change the path."""
    return name_at_alpaca(symbol).replace("/", "")


def check(request: OrderRequest) -> None:
    """What is wrong with a request regardless of the account; checked here, as the library accepts a negative
    quantity."""
    name_at_alpaca(request.symbol)
    amount = request.quantity if request.notional is None else request.notional
    if (request.quantity is None) == (request.notional is None) or not _positive(amount):
        raise Rejected(
            "the order needs a quantity or an amount of money, one of them, above zero. Nothing was sent."
        )
    required = {
        OrderType.LIMIT: ("limit_price",),
        OrderType.STOP: ("stop_price",),
        OrderType.STOP_LIMIT: ("stop_price", "limit_price"),
    }.get(request.type, ())
    for name in required:
        if not _positive(getattr(request, name)):
            raise Rejected(
                f"a {_spaced(request.type)} order needs a {_spaced(name)} above zero. Nothing was sent."
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
            f"Alpaca has no {_spaced(request.type)} orders for coins. Use market, limit or stop-limit. "
            "Nothing was sent."
        )
    if request.take_profit or request.stop_loss:
        raise Rejected("Alpaca takes no exits for coins. DashTrade manages them. Nothing was sent.")
    if request.time_in_force not in COIN_TIMES_IN_FORCE and request.type is not OrderType.MARKET:
        raise Rejected(
            f"Alpaca takes no {request.time_in_force} orders for coins. Set the time in force to gtc or "
            "ioc. Nothing was sent."
        )


def _positive(value: Decimal | None) -> bool:
    return value is not None and value.is_finite() and value > 0


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def wire_order(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    """The body of POST /v2/orders. Numbers are sent as text: the library's own request models turn them into
    floats, and 0.1 + 0.2 would arrive as 0.30000000000000004."""
    wire: dict[str, Any] = {
        "symbol": name_at_alpaca(request.symbol),
        "side": str(request.side),
        "type": str(request.type),
        "client_order_id": request.client_order_id,
        "time_in_force": str(request.time_in_force),
        **_amount(request, rules),
    }
    if request.extended_hours and not request.symbol.is_crypto:  # crypto has no extended hours
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
    is_day_order = request.type is OrderType.MARKET or request.time_in_force is TimeInForce.DAY
    takes_fractions = is_day_order and request.type in CAPABILITIES.fractions_by_the_day
    plain_buy = takes_fractions and request.side is OrderSide.BUY and not has_exits(request)
    # Alpaca takes fractions in plain day orders only, and never short: an entry of 12.34 shares good till
    # cancelled becomes 12, rather than a refusal. A closing order stays unrounded, as its remainder would be
    # left behind unseen.
    step = rules.quantity_step if request.symbol.is_crypto or request.reduces or plain_buy else WHOLE_SHARE
    requested = given(request.quantity, "quantity")
    quantity = floor_to(requested, step)
    if quantity <= 0 or quantity < rules.min_quantity:
        minimum = max(rules.min_quantity, step)
        raise Rejected(
            f"{plain(requested)} {request.symbol.short} is below Alpaca's minimum for this order, "
            f"{plain(minimum)}. Use a larger size. Nothing was sent."
        )
    return {"qty": plain(quantity)}


def _market_time(request: OrderRequest, wire: dict[str, Any]) -> str:
    """A market order fills at once, so `day` and `gtc` mean the same; Alpaca requires one of them for crypto
    and for fractions."""
    time_in_force = request.time_in_force
    if request.symbol.is_crypto:
        return "gtc" if time_in_force not in COIN_TIMES_IN_FORCE else ""
    fraction = "notional" in wire or Decimal(wire["qty"]) % 1 != 0
    return "day" if fraction and time_in_force is TimeInForce.GTC else ""


def has_exits(request: OrderRequest) -> bool:
    return request.take_profit is not None or request.stop_loss is not None


def _exits(request: OrderRequest, rules: Rules) -> dict[str, Any]:
    if not has_exits(request):
        return {}
    exit_side, legs = request.side.opposite, {}
    if request.take_profit is not None:
        legs["take_profit"] = {"limit_price": _limit(request.take_profit, exit_side, rules, request.symbol)}
    if request.stop_loss is not None:
        legs["stop_loss"] = {"stop_price": _stop(request.stop_loss, rules, request.symbol)}
        if request.stop_loss_limit is not None:
            legs["stop_loss"]["limit_price"] = _limit(
                request.stop_loss_limit, exit_side, rules, request.symbol
            )
    return {"order_class": "bracket" if len(legs) == 2 else "oto", **legs}


def _tick(price: Decimal, rules: Rules, symbol: Symbol) -> Decimal:
    """A stock's step depends on the order's own price, not the market's: 2 decimals from a dollar up, 4
    below."""
    return rules.price_step if symbol.is_crypto else CENT if price >= 1 else SUB_CENT


def _limit(price: Decimal, side: OrderSide, rules: Rules, symbol: Symbol) -> str:
    """Rounded in the user's favour: never paying more or receiving less than requested."""
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
