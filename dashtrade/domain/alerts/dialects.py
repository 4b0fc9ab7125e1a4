"""Reads the alerts of other platforms, so that switching to DashTrade changes one URL, not every alert.

All dialects have the same few fields under other names, so there is one table of names (`fields._NAMES`) and
one reader. It never guesses about money: an ambiguous or unreadable field is `Malformed`, with the field and
the correct form. The one exception is exits: an alert that wants a flat position closes it, whatever sizes
the template filled in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dashtrade.domain.alerts.fields import (
    ACTIONS,
    EXITS,
    IMPLIED,
    MARKS,
    NEEDS,
    POSITIONS,
    Fields,
    Read,
    agreed,
    contradiction,
    read_action,
    read_flag,
    read_label,
    read_minutes,
    read_moment,
    read_order_type,
    read_percent,
    read_position,
    read_positive,
    read_span,
    read_time_in_force,
    read_time_of_day,
    read_timeframe,
)
from dashtrade.domain.alerts.levels import read_loss, read_profits
from dashtrade.domain.alerts.payload import (
    WORD,
    bare,
    canonical_text,
    fields_of_text,
    is_auth,
    leaves,
    open_body,
    redact,
    secret_of,
    shown,
)
from dashtrade.domain.alerts.sizes import clash, read_entry, read_part, read_size, unused_sizes
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action, Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, OrderType, Side, exact, plain

__all__ = ["ParsedAlert", "open_body", "parse", "read", "read_loss", "read_profits", "redact", "secret_of"]


@record
class ParsedAlert:
    signal: Signal
    secret: str | None  # the secret in the body that authenticates the sender
    body: dict[str, Any]  # the fields as sent, without the secret; numbers are int or Decimal
    canonical: str  # the same as text, equal for equal alerts: tells a repeat from a new alert


# --- action -------------------------------------------------------------------------------------------------


def _requested_action(fields: Fields) -> tuple[Action | None, Side | None, Side | None]:
    """The action, the side it is limited to, and the position wanted afterwards."""
    words = fields.read("action", read_action)
    wanted = fields.read("wanted", read_position)
    sides = {
        path: POSITIONS[bare(value)]
        for path, value in fields.get("side")
        if isinstance(value, str) and bare(value) in POSITIONS
    }
    words += [(path, read_action(value, path)) for path, value in fields.get("side") if path not in sides]
    action, only = agreed(words) or (None, None)
    for path, side in sides.items():
        if action in EXITS and side is not Side.FLAT:  # with close, the side names the position to close
            only = agreed([(words[0][0], only or side), (path, side)])
        else:
            wanted.append((path, side))
    if not wanted:
        wanted = [
            (path, Side.of(exact(value, path))) for path, value in fields.named.get("positionafter", ())
        ]
    stands = agreed(wanted)
    if action is None and stands is None:
        raise Malformed("action is missing", where="action", hint=f"Known: {', '.join(ACTIONS)}.")
    return action, only, stands


def _settle(
    action: Action | None, wanted: Side | None, prev: Side | None, grown: Decimal | None
) -> Action | None:
    """The resulting action, given the position wanted afterwards; None if they contradict each other."""
    match action, wanted:
        case (_, None) | (Action.CANCEL, _):
            return action
        case ((Action.ADD | Action.REVERSE | Action.BREAKEVEN), Side.FLAT):
            return None
        case _, Side.FLAT:
            return Action.CLOSE
        case None, _:
            if prev is wanted and grown:
                return Action.ADD if grown > 0 else Action.REDUCE
            return Action.BUY if wanted is Side.LONG else Action.SELL
        case (Action.BUY, Side.LONG) | (Action.SELL, Side.SHORT):
            return Action.ADD if prev is wanted else action
        case ((Action.BUY | Action.SELL | Action.CLOSE | Action.REDUCE), _):
            if prev not in (None, wanted):
                return None
            return Action.CLOSE if action is Action.CLOSE else Action.REDUCE
    return action


def _move(fields: Fields) -> dict[str, Any]:
    action, only, wanted = _requested_action(fields)
    prev = fields.one("prev", read_position)
    after, before = fields.one("after", _position_side(wanted)), fields.one("before", _position_side(prev))
    grown = after - before if after is not None and before is not None and prev in (None, wanted) else None
    settled = _settle(action, wanted, prev, grown)
    if settled is None or (only and wanted not in (None, Side.FLAT, only)):
        clash(fields, f"{action} cannot lead from {prev or 'any position'} to {wanted}")
    notes = [] if settled is action else [f"{action or 'no action'}, {wanted} afterwards: read as {settled}"]
    if wanted is Side.FLAT:
        return {"action": settled, "only_side": only, "size": None, "notes": (*notes, *unused_sizes(fields))}
    size = read_size(fields, settled)
    if settled in EXITS and (wanted or settled is Action.REDUCE):
        only = only or wanted
        size = read_part(fields, settled, size, before, grown)
    elif settled is Action.ADD and grown is not None and grown <= 0:
        clash(fields, "the alert adds to the position, but the position does not grow")
    elif settled in (Action.BUY, Action.SELL):
        turns = wanted and prev not in (None, Side.FLAT, wanted)
        size, note = read_entry(fields, size, after, before if turns else None)
        notes += [note] if note else []
    return {"action": settled, "only_side": only, "size": size, "notes": tuple(notes)}


def _position_side(side: Side | None) -> Read[Decimal]:
    def read(value: object, where: str) -> Decimal:
        number = exact(value, where)
        if number < 0 and side not in (None, Side.SHORT):
            raise Malformed(
                f"{where} is {plain(number)} while {side}", where=where, hint="Only a short is below 0."
            )
        return abs(number)

    return read


# --- symbol, order and targets ------------------------------------------------------------------------------


def _symbol(fields: Fields) -> tuple[Symbol, str]:
    found = fields.read("symbol", read_label)
    if not found:
        raise Malformed(
            "symbol is missing", where="symbol", hint="Send symbol or ticker, such as AAPL or BTCUSDT."
        )
    market = fields.one("exchange", lambda value, where: read_label(value, where).upper())
    path, written = next(((path, text) for path, text in found if ":" in text), found[0])
    symbol = _qualified(market, written, path)
    for other, text in found:
        if text.upper() != written.upper().rpartition(":")[2] and _qualified(market, text, other) != symbol:
            contradiction(path, other)
    return symbol, written


def _qualified(market: str | None, text: str, where: str) -> Symbol:
    if market and ":" not in text:
        try:
            return Symbol.parse(f"{market}:{text}", where)
        except Malformed:
            pass  # the exchange is a broker's name, or another market's: the symbol decides
    return Symbol.parse(text, where)


def _order(fields: Fields) -> dict[str, Any]:
    kind = fields.one("ordertype", read_order_type)
    prices = {name: fields.one(name, read_positive) for name in ("limit_price", "stop_price", "trail_amount")}
    prices["trail_percent"] = fields.one("trail_percent", read_percent)
    if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) and prices["limit_price"] is None:
        own = [found for found in fields.named.get("orderprice", ()) if found[0].lower().startswith("order.")]
        prices["limit_price"] = agreed([(path, read_positive(value, path)) for path, value in own])
    given = tuple(name for name, price in prices.items() if price is not None)
    implied = IMPLIED.get(given)
    if implied is None or (kind and kind is not implied):
        where = (fields.get("ordertype") + [found for name in given for found in fields.get(name)])[0][0]
        hint = (
            f"{kind} takes {NEEDS[kind]}."
            if kind
            else "Send limitPrice, stopPrice, both, or one of the trails."
        )
        raise Malformed(
            f"{kind or 'the order'} with {' and '.join(given) or 'no price'}", where=where, hint=hint
        )
    return {"order_type": kind or (implied if given else None), **prices}


# --- the body -----------------------------------------------------------------------------------------------


def parse(raw: bytes) -> ParsedAlert:
    """Read one body; raises only `Malformed`, which says what is wrong."""
    return read(open_body(raw))


def _refuse_placeholders(opened: dict[str, Any] | str) -> None:
    for path, text in leaves(opened):
        if not isinstance(text, str) or "{{" not in text:
            continue
        # Not `{{.*?}}`: on a text of nothing but braces that takes seconds.
        rest = text.partition("{{")[2]
        if "}}" in rest:
            hint = (
                "TradingView did not fill it in: check the placeholder's spelling, and that this kind "
                "of alert supports it."
            )
            name, where = rest.partition("}}")[0][:40], shown(path)
            raise Malformed(f"{where} still holds the placeholder {{{{{name}}}}}", where=where, hint=hint)


def read(opened: dict[str, Any] | str) -> ParsedAlert:
    """The same for a parsed body."""
    _refuse_placeholders(opened)
    sent = fields_of_text(opened) if isinstance(opened, str) else opened
    body = {key: value for key, value in sent.items() if not is_auth(key, value)}
    for key, value in sent.items():
        if key not in body and value not in (None, ""):
            read_label(value, key)
    if isinstance(opened, str):
        canonical = " ".join(
            w for w in opened.split() if not ((f := WORD.fullmatch(w)) and is_auth(*f.groups()))
        )
    else:
        canonical = canonical_text(body)
    signal = _signal(Fields.of(body), "text" if isinstance(opened, str) else None)
    return ParsedAlert(signal=signal, secret=secret_of(opened), body=body, canonical=canonical)


def _bot(fields: Fields) -> str | None:
    """3Commas names its own bots in bot_uuid, which are unknown here; a number there is the id of a DashTrade
    bot."""
    ours = [(path, name) for path, name in fields.read("botuuid", read_label) if name.isdecimal()]
    return agreed(fields.read("bot", read_label) + ours)


def _signal(fields: Fields, dialect: str | None) -> Signal:
    symbol, written = _symbol(fields)
    bot, move = _bot(fields), _move(fields)
    if move["action"] in (Action.BUY, Action.SELL, Action.ADD, Action.REVERSE):
        fields.refuse_unknown_exits()
    if bot is None and fields.get("botuuid"):
        move["notes"] = (
            *move["notes"],
            "bot_uuid is 3Commas' own and not used: send bot or bot_id to name a bot",
        )
    return Signal(
        symbol=symbol,
        written_symbol=written,
        dialect=dialect or _dialect(fields),
        **move,
        **_order(fields),
        timeframe=fields.one("timeframe", read_timeframe),
        bot=bot,
        key=fields.one("key", read_label),
        time_in_force=fields.one("tif", read_time_in_force),
        extended_hours=fields.one("extendedhours", read_flag) or False,
        take_profits=fields.one("profit", read_profits) or (),
        stop_loss=fields.one("loss", read_loss),
        break_even=fields.one("break_even", read_flag),
        close_after=fields.one("close_after", read_minutes),
        close_at=fields.one("closeat", read_time_of_day),
        cancel_first=fields.one("cancel", read_flag) or False,
        delay=fields.one("delay", read_span(86_400, zero=True)),
        sent_at=fields.first("time", read_moment),
        max_age=fields.one("maxage", read_span(31_536_000, zero=False)),
        price=fields.first("price", read_positive),
    )


def _dialect(fields: Fields) -> str:
    for dialect, marks in MARKS.items():
        if not fields.named.keys().isdisjoint(marks):
            return dialect
    return "plain"
