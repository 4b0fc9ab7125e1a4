"""Alerts as people write them: names, symbols and actions, and the position wanted afterwards."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dashtrade.domain.signals import Action
from dashtrade.domain.values import Side
from tests.support.alerts import alert, of_position, quantity, refused

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
