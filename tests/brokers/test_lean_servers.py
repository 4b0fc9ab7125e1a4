"""A venue's address is a setting, and a server of one's own may have less behind it than the venue: what is
not needed to trade is done without, and the story says so; what is needed is never made up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashtrade.brokers.alpaca import answers, wire
from dashtrade.brokers.alpaca.answers import AlpacaErrorResponse
from dashtrade.brokers.alpaca.sdk import own_server
from dashtrade.domain.ports import NotOffered, Unavailable
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault
from tests.simulators.exchanges import KEY, SECRET, ExchangeSimulator
from tests.support.adapter_harness import AAPL, BUY, D
from tests.support.alpaca_harness import BTC, AlpacaHarness
from tests.support.crypto_harness import harness as crypto_harness
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader


def lacks(sim: AlpacaSimulator, path: str) -> None:
    sim.inject(Fault("no_route", "GET", path, times=0))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def sim(clock: ManualClock) -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        simulator.market.now = clock.now
        yield simulator


@pytest.fixture
def trader(make_app: MakeApp, sim: AlpacaSimulator, clock: ManualClock) -> Trader:
    """With nothing set but the address of the trading API."""
    person = Installation(make_app(clock=clock, ALPACA_API_URL=sim.url)).join()
    keys = {"key": sim.key, "secret": sim.secret}
    person.paper = person.request(
        "POST", "/accounts", {"broker": "alpaca", "mode": "paper", "label": "A", "credentials": keys}
    )["id"]
    return person


def words(story: dict) -> str:
    return " ".join(line["detail"] for line in story["timeline"])


# --- Alpaca -------------------------------------------------------------------------------------------------


@sqlite
@pytest.mark.parametrize(
    ("path", "bought", "said"),
    [
        ("/v2/clock", "49.995", ""),
        ("/v2/assets", "49", "whole shares are assumed"),
        ("/v2/stocks/quotes", "50", "the last price is used"),
        ("/v2/stocks/bars", "49.995", ""),
    ],
)
def test_an_alert_is_carried_out_at_a_server_that_lacks_what_is_not_needed(
    trader: Trader, sim: AlpacaSimulator, path: str, bought: str, said: str
):
    lacks(sim, path)
    bot = trader.bot()
    story = trader.trades("buy")
    assert (
        story["status"] == "filled"
        and abs(trader.holds(bot) - D(bought)) < D("0.01")
        and said in words(story)
    )
    assert trader.trades("close")["status"] == "filled" and trader.holds(bot) == 0


@sqlite
def test_a_bot_at_a_server_that_tells_of_no_assets_is_saved_with_a_warning(
    trader: Trader, sim: AlpacaSimulator
):
    lacks(sim, "/v2/assets")
    answer = trader.request(
        "POST",
        "/bots",
        {"account_id": trader.paper, "symbol": "AAPL", "timeframe": "15 Min", "position_size": "5000"},
    )
    assert any("whole shares are assumed" in warning for warning in answer["warnings"])


@sqlite
def test_without_any_price_nothing_is_entered_and_the_wait_says_why(trader: Trader, sim: AlpacaSimulator):
    lacks(sim, "/v2/stocks")
    trader.bot()
    signal = trader.trades("buy")["id"]
    assert "has no current price of AAPL" in trader.story(signal)["bots"][0]["reason"] and not sim.orders


@sqlite
def test_without_any_price_a_way_out_goes_all_the_same(
    trader: Trader, sim: AlpacaSimulator, clock: ManualClock
):
    bot = trader.bot()
    trader.trades("buy")
    clock.forward(2)  # what was kept of the price is too old
    lacks(sim, "/v2/stocks")
    story = trader.trades("close")
    assert story["status"] == "filled" and trader.holds(bot) == 0
    assert "the broker's valuation of the position is used" in words(story)


@sqlite
def test_prices_that_fail_hold_up_no_way_out_either(trader: Trader, sim: AlpacaSimulator, clock: ManualClock):
    bot = trader.bot()
    trader.trades("buy")
    clock.forward(2)
    sim.inject(Fault("server_error", "GET", "/v2/stocks", times=0))
    assert trader.trades("close")["status"] == "filled" and trader.holds(bot) == 0


def test_rules_that_were_known_serve_while_the_venue_does_not_tell_them(
    sim: AlpacaSimulator, clock: ManualClock
):
    harness = AlpacaHarness(sim, clock=clock)
    known = harness.broker.rules(AAPL)
    clock.forward(4000)
    sim.inject(Fault("server_error", "GET", "/v2/assets", times=0))
    assert harness.broker.rules(AAPL) == known and not known.note
    with pytest.raises(Unavailable):
        harness.broker.rules(Symbol.parse("MSFT"))
    harness.broker.close()


@sqlite
def test_an_account_is_compared_where_orders_cannot_be_listed_and_positions_can(
    trader: Trader, sim: AlpacaSimulator
):
    reconciler = trader.installation.app.engine.reconciler
    lacks(sim, "/v2/orders")
    reconciler.reconcile(trader.paper)
    assert reconciler.wait_reason(trader.paper, AAPL) == NO_REASON
    lacks(sim, "/v2/positions")
    fresh = type(reconciler)(
        reconciler.db,
        reconciler.clock,
        reconciler._broker_of,
        reconciler._sender,
        reconciler._leases,
        reconciler._collect,
        reconciler.outages,
    )
    fresh.reconcile(trader.paper)
    why = fresh.wait_reason(trader.paper, AAPL)
    assert why.code is Code.WAITS_FOR_FIRST_COMPARISON, "positions that cannot be read are not flat"
    assert isinstance(why.facts["because"], Reason), "the broker's own message is told"


def test_unset_addresses_follow_a_custom_server_and_never_alpacas():
    assert own_server("http://127.0.0.1:9001/v2", None, None) == (
        "http://127.0.0.1:9001",
        "ws://127.0.0.1:9001/stream",
    )
    assert own_server("https://mine.example", "http://127.0.0.1:1", "ws://127.0.0.1:2/x") == (
        "http://127.0.0.1:1",
        "ws://127.0.0.1:2/x",
    )
    assert (
        own_server("https://paper-api.alpaca.markets", None, None)
        == own_server(None, None, None)
        == (None, None)
    )
    assert own_server(None, None, "http://127.0.0.1:2")[1] == "ws://127.0.0.1:2/stream"


def test_only_what_an_answer_cannot_do_without_is_asked_of_it():
    moment = "2026-01-05T15:00:00Z"
    account = wire.account_of({"id": "one", "cash": "10", "status": "ACTIVE"})
    assert (account.equity, account.buying_power, account.number) == (10, 10, "one")
    assert wire.hours_of({"is_open": True}) == (True, None) and wire.hours_of(
        {"is_open": False, "timestamp": moment}
    ) == (False, None)
    bare = [wire.position_of({"symbol": name, "qty": "2"}) for name in ("AAPL", "BTC/USD")]
    assert [(position.symbol, position.quantity) for position in bare] == [(AAPL, 2), (BTC, 2)]
    order = {
        "id": "1",
        "client_order_id": "c",
        "symbol": "AAPL",
        "side": "buy",
        "order_type": "market",
        "qty": "1",
        "submitted_at": moment,
    }
    assert wire.found_order_of(order).symbol == AAPL
    for lacking in ({"status": "ACTIVE"}, {"cash": None}):
        with pytest.raises((KeyError, Malformed)):
            wire.account_of(lacking)


@pytest.mark.parametrize(
    ("body", "absent"),
    [
        ('{"code": 40410000, "message": "whatever"}', True),
        ('{"message": "order not found for 1"}', True),
        ('{"message": "position does not exist"}', True),
        ('{"message": "no Route matched with those values"}', False),
        ('{"message": "Not Found"}', False),
        ("<html>order not found</html>", False),
        ('{"code": 50010000, "message": "order not found"}', False),
    ],
)
def test_a_404_says_absent_by_alpacas_code_or_words_alone(body: str, absent: bool):
    assert answers.is_not_found(AlpacaErrorResponse(status=404, text=body)) is absent
    assert not answers.is_not_found(AlpacaErrorResponse(status=502, text=body))
    assert isinstance(
        answers.read_error(AlpacaErrorResponse(status=404, text=body), datetime.now(UTC)), NotOffered
    )


# --- Binance ------------------------------------------------------------------------------------------------

LEAN = ("exchangeInfo", "account", "order", "myTrades", "bookTicker", "price", "time")


def leave(simulator: ExchangeSimulator, *names: str) -> None:
    simulator.front.routes = {
        key: way for key, way in simulator.front.routes.items() if key[1].rsplit("/", 1)[-1] in names
    }


@pytest.fixture
def other_trader(make_app: MakeApp) -> Iterator[tuple[Trader, ExchangeSimulator]]:
    with ExchangeSimulator("binance") as simulator:
        person = Installation(
            make_app(clock=ManualClock(datetime.now(UTC)), CCXT_URL_BINANCE=simulator.url)
        ).join()
        body = {
            "broker": "crypto",
            "mode": "paper",
            "label": "B",
            "credentials": {"key": KEY, "secret": SECRET},
            "options": {"exchange": "binance"},
        }
        person.paper = person.request("POST", "/accounts", body)["id"]
        yield person, simulator


@sqlite
def test_binance_trades_with_its_seven_plainest_services(other_trader: tuple[Trader, ExchangeSimulator]):
    person, simulator = other_trader
    leave(simulator, *LEAN)
    bot = person.bot("SOL/USDT", position_size="2", position_size_type="quantity")
    engine = person.installation.app.engine
    engine.reconciler.reconcile(person.paper)  # a list of all orders is none of the seven
    assert engine.reconciler.wait_reason(person.paper, Symbol.parse("SOL/USDT")) == NO_REASON
    assert person.trades("buy", "SOL/USDT")["status"] == "filled" and 0 < person.holds(bot) <= 2
    assert person.trades("close", "SOL/USDT")["status"] == "filled"
    assert person.request("POST", f"/accounts/{person.paper}/test")["ok"]


@pytest.mark.parametrize(
    ("left", "note"),
    [(("bookTicker",), NO_REASON), (("depth",), NO_REASON), (("price",), Reason(Code.LAST_PRICE_USED))],
)
def test_a_price_is_found_where_there_is_one(left: tuple[str, ...], note: Reason):
    with crypto_harness("binance") as made:
        leave(made.simulator, "exchangeInfo", *left)
        quote = made.broker.quote(made.sol)
        assert quote.bid > 0 and quote.note == note and (quote.bid < quote.ask) is (not note)
        leave(made.simulator, "exchangeInfo")
        with pytest.raises(NotOffered):
            made.broker.quote(made.sol)


def test_executions_that_are_not_offered_are_booked_by_the_totals_at_once():
    with crypto_harness("binance") as made:
        made.broker.quote(made.sol)
        leave(made.simulator, "exchangeInfo", "order", "24hr")
        request = made.request(BUY, quantity="3")
        made.broker.submit(request)
        found = made.broker.find(made.ref(request))
        assert (
            found.filled_quantity == 3
            and found.fills == ()
            and "does not report the executions" in found.reason
        )
