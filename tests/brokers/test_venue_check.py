"""What a venue cannot do is said when the bot is saved: by its table, and by what it says of the symbol,
through the real libraries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dashtrade.domain.ports import BadCredentials, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.services.accounts import venue_check
from dashtrade.services.accounts.owned import account_of
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.exchanges import ExchangeSimulator
from tests.simulators.schwab import KEY, SECRET, SchwabFront
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def saved(person: Trader, **fields: Any) -> Any:
    given = {
        "account_id": person.paper,
        "symbol": "AAPL",
        "timeframe": "15 Min",
        "position_size": "5000",
    } | fields
    return person.call("POST", "/bots", given)


def refused(said: Any, field: str, *words: str) -> None:
    assert said.status_code == 400, said.text
    assert said.json["field"] == field and said.json["hint"]
    assert all(word in said.json["message"] for word in words), said.json["message"]


# --- Alpaca -------------------------------------------------------------------------------------------------


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture
def alpaca(make_app: MakeApp, sim: AlpacaSimulator) -> Trader:
    urls = {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}
    trader = Installation(make_app(clock=ManualClock(datetime.now(UTC)), **urls)).join()
    body = {
        "broker": "alpaca",
        "mode": "paper",
        "label": "A",
        "credentials": {"key": sim.key, "secret": sim.secret},
    }
    trader.paper = trader.request("POST", "/accounts", body)["id"]
    return trader


def test_what_alpaca_trades_is_saved_without_a_word(alpaca: Trader):
    answer = saved(alpaca)
    assert answer.status_code == 201 and answer.json["warnings"] == [] and answer.json["sides"] == "both"
    quantity = saved(alpaca, timeframe="1H", position_size="1.5", position_size_type="quantity", sides="long")
    assert quantity.status_code == 201 and quantity.json["warnings"] == []


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"symbol": "NOPE"}, "symbol", ("Alpaca does not trade NOPE",)),
        ({"symbol": "HALT"}, "symbol", ("HALT cannot be traded at Alpaca now",)),
        ({"symbol": "LSE:VOD"}, "symbol", ("neither",)),
        ({"symbol": "HARD", "sides": "short"}, "sides", ("HARD cannot be sold short at Alpaca",)),
        (
            {"symbol": "WHOLE", "position_size": "1.5", "position_size_type": "quantity"},
            "position_size",
            ("whole shares of WHOLE only", "1.5"),
        ),
        (
            {"sides": "short", "position_size": "1.5", "position_size_type": "quantity"},
            "position_size",
            ("whole shares short only",),
        ),
        ({"symbol": "BTCUSD", "sides": "short"}, "sides", ("cannot be sold short",)),
        (
            {"symbol": "BTCUSD", "position_size": "0.00001", "position_size_type": "quantity"},
            "position_size",
            ("minimum order at Alpaca, 0.0001",),
        ),
        (
            {"position_size": "0.50"},
            "position_size",
            ("0.50 is below the minimum order of AAPL at Alpaca, 1.00",),
        ),
    ],
)
def test_what_alpaca_refuses_is_refused_when_the_bot_is_saved(
    alpaca: Trader, fields: dict[str, Any], field: str, words: tuple[str, ...]
):
    refused(saved(alpaca, **fields), field, *words)
    assert alpaca.get("/bots")["items"] == []


def test_a_two_sided_bot_is_warned_of_a_symbol_without_borrow(alpaca: Trader):
    answer = saved(alpaca, symbol="HARD")
    assert answer.status_code == 201
    assert answer.json["warnings"] == [
        "HARD cannot be sold short at Alpaca: a SELL closes the bot's position, and opens nothing."
    ]


def test_a_change_is_held_against_the_venue_like_a_new_bot(alpaca: Trader):
    bot = saved(alpaca, symbol="HARD", sides="long").json["id"]
    refused(alpaca.call("PATCH", f"/bots/{bot}", {"sides": "short"}), "sides", "HARD cannot be sold short")
    assert alpaca.request("PATCH", f"/bots/{bot}", {"name": "Hard"})["warnings"] == []


def test_while_alpaca_is_away_a_bot_is_saved_and_says_what_was_not_checked(make_app: MakeApp):
    alpaca = Installation(
        make_app(ALPACA_API_URL="http://127.0.0.1:9", ALPACA_DATA_URL="http://127.0.0.1:9")
    ).join()
    body = {
        "broker": "alpaca",
        "mode": "paper",
        "label": "A",
        "credentials": {"key": "PK1", "secret": "secret"},
    }
    alpaca.paper = alpaca.request("POST", "/accounts", body)["id"]
    answer = saved(alpaca, symbol="NOPE")
    assert answer.status_code == 201
    assert (
        len(answer.json["warnings"]) == 1 and "Alpaca did not answer about NOPE" in answer.json["warnings"][0]
    )
    refused(saved(alpaca, symbol="MSFT", timeframe="1H", time_in_force="never"), "time_in_force")


# --- Binance, and Schwab ------------------------------------------------------------------------------------


@pytest.fixture
def binance(make_app: MakeApp) -> Iterator[Trader]:
    with ExchangeSimulator("binance") as simulator:
        keys = getattr(simulator.front, "keys", {"key": "key", "secret": "secret"})
        trader = Installation(make_app(CCXT_URL_BINANCE=simulator.url)).join()
        body = {
            "broker": "crypto",
            "mode": "live",
            "acknowledge": "REAL MONEY",
            "decline_second_factor": True,
            "label": "B",
            "credentials": {"key": keys["key"], "secret": keys["secret"]},
        }
        trader.paper = trader.request("POST", "/accounts", body | {"options": {"exchange": "binance"}})["id"]
        yield trader


def test_a_spot_exchange_sells_nothing_short_and_trades_no_stocks(binance: Trader):
    answer = saved(binance, symbol="SOLUSDT", position_size="100")
    assert answer.status_code == 201 and answer.json["sides"] == "long" and answer.json["warnings"] == []
    both = saved(binance, symbol="SOLUSDT", timeframe="1H", position_size="100", sides="both")
    assert both.status_code == 201 and "Binance cannot sell short: a SELL closes" in both.json["warnings"][0]
    refused(saved(binance, symbol="SOLUSDT", sides="short"), "sides", "Binance cannot sell short")
    refused(saved(binance), "symbol", "Binance does not trade stocks")
    refused(saved(binance, symbol="SOLUSDT", extended_hours=True), "extended_hours", "regular hours")
    refused(saved(binance, symbol="SOLUSDT", time_in_force="day"), "time_in_force", "takes no day orders")


@pytest.mark.parametrize(
    ("symbol", "beside", "coin"),
    [("ETH/BTC", "BTC/USDT", "BTC"), ("BTC/USDT", "ETH/BTC", "BTC"), ("ETH/USDT", "BTC/USDT", "")],
)
def test_a_pair_that_pays_with_another_bots_coin_is_warned_of(
    binance: Trader, symbol: str, beside: str, coin: str
):
    account, answer = account_of(binance.installation.app, binance.user, binance.paper), []
    venue_check.check_other_bots(
        binance.installation.app, account, Symbol.parse(symbol), [Symbol.parse(beside)], answer.append
    )
    assert [words.partition(" ")[0] for words in answer] == ([coin] if coin else []) and all(
        "used as payment by another" in words for words in answer
    )


def test_the_minimum_of_an_exchange_is_named_when_the_bot_is_saved(binance: Trader):
    refused(
        saved(binance, symbol="SOLUSDT", position_size="1"),
        "position_size",
        "1.00 is below the minimum order of SOL/USDT at Binance",
    )
    refused(
        saved(binance, symbol="SOLUSDT", position_size="0.0000001", position_size_type="quantity"),
        "position_size",
        "minimum order at Binance",
    )
    refused(saved(binance, symbol="BINANCE:NOPEUSDT", position_size="100"), "symbol", "NOPE/USDT")


def test_schwab_takes_whole_shares_long(make_app: MakeApp):
    front = SchwabFront()
    with ExchangeSimulator(front) as simulator:
        trader = Installation(make_app(SCHWAB_URL=simulator.url)).join()
        credentials = {"key": KEY, "secret": SECRET, "token": front.token()}
        body = {
            "broker": "schwab",
            "mode": "live",
            "acknowledge": "REAL MONEY",
            "decline_second_factor": True,
            "label": "S",
            "credentials": credentials,
        }
        trader.paper = trader.request("POST", "/accounts", body)["id"]
        assert saved(trader).json["warnings"] == []
        refused(
            saved(trader, timeframe="1H", position_size="1.5", position_size_type="quantity"),
            "position_size",
            "whole shares of AAPL only",
        )
        refused(saved(trader, symbol="BTCUSD"), "symbol", "does not trade coins")
        small = saved(trader, timeframe="1H", position_size="10")
        assert small.status_code == 201 and "an entry would be refused" in small.json["warnings"][0]


# --- a venue that does not answer ---------------------------------------------------------------------------


@pytest.fixture
def venue() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def away(make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker) -> Trader:
    trader = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    trader.paper = trader.account("venue")
    return trader


@pytest.mark.parametrize("error", [Unavailable("it is being mended"), BadCredentials("the key was revoked")])
def test_whatever_goes_wrong_there_the_bot_is_saved_and_the_answer_says_so(
    away: Trader, venue: ScriptedBroker, error: Exception
):
    venue.away = error
    answer = saved(away)
    assert answer.status_code == 201 and str(error) in answer.json["warnings"][0]


def test_a_venue_that_is_silent_is_not_waited_for_for_long(
    away: Trader, venue: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(venue_check, "TIMEOUT_SECONDS", 0.1)
    venue.slow = 1.0
    began = time.monotonic()
    answer = saved(away)
    assert time.monotonic() - began < 0.9
    assert answer.status_code == 201 and "did not answer" in answer.json["warnings"][0]


def test_a_size_that_is_too_small_today_is_a_warning(away: Trader, feed: ManualFeed):
    feed.set("AAPL", 10**9)
    answer = saved(away, position_size="100")
    assert (
        answer.status_code == 201
        and "At the current price an entry would be refused" in answer.json["warnings"][0]
    )


@pytest.mark.parametrize(
    ("symbol", "said"),
    [
        ("BTC/JPY", "priced in JPY"),
        ("NSE:RELIANCE", "the money of its market, NSE"),
        ("BTCUSDT", ""),
        ("AAPL", ""),
    ],
)
def test_a_price_in_yen_or_rupees_is_refused_as_no_dollar_price(symbol: str, said: str, make_app: MakeApp):
    trader = Installation(make_app()).join()
    answer = trader.request(
        "POST",
        "/bots",
        {"account_id": trader.account(), "symbol": symbol, "timeframe": "15 Min", "position_size": "5000"},
    )
    found = [warning for warning in answer["warnings"] if "Nothing is converted" in warning]
    assert len(found) == bool(said) and all(said in warning for warning in found)
