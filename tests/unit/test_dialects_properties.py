"""Alerts as nobody would write them: whatever comes is read or refused, always the same way."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.domain.alerts.dialects import open_body, redact, secret_of
from dashtrade.domain.values import Malformed
from tests.support.alerts import TOKEN, outcome, read

# --- whatever comes -----------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["buy", "sell", "exit", "exit_long", "reduce", "add", "reverse", "cancel", "long", "short", "flat"]
)

SIDES = st.sampled_from(["long", "short", "flat"])

SYMBOLS = st.sampled_from(["AAPL", "NASDAQ:AAPL", "BTCUSDT", "BINANCE:BTCUSDT", "LSE:VOD"])

SOME = st.sampled_from([1, 2, 10, "1", "5%", 0, "0", -1, 1.5, "101%", 10**30, 1e-30])

ANY = st.integers() | st.floats() | st.decimals().map(str) | st.text(max_size=12) | st.booleans() | st.none()

LIKELY = {
    WORDS: "order_action side",
    SIDES: "sentiment market_position prev_market_position direction",
    SYMBOLS: "ticker pair tv_instrument",
    SOME: "market_position_size prev_market_position_size position_size qty quantity amount dollars price "
    "close "
    "limitPrice stopPrice trailAmount trailPercent delay max_lag percent share limit_price id bot",
    st.sampled_from(
        ["fixed_quantity", "percent", "percent_of_position", "base", "quote"]
    ): "quantityType currency_type",
    st.sampled_from(["15", "D", "1H", "15m"]): "timeframe interval",
    st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]): "orderType order_type type",
    st.sampled_from(["2026-11-21T10:00:00Z", 1795255200, "1795255200000"]): "time timenow",
    st.sampled_from(["true", "false", True, False]): "extendedHours cancel",
    st.sampled_from([TOKEN, "hush", "{{close}}", "NASDAQ"]): "token key exchange comment",
}

FIELDS = {name: values for values, names in LIKELY.items() for name in names.split()}

NESTED = ["takeProfit", "stopLoss", "order", "strategy"]

NAMES = [*FIELDS, *NESTED, "action", "symbol"]

SCALARS = st.one_of(*LIKELY, ANY)


def bodies_of(values):
    return st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), values, max_size=7)


VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | bodies_of(inner), max_leaves=8)

LIKELY_FIELDS = st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
)

LIKELY_ALERTS = st.builds(
    lambda action, symbol, fields, nested: {"action": action, "symbol": symbol, **fields, **nested},
    WORDS,
    SYMBOLS,
    LIKELY_FIELDS,
    st.dictionaries(st.sampled_from(NESTED), LIKELY_FIELDS, max_size=1),
)

SPOILT = st.builds(lambda start, rest: {**start, **rest}, LIKELY_ALERTS, bodies_of(VALUES))

ALERTS = LIKELY_ALERTS | SPOILT | bodies_of(VALUES)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused_and_always_the_same_way(raw):
    assert outcome(raw) == outcome(raw)
    try:
        opened = open_body(raw)
    except Malformed:
        return
    secret_of(opened), redact(opened)


@given(ALERTS)
@settings(max_examples=1500, deadline=None)
def test_any_json_of_known_fields_is_read_or_refused_and_always_the_same_way(fields):
    raw = json.dumps(fields).encode()
    assert outcome(raw) == outcome(raw)


SPOKEN = [
    "BUY",
    "SELL",
    "close",
    "10",
    "5%",
    "AAPL",
    "BTCUSDT",
    "15",
    "Min",
    "D",
    "id=7",
    "qty=3",
    "token=usr_abcdefgh",
    "-1",
]


@given(st.lists(st.sampled_from(SPOKEN), max_size=7))
def test_any_words_are_read_or_refused(words):
    outcome(" ".join(words).encode())


EXTRAS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(EXTRAS, EXTRAS, st.booleans())
def test_alerts_are_equal_exactly_when_their_fields_are(one, other, with_token):
    first = {"action": "buy", "symbol": "AAPL", "extras": one}
    second = {**({"token": TOKEN} if with_token else {}), "extras": other, "symbol": "AAPL", "action": "buy"}
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (read(**first).canonical == read(**second).canonical) == same
