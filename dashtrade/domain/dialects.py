"""Reads what people's alerts already say: whoever moves here changes one URL, not every alert.

Every dialect is the same few things under other names, so there is one table of names (`_NAMES`) and one reader. It
never guesses about money: what can be read in two ways, or not at all, is `Malformed`, with the field and what would be
right. The one liberty is the way out: who wants to be flat afterwards closes, whatever sizes the template filled in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from dashtrade.domain.signals import Action, Signal, Size, SizeKind, Target
from dashtrade.domain.values import Malformed, OrderType, Side, Symbol, Timeframe, TimeInForce, exact, plain

T = TypeVar("T")
Read = Callable[[object, str], T]
MAX_DEPTH, MAX_LABEL, MAX_TARGETS = 32, 200, 20
HUNDRED = Decimal(100)
HIDDEN = "•••"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    signal: Signal
    secret: str | None  # the body's own proof of who sent it
    body: dict[str, Any]  # the fields as sent, without the secret; numbers are int or Decimal
    canonical: str  # the same as text, equal for equal alerts: what tells a repeat from a new alert


# --- the body --------------------------------------------------------------------------------------------------------

_AUTH = ("token", "secret", "passphrase", "key")
_TOKEN = re.compile(r"usr_[\w\-]{6,}")  # `key` is also what some call an alert's id: only this form proves anybody
_WORD = re.compile(r"([A-Za-z][A-Za-z_]*)=(\S+)")
_TEXT = re.compile(
    r"(?P<action>[a-z_]+)(?:\s+(?P<quantity>[-+]?\d[\d.,]*%?))?\s+(?P<symbol>\S+)"
    r"(?:\s+(?P<size>[-+]?\d[\d.,]*%))?(?:\s+(?P<timeframe>.+))?", re.IGNORECASE,
)
_TEXT_HINT = "Write BUY AAPL, BUY 10 AAPL, BUY AAPL 5%, CLOSE BTCUSDT or SELL AAPL 15 Min, or send a JSON object."


_BETWEEN = re.compile(r"[\s_\-.]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def open_body(raw: bytes) -> dict[str, Any] | str:
    """The JSON object or the text in it. What it says is not judged yet, so that its sender may be found first."""
    try:
        text = raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8 text", where="body", hint="Send it as UTF-8.") from None
    if not text:
        raise Malformed("The body is empty", where="body", hint=_TEXT_HINT)
    opened = _json(text)
    for where, found in _leaves(opened):
        if isinstance(found, float):
            raise Malformed(f"{where} is out of range", where=where, hint="Send a finite number of at most 30 digits.")
        if isinstance(found, str) and _UNSTORABLE.search(found):
            raise Malformed(f"{where} holds a character that cannot be stored", where=where, hint="Send plain text.")
    return opened


def _json(text: str) -> dict[str, Any] | str:
    try:
        opened = json.loads(
            text, parse_float=_number, parse_int=_number, parse_constant=_number, object_pairs_hook=_unrepeated
        )
    except RecursionError:
        raise Malformed("The body is nested too deep", where="body", hint=f"At most {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        if text[0] not in '{["':
            return text
        hint = "A {{placeholder}} was not filled in." if "{{" in text else f"{error.msg} (line {error.lineno})."
        raise Malformed("The body looks like JSON and is not", where="body", hint=hint) from None
    if not isinstance(opened, dict):
        hint = 'Send {"action": "buy", "symbol": "AAPL"}.'
        raise Malformed("The body is JSON, but not an object", where="body", hint=hint)
    return opened


def _number(text: str) -> int | Decimal | float:
    """Exact; what no number in an alert can be comes back as a float, for the walk that knows the field's name."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return math.nan
    if not number.is_finite() or len(text) > 100 or abs(number.adjusted()) > 308:
        return math.nan
    return int(text) if text.lstrip("-").isdigit() else number


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Malformed(f"{_shown(key)} is there twice", where=_shown(key), hint="Send each field once.")
        found[key] = value
    return found


def _shown(path: str) -> str:
    if path.isprintable() and 0 < len(path) <= 80:
        return path
    return "".join(letter if letter.isprintable() else "?" for letter in path[:80]) or "text"


def _leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every value in it, the names of fields too, with the path to it."""
    if depth > MAX_DEPTH:
        raise Malformed("The body is nested too deep", where=_shown(path), hint=f"At most {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for key, inner in value.items():
            here = (f"{path}.{key}" if path else key)[:200]
            yield _shown(here), key
            yield from _leaves(inner, here, depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]", depth + 1)
    else:
        yield _shown(path), value


def _bare(name: str) -> str:
    return _bare_short(name) if len(name) <= 40 else _BETWEEN.sub("", name.lower())


@lru_cache(maxsize=2000)
def _bare_short(name: str) -> str:
    return _BETWEEN.sub("", name.lower())


def _is_auth(key: str, value: object) -> bool:
    name = _bare(key)
    return name in _AUTH and (name != "key" or (isinstance(value, str) and bool(_TOKEN.fullmatch(value.strip()))))


def secret_of(opened: dict[str, Any] | str) -> str | None:
    pairs = _named_in(opened) if isinstance(opened, str) else list(opened.items())
    for name in _AUTH:
        for key, value in pairs:
            if _bare(key) == name and _is_auth(key, value) and isinstance(value, (str, int, Decimal)):
                if not isinstance(value, bool) and str(value).strip():
                    return str(value).strip()
    return None


def redact(opened: dict[str, Any] | str) -> dict[str, Any] | str:
    """For logs and pages: more is hidden than is accepted as proof."""
    if isinstance(opened, dict):
        return {key: HIDDEN if _bare(key) in _AUTH and value is not None else value for key, value in opened.items()}
    named = re.sub(r"(?i)\b(token|secret|pass_?phrase|key)(\s*[=:]\s*)\S+", rf"\1\2{HIDDEN}", opened)
    return _TOKEN.sub(HIDDEN, named)


def _named_in(text: str) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for word in text.split() if (found := _WORD.fullmatch(word))]


def _from_text(text: str) -> dict[str, Any]:
    """`BUY 10 AAPL 15 Min bot=Turtle` as fields."""
    sentence = " ".join(word for word in text.split() if not _WORD.fullmatch(word))
    found = _TEXT.fullmatch(sentence)
    if sentence and not found:
        raise Malformed("The text is not an order", where="text", hint=_TEXT_HINT)
    said = {name: value for name, value in found.groupdict().items() if value} if found else {}
    if said.get("timeframe", "").isdigit():
        hint = f"Write {said['action']} {said['timeframe']} {said['symbol']} for a quantity, 15 Min for a timeframe."
        raise Malformed("The number after the symbol may be a quantity or a timeframe", where="text", hint=hint)
    return _unrepeated([*said.items(), *_named_in(text)])


def _canonical(value: Any) -> str:
    """JSON in one spelling, every number exactly as sent."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


# --- the names of things ---------------------------------------------------------------------------------------------

# In the order of preference; compared without case, "_", "-" and ".". Fields of `order` carry "order" in front. A thing
# with one name only is not listed.
_NAMES = {thing: tuple(names.split()) for thing, names in {
    "symbol": "ticker symbol pair tvinstrument",
    "exchange": "tvexchange exchange",
    "action": "action orderaction",
    "side": "side direction orderside",
    "wanted": "sentiment marketposition",
    "prev": "prevmarketposition previousmarketposition",
    "after": "marketpositionsize positionafter",
    "before": "prevmarketpositionsize prevpositionsize",
    "size": "qty quantity size contracts amount positionsize ordercontracts orderamount orderquantity orderqty",
    "dollars": "dollars notional usd",
    "sizekind": "quantitytype qtytype sizetype currencytype ordercurrencytype",
    "timeframe": "timeframe interval tf",
    "price": "price signalprice close triggerprice orderprice",
    "key": "id signalid alerttimestamp alertid idempotencykey",
    "time": "sentat timenow timestamp time",  # timenow is when the alert fired, time often the bar's
    "bot": "bot botid botuuid botname",
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
}.items()}

_ACTIONS: dict[str, tuple[Action, Side | None]] = {
    "buy": (Action.BUY, None), "long": (Action.BUY, None), "enter_long": (Action.BUY, None),
    "sell": (Action.SELL, None), "short": (Action.SELL, None), "enter_short": (Action.SELL, None),
    "close": (Action.CLOSE, None), "exit": (Action.CLOSE, None), "flat": (Action.CLOSE, None),
    "flatten": (Action.CLOSE, None), "exit_all": (Action.CLOSE, None),
    "exit_long": (Action.CLOSE, Side.LONG), "close_long": (Action.CLOSE, Side.LONG),
    "exit_short": (Action.CLOSE, Side.SHORT), "close_short": (Action.CLOSE, Side.SHORT),
    "reduce": (Action.REDUCE, None), "add": (Action.ADD, None), "reverse": (Action.REVERSE, None),
    "cancel": (Action.CANCEL, None), "breakeven": (Action.BREAKEVEN, None),
}
_POSITIONS = {"long": Side.LONG, "bullish": Side.LONG, "short": Side.SHORT, "bearish": Side.SHORT, "flat": Side.FLAT}
_EXITS = (Action.CLOSE, Action.REDUCE)
_PERCENT = "percent"  # of the position on the way out, of the equity on the way in
_SIZE_KINDS: dict[str, str] = {
    "fixed_quantity": SizeKind.QUANTITY, "quantity": SizeKind.QUANTITY, "shares": SizeKind.QUANTITY,
    "units": SizeKind.QUANTITY, "contracts": SizeKind.QUANTITY, "base": SizeKind.QUANTITY,
    "dollar_amount": SizeKind.DOLLARS, "dollars": SizeKind.DOLLARS, "usd": SizeKind.DOLLARS, "quote": SizeKind.DOLLARS,
    "risk_dollar_amount": SizeKind.RISK_DOLLARS, "risk_percent": SizeKind.RISK_PERCENT,
    "percent_of_equity": SizeKind.EQUITY_PERCENT, "equity_percent": SizeKind.EQUITY_PERCENT,
    "percent_of_position": SizeKind.POSITION_PERCENT, "position_percent": SizeKind.POSITION_PERCENT,
    "percent": _PERCENT,
}
_ORDER_TYPES = {kind.value: kind for kind in OrderType}
_STOP_TYPES = {kind.value: kind for kind in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)}
_TIMES_IN_FORCE = {kind.value: kind for kind in TimeInForce}
_IMPLIED = {  # the prices an order brings say its type
    (): OrderType.MARKET, ("limit_price",): OrderType.LIMIT, ("stop_price",): OrderType.STOP,
    ("limit_price", "stop_price"): OrderType.STOP_LIMIT,
    ("trail_amount",): OrderType.TRAILING_STOP, ("trail_percent",): OrderType.TRAILING_STOP,
}
_NEEDS = {
    OrderType.MARKET: "no price", OrderType.LIMIT: "limitPrice", OrderType.STOP: "stopPrice",
    OrderType.STOP_LIMIT: "limitPrice and stopPrice", OrderType.TRAILING_STOP: "either trailAmount or trailPercent",
}

_MARKS = {  # the names that give a dialect away
    "3commas": ("tvinstrument", "tvexchange", "botuuid", "maxlag", "triggerprice", "ordercurrencytype"),
    "strategy": ("marketposition", "positionafter", "orderaction", "ordercontracts"),
    "traderspost": ("sentiment", "quantitytype", "signalprice", "ticker"),
}


def _contradiction(one: str, other: str) -> NoReturn:
    hint = "Send one of them, or the same in both."
    raise Malformed(f"{one} and {other} contradict each other", where=other, hint=hint)


@dataclass(frozen=True, slots=True)
class _Fields:
    """What was sent, by bare name; each value with its path as written. A null counts as not sent."""

    named: dict[str, list[tuple[str, Any]]]

    @classmethod
    def of(cls, body: dict[str, Any], within: str = "") -> _Fields:
        named: dict[str, list[tuple[str, Any]]] = {}
        for path, value in _flat(body):
            if value is not None:
                named.setdefault(_name_of(path), []).append((within + path, value))
        if "marketposition" in named and "positionsize" in named:
            # Beside market_position it is TradingView's strategy.position_size: what is held, not what is ordered.
            named.setdefault("positionafter", []).extend(named.pop("positionsize"))
        return cls(named)

    def get(self, thing: str) -> list[tuple[str, Any]]:
        names = _NAMES.get(thing, (thing,))
        if self.named.keys().isdisjoint(names):
            return []
        return [found for name in names for found in self.named.get(name, ())]

    def read(self, thing: str, how: Read[T]) -> list[tuple[str, T]]:
        return [(path, how(value, path)) for path, value in self.get(thing)]

    def one(self, thing: str, how: Read[T]) -> T | None:
        return _agreed(self.read(thing, how))

    def first(self, thing: str, how: Read[T]) -> T | None:
        """Of names that may well differ (the bar's time and the alert's), though each has to be readable."""
        return next((value for _, value in self.read(thing, how)), None)


def _flat(body: dict[str, Any], inside: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in body.items():
        path = inside + key
        if isinstance(value, dict) and path.lower() in ("strategy", "order", "strategy.order"):
            yield from _flat(value, path + ".")
        else:
            yield path, value


def _name_of(path: str) -> str:
    ours = path.lower().removeprefix("strategy.")
    within_order = ours.startswith("order.")
    name = _bare(ours.removeprefix("order."))
    if within_order and not name.startswith("order"):
        name = "order" + name
    if ours != path.lower():  # a strategy's own id is not the alert's, and its position is not the order's size
        return {"positionsize": "positionafter"}.get(name, "strategy" + name if name in _NAMES["key"] else name)
    return name


def _agreed(found: list[tuple[str, T]]) -> T | None:
    for path, value in found[1:]:
        if value != found[0][1]:
            _contradiction(found[0][0], path)
    return found[0][1] if found else None


# --- single values ---------------------------------------------------------------------------------------------------


def _choice(table: dict[str, T]) -> Read[T]:
    def read(value: object, where: str) -> T:
        known = f"Known: {', '.join(table)}."
        if not isinstance(value, str):
            raise Malformed(f"{where} is not a word", where=where, hint=known)
        for word, meaning in table.items():
            if _bare(word) == _bare(value):
                return meaning
        near = get_close_matches(value[:40].lower(), list(table), n=1)
        hint = f"Did you mean {near[0]!r}? {known}" if near else known
        raise Malformed(f"{where} {value[:40]!r} is not known", where=where, hint=hint)

    return read


def _label(value: object, where: str) -> str:
    hint = f"Send a text of 1 to {MAX_LABEL} characters, without line breaks."
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Malformed(f"{where} is not a text", where=where, hint=hint)
    text = str(value)
    if _CONTROL.search(text):
        raise Malformed(f"{where} holds a control character", where=where, hint=hint)
    if not text.strip() or len(text) > MAX_LABEL:
        raise Malformed(f"{where} is {'too long' if text.strip() else 'empty'}", where=where, hint=hint)
    return text.strip()


def _timeframe(value: object, where: str) -> Timeframe:
    return Timeframe.parse(_label(value, where), where)


def _positive(value: object, where: str) -> Decimal:
    number = exact(value, where)
    if number <= 0:
        raise Malformed(f"{where} is {plain(number)}", where=where, hint="It has to be above 0.")
    return number


def _without_sign(value: object) -> object:
    return value.strip().removesuffix("%") if isinstance(value, str) else value


def _percent(value: object, where: str) -> Decimal:
    return _positive(_without_sign(value), where)


def _share(value: object, where: str) -> Decimal:
    share = _percent(value, where)
    if share > HUNDRED:
        raise Malformed(f"{where} is {plain(share)} percent of a position", where=where, hint="100 is all of it.")
    return share


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise Malformed(f"{where} is neither true nor false", where=where, hint="Send true or false.")


def _span(most: int, *, zero: bool) -> Read[timedelta]:
    def read(value: object, where: str) -> timedelta:
        seconds = exact(value, where)
        if not 0 <= seconds <= most or (seconds == 0 and not zero):
            hint = f"Send seconds, {'from' if zero else 'above'} 0 up to {most}."
            raise Malformed(f"{where} is {plain(seconds)} seconds", where=where, hint=hint)
        return timedelta(microseconds=int(seconds * 1_000_000))

    return read


def _moment(value: object, where: str) -> datetime:
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


# --- what is asked for -----------------------------------------------------------------------------------------------


def _asked(fields: _Fields) -> tuple[Action | None, Side | None, Side | None]:
    """The action, the one side it may touch, and the position wanted afterwards."""
    words = fields.read("action", _choice(_ACTIONS))
    wanted = fields.read("wanted", _choice(_POSITIONS))
    sides = {path: _POSITIONS[_bare(value)] for path, value in fields.get("side")
             if isinstance(value, str) and _bare(value) in _POSITIONS}
    words += [(path, _choice(_ACTIONS)(value, path)) for path, value in fields.get("side") if path not in sides]
    action, only = _agreed(words) or (None, None)
    for path, side in sides.items():
        if action in _EXITS and side is not Side.FLAT:  # close + side: long is the long to close
            only = _agreed([(words[0][0], only or side), (path, side)])
        else:
            wanted.append((path, side))
    if not wanted:
        wanted = [(path, Side.of(exact(value, path))) for path, value in fields.named.get("positionafter", ())]
    stands = _agreed(wanted)
    if action is None and stands is None:
        raise Malformed("action is missing", where="action", hint=f"Known: {', '.join(_ACTIONS)}.")
    return action, only, stands


def _clash(fields: _Fields, why: str) -> NoReturn:
    paths = [path for thing in ("action", "side", "wanted", "prev", "after", "before") for path, _ in fields.get(thing)]
    hint = "sentiment and market_position say what is held after the trade; send the action that leads there."
    raise Malformed(f"{' and '.join(paths)} contradict each other: {why}", where=paths[0], hint=hint)


def _settle(action: Action | None, wanted: Side | None, prev: Side | None, grown: Decimal | None) -> Action | None:
    """What the words come to, given what is to be held afterwards; None where they contradict each other."""
    match action, wanted:
        case (_, None) | (Action.CANCEL, _):
            return action
        case (Action.ADD | Action.REVERSE | Action.BREAKEVEN), Side.FLAT:
            return None
        case _, Side.FLAT:
            return Action.CLOSE
        case None, _:
            if prev is wanted and grown:
                return Action.ADD if grown > 0 else Action.REDUCE
            return Action.BUY if wanted is Side.LONG else Action.SELL
        case (Action.BUY, Side.LONG) | (Action.SELL, Side.SHORT):
            return Action.ADD if prev is wanted else action
        case (Action.BUY | Action.SELL | Action.CLOSE | Action.REDUCE), _:
            if prev not in (None, wanted):
                return None
            return Action.CLOSE if action is Action.CLOSE else Action.REDUCE
    return action


def _move(fields: _Fields) -> dict[str, Any]:
    action, only, wanted = _asked(fields)
    prev = fields.one("prev", _choice(_POSITIONS))
    after, before = fields.one("after", _held(wanted)), fields.one("before", _held(prev))
    grown = after - before if after is not None and before is not None and prev in (None, wanted) else None
    settled = _settle(action, wanted, prev, grown)
    if settled is None or (only and wanted not in (None, Side.FLAT, only)):
        _clash(fields, f"{action} cannot lead from {prev or 'any position'} to {wanted}")
    notes = [] if settled is action else [f"{action or 'no action'}, {wanted} afterwards: read as {settled}"]
    if wanted is Side.FLAT:
        return {"action": settled, "only_side": only, "size": None, "notes": (*notes, *_unused_sizes(fields))}
    size = _size(fields, settled)
    if settled in _EXITS and (wanted or settled is Action.REDUCE):
        only = only or wanted
        size = _part(fields, settled, size, before, grown)
    elif settled is Action.ADD and grown is not None and grown <= 0:
        _clash(fields, "more is asked for, but the position does not grow")
    elif settled in (Action.BUY, Action.SELL):
        turns = wanted and prev not in (None, Side.FLAT, wanted)
        size, note = _entry(fields, size, after, before if turns else None)
        notes += [note] if note else []
    return {"action": settled, "only_side": only, "size": size, "notes": tuple(notes)}


def _held(side: Side | None) -> Read[Decimal]:
    def read(value: object, where: str) -> Decimal:
        number = exact(value, where)
        if number < 0 and side not in (None, Side.SHORT):
            raise Malformed(f"{where} is {plain(number)} while {side}", where=where, hint="Only a short is below 0.")
        return abs(number)

    return read


# --- sizes -----------------------------------------------------------------------------------------------------------


def _sized(kind: str | None, *, leaving: bool) -> Read[Size]:
    def read(value: object, where: str) -> Size:
        percent = isinstance(value, str) and value.strip().endswith("%")
        number = _percent(value, where)
        if percent and kind in (SizeKind.QUANTITY, SizeKind.DOLLARS, SizeKind.RISK_DOLLARS):
            hint = "Drop the percent sign, or send another quantityType."
            raise Malformed(f"{where} is a percentage, its type says {kind}", where=where, hint=hint)
        meant = kind or (_PERCENT if percent else SizeKind.QUANTITY)
        if meant == _PERCENT:
            meant = SizeKind.POSITION_PERCENT if leaving else SizeKind.EQUITY_PERCENT
        if meant is SizeKind.POSITION_PERCENT:
            _share(value, where)
        return Size(kind=SizeKind(meant), value=number)

    return read


def _size(fields: _Fields, action: Action) -> Size | None:
    kind, leaving = fields.one("sizekind", _choice(_SIZE_KINDS)), action in _EXITS
    found = fields.read("size", _sized(kind, leaving=leaving))
    return _agreed(found + fields.read("dollars", _sized(SizeKind.DOLLARS, leaving=leaving)))


def _unused_sizes(fields: _Fields) -> list[str]:
    """Templates fill sizes into an exit, often 0: harmless when all of it is closed anyway."""
    notes = []
    for path, value in fields.get("size") + fields.get("dollars"):
        number = exact(_without_sign(value), path)
        if number < 0:
            raise Malformed(f"{path} is {plain(number)}", where=path, hint="Sizes are above 0.")
        notes += [f"flat afterwards: {path} {plain(number)} is not used"] if number else []
    return notes


def _part(fields: _Fields, action: Action, size: Size | None, before: Decimal | None, grown: Decimal | None) -> Size:
    if grown is not None and before is not None and not 0 < -grown < before:
        _clash(fields, "less is asked for, but the sizes of the position do not say so")
    if size:
        return size
    if grown is None or before is None:
        where = (fields.get("action") + fields.get("side") + fields.get("wanted"))[0][0]
        hint = "Send a quantity, or market_position_size with prev_market_position_size; to leave all of it: close."
        raise Malformed(f"{action} of a part does not say how much", where=where, hint=hint)
    # Rounded up: a venue rounds quantities down, and a third of 3 shares must come to 1.
    percent = (-grown / before * HUNDRED).quantize(Decimal("1e-10"), ROUND_UP)
    return Size(kind=SizeKind.POSITION_PERCENT, value=min(percent, HUNDRED))


def _entry(
    fields: _Fields, size: Size | None, after: Decimal | None, closed: Decimal | None
) -> tuple[Size | None, str]:
    """A turn's contracts close the old position too; DashTrade closes it by itself, so only what is opened counts."""
    if size is None and after and "positionafter" in fields.named:
        return Size(kind=SizeKind.QUANTITY, value=after), ""
    if size and after and closed and size == Size(kind=SizeKind.QUANTITY, value=after + closed):
        note = f"{plain(size.value)} closes {plain(closed)} and opens {plain(after)}: {plain(after)} is the size"
        return Size(kind=SizeKind.QUANTITY, value=after), note
    return size, ""


# --- symbol, order and targets ---------------------------------------------------------------------------------------


def _symbol(fields: _Fields) -> tuple[Symbol, str]:
    found = fields.read("symbol", _label)
    if not found:
        raise Malformed("symbol is missing", where="symbol", hint="Send symbol or ticker, such as AAPL or BTCUSDT.")
    market = fields.one("exchange", lambda value, where: _label(value, where).upper())
    path, written = next(((path, text) for path, text in found if ":" in text), found[0])
    symbol = _qualified(market, written, path)
    for other, text in found:
        if text.upper() != written.upper().rpartition(":")[2] and _qualified(market, text, other) != symbol:
            _contradiction(path, other)
    return symbol, written


def _qualified(market: str | None, text: str, where: str) -> Symbol:
    if market and ":" not in text:
        try:
            return Symbol.parse(f"{market}:{text}", where)
        except Malformed:
            pass  # the exchange is a broker's name, or the symbol of another market: the symbol decides
    return Symbol.parse(text, where)


def _order(fields: _Fields) -> dict[str, Any]:
    kind = fields.one("ordertype", _choice(_ORDER_TYPES))
    prices = {name: fields.one(name, _positive) for name in ("limit_price", "stop_price", "trail_amount")}
    prices["trail_percent"] = fields.one("trail_percent", _percent)
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) and prices["limit_price"] is None:
        own = [found for found in fields.named.get("orderprice", ()) if found[0].lower().startswith("order.")]
        prices["limit_price"] = _agreed([(path, _positive(value, path)) for path, value in own])
    given = tuple(name for name, price in prices.items() if price is not None)
    implied = _IMPLIED.get(given)
    if implied is None or (kind and kind is not implied):
        where = (fields.get("ordertype") + [found for name in given for found in fields.get(name)])[0][0]
        hint = f"{kind} takes {_NEEDS[kind]}." if kind else "Send limitPrice, stopPrice, both, or one of the trails."
        raise Malformed(f"{kind or 'the order'} with {' and '.join(given) or 'no price'}", where=where, hint=hint)
    return {"order_type": kind or (implied if given else None), **prices}


def _profits(value: object, where: str) -> tuple[Target, ...]:
    if not isinstance(value, list):
        return (_profit(value, where),)
    if len(value) > MAX_TARGETS:
        raise Malformed(f"{where} has {len(value)} steps", where=where, hint=f"Send at most {MAX_TARGETS}.")
    steps = tuple(_profit(step, f"{where}[{number}]") for number, step in enumerate(value))
    total = sum(step.share_percent or 0 for step in steps)
    alike = [step for step in steps if step.share_percent is None]
    if total > HUNDRED or (alike and len(steps) > 1 and (alike != [steps[-1]] or total == HUNDRED)):
        hint = "Give each step a share, at most 100 percent together; the last may go without: it takes the rest."
        raise Malformed(f"the shares of {where} do not add up", where=where, hint=hint)
    return steps


def _profit(value: object, where: str) -> Target:
    if not isinstance(value, dict):
        return Target(price=_positive(value, where))
    fields = _Fields.of(value, f"{where}.")
    ways = {"price": fields.one("limit_or_price", _positive), "percent": fields.one("percent", _percent),
            "amount": fields.one("amount", _positive)}
    _only_way(ways, where, "limitPrice, percent, amount")
    return Target(**ways, share_percent=fields.one("share", _share))


def _loss(value: object, where: str) -> Target:
    if not isinstance(value, dict):
        return Target(price=_positive(value, where))
    fields = _Fields.of(value, f"{where}.")
    ways = {"price": fields.one("stop_or_price", _positive), "percent": fields.one("percent", _percent),
            "amount": fields.one("amount", _positive), "trail_percent": fields.one("trail_percent", _percent),
            "trail_amount": fields.one("trail_amount", _positive)}
    way = _only_way(ways, where, "stopPrice, percent, amount, trailAmount, trailPercent")
    limit, trails = fields.one("limit_price", _positive), way.startswith("trail")
    kind = fields.one("type", _choice(_STOP_TYPES))
    kind = kind or (OrderType.TRAILING_STOP if trails else OrderType.STOP_LIMIT if limit else OrderType.STOP)
    trailing = kind is OrderType.TRAILING_STOP
    limited = kind is OrderType.STOP_LIMIT
    if (trails and not trailing) or (trailing and way == "price") or limited != (limit is not None):
        hint = "stop takes stopPrice, percent or amount; stop_limit a limitPrice too; trailing_stop a trail alone."
        raise Malformed(f"{where} does not fit its type {kind}", where=where, hint=hint)
    return Target(**{way.removeprefix("trail_"): ways[way]}, limit_price=limit, trailing=trailing)


def _only_way(ways: dict[str, Decimal | None], where: str, names: str) -> str:
    given = [way for way, value in ways.items() if value is not None]
    if len(given) != 1:
        raise Malformed(f"{where} has {len(given)} of {names}", where=where, hint="Send exactly one of them.")
    return given[0]


# --- the whole -------------------------------------------------------------------------------------------------------


def parse(raw: bytes) -> Reading:
    """Read one body; `Malformed` says what is wrong with it, nothing else is raised."""
    return read(open_body(raw))


def _refuse_placeholders(opened: dict[str, Any] | str) -> None:
    for where, text in _leaves(opened):
        # Not `{{.*?}}`: on a text of nothing but braces that takes seconds.
        _, opening, rest = text.partition("{{") if isinstance(text, str) else ("", "", "")
        if opening and "}}" in rest:
            hint = "TradingView did not fill it in: check its spelling, and that this kind of alert knows it."
            name = rest.partition("}}")[0][:40]
            raise Malformed(f"{where} still holds the placeholder {{{{{name}}}}}", where=where, hint=hint)


def read(opened: dict[str, Any] | str) -> Reading:
    """The same for a body that is open already."""
    _refuse_placeholders(opened)
    sent = _from_text(opened) if isinstance(opened, str) else opened
    body = {key: value for key, value in sent.items() if not _is_auth(key, value)}
    for key, value in sent.items():
        if key not in body and value not in (None, ""):
            _label(value, key)
    if isinstance(opened, str):
        canonical = " ".join(w for w in opened.split() if not ((f := _WORD.fullmatch(w)) and _is_auth(*f.groups())))
    else:
        canonical = _canonical(body)
    signal = _signal(_Fields.of(body), "text" if isinstance(opened, str) else None)
    return Reading(signal=signal, secret=secret_of(opened), body=body, canonical=canonical)


def _signal(fields: _Fields, dialect: str | None) -> Signal:
    symbol, written = _symbol(fields)
    return Signal(
        symbol=symbol, written_symbol=written, dialect=dialect or _dialect(fields), **_move(fields), **_order(fields),
        timeframe=fields.one("timeframe", _timeframe), bot=fields.one("bot", _label),
        key=fields.one("key", _label), time_in_force=fields.one("tif", _choice(_TIMES_IN_FORCE)),
        extended_hours=fields.one("extendedhours", _flag) or False,
        take_profits=fields.one("profit", _profits) or (), stop_loss=fields.one("loss", _loss),
        cancel_first=fields.one("cancel", _flag) or False, delay=fields.one("delay", _span(86_400, zero=True)),
        sent_at=fields.first("time", _moment), max_age=fields.one("maxage", _span(31_536_000, zero=False)),
        price=fields.first("price", _positive),
    )


def _dialect(fields: _Fields) -> str:
    for dialect, marks in _MARKS.items():
        if not fields.named.keys().isdisjoint(marks):
            return dialect
    return "plain"
