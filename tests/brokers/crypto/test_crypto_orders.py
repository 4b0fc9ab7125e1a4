"""What we paid to find out about ccxt and its exchanges, one test for each thing that can bite: orders, their
ids, errors.

Where ccxt itself sets the trap, the test shows the trap first, so that a new version that removes it is
noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import ccxt
import pytest

from dashtrade.brokers.crypto import wire
from dashtrade.brokers.crypto.adapter import CryptoBroker
from dashtrade.brokers.crypto.venues import capabilities_of
from dashtrade.domain.ports import Rejected, Unavailable, Unknown, VenueStatus
from dashtrade.domain.values import Malformed, OrderType, TimeInForce
from tests.simulators.exchanges import KEY, SECRET
from tests.support.adapter_harness import BUY, LIMIT, SELL
from tests.support.crypto_harness import FIVE, harness

BACK_SOON = "<html><body>We will be back soon</body></html>"

# --- what it costs to load ----------------------------------------------------------------------------------


def test_ccxt_is_loaded_by_the_first_request_and_not_before():
    code = """if True:
        import sys
        from dashtrade.brokers.crypto import adapter, credentials, venues
        credentials.check({"key": "k", "secret": "s"}, {"exchange": "binance"})
        venues.capabilities_of("kraken")
        adapter.CryptoBroker("okx", "k", "s", "p", "paper")
        assert "ccxt" not in sys.modules and "requests" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_binance_starts_with_one_call_instead_of_seven(binance):
    binance.broker.rules(binance.sol)
    assert binance.paths() == ["/api/v3/exchangeInfo"]


def test_markets_are_kept_on_disk_and_read_once_a_day(each, tmp_path):
    kept = tmp_path / "markets" / "list.json"
    first = each.another(markets_cache=kept)
    rules, asked = first.rules(each.sol), len(each.simulator.requests)
    again = each.another(markets_cache=kept)
    # its details
    assert again.rules(each.sol) == rules and len(each.simulator.requests) - asked <= (
        each.exchange == "gemini"
    )
    assert again.submit(each.request()).status is VenueStatus.FILLED


@pytest.mark.parametrize(
    "spoiled", ["", "{", "[]", '{"exchange": "okx"}', '{"exchange": "binance", "sandbox": false, "url": "x"}']
)
def test_a_spoiled_market_list_on_disk_is_read_again(binance, tmp_path, spoiled):
    kept = tmp_path / "list.json"
    kept.write_text(spoiled)
    assert binance.another(markets_cache=kept).rules(binance.sol).tradable
    assert json.loads(kept.read_text())["exchange"] == "binance"


def test_an_old_list_on_disk_serves_while_the_exchange_cannot_be_reached(binance, tmp_path):
    class Later:
        def now(self):
            return datetime.now(UTC) + timedelta(days=3)

    kept = tmp_path / "list.json"
    binance.another(markets_cache=kept).rules(binance.sol)
    binance.simulator.fault("reading_fails")
    assert binance.another(markets_cache=kept, clock=Later()).rules(binance.sol).tradable
    binance.simulator.heal()
    binance.simulator.fault("answer", on="public", body=BACK_SOON)
    assert binance.another(markets_cache=kept, clock=Later()).rules(binance.sol).tradable


@pytest.mark.parametrize("body", [BACK_SOON, "{}", "[]"])
def test_an_answer_that_lists_nothing_is_no_list_of_markets(each, tmp_path, body):
    """For ccxt a page of a closed exchange is one without markets: kept, it would refuse every exit for a
    day."""
    kept = tmp_path / "list.json"
    broker = each.another(markets_cache=kept)
    each.simulator.fault("answer", on="public", body=body)
    with pytest.raises(Unavailable):
        broker.rules(each.sol)
    assert not kept.exists() and broker.rules(each.sol).tradable


def test_a_cached_list_without_markets_is_read_again(binance, tmp_path):
    kept = tmp_path / "list.json"
    binance.another(markets_cache=kept).rules(binance.sol)
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"markets": {}}))
    assert binance.another(markets_cache=kept).rules(binance.sol).tradable


# --- addresses and sandboxes --------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", FIVE)
def test_every_address_moves_and_keeps_its_path(exchange):
    urls = getattr(ccxt, exchange)().urls["api"]
    moved = wire.move_host(urls, "http://127.0.0.1:9")
    assert moved.keys() == urls.keys()
    for name, url in urls.items():
        assert moved[name].removeprefix("http://127.0.0.1:9").strip("/") == "/".join(url.split("/")[3:])


@pytest.mark.parametrize("exchange", ["coinbase", "kraken"])
def test_an_exchange_without_a_sandbox_says_so_where_ccxt_raises_a_type_error(exchange):
    with pytest.raises(TypeError):
        getattr(ccxt, exchange)().set_sandbox_mode(True)
    with pytest.raises(Malformed, match="no sandbox"):
        CryptoBroker(exchange, "k", "s", mode="paper")
    assert not capabilities_of(exchange).sandbox


@pytest.mark.parametrize("exchange", ["binance", "okx", "gemini"])
def test_a_paper_account_uses_the_exchanges_sandbox(exchange):
    with harness(exchange, mode="paper") as made:
        made.front.demo_only = True
        assert made.buy().status is VenueStatus.FILLED
        assert made.broker.account().number
        if exchange == "okx":
            assert made.simulator.requests[-1].headers["x-simulated-trading"] == "1"


# --- our order ids ------------------------------------------------------------------------------------------


def test_our_id_arrives_at_every_exchange(each):
    request = each.request()
    each.broker.submit(request)
    assert each.core.orders[-1].client_id == request.client_order_id


def test_coinbase_drops_the_unified_id_silently_so_the_raw_one_is_sent():
    with harness("coinbase") as made:
        made.client().create_order(f"SOL/{made.money}", "limit", "buy", "1", "90", {"clientOrderId": "mine"})
        assert made.core.orders[-1].client_id != "mine"
        made.broker.submit(made.request(BUY, LIMIT, limit_price="90", client_order_id="mine"))
        assert made.core.orders[-1].client_id == "mine"


def test_kraken_looks_an_id_up_among_open_and_closed_orders_never_as_userref():
    with harness("kraken") as made:
        request = made.request()
        made.broker.submit(request)
        with pytest.raises(ccxt.BaseError):
            made.client().fetch_order("", f"SOL/{made.money}", {"clientOrderId": request.client_order_id})
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED
        assert not any("userref" in asked.body for asked in made.simulator.requests[-3:])


def test_kraken_asks_for_open_orders_before_closed_ones_so_that_none_slips_between():
    with harness("kraken") as made:
        made.broker.find(made.ref(made.request()))
        assert made.paths()[-2:] == ["/0/private/OpenOrders", "/0/private/ClosedOrders"]


def test_an_exchange_that_ignores_the_filter_hands_us_no_strangers_order():
    with harness("kraken") as made:
        made.buy()
        made.front._named = lambda request: made.core.shown()
        assert made.broker.find(made.ref(made.request())) is None


def test_coinbase_is_searched_through_all_pages():
    with harness("coinbase") as made:
        made.front.page = 2
        first = made.request(BUY, LIMIT, limit_price="90")
        made.broker.submit(first)
        for _ in range(5):
            made.broker.submit(made.request(BUY, LIMIT, limit_price="90"))
        assert made.broker.find(made.ref(first)).status is VenueStatus.WORKING
        assert made.broker.find(made.ref(made.request())) is None


def test_gemini_may_answer_a_look_up_with_a_list():
    with harness("gemini") as made:
        made.front.answers_in_list = True
        request = made.request()
        made.broker.submit(request)
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED


def test_gemini_with_two_orders_of_one_id_is_not_guessed_at():
    with harness("gemini") as made:
        request = made.request()
        made.broker.submit(request)
        made.answers(
            200, [{**made.front._order(made.core.orders[-1]), "order_id": str(n)} for n in (1, 2)], on="read"
        )
        with pytest.raises(Unavailable, match="2 orders"):
            made.broker.find(made.ref(request))


@pytest.mark.parametrize("exchange", ["binance", "okx", "kraken"])
def test_a_repeat_after_the_end_makes_a_second_order_so_repeats_are_not_called_refused(exchange):
    with harness(exchange) as made:
        request = made.request()
        made.broker.submit(request)
        made.broker.submit(request)
        assert len(made.core.orders) == 2 and not capabilities_of(exchange).refuses_repeats


def test_a_repeat_at_coinbase_gives_the_first_order_back():
    with harness("coinbase") as made:
        request = made.request()
        first, again = made.broker.submit(request), made.broker.submit(request)
        assert (
            len(made.core.orders) == 1
            and first.broker_order_id == again.broker_order_id
            and capabilities_of("coinbase").refuses_repeats
        )


@pytest.mark.parametrize("exchange", ["binance", "okx", "kraken"])
def test_an_id_that_is_in_use_is_our_own_order_and_is_adopted(exchange):
    """Binance says it as InvalidOrder, Kraken as a plain ExchangeError."""
    with harness(exchange) as made:
        request = made.request(BUY, LIMIT, limit_price="90")
        first, again = made.broker.submit(request), made.broker.submit(request)
        assert (
            again.status is VenueStatus.WORKING
            and again.broker_order_id == first.broker_order_id
            and len(made.core.orders) == 1
        )


def test_an_id_in_use_that_is_not_shown_yet_is_unknown(binance):
    request = binance.request(BUY, LIMIT, limit_price="90")
    binance.simulator.fault("late_visibility", seconds=5)
    binance.broker.submit(request)
    with pytest.raises(Unknown):
        binance.broker.submit(request)


# --- what a create tells ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["okx", "coinbase", "kraken"])
def test_a_create_that_tells_no_status_is_followed_by_a_look(exchange):
    with harness(exchange) as made:
        bare = made.client().create_order(
            f"SOL/{made.money}",
            "limit",
            "buy",
            "1",
            "90",
            {made.broker.venue.client_id: "0" * 32, **made.broker.venue.create_params},
        )
        assert bare["id"] and bare["status"] is None and bare["filled"] is None
        assert made.buy().status is VenueStatus.FILLED


@pytest.mark.parametrize("exchange", ["okx", "coinbase", "kraken"])
def test_when_that_look_fails_the_order_stands(exchange):
    with harness(exchange) as made:
        made.broker.quote(made.sol)
        request = made.request(BUY, LIMIT, limit_price="110")
        made.answers(500, "<html>", on="read")
        report = made.broker.submit(request)
        assert report.status is VenueStatus.WORKING and report.broker_order_id and report.filled_quantity == 0


@pytest.mark.parametrize("body", ["<html>We will be back</html>", "", '{"symbol": "SOLUSDT", "orderId": 10'])
def test_binances_200_without_an_order_is_unknown_where_ccxt_sees_a_success_or_breaks(binance, body):
    binance.broker.quote(binance.sol)
    binance.answers(200, body)
    with pytest.raises(Unknown):
        binance.buy()


def test_a_bare_client_takes_html_for_a_placed_order(binance):
    client = binance.client()
    binance.answers(200, "<html>We will be back</html>")
    assert client.create_order("SOL/USDT", "limit", "buy", "1", "90")["id"] is None


def test_a_ticker_that_fails_holds_up_no_exit(binance):
    binance.buy("2")
    later = binance.another()
    later.rules(binance.sol)
    binance.answers(503, "<html>", on="public")
    assert later.submit(binance.request(SELL, quantity="1", reduces=True)).status is VenueStatus.FILLED


def test_a_stop_that_would_not_wait_is_refused(binance):
    with pytest.raises(Rejected, match="use gtc"):
        binance.broker.submit(
            binance.request(SELL, OrderType.STOP, stop_price="90", time_in_force=TimeInForce.IOC)
        )


def test_keys_are_not_written_to_the_log(binance, caplog):
    caplog.set_level("DEBUG")
    binance.buy()
    assert KEY not in caplog.text and SECRET not in caplog.text
