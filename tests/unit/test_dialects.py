"""Alerts as people write them, and what DashTrade makes of each. What can be read in two ways is not read at
all."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.domain.alerts.dialects import Reading, open_body, parse, redact, secret_of
from dashtrade.domain.signals import Action, Signal, Size, SizeKind, Target
from dashtrade.domain.values import Malformed, OrderType, Side, TimeInForce

TOKEN = "usr_" + "a1B2" * 6


def read(**fields: object) -> Reading:
    return parse(json.dumps(fields).encode())


def alert(**fields: object) -> Signal:
    """A buy of AAPL, unless the fields say otherwise."""
    named = {"action": "buy", "symbol": "AAPL", **fields}
    return read(**{name: value for name, value in named.items() if value is not ...}).signal


def text(message: str) -> Signal:
    return parse(message.encode()).signal


def refused(**fields: object) -> Malformed:
    with pytest.raises(Malformed) as caught:
        alert(**fields)
    assert caught.value.where and caught.value.hint and caught.value.message
    return caught.value


def unreadable(raw: bytes | str) -> Malformed:
    with pytest.raises(Malformed) as caught:
        parse(raw if isinstance(raw, bytes) else raw.encode())
    assert caught.value.where and caught.value.hint
    return caught.value


def quantity(number: str) -> Size:
    return Size(kind=SizeKind.QUANTITY, value=Decimal(number))


def of_position(percent: str) -> Size:
    return Size(kind=SizeKind.POSITION_PERCENT, value=Decimal(percent))


# --- the body -----------------------------------------------------------------------------------------------


def test_the_content_decides_between_json_and_text():
    assert open_body(b'\xef\xbb\xbf {"action": "buy"} ') == {"action": "buy"}
    assert open_body(b" BUY AAPL\n") == "BUY AAPL"


def test_numbers_are_read_exactly():
    assert open_body(b'{"a": 0.1000000000000000000001, "b": 12345678901234567890123}') == {
        "a": Decimal("0.1000000000000000000001"),
        "b": 12345678901234567890123,
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b"\xff\xfe",
        b"\xc3(",
        b"[]",
        b"[1,",
        b"1",
        b"null",
        b"true",
        b'"BUY AAPL"',
        b"NaN",
        b"{",
        b'{"a":}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":[1e-400]}',
        b'{"a":1e9999999999999999999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a":' * 50_000,
        b"[" * 50_000,
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"comment":"\\u0000"}',
        b"BUY AAPL\x00",
    ],
)
def test_a_body_that_is_no_order_is_malformed_and_nothing_worse(raw):
    unreadable(raw)


@pytest.mark.parametrize(
    "message",
    [
        {"comment": "{{" * 30_000},
        {"interval": "1" + " " * 60_000 + "!"},
        {"qty": "9" * 60_000},
        {"id": "}}" * 30_000},
        {"k" * 30_000: {f"{n}": n for n in range(5_000)}},
        {"action": "b" * 60_000},
        {"order": "token" * 12_000},
    ],
)
def test_a_hostile_body_takes_no_time(message):
    raw = json.dumps({"action": "buy", "symbol": "AAPL", **message}).encode()
    started = time.perf_counter()
    outcome(raw)
    redact(raw.decode())
    assert time.perf_counter() - started < 1


def test_a_number_out_of_range_is_named_wherever_it_is():
    assert unreadable('{"extras": {"depth": [1, 1e400]}}').where == "extras.depth[1]"


def test_a_field_sent_twice_is_refused_by_name():
    assert unreadable('{"action": "buy", "qty": 1, "qty": 2}').where == "qty"
    assert unreadable('{"action": "buy", "order": {"amount": 1, "amount": 1}}').where == "amount"


def test_a_placeholder_outside_quotes_is_explained():
    assert "placeholder" in unreadable('{"action": "buy", "qty": {{strategy.order.contracts}}}').hint


# --- who sent it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["token", "Token", "secret", "passphrase", "key"])
def test_the_secret_is_found_before_the_rest_is_read(name):
    assert secret_of(open_body(json.dumps({name: TOKEN, "action": "{{nonsense}}"}).encode())) == TOKEN


def test_the_token_wins_over_the_other_proofs():
    assert secret_of({"key": TOKEN, "passphrase": "p", "secret": "s", "token": "t"}) == "t"
    assert secret_of({"key": TOKEN, "passphrase": "p", "secret": "s"}) == "s"
    assert secret_of({"key": TOKEN, "passphrase": 1234}) == "1234"


def test_a_key_that_is_no_token_is_an_ordinary_field():
    reading = read(action="buy", symbol="AAPL", key="AAPL-2026-11-21")
    assert reading.secret is None and reading.body["key"] == "AAPL-2026-11-21"


def test_text_may_carry_its_token():
    reading = parse(f"BUY AAPL token={TOKEN}".encode())
    assert (reading.secret, reading.canonical) == (TOKEN, "BUY AAPL")
    assert TOKEN not in str(reading.body)


def test_a_secret_is_neither_stored_nor_shown():
    sent = {"action": "buy", "symbol": "AAPL", "secret": "hush", "key": TOKEN, "qty": 1}
    reading = read(**sent)
    assert "hush" not in reading.canonical + str(reading.body) and TOKEN not in reading.canonical + str(
        reading.body
    )
    assert redact(sent) == {"action": "buy", "symbol": "AAPL", "secret": "•••", "key": "•••", "qty": 1}
    assert redact(f"BUY AAPL {TOKEN} id=7") == "BUY AAPL ••• id=7"
    assert redact(f"BUY AAPL token={TOKEN} Secret: hush id=7") == "BUY AAPL token=••• Secret: ••• id=7"


def test_a_secret_that_is_no_text_is_refused_without_showing_it():
    assert "hush" not in refused(token=["hush"]).message


# --- equal alerts -------------------------------------------------------------------------------------------


def test_the_order_of_fields_and_the_secret_do_not_make_a_new_alert():
    one = parse(b'{"action":"buy","symbol":"AAPL","takeProfit":{"percent":2,"share":50}}')
    other = parse(b'{"token":"t","takeProfit":{"share":50,"percent":2}, "symbol":"AAPL","action":"buy"}')
    assert one.canonical == other.canonical


@pytest.mark.parametrize(
    "changed",
    [
        {"takeProfit": {"percent": 3}},
        {"takeProfit": {"percent": "2"}},
        {"comment": "b"},
        {"extras": {"deep": [1, 3]}},
    ],
)
def test_every_other_field_makes_a_new_alert(changed):
    first = {
        "action": "buy",
        "symbol": "AAPL",
        "takeProfit": {"percent": 2},
        "comment": "a",
        "extras": {"deep": [1, 2]},
    }
    assert read(**first).canonical != read(**{**first, **changed}).canonical


def test_white_space_does_not_make_a_new_text():
    assert parse(b"BUY  AAPL\n15 Min ").canonical == parse(b"BUY AAPL 15 Min").canonical == "BUY AAPL 15 Min"


# --- plain text ---------------------------------------------------------------------------------------------


def test_plain_text_is_read_in_any_case():
    for message in ("BUY AAPL", "buy aapl", "Buy NASDAQ:AAPL"):
        assert (text(message).action, text(message).symbol.text) == (Action.BUY, "NYSE:AAPL-EQ")


def test_plain_text_takes_a_size_and_a_timeframe():
    assert text("BUY 10 AAPL").size == quantity("10")
    assert text("BUY AAPL 5%").size == Size(kind=SizeKind.EQUITY_PERCENT, value=Decimal(5))
    assert text("CLOSE 50% BTCUSDT").size == of_position("50")
    assert text("SELL AAPL 15 Min").timeframe.text == "15m"
    both = text("buy 0.5 BTC/USDT 1H id=x7 bot=Turtle")
    assert (both.size, both.timeframe.text, both.key, both.bot) == (quantity("0.5"), "1h", "x7", "Turtle")
    assert both.dialect == "text"


@pytest.mark.parametrize(
    "message",
    [
        "BUY",
        "AAPL",
        "BUY AAPL 10",
        "BUY -5 AAPL",
        "BUY 0 AAPL",
        "BUY AAPL soon",
        "BUI AAPL",
        "BUY 10 AAPL 5%",
        "BUY {{ticker}}",
        "order buy @ 10 filled on AAPL. New strategy position is 10",
        "BUY AAPL id=1 id=2",
        "BUY AAPL quantity=1 qty=2",
    ],
)
def test_text_that_could_mean_something_else_is_refused(message):
    unreadable(message)


# --- names, symbols, actions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["ticker", "symbol", "pair", "tv_instrument", "Ticker", "SYMBOL", "tvInstrument"]
)
def test_a_symbol_goes_by_many_names(name):
    assert alert(**{"symbol": ..., name: "nasdaq:aapl"}).symbol.text == "NYSE:AAPL-EQ"


@pytest.mark.parametrize(
    ("written", "pair"),
    [
        ("KRAKEN:XBTUSD", "BTC/USD"),
        ("COINBASE:DOTUSD", "DOT/USD"),
        ("COINBASE:ARBUSD", "ARB/USD"),
        ("BATUSD", "BAT/USD"),
        ("COINBASE:MNTUSD", "MNT/USD"),
        ("BINANCE:BTCTUSD", "BTC/TUSD"),
        ("BINANCE:BNBBUSD", "BNB/BUSD"),
        ("BINANCE:XYZFDUSD", "XYZ/FDUSD"),
    ],
)
def test_a_pair_without_its_slash_is_split_where_the_coin_ends(written, pair):
    assert alert(symbol=written).symbol.short == pair


def test_the_same_symbol_twice_is_fine_and_two_symbols_are_not():
    assert alert(ticker="NASDAQ:AAPL", pair="AAPL").symbol.base == "AAPL"
    assert alert(ticker="VOD", symbol="LSE:VOD").symbol.text == "LSE:VOD-EQ"
    error = refused(ticker="MSFT")
    assert "ticker" in error.message and "symbol" in error.message and "contradict" in error.message


def test_an_exchange_qualifies_a_bare_ticker_if_the_two_go_together():
    assert alert(symbol="VOD", exchange="LSE").symbol.text == "LSE:VOD-EQ"
    assert alert(symbol="AAPL", exchange="NASDAQ_DLY").symbol.text == "NYSE:AAPL-EQ"
    assert alert(symbol="AAPL", exchange="alpaca").symbol.text == "NYSE:AAPL-EQ"
    assert alert(symbol=..., tv_instrument="FOOUSDT", tv_exchange="BINANCE").symbol.text == "CRYPTO:FOO/USDT"


def test_an_alert_without_symbol_or_action_is_refused():
    assert refused(symbol=...).where == "symbol"
    assert refused(action=...).where == "action"


@pytest.mark.parametrize(
    ("word", "action", "only"),
    [
        ("buy", Action.BUY, None),
        ("LONG", Action.BUY, None),
        ("enter_long", Action.BUY, None),
        ("sell", Action.SELL, None),
        ("short", Action.SELL, None),
        ("enterShort", Action.SELL, None),
        ("close", Action.CLOSE, None),
        ("exit", Action.CLOSE, None),
        ("flat", Action.CLOSE, None),
        ("flatten", Action.CLOSE, None),
        ("exit_all", Action.CLOSE, None),
        ("exit_long", Action.CLOSE, Side.LONG),
        ("close-short", Action.CLOSE, Side.SHORT),
        ("exit short", Action.CLOSE, Side.SHORT),
        ("add", Action.ADD, None),
        ("reverse", Action.REVERSE, None),
        ("cancel", Action.CANCEL, None),
        ("breakeven", Action.BREAKEVEN, None),
    ],
)
def test_actions_go_by_many_words(word, action, only):
    signal = alert(action=word)
    assert (signal.action, signal.only_side) == (action, only)


def test_an_unknown_action_is_refused_with_the_nearest_known_one():
    error = refused(action="revers")
    assert "'reverse'" in error.hint and "breakeven" in error.hint and error.where == "action"


def test_action_and_side_may_agree_but_not_contradict():
    assert alert(side="long").action is Action.BUY
    assert alert(side="buy").action is Action.BUY
    assert alert(action=..., direction="short").action is Action.SELL
    assert alert(action="close", side="long").only_side is Side.LONG
    error = refused(side="sell")
    assert "action" in error.message and "side" in error.message


@pytest.mark.parametrize(
    ("fields", "dialect"),
    [
        ({}, "plain"),
        ({"sentiment": "bullish"}, "traderspost"),
        ({"market_position": "long"}, "strategy"),
        ({"max_lag": 300}, "3commas"),
    ],
)
def test_the_dialect_is_named(fields, dialect):
    assert alert(**fields).dialect == dialect


def test_3commas_own_name_of_a_bot_is_no_name_of_one_here_but_a_number_is_an_id():
    assert alert(bot_uuid="8f3a0c3e-55b1-4a6e-9c1d-0d1f2b3c4d5e").bot is None
    assert any("bot_uuid" in note for note in alert(bot_uuid="8f3a0c3e-55b1").notes)
    assert (
        alert(bot_uuid="3").bot == "3"
        and alert(bot_uuid=3, bot="3").bot == "3"
        and not alert(bot_uuid=3).notes
    )
    assert "contradict" in refused(bot_uuid=3, bot=4).message
    assert alert(bot_uuid="8f3a0c3e-55b1", bot="Turtle").bot == "Turtle"


@pytest.mark.parametrize(
    "fields",
    [
        {"symbol": "{{ticker}}"},
        {"comment": "at {{close}}"},
        {"extras": {"list": ["{{plot_0}}"]}},
        {"quantity": "{{qty}}"},
        {"id": "{{ticker}}-{{timenow}}"},
        {"token": "{{token}}"},
    ],
)
def test_an_unexpanded_placeholder_is_refused(fields):
    assert refused(**fields).where.startswith(next(iter(fields)))


# --- the position wanted afterwards -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "sentiment", "settled"),
    [
        ("buy", "bullish", Action.BUY),
        ("buy", "long", Action.BUY),
        ("sell", "bearish", Action.SELL),
        ("sell", "flat", Action.CLOSE),
        ("buy", "flat", Action.CLOSE),
        ("exit", "flat", Action.CLOSE),
        ("cancel", "flat", Action.CANCEL),
        ("add", "long", Action.ADD),
    ],
)
def test_the_sentiment_is_what_is_held_afterwards(action, sentiment, settled):
    assert alert(action=action, sentiment=sentiment).action is settled


@pytest.mark.parametrize(
    ("action", "wanted", "only"), [("sell", "long", Side.LONG), ("buy", "short", Side.SHORT)]
)
def test_the_opposite_order_with_the_position_kept_is_a_partial_exit(action, wanted, only):
    signal = alert(action=action, sentiment=wanted, quantity="3")
    assert (signal.action, signal.only_side, signal.size) == (Action.REDUCE, only, quantity("3"))
    assert signal.notes
    refused(action=action, sentiment=wanted)


def test_a_partial_exit_is_worked_out_from_the_sizes_of_the_position():
    signal = alert(
        action="sell",
        market_position="long",
        market_position_size=2,
        prev_market_position="long",
        prev_market_position_size="8",
    )
    assert (signal.action, signal.size) == (Action.REDUCE, of_position("75"))


def test_a_third_of_three_shares_comes_to_one_share():
    signal = alert(action="sell", market_position="long", market_position_size=2, prev_market_position_size=3)
    assert 1 <= signal.size.value * 3 / 100 < Decimal("1.00000001")


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "sell", "market_position": "long", "prev_market_position": "flat", "qty": 1},
        {"action": "buy", "market_position": "short", "prev_market_position": "long", "qty": 1},
        {"action": "exit", "sentiment": "long"},
        {"action": "exit_long", "sentiment": "short", "qty": 1},
        {"action": "add", "sentiment": "flat"},
        {"action": "reverse", "market_position": "flat"},
        {"sentiment": "long", "market_position": "short"},
        {
            "market_position": "long",
            "prev_market_position": "long",
            "market_position_size": 5,
            "prev_market_position_size": 10,
        },
        {
            "action": "sell",
            "qty": 1,
            "market_position": "long",
            "market_position_size": 9,
            "prev_market_position_size": 8,
        },
        {
            "action": "sell",
            "market_position": "long",
            "market_position_size": 0,
            "prev_market_position_size": 8,
        },
        {
            "action": "sell",
            "market_position": "long",
            "market_position_size": -1,
            "prev_market_position_size": 8,
        },
        {"market_position": "up"},
        {"sentiment": 1},
        {"prev_market_position": "none", "market_position": "long"},
    ],
)
def test_a_position_that_the_action_cannot_lead_to_is_refused(fields):
    refused(**fields)


def test_a_close_of_a_part_may_keep_the_position():
    signal = alert(action="exit", sentiment="long", quantity=5)
    assert (signal.action, signal.size, signal.only_side) == (Action.CLOSE, quantity("5"), Side.LONG)


def test_more_of_the_same_position_is_an_addition():
    fields = {"market_position": "long", "prev_market_position": "long"}
    assert alert(**fields, qty=5).action is Action.ADD
    assert alert(**fields, market_position_size=15, prev_market_position_size=10).action is Action.ADD


@pytest.mark.parametrize(
    ("position", "action"), [("long", Action.BUY), ("short", Action.SELL), ("flat", Action.CLOSE)]
)
def test_a_position_alone_says_what_to_do(position, action):
    assert alert(action=..., market_position=position).action is action


def test_a_position_alone_that_shrank_is_reduced():
    signal = alert(
        action=...,
        market_position="short",
        prev_market_position="short",
        market_position_size=1,
        prev_market_position_size=4,
    )
    assert (signal.action, signal.size, signal.only_side) == (Action.REDUCE, of_position("75"), Side.SHORT)


def test_a_template_that_fills_zero_sizes_into_an_exit_still_closes():
    signal = alert(
        action="sell",
        market_position="flat",
        market_position_size=0,
        position_size=0,
        contracts=0,
        prev_market_position="long",
        prev_market_position_size=10,
    )
    assert (signal.action, signal.size) == (Action.CLOSE, None)


def test_sizes_are_dropped_with_a_note_when_nothing_is_to_be_held():
    signal = alert(action="sell", market_position="flat", contracts=10)
    assert signal.size is None and "contracts 10" in " ".join(signal.notes)
    refused(action="sell", market_position="flat", contracts=-10)


def test_a_strategy_object_is_read_as_if_it_were_flat():
    strategy = {
        "order_action": "buy",
        "order_contracts": 10,
        "position_size": 10,
        "order_id": "Long",
        "id": "Long",
        "order_price": 187.5,
        "market_position": "long",
        "market_position_size": 10,
        "prev_market_position": "flat",
        "prev_market_position_size": 0,
    }
    signal = alert(action=..., strategy=strategy)
    assert (signal.action, signal.size, signal.key, signal.dialect) == (
        Action.BUY,
        quantity("10"),
        None,
        "strategy",
    )
    assert signal.price == Decimal("187.5")


def test_a_strategy_that_ends_at_zero_is_an_exit_and_not_a_short():
    signal = alert(action=..., strategy={"order_action": "sell", "order_contracts": 10, "position_size": 0})
    assert (signal.action, signal.size) == (Action.CLOSE, None)
    signal = alert(action=..., strategy={"order_action": "sell", "order_contracts": 10, "position_size": -10})
    assert (signal.action, signal.size) == (Action.SELL, quantity("10"))


def test_the_position_afterwards_is_the_size_of_an_entry_that_names_no_other():
    assert alert(market_position="long", position_size=10).size == quantity("10")
    assert alert(action="sell", market_position="short", position_size=-10, contracts=4).size == quantity("4")


def test_a_turn_is_not_doubled_by_the_contracts_that_close_the_old_position():
    signal = alert(
        contracts=20,
        market_position="long",
        market_position_size=12,
        prev_market_position="short",
        prev_market_position_size=8,
    )
    assert (signal.action, signal.size) == (Action.BUY, quantity("12")) and signal.notes


# --- sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["qty", "quantity", "size", "contracts", "amount", "position_size", "positionSize"]
)
def test_a_size_goes_by_many_names(name):
    assert alert(**{name: "10.5"}).size == quantity("10.5")


@pytest.mark.parametrize("name", ["dollars", "notional", "usd"])
def test_a_size_may_be_money(name):
    assert alert(**{name: 500}).size == Size(kind=SizeKind.DOLLARS, value=Decimal(500))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("fixed_quantity", SizeKind.QUANTITY),
        ("dollar_amount", SizeKind.DOLLARS),
        ("risk_dollar_amount", SizeKind.RISK_DOLLARS),
        ("risk_percent", SizeKind.RISK_PERCENT),
        ("percent_of_equity", SizeKind.EQUITY_PERCENT),
        ("percentOfPosition", SizeKind.POSITION_PERCENT),
        ("percent", SizeKind.EQUITY_PERCENT),
    ],
)
def test_the_quantity_type_says_what_the_size_means(written, kind):
    assert alert(quantity="2", quantityType=written).size == Size(kind=kind, value=Decimal(2))


@pytest.mark.parametrize(
    ("currency", "kind"),
    [
        ("base", SizeKind.QUANTITY),
        ("quote", SizeKind.DOLLARS),
        ("position_percent", SizeKind.POSITION_PERCENT),
    ],
)
def test_an_order_object_brings_size_and_currency(currency, kind):
    signal = alert(action="exit_long", order={"amount": "25", "currency_type": currency})
    assert (signal.action, signal.only_side, signal.size) == (
        Action.CLOSE,
        Side.LONG,
        Size(kind=kind, value=Decimal(25)),
    )


def test_a_percentage_is_of_the_equity_on_the_way_in_and_of_the_position_on_the_way_out():
    assert alert(qty="5%").size.kind is SizeKind.EQUITY_PERCENT
    assert alert(action="close", qty="5%").size.kind is SizeKind.POSITION_PERCENT
    assert alert(action="reduce", qty="5", quantityType="percent").size.kind is SizeKind.POSITION_PERCENT


def test_a_close_with_a_quantity_is_partial():
    assert alert(action="close", quantity=3).size == quantity("3")


@pytest.mark.parametrize(
    "value", [0, -5, "0", "-1", "NaN", "inf", "ten", "", True, [], [1], {}, "1_0", "1,000", "0%", "-5%"]
)
def test_a_size_that_is_no_positive_number_is_refused(value):
    assert refused(quantity=value).where == "quantity"
    assert refused(action="close", quantity=value).where == "quantity"


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": 1, "quantity": 2},
        {"qty": 1, "dollars": 1},
        {"qty": "5%", "size": 5},
        {"qty": 1, "order": {"amount": 2}},
        {"action": "close", "qty": "101%"},
        {"action": "reduce"},
        {"qty": "5%", "quantityType": "fixed_quantity"},
        {"action": "close", "qty": 101, "quantityType": "percent_of_position"},
        {"qty": 1, "quantityType": "lots"},
    ],
)
def test_sizes_that_contradict_each_other_or_mean_nothing_are_refused(fields):
    refused(**fields)


def test_the_same_size_twice_is_fine():
    assert alert(qty=1, quantity="1.0").size == quantity("1")


# --- orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, None),
        ({"orderType": "market"}, OrderType.MARKET),
        ({"orderType": "limit", "limitPrice": "9.5"}, OrderType.LIMIT),
        ({"limit_price": 9}, OrderType.LIMIT),
        ({"stopPrice": 9}, OrderType.STOP),
        ({"order_type": "Stop Limit", "limitPrice": 9, "stopPrice": 8}, OrderType.STOP_LIMIT),
        ({"orderType": "trailing_stop", "trailAmount": 1}, OrderType.TRAILING_STOP),
        ({"trailPercent": "2%"}, OrderType.TRAILING_STOP),
        ({"order": {"order_type": "limit", "price": 9, "amount": 1}}, OrderType.LIMIT),
    ],
)
def test_the_order_type_is_named_or_follows_from_its_prices(fields, kind):
    assert alert(**fields).order_type is kind


@pytest.mark.parametrize(
    "fields",
    [
        {"orderType": "limit"},
        {"orderType": "market", "limitPrice": 1},
        {"orderType": "stop", "limitPrice": 1},
        {"orderType": "stop_limit", "limitPrice": 1},
        {"orderType": "trailing_stop"},
        {"trailAmount": 1, "trailPercent": 1},
        {"orderType": "limit", "limitPrice": 0},
        {"limitPrice": -1},
        {"limitPrice": 1, "limit_price": 2},
        {"orderType": "iceberg"},
        {"orderType": 1},
        {"timeInForce": "forever"},
        {"extendedHours": "perhaps"},
        {"extendedHours": 1},
        {"cancel": "x"},
        {"delay": -1},
        {"delay": 86401},
        {"delay": True},
        {"max_lag": 0},
        {"max_age": 10**12},
        {"price": "high"},
        {"price": 0},
    ],
)
def test_an_order_that_does_not_fit_together_is_refused(fields):
    refused(**fields)


def test_what_surrounds_the_order_is_read():
    signal = alert(
        timeInForce="GTC", extendedHours="true", cancel=True, delay="1.5", max_lag=300, signalPrice="187.25"
    )
    assert (signal.time_in_force, signal.extended_hours, signal.cancel_first) == (TimeInForce.GTC, True, True)
    assert (signal.delay, signal.max_age, signal.price) == (
        timedelta(seconds=1.5),
        timedelta(minutes=5),
        Decimal("187.25"),
    )
    assert alert(extendedHours="false", cancel=False).extended_hours is False


def test_the_timeframe_is_one_whatever_its_name():
    assert alert(interval="15", timeframe="15 Min", tf=15).timeframe.text == "15m"
    assert refused(interval="15", timeframe="1H").where == "interval"
    refused(interval="soon")
    refused(interval=[15])


@pytest.mark.parametrize(
    ("written", "target"),
    [
        (190, Target(price=Decimal(190))),
        ("190.5", Target(price=Decimal("190.5"))),
        ({"limitPrice": 190}, Target(price=Decimal(190))),
        ({"price": 190}, Target(price=Decimal(190))),
        ({"percent": "5%"}, Target(percent=Decimal(5))),
        ({"amount": 2}, Target(amount=Decimal(2))),
    ],
)
def test_a_take_profit_is_a_price_a_percentage_or_a_distance(written, target):
    for name in ("takeProfit", "take_profit", "tp"):
        assert alert(**{name: written}).take_profits == (target,)


def test_profit_may_be_taken_in_steps():
    steps = alert(
        tp=[{"percent": 2, "share": 50}, {"percent": 4, "sharePercent": "30%"}, {"percent": 6}]
    ).take_profits
    assert [step.share_percent for step in steps] == [Decimal(50), Decimal(30), None]


@pytest.mark.parametrize(
    "written",
    [
        0,
        -1,
        True,
        "x",
        {},
        {"percent": 1, "amount": 1},
        {"percent": 0},
        {"percent": [1]},
        [{"percent": 1}, {"percent": 2}],
        [{"percent": 1, "share": 60}, {"percent": 2, "share": 50}],
        [{"percent": 1}, {"percent": 2, "share": 50}],
        [{"percent": 1, "share": 100}, {"percent": 2}],
        [{"percent": 1, "share": 0}],
        [{"percent": 1}] * 21,
    ],
)
def test_a_take_profit_that_is_not_clear_is_refused(written):
    assert refused(takeProfit=written).where.startswith("takeProfit")


@pytest.mark.parametrize(
    ("written", "target"),
    [
        (180, Target(price=Decimal(180))),
        ({"type": "stop", "stopPrice": 180}, Target(price=Decimal(180))),
        ({"percent": 2}, Target(percent=Decimal(2))),
        ({"amount": "1.5"}, Target(amount=Decimal("1.5"))),
        (
            {"type": "stop_limit", "stopPrice": 180, "limitPrice": 179},
            Target(price=Decimal(180), limit_price=Decimal(179)),
        ),
        ({"type": "trailing_stop", "trailPercent": 3}, Target(percent=Decimal(3), trailing=True)),
        ({"trailAmount": 3}, Target(amount=Decimal(3), trailing=True)),
        ({"type": "trailing_stop", "percent": 3}, Target(percent=Decimal(3), trailing=True)),
    ],
)
def test_a_stop_loss_is_fixed_limited_or_trailing(written, target):
    for name in ("stopLoss", "stop_loss", "sl"):
        assert alert(**{name: written}).stop_loss == target


@pytest.mark.parametrize(
    "written",
    [
        0,
        [],
        [1],
        {},
        {"type": "stop"},
        {"percent": 1, "amount": 1},
        {"type": "stop_limit", "stopPrice": 1},
        {"type": "stop", "trailPercent": 1},
        {"type": "stop", "stopPrice": 2, "limitPrice": 1},
        {"limitPrice": 1},
        {"type": "trailing_stop", "stopPrice": 1},
        {"trailAmount": 1, "trailPercent": 1},
        {"type": "limit", "percent": 1},
    ],
)
def test_a_stop_loss_that_is_not_clear_is_refused(written):
    assert refused(stopLoss=written).where.startswith("stopLoss")


# --- ids and times ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["id", "signalId", "signal_id", "alertTimestamp", "alert_id", "idempotency_key"]
)
def test_the_senders_own_id_goes_by_many_names(name):
    assert alert(**{name: "AAPL-7"}).key == "AAPL-7"
    assert alert(**{name: 7}).key == "7"


@pytest.mark.parametrize("value", ["", " ", "a" * 201, "a\nb", "a\x7f", True, [], {}, ["a"]])
def test_an_id_or_bot_that_cannot_be_one_is_refused(value):
    assert refused(id=value).where == "id"
    assert refused(bot=value).where == "bot"


def test_two_different_ids_or_bots_are_refused():
    refused(id="a", signalId="b")
    refused(bot="a", bot_name="b")
    assert alert(bot_id=7, bot="7").bot == "7"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21 11:00:00+01:00",
        1795255200,
        "1795255200",
        1795255200000,
        "1795255200000000",
        1795255200.0,
    ],
)
def test_a_time_is_read_in_every_common_form(written):
    assert alert(time=written).sent_at == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["", "soon", "20261121", 0, -1, 10**30, True, [], {}, "1900-01-01", "10:00", "9999-12-31T23:59"],
)
def test_a_time_that_cannot_be_read_is_refused(written):
    assert refused(time=written).where == "time"


def test_the_time_of_the_alert_wins_over_the_time_of_the_bar():
    assert alert(time="2026-11-21T09:45:00Z", timenow="2026-11-21T10:00:03Z").sent_at.minute == 0


def test_fields_nobody_knows_are_kept_and_nulls_count_as_not_sent():
    reading = read(action="buy", symbol="AAPL", extras={"a": [1, 2]}, message="hi", quantity=None)
    assert (
        reading.body["extras"] == {"a": [1, 2]}
        and reading.body["message"] == "hi"
        and reading.signal.size is None
    )


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


def outcome(raw: bytes) -> tuple:
    try:
        reading = parse(raw)
    except Malformed as error:
        assert error.where and error.hint
        str(error).encode(), error.where.encode(), error.hint.encode()
        return error.message, error.where, error.hint
    signal = reading.signal
    sizes = [signal.size.value] if signal.size else []
    for target in (*signal.take_profits, *([signal.stop_loss] if signal.stop_loss else [])):
        ways = [value for value in (target.price, target.percent, target.amount) if value is not None]
        assert len(ways) == 1
        sizes += ways
    assert all(value.is_finite() and value > 0 for value in sizes)
    assert signal.action is not Action.REDUCE or signal.size
    reading.canonical.encode()
    return (reading,)


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


# --- exits that would be left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        {"stopLossPercent": 2},
        {"trailing_stop": "2%"},
        {"stop": 190},
        {"sl_price": "190"},
        {"tp1": 220},
        {"take_profit_pct": 4},
        {"trail": 1.5},
        {"target": {"price": 220}},
    ],
)
def test_a_stop_or_target_under_an_unknown_name_is_refused_and_not_left_out(field: dict[str, Any]):
    with pytest.raises(Malformed) as caught:
        parse(json.dumps({"action": "buy", "symbol": "AAPL"} | field).encode())
    assert caught.value.where == next(iter(field)) and "would be without it" in caught.value.message


@pytest.mark.parametrize(
    "field",
    [
        {"stop": 0},
        {"stopLossPercent": ""},
        {"target": "webhook"},
        {"netProfit": 120},
        {"trailing_stop": None},
    ],
)
def test_what_is_no_exit_is_let_be(field: dict[str, Any]):
    assert parse(json.dumps({"action": "buy", "symbol": "AAPL"} | field).encode()).signal.stop_loss is None


def test_a_way_out_passes_whatever_else_its_alert_holds():
    assert parse(b'{"action": "close", "symbol": "AAPL", "stopLossPercent": 2}').signal.action is Action.CLOSE


@pytest.mark.parametrize("loss", [{}, {"type": "trailing_stop"}, {"percent": None}, ""])
def test_a_stop_without_a_number_is_refused(loss: Any):
    with pytest.raises(Malformed):
        parse(json.dumps({"action": "buy", "symbol": "AAPL", "stopLoss": loss}).encode())


def test_a_greeting_is_not_taken_for_a_sale():
    with pytest.raises(Malformed) as caught:
        parse(b"hello world")
    assert "Did you mean" not in caught.value.hint
