"""The names used for fields in alerts, and how each kind of value is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar

from dashtrade.domain.alerts.payload import CONTROL, bare
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action, SizeKind
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, OrderType, Side, TimeInForce, exact, plain

T = TypeVar("T")
Read = Callable[[object, str], T]
MAX_LABEL = 200
HUNDRED = Decimal(100)
LIKE = 0.72  # minimum similarity for "did you mean": "sel" is like "sell", "hello" is not

# In order of preference; compared without case, "_", "-" and ".". Fields of `order` have the prefix "order".
# Fields with only one name are not listed.
_NAMES = {
    thing: tuple(names.split())
    for thing, names in {
        "symbol": "ticker symbol pair tvinstrument",
        "exchange": "tvexchange exchange",
        "action": "action orderaction",
        "side": "side direction orderside",
        "wanted": "sentiment marketposition",
        "prev": "prevmarketposition previousmarketposition",
        "after": "marketpositionsize positionafter",
        "before": "prevmarketpositionsize prevpositionsize",
        "size": (
            "qty quantity size contracts amount positionsize ordercontracts orderamount orderquantity "
            "orderqty"
        ),
        "dollars": "dollars notional usd",
        "sizekind": "quantitytype qtytype sizetype currencytype ordercurrencytype",
        "timeframe": "timeframe interval tf",
        "price": "price signalprice close triggerprice orderprice",
        "key": "id signalid alerttimestamp alertid idempotencykey",
        "time": "sentat timenow timestamp time",  # timenow is when the alert fired, time often the bar's
        "bot": "bot botid botname",
        "maxage": "maxlag maxage",
        "limit_price": "limitprice orderlimitprice",
        "stop_price": "stopprice orderstopprice",
        "trail_amount": "trailamount ordertrailamount",
        "trail_percent": "trailpercent ordertrailpercent",
        "tif": "timeinforce tif ordertimeinforce",
        "profit": "takeprofit tp",
        "loss": "stoploss sl",
        "limit_or_price": "limitprice price",  # these three inside takeProfit and stopLoss
        "stop_or_price": "stopprice price",
        "share": "share sharepercent",
        "share_quantity": "quantity qty contracts",
        "break_even": "breakeven movetobreakeven",
        "close_after": "closeafterminutes closeafter",
    }.items()
}

ACTIONS: dict[str, tuple[Action, Side | None]] = {
    "buy": (Action.BUY, None),
    "long": (Action.BUY, None),
    "enter_long": (Action.BUY, None),
    "sell": (Action.SELL, None),
    "short": (Action.SELL, None),
    "enter_short": (Action.SELL, None),
    "close": (Action.CLOSE, None),
    "exit": (Action.CLOSE, None),
    "flat": (Action.CLOSE, None),
    "flatten": (Action.CLOSE, None),
    "exit_all": (Action.CLOSE, None),
    "exit_long": (Action.CLOSE, Side.LONG),
    "close_long": (Action.CLOSE, Side.LONG),
    "exit_short": (Action.CLOSE, Side.SHORT),
    "close_short": (Action.CLOSE, Side.SHORT),
    "reduce": (Action.REDUCE, None),
    "add": (Action.ADD, None),
    "reverse": (Action.REVERSE, None),
    "cancel": (Action.CANCEL, None),
    "breakeven": (Action.BREAKEVEN, None),
}
POSITIONS = {
    "long": Side.LONG,
    "bullish": Side.LONG,
    "short": Side.SHORT,
    "bearish": Side.SHORT,
    "flat": Side.FLAT,
}
EXITS = (Action.CLOSE, Action.REDUCE)
PERCENT = "percent"  # of the position in an exit, of the equity in an entry
SIZE_KINDS: dict[str, str] = {
    "fixed_quantity": SizeKind.QUANTITY,
    "quantity": SizeKind.QUANTITY,
    "shares": SizeKind.QUANTITY,
    "units": SizeKind.QUANTITY,
    "contracts": SizeKind.QUANTITY,
    "base": SizeKind.QUANTITY,
    "dollar_amount": SizeKind.DOLLARS,
    "dollars": SizeKind.DOLLARS,
    "usd": SizeKind.DOLLARS,
    "quote": SizeKind.DOLLARS,
    "risk_dollar_amount": SizeKind.RISK_DOLLARS,
    "risk_percent": SizeKind.RISK_PERCENT,
    "percent_of_equity": SizeKind.EQUITY_PERCENT,
    "equity_percent": SizeKind.EQUITY_PERCENT,
    "percent_of_position": SizeKind.POSITION_PERCENT,
    "position_percent": SizeKind.POSITION_PERCENT,
    "percent": PERCENT,
}
ORDER_TYPES = {kind.value: kind for kind in OrderType}
STOP_TYPES = {kind.value: kind for kind in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)}
TIMES_IN_FORCE = {kind.value: kind for kind in TimeInForce}
IMPLIED = {  # an order's type, if only its prices are given
    (): OrderType.MARKET,
    ("limit_price",): OrderType.LIMIT,
    ("stop_price",): OrderType.STOP,
    ("limit_price", "stop_price"): OrderType.STOP_LIMIT,
    ("trail_amount",): OrderType.TRAILING_STOP,
    ("trail_percent",): OrderType.TRAILING_STOP,
}
NEEDS = {
    OrderType.MARKET: "no price",
    OrderType.LIMIT: "limitPrice",
    OrderType.STOP: "stopPrice",
    OrderType.STOP_LIMIT: "limitPrice and stopPrice",
    OrderType.TRAILING_STOP: "either trailAmount or trailPercent",
}

MARKS = {  # names that identify a dialect
    "3commas": ("tvinstrument", "tvexchange", "botuuid", "maxlag", "triggerprice", "ordercurrencytype"),
    "strategy": ("marketposition", "positionafter", "orderaction", "ordercontracts"),
    "traderspost": ("sentiment", "quantitytype", "signalprice", "ticker"),
}


_EXIT_LIKE = re.compile(
    r"(?:sl|tp|stop|stoploss|trail|trailing|trailingstop|trailingstoploss|takeprofit|target|profittarget)"
    r"(?:price|percent|percentage|perc|pct|amount|points|pips|ticks|distance|offset|value|limit)?\d*"
)
_THINGS = {
    name: {name, *(thing for thing, others in _NAMES.items() if name in others)}
    for names in _NAMES.values()
    for name in names
}
_KNOWN = frozenset(name for thing, names in _NAMES.items() for name in (thing, *names))


def contradiction(one: str, other: str) -> NoReturn:
    hint = "Send one of them, or the same in both."
    raise Malformed(f"{one} and {other} contradict each other", where=other, hint=hint)


@record(kw_only=False)
class Fields:
    """The sent fields, by normalised name; each value with its path as written. A null counts as not sent."""

    named: dict[str, list[tuple[str, Any]]]
    things: set[str]  # what `get` may find

    @classmethod
    def of(cls, body: dict[str, Any], within: str = "") -> Fields:
        named: dict[str, list[tuple[str, Any]]] = {}
        for path, value in _flat(body):
            if value is not None:
                named.setdefault(_name_of(path), []).append((within + path, value))
        if "marketposition" in named and "positionsize" in named:
            # Beside market_position it is TradingView's strategy.position_size: the resulting position, not
            # the order's size.
            named.setdefault("positionafter", []).extend(named.pop("positionsize"))
        return cls(named, set().union(*(_THINGS.get(name, (name,)) for name in named)))

    def get(self, thing: str) -> list[tuple[str, Any]]:
        if thing not in self.things:
            return []
        return [found for name in _NAMES.get(thing, (thing,)) for found in self.named.get(name, ())]

    def read(self, thing: str, how: Read[T]) -> list[tuple[str, T]]:
        return [(path, how(value, path)) for path, value in self.get(thing)]

    def one(self, thing: str, how: Read[T]) -> T | None:
        return agreed(self.read(thing, how)) if thing in self.things else None

    def refuse_unknown_exits(self) -> None:
        """A stop under an unknown name would be ignored silently."""
        for name, found in self.named.items():
            for path, value in found:
                if name not in _KNOWN and _EXIT_LIKE.fullmatch(name) and _is_something(value):
                    hint = (
                        'Send "stopLoss": {"percent": 2}, {"stopPrice": 190} or {"trailPercent": 2}, and '
                        '"takeProfit": {"percent": 4} or {"limitPrice": 220}.'
                    )
                    raise Malformed(
                        f"{path} is unknown, so the position would have no such exit", where=path, hint=hint
                    )

    def first(self, thing: str, how: Read[T]) -> T | None:
        """For names whose values may differ (the bar's time and the alert's), though each has to be valid."""
        found = self.read(thing, how)
        return found[0][1] if found else None


def _flat(body: dict[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in body.items():
        path = inside + key
        if isinstance(value, dict) and path.lower() in ("strategy", "order", "strategy.order"):
            yield from _flat(value, path + ".")
        else:
            yield path, value


def _is_something(value: object) -> bool:
    """A positive number, or fields: templates fill in 0 or nothing where there is no exit."""
    if isinstance(value, dict | list):
        return bool(value)
    try:
        return exact(without_sign(value)) > 0
    except Malformed:
        return False


def _name_of(path: str) -> str:
    ours = path.lower().removeprefix("strategy.")
    within_order = ours.startswith("order.")
    name = bare(ours.removeprefix("order."))
    if within_order and not name.startswith("order"):
        name = "order" + name
    # a strategy's own id is not the alert's, and its position is not the order's size
    if ours != path.lower():
        return {"positionsize": "positionafter"}.get(
            name, "strategy" + name if name in _NAMES["key"] else name
        )
    return name


def is_read(name: str) -> bool:
    """Does the reader use a field of the body with this name?"""
    return name.lower() in ("strategy", "order") or _name_of(name) in _KNOWN


def agreed(found: list[tuple[str, T]]) -> T | None:
    for path, value in found[1:]:
        if value != found[0][1]:
            contradiction(found[0][0], path)
    return found[0][1] if found else None


# --- single values ------------------------------------------------------------------------------------------


def read_choice(table: dict[str, T]) -> Read[T]:
    meanings = {bare(word): meaning for word, meaning in table.items()}
    known = f"Known: {', '.join(table)}."

    def read(value: object, where: str) -> T:
        if not isinstance(value, str):
            raise Malformed(f"{where} is not a text", where=where, hint=known)
        if (word := bare(value)) in meanings:
            return meanings[word]
        near = get_close_matches(value.lower(), list(table), n=1, cutoff=LIKE) if len(value) <= 40 else []
        hint = f"Did you mean {near[0]!r}? {known}" if near else known
        raise Malformed(f"{where} {value[:40]!r} is unknown", where=where, hint=hint)

    return read


read_action, read_position = read_choice(ACTIONS), read_choice(POSITIONS)
read_order_type, read_stop_type = read_choice(ORDER_TYPES), read_choice(STOP_TYPES)
read_size_kind, read_time_in_force = read_choice(SIZE_KINDS), read_choice(TIMES_IN_FORCE)


def read_label(value: object, where: str) -> str:
    hint = f"Send a text of 1 to {MAX_LABEL} characters, without line breaks."
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Malformed(f"{where} is not a text", where=where, hint=hint)
    text = plain(value) if isinstance(value, Decimal) else str(value)  # as it is stored, and parsed again
    if CONTROL.search(text):
        raise Malformed(f"{where} holds a control character", where=where, hint=hint)
    if not text.strip() or len(text) > MAX_LABEL:
        raise Malformed(f"{where} is {'too long' if text.strip() else 'empty'}", where=where, hint=hint)
    return text.strip()


def read_timeframe(value: object, where: str) -> Timeframe:
    return Timeframe.parse(read_label(value, where), where)


def read_positive(value: object, where: str) -> Decimal:
    number = exact(value, where)
    if number <= 0:
        raise Malformed(f"{where} is {plain(number)}", where=where, hint="Send a number above 0.")
    return number


def without_sign(value: object) -> object:
    return value.strip().removesuffix("%") if isinstance(value, str) else value


def read_percent(value: object, where: str) -> Decimal:
    return read_positive(without_sign(value), where)


def read_share(value: object, where: str) -> Decimal:
    share = read_percent(value, where)
    if share > HUNDRED:
        raise Malformed(
            f"{where} is {plain(share)} percent of a position", where=where, hint="100 is all of it."
        )
    return share


def read_flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise Malformed(f"{where} is neither true nor false", where=where, hint="Send true or false.")


def read_span(most: int, *, zero: bool) -> Read[timedelta]:
    def read(value: object, where: str) -> timedelta:
        seconds = exact(value, where)
        if not 0 <= seconds <= most or (seconds == 0 and not zero):
            hint = f"Send seconds, {'from' if zero else 'above'} 0 up to {most}."
            raise Malformed(f"{where} is {plain(seconds)} seconds", where=where, hint=hint)
        return timedelta(microseconds=int(seconds * 1_000_000))

    return read


def read_minutes(value: object, where: str) -> timedelta:
    minutes = exact(value, where)
    if not 0 < minutes <= 43_200:
        raise Malformed(
            f"{where} is {plain(minutes)} minutes",
            where=where,
            hint="Send minutes, above 0 up to 43200 (30 days).",
        )
    return timedelta(seconds=int(minutes * 60) or 1)


def read_time_of_day(value: object, where: str) -> time:
    if isinstance(value, str) and re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value.strip()):
        return time.fromisoformat(value.strip())
    raise Malformed(
        f"{where} is not a time of day", where=where, hint='Send it as "15:55", in the bot\'s time zone.'
    )


def read_moment(value: object, where: str) -> datetime:
    text = str(value).strip()
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            number = exact(text, where)
            scale = 1_000_000 if number < 10**11 else 1000 if number < 10**14 else 1
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * scale))
        else:
            moment = datetime.fromisoformat(text)
        if not 2000 <= moment.year < 2100:
            raise ValueError
    except (ValueError, OverflowError):
        hint = "Send 2026-11-21T10:00:00Z, or seconds or milliseconds since 1970."
        raise Malformed(f"{where} {text[:40]!r} is not a time", where=where, hint=hint) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
