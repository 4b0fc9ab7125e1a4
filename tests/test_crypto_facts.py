"""What we paid to find out about ccxt and its exchanges: one test for each thing that can bite.

Where ccxt itself sets the trap, the test shows the trap first, so that a new version that removes it is noticed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import ccxt
import pytest

from dashtrade.brokers import crypto_wire
from dashtrade.brokers.crypto import CryptoBroker, capabilities_of, check
from dashtrade.brokers.crypto_venues import EXCHANGES, exchange_of
from dashtrade.domain.ports import BadCredentials, OrderRef, OrderRequest, Rejected, RetryLater, Unavailable, Unknown, VenueStatus
from dashtrade.domain.values import Malformed, OrderSide, OrderType, Symbol, Timeframe, TimeInForce, new_id
from tests.simulators.crypto import KEY, PASSPHRASE, SECRET, Simulator

D = Decimal
BUY, SELL, MARKET, LIMIT = OrderSide.BUY, OrderSide.SELL, OrderType.MARKET, OrderType.LIMIT
FIVE = tuple(EXCHANGES)


class Desk:
    """A simulated exchange, an adapter on it, and short words for orders of SOL."""

    def __init__(self, exchange: str, **options) -> None:
        self.exchange, self.simulator = exchange, Simulator(options.pop("wire", exchange))
        self.front, self.core = self.simulator.front, self.simulator.core
        self.simulator.hold = 0.5
        self.keys = getattr(self.front, "keys", {"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE})
        self.money = self.front.money
        self.sol = Symbol.parse(f"SOL/{self.money}")
        self.broker = self.another(**options)

    def another(self, **options) -> CryptoBroker:
        given = {"url": self.simulator.url, "timeout": 0.25, "paced": False, "settle": timedelta(0), **self.keys, **options}
        return CryptoBroker(self.exchange, **given)

    def request(self, side=BUY, kind=MARKET, quantity="1", **rest) -> OrderRequest:
        given = {name: D(value) if name.endswith("_price") else value for name, value in rest.items()}
        given.setdefault("time_in_force", TimeInForce.GTC)
        named = {"client_order_id": new_id(datetime.now(UTC)), "symbol": self.sol, **given}
        return OrderRequest(side=side, type=kind, quantity=D(quantity), **named)

    def ref(self, request, number=None, created=None) -> OrderRef:
        return OrderRef(
            client_order_id=request.client_order_id, broker_order_id=number, symbol=request.symbol, side=request.side,
            quantity=request.quantity, type=request.type, created_at=created or datetime.now(UTC),
        )  # fmt: skip

    def buy(self, quantity="1", **rest):
        return self.broker.submit(self.request(BUY, MARKET, quantity, **rest))

    def answers(self, status: int, body, *, placed: bool = False, on: str = "create") -> None:
        said = body if isinstance(body, str) else json.dumps(body)
        self.simulator.fault("answer", status=status, body=said, placed=placed, on=on)

    def creates(self) -> list:
        return [asked for asked in self.simulator.requests if self.simulator._route(asked)[0] == "create"]

    def paths(self) -> list[str]:
        return [asked.path for asked in self.simulator.requests]

    def client(self):
        """A bare ccxt client, set up as the adapter does it."""
        with self.broker._wire.lent() as client:
            return client

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()


@contextmanager
def desk(exchange: str, **options):
    made = Desk(exchange, **options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def binance():
    with desk("binance") as made:
        yield made


@pytest.fixture(params=FIVE)
def each(request):
    with desk(request.param) as made:
        yield made


# --- what it costs to load -----------------------------------------------------------------------------------------------


def test_ccxt_is_loaded_by_the_first_request_and_not_before():
    code = """if True:
        import sys
        from dashtrade.brokers import crypto
        crypto.check({"key": "k", "secret": "s"}, {"exchange": "binance"})
        crypto.capabilities_of("kraken")
        crypto.CryptoBroker("okx", "k", "s", "p", "paper")
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
    assert again.rules(each.sol) == rules and len(each.simulator.requests) - asked <= (each.exchange == "gemini")  # its details
    assert again.submit(each.request()).status is VenueStatus.FILLED


@pytest.mark.parametrize("spoiled", ["", "{", "[]", '{"exchange": "okx"}', '{"exchange": "binance", "sandbox": false, "url": "x"}'])
def test_a_spoiled_list_on_disk_is_read_anew(binance, tmp_path, spoiled):
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


# --- addresses and sandboxes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", FIVE)
def test_every_address_moves_and_keeps_its_path(exchange):
    urls = getattr(ccxt, exchange)().urls["api"]
    moved = crypto_wire.rewritten(urls, "http://127.0.0.1:9")
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
    with desk(exchange, mode="paper") as made:
        made.front.demo_only = True
        assert made.buy().status is VenueStatus.FILLED
        assert made.broker.account().number
        if exchange == "okx":
            assert made.simulator.requests[-1].headers["x-simulated-trading"] == "1"


# --- our order ids -------------------------------------------------------------------------------------------------------


def test_our_id_arrives_at_every_exchange(each):
    request = each.request()
    each.broker.submit(request)
    assert each.core.orders[-1].client_id == request.client_order_id


def test_coinbase_drops_the_unified_id_silently_so_the_raw_one_is_sent():
    with desk("coinbase") as made:
        made.client().create_order(f"SOL/{made.money}", "limit", "buy", "1", "90", {"clientOrderId": "mine"})
        assert made.core.orders[-1].client_id != "mine"
        made.broker.submit(made.request(BUY, LIMIT, limit_price="90", client_order_id="mine"))
        assert made.core.orders[-1].client_id == "mine"


def test_kraken_looks_an_id_up_among_open_and_closed_orders_never_as_userref():
    with desk("kraken") as made:
        request = made.request()
        made.broker.submit(request)
        with pytest.raises(ccxt.BaseError):
            made.client().fetch_order("", f"SOL/{made.money}", {"clientOrderId": request.client_order_id})
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED
        assert not any("userref" in asked.body for asked in made.simulator.requests[-3:])


def test_kraken_asks_for_open_orders_before_closed_ones_so_that_none_slips_between():
    with desk("kraken") as made:
        made.broker.find(made.ref(made.request()))
        assert made.paths()[-2:] == ["/0/private/OpenOrders", "/0/private/ClosedOrders"]


def test_an_exchange_that_ignores_the_filter_hands_us_no_strangers_order():
    with desk("kraken") as made:
        made.buy()
        made.front._named = lambda request: made.core.shown()
        assert made.broker.find(made.ref(made.request())) is None


def test_coinbase_is_searched_through_all_pages():
    with desk("coinbase") as made:
        made.front.page = 2
        first = made.request(BUY, LIMIT, limit_price="90")
        made.broker.submit(first)
        for _ in range(5):
            made.broker.submit(made.request(BUY, LIMIT, limit_price="90"))
        assert made.broker.find(made.ref(first)).status is VenueStatus.WORKING
        assert made.broker.find(made.ref(made.request())) is None


def test_gemini_may_answer_a_look_up_with_a_list():
    with desk("gemini") as made:
        made.front.answers_in_list = True
        request = made.request()
        made.broker.submit(request)
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED


def test_gemini_with_two_orders_of_one_id_is_not_guessed_at():
    with desk("gemini") as made:
        request = made.request()
        made.broker.submit(request)
        made.answers(200, [{**made.front._order(made.core.orders[-1]), "order_id": str(n)} for n in (1, 2)], on="read")
        with pytest.raises(Unavailable, match="2 orders"):
            made.broker.find(made.ref(request))


@pytest.mark.parametrize("exchange", ["binance", "okx", "kraken"])
def test_a_repeat_after_the_end_makes_a_second_order_so_repeats_are_not_called_refused(exchange):
    with desk(exchange) as made:
        request = made.request()
        made.broker.submit(request)
        made.broker.submit(request)
        assert len(made.core.orders) == 2 and not capabilities_of(exchange).refuses_repeats


def test_a_repeat_at_coinbase_gives_the_first_order_back():
    with desk("coinbase") as made:
        request = made.request()
        first, again = made.broker.submit(request), made.broker.submit(request)
        assert len(made.core.orders) == 1 and first.broker_order_id == again.broker_order_id and capabilities_of("coinbase").refuses_repeats


@pytest.mark.parametrize("exchange", ["binance", "okx", "kraken"])
def test_an_id_that_is_in_use_is_our_own_order_and_is_adopted(exchange):
    """Binance says it as InvalidOrder, Kraken as a plain ExchangeError."""
    with desk(exchange) as made:
        request = made.request(BUY, LIMIT, limit_price="90")
        first, again = made.broker.submit(request), made.broker.submit(request)
        assert again.status is VenueStatus.WORKING and again.broker_order_id == first.broker_order_id and len(made.core.orders) == 1


def test_an_id_in_use_that_is_not_shown_yet_is_unknown(binance):
    request = binance.request(BUY, LIMIT, limit_price="90")
    binance.simulator.fault("late_visibility", seconds=5)
    binance.broker.submit(request)
    with pytest.raises(Unknown):
        binance.broker.submit(request)


# --- what a create tells -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["okx", "coinbase", "kraken"])
def test_a_create_that_tells_no_status_is_followed_by_a_look(exchange):
    with desk(exchange) as made:
        bare = made.client().create_order(f"SOL/{made.money}", "limit", "buy", "1", "90", {made.broker.venue.client_id: "0" * 32, **made.broker.venue.create_params})
        assert bare["id"] and bare["status"] is None and bare["filled"] is None
        assert made.buy().status is VenueStatus.FILLED


@pytest.mark.parametrize("exchange", ["okx", "coinbase", "kraken"])
def test_when_that_look_fails_the_order_stands(exchange):
    with desk(exchange) as made:
        made.broker.quote(made.sol)
        request = made.request()
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


# --- steps and minimums --------------------------------------------------------------------------------------------------


def test_quantities_go_down_prices_to_the_nearest_step_and_nothing_is_a_float(binance):
    binance.broker.submit(binance.request(BUY, LIMIT, "0.300000000000000044", limit_price="90.016"))
    order = binance.core.orders[-1]
    assert (order.quantity, order.limit) == (D("0.3"), D("90.02"))
    assert "quantity=0.3&" in binance.creates()[-1].body


def test_what_is_below_the_minimum_is_refused_by_name_before_it_is_sent(each):
    each.broker.quote(each.sol)
    with pytest.raises(Rejected, match="0.00001 SOL"):
        each.buy("0.000001")
    if each.broker.rules(each.sol).min_notional:
        with pytest.raises(Rejected, match=f"smallest order, 5 {each.money}"):
            each.buy("0.04")
    assert not each.creates()


def test_dust_on_closing_is_told_and_never_sent(binance):
    with pytest.raises(Rejected, match="dust"):
        binance.broker.submit(binance.request(SELL, quantity="0.000009", reduces=True))
    assert not binance.creates()


def test_geminis_list_lacks_steps_which_are_read_when_needed():
    with desk("gemini") as made:
        client = made.client()
        with pytest.raises(AssertionError):
            client.amount_to_precision("SOL/USD", "1")
        assert made.broker.rules(made.sol).quantity_step == D("0.00001")
        assert client.amount_to_precision("SOL/USD", "1") == "1"
        assert made.paths().count("/v1/symbols/details/solusd") == 1


def test_a_market_buy_at_coinbase_is_for_a_quantity_not_for_a_sum_of_money():
    with desk("coinbase") as made:
        with pytest.raises(ccxt.InvalidOrder, match="price"):
            made.client().create_order("SOL/USD", "market", "buy", "1", None)
        report = made.buy("0.5")
        assert report.filled_quantity == D("0.5") and "quote_size" not in made.creates()[-1].body


def test_gemini_has_no_market_orders_so_they_go_through_the_book_at_once_or_not_at_all():
    with desk("gemini") as made:
        with pytest.raises(ccxt.ExchangeError, match="limit orders only"):
            made.client().create_order("SOL/USD", "market", "buy", "1", "100")
        made.buy()
        sold = made.broker.submit(made.request(SELL))
        assert sold.status is VenueStatus.FILLED and sold.average_price == D("99.99")
        assert [(order.tif, order.limit) for order in made.core.orders] == [("IOC", D("102.01")), ("IOC", D("98.00"))]


def test_a_market_order_that_runs_past_its_collar_ends_instead_of_resting():
    with desk("gemini") as made:
        made.broker.quote(made.sol)
        made.core.set_price("SOL/USD", D(110))
        assert made.buy().status is VenueStatus.CANCELED


# --- errors --------------------------------------------------------------------------------------------------------------

GATEWAY = "<html><body>Gateway</body></html>"
NOT_SAID = [
    ("binance", 500, GATEWAY), ("binance", 502, GATEWAY), ("binance", 503, '{"code": -1008, "msg": "overloaded"}'), ("binance", 504, GATEWAY),
    ("binance", 403, GATEWAY), ("binance", 404, GATEWAY), ("binance", 408, GATEWAY), ("binance", 400, '{"code": -1001, "msg": "disconnected"}'),
    ("binance", 400, '{"code": -1006, "msg": "unexpected response"}'), ("binance", 400, '{"code": -1007, "msg": "timeout"}'),
    ("binance", 400, '{"code": -1000, "msg": "unknown"}'), ("binance", 400, '{"code": -98765, "msg": "never heard of"}'),
    ("okx", 200, '{"code": "50004", "msg": "Endpoint request timeout", "data": []}'),
    ("okx", 200, '{"code": "50026", "msg": "System error", "data": []}'), ("okx", 200, '{"code": "2", "msg": "", "data": []}'),
    ("okx", 200, '{"code": "1", "data": [{"ordId": "", "sCode": "50013", "sMsg": "Systems are busy"}]}'),
    ("kraken", 200, '{"error": ["EService:Timeout"]}'), ("kraken", 200, '{"error": ["EService:Unavailable"]}'),
    ("kraken", 200, '{"error": ["EGeneral:Internal error"]}'), ("kraken", 200, '{"error": ["EAPI:Invalid nonce"]}'),
    ("kraken", 200, '{"error": ["EGeneral:Temporary lockout"]}'), ("kraken", 520, GATEWAY), ("kraken", 200, '{"error": [], "result": {}}'),
    ("coinbase", 200, '{"success": true}'), ("coinbase", 500, '{"error": "INTERNAL", "message": "x"}'), ("coinbase", 200, '{"error": "unknown", "message": "x"}'),
    ("gemini", 200, "null"), ("gemini", 200, '{"order_id": "12"}'), ("gemini", 400, '{"result": "error", "reason": "System", "message": "We are experiencing technical issues"}'),
    ("gemini", 200, "Internal Server Error"), ("gemini", 502, GATEWAY), ("gemini", 200, '{"result": "error", "reason": "InvalidNonce", "message": "nonce"}'),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "status", "body"), NOT_SAID)
def test_an_answer_that_leaves_room_for_an_order_is_unknown(exchange, status, body):
    with desk(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body, placed=True)
        request = made.request()
        with pytest.raises(Unknown):
            made.broker.submit(request)
        assert made.broker.find(made.ref(request)).status is VenueStatus.FILLED and len(made.creates()) == 1


REFUSALS = [
    ("binance", 400, '{"code": -1013, "msg": "Filter failure: NOTIONAL"}', "NOTIONAL"),
    ("binance", 400, '{"code": -2010, "msg": "Account has insufficient balance for requested action."}', "not hold enough"),
    ("binance", 400, '{"code": -2010, "msg": "This symbol is not permitted for this account."}', "not permitted"),
    ("okx", 200, '{"code": "1", "msg": "All operations failed", "data": [{"ordId": "", "sCode": "51008", "sMsg": "Insufficient balance"}]}', "not hold enough"),
    ("okx", 200, '{"code": "1", "msg": "", "data": [{"ordId": "", "sCode": "51999", "sMsg": "A new rule of ours"}]}', "A new rule of ours"),
    ("kraken", 200, '{"error": ["EOrder:Insufficient funds"]}', "not hold enough"),
    ("kraken", 200, '{"error": ["EOrder:Trading agreement required"]}', "Trading agreement required"),
    ("coinbase", 200, '{"success": false, "error_response": {"error": "A_NEW_ONE", "message": "Orders are halted", "preview_failure_reason": "X"}}', "halted"),
    ("gemini", 406, '{"result": "error", "reason": "InsufficientFunds", "message": "insufficient funds"}', "not hold enough"),
    ("gemini", 400, '{"result": "error", "reason": "NewReason", "message": "Self trade"}', "Self trade"),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "status", "body", "words"), REFUSALS)
def test_a_refusal_in_the_exchanges_own_words_is_a_refusal(exchange, status, body, words):
    with desk(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body)
        with pytest.raises(Rejected, match=words):
            made.buy()


KEYS = [
    ("binance", 401, '{"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}'),
    ("binance", 400, '{"code": -1022, "msg": "Signature for this request is not valid."}'),
    ("okx", 401, '{"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}'), ("kraken", 200, '{"error": ["EGeneral:Permission denied"]}'),
    ("kraken", 200, '{"error": ["EAPI:Invalid signature"]}'), ("coinbase", 401, "Unauthorized"),
    ("gemini", 403, '{"result": "error", "reason": "MissingRole", "message": "Missing role"}'),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "status", "body"), KEYS)
def test_a_refused_key_is_no_refused_order_and_no_passing_trouble(exchange, status, body):
    """Binance's -2015 comes as DDoSProtection once the key has worked, as if it would pass."""
    with desk(exchange) as made:
        made.buy()
        made.answers(status, body)
        with pytest.raises(BadCredentials):
            made.buy()
        made.answers(status, body, on="read")
        with pytest.raises(BadCredentials):
            made.broker.positions()


LIMITS = [
    ("binance", 429, '{"code": -1003, "msg": "Too many requests"}'), ("binance", 418, '{"code": -1003, "msg": "banned"}'),
    ("binance", 400, '{"code": -1015, "msg": "Too many new orders"}'), ("okx", 429, '{"code": "50011", "msg": "Too Many Requests"}'),
    ("okx", 200, '{"code": "50061", "msg": "sub-account limit", "data": []}'), ("kraken", 200, '{"error": ["EOrder:Rate limit exceeded"]}'),
    ("kraken", 200, '{"error": ["EAPI:Rate limit exceeded"]}'), ("coinbase", 429, "too many"),
    ("gemini", 429, '{"result": "error", "reason": "RateLimit", "message": "slow down"}'),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "status", "body"), LIMITS)
def test_a_limit_that_the_exchange_names_itself_means_later(exchange, status, body):
    with desk(exchange) as made:
        made.broker.quote(made.sol)
        made.answers(status, body)
        with pytest.raises(RetryLater):
            made.buy()
        assert made.buy().status is VenueStatus.FILLED


def test_a_clock_that_is_off_is_measured_and_the_next_try_passes():
    for exchange in ("binance", "okx"):
        with desk(exchange) as made:
            made.broker.quote(made.sol)
            made.front.clock_ahead = 120.0
            with pytest.raises(RetryLater, match="clock"):
                made.buy()
            assert made.buy().status is VenueStatus.FILLED and len(made.core.orders) == 1


def test_a_time_out_is_sent_once(each):
    """ccxt repeats a failed request, POST or not, when maxRetriesOnFailure says so."""
    each.broker.quote(each.sol)
    each.simulator.fault("time_out")
    with pytest.raises(Unknown):
        each.buy()
    assert len(each.creates()) == 1 and each.client().options["maxRetriesOnFailure"] == 0


def test_a_redirect_is_not_followed_as_its_answer_would_look_like_a_refusal(binance):
    binance.broker.quote(binance.sol)
    binance.simulator.fault("redirect")
    with pytest.raises(Unknown):
        binance.buy()
    assert binance.paths()[-1] == "/api/v3/order" and len(binance.core.orders) == 1


def test_an_unreadable_404_does_not_say_that_an_order_is_absent(each):
    request = each.request()
    each.broker.submit(request)
    each.answers(404, GATEWAY, on="read")
    with pytest.raises(Unavailable):
        each.broker.find(each.ref(request))


@pytest.mark.parametrize("body", ["<html>back soon</html>", "", "{}", "[]", "null", '{"result": {}, "error": []}', '"text"'])
def test_an_answer_without_sense_to_a_look_up_is_neither_an_order_nor_its_absence(each, body):
    request = each.request(BUY, LIMIT, limit_price="90")
    number = each.broker.submit(request).broker_order_id
    for ref in (each.ref(request), each.ref(request, number)):
        if not (each.exchange == "gemini" and body == "[]"):  # an empty list is its way to say that there is none
            each.answers(200, body, on="read")
            with pytest.raises(Unavailable):
                each.broker.find(ref)


def test_a_broken_connection_while_reading_is_not_flat(each):
    each.broker.account()
    each.simulator.fault("reading_fails")
    for call in (each.broker.positions, each.broker.account, lambda: each.broker.quote(each.sol)):
        with pytest.raises(Unavailable):
            call()


def test_krakens_last_answer_is_not_mistaken_for_the_one_to_a_cancel():
    """ccxt reads `last_http_response` when a cancel fails, be it of an earlier request."""
    with desk("kraken") as made:
        request = made.request(BUY, LIMIT, limit_price="90")
        report = made.broker.submit(request)
        made.client().last_http_response = '{"error": ["EOrder:Unknown order"]}'
        made.simulator.fault("time_out", on="cancel")
        with pytest.raises(Unavailable):
            made.broker.cancel(made.ref(request, report.broker_order_id))


# --- pace ----------------------------------------------------------------------------------------------------------------


def test_kraken_does_not_sleep_three_seconds_a_call():
    with desk("kraken", paced=True) as made:
        made.broker.account()
        began = time.monotonic()
        for _ in range(3):
            made.broker.positions()
        assert time.monotonic() - began < 1


def test_an_exhausted_limit_is_told_instead_of_slept():
    pace = crypto_wire.Pace(burst=1.0, patience=0.05, venue="Kraken")
    pace.take(1000)
    with pytest.raises(RetryLater) as caught:
        pace.take(500)
    assert timedelta(seconds=0.3) < caught.value.after <= timedelta(seconds=0.5)
    pace.take(0)
    time.sleep(0.05)
    pace.take(90)


def test_numbers_used_once_rise_although_threads_hurry():
    with desk("kraken") as made:
        threads = [threading.Thread(target=made.broker.positions) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = [int(asked.params["nonce"]) for asked in made.simulator.requests if "private" in asked.path]
        assert len(set(used)) == len(used) == 6


# --- executions and fees -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_a_fee_in_the_bought_coin_leaves_less_to_sell(exchange):
    with desk(exchange) as made:
        (bought,) = made.buy("2").fills
        assert (bought.fee, bought.fee_base) == (0, D("0.002")) and made.broker.positions()[0].quantity == D("1.998")
        (sold,) = made.broker.submit(made.request(SELL, quantity="1.998")).fills
        assert sold.fee_base == 0 and sold.fee == D("0.19978002")


@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "gemini"])
def test_a_fee_in_the_quote_currency_is_a_fee(exchange):
    with desk(exchange) as made:
        (bought,) = made.buy("2").fills
        assert (bought.fee, bought.fee_base) == (D("0.20002"), 0)


def test_kraken_is_asked_to_take_fees_in_the_quote_currency_as_ccxt_believes_it_does():
    with desk("kraken") as made:
        made.buy()
        assert "oflags=fciq" in made.creates()[-1].body


def test_a_fee_in_a_third_coin_is_valued_at_its_price(binance):
    binance.core.fee_in = "BNB"
    binance.core.set_price("BNB/USDT", D(500))
    (fill,) = binance.buy("2").fills
    assert fill.fee_base == 0 and abs(fill.fee - D("0.2")) < D("0.001")


def test_a_fee_in_a_coin_without_a_price_is_left_out_and_said(binance):
    binance.core.fee_in = "XYZ"
    report = binance.buy("2")
    assert report.fills[0].fee == 0 and "XYZ" in report.reason


def test_executions_are_named_by_order_and_trade_as_a_trades_number_is_shared(binance):
    report = binance.buy()
    assert report.fills[0].id == f"{report.broker_order_id}:{binance.core.orders[-1].trades[0].id}"


def test_an_order_that_has_ended_works_until_its_executions_are_shown(each):
    each.simulator.fault("late_trades", seconds=0.2)
    request = each.request(quantity="2")
    early = each.broker.submit(request)
    assert early.status is VenueStatus.WORKING and early.filled_quantity == 0 and early.fills == ()
    time.sleep(0.25)
    late = each.broker.find(each.ref(request))
    assert late.status is VenueStatus.FILLED and sum(fill.quantity for fill in late.fills) == late.filled_quantity == 2


def test_executions_that_never_show_are_booked_by_the_totals(each):
    impatient = each.another(trades_lag=timedelta(0))
    each.simulator.fault("late_trades", seconds=60)
    report = impatient.submit(each.request(quantity="2"))
    assert (report.status, report.filled_quantity, report.fills) == (VenueStatus.FILLED, 2, ()) and report.average_price == D("100.01")


def test_okx_is_asked_for_older_executions_where_the_quick_call_lacks_some():
    with desk("okx") as made:
        made.front.routes = {**made.front.routes, ("GET", "/api/v5/trade/fills"): ("read", lambda front, request: {"code": "0", "msg": "", "data": []})}
        assert made.buy().status is VenueStatus.FILLED and made.paths()[-1] == "/api/v5/trade/fills-history"


# --- the account ---------------------------------------------------------------------------------------------------------


def test_what_an_exchange_holds_of_a_coin_is_the_position(each):
    each.buy("2")
    (held,) = each.broker.positions()
    assert held.symbol == each.sol and D("1.99") < held.quantity <= 2


def test_a_coin_may_be_counted_in_another_currency(binance):
    other = binance.another(quotes={"SOL": "USDC"})
    binance.buy("2")
    assert [held.symbol.short for held in other.positions()] == ["SOL/USDC"]
    assert binance.another(quote="usdc").account().currency == "USDC"


def test_many_coins_are_valued_in_one_call(each):
    coins = each.core.balances
    coins.update({"SOL": D(1), "BTC": D(1), "ETH": D(1), "BNB": D(1), "NOBODY": D(7)})
    assert abs(each.broker.account().equity - 100_400) < 1
    tickers = [path for path in each.paths() if "icker" in path or "pricefeed" in path]
    assert len(tickers) <= 1


def test_money_in_open_orders_buys_nothing_else(each):
    each.broker.submit(each.request(BUY, LIMIT, "10", limit_price="90"))
    account = each.broker.account()
    assert (account.cash, account.buying_power) == (100_000, 99_100)


def test_coinbase_tells_its_coins_by_pages():
    with desk("coinbase") as made:
        made.front.page = 2
        made.core.balances.update({"SOL": D(3), "BNB": D(4)})
        assert {held.symbol.base: held.quantity for held in made.broker.positions()} == {"SOL": 3, "BNB": 4}
        assert made.broker.account().cash == 100_000


@pytest.mark.parametrize("may", [False, True])
def test_a_key_that_can_withdraw_is_told(each, may):
    each.front.can_withdraw = may
    account = each.broker.account()
    assert account.can_withdraw is may and account.number and account.permissions


def test_what_a_key_may_do_is_never_a_reason_to_fail(binance):
    binance.front.routes = {key: way for key, way in binance.front.routes.items() if "apiRestrictions" not in key[1]}
    account = binance.broker.account()
    assert account.can_withdraw is None and account.number.startswith("key ") and KEY not in account.number


# --- prices --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("exchange", "frame"), [("kraken", "2h"), ("kraken", "6h"), ("coinbase", "4h"), ("gemini", "2h"), ("gemini", "4h"), ("binance", "45m")])
def test_candles_that_an_exchange_lacks_are_put_together(exchange, frame):
    with desk(exchange) as made:
        timeframe = Timeframe.parse(frame)
        assert frame not in made.client().timeframes
        candles = made.broker.candles(made.sol, timeframe, end=datetime.now(UTC), count=10)
        assert len(candles) == 10
        assert {(b.at - a.at).total_seconds() for a, b in zip(candles, candles[1:], strict=False)} == {timeframe.seconds}
        assert all(c.low <= c.open <= c.high and c.volume > D("1.5") for c in candles[:-1])


def test_more_candles_than_a_page_are_fetched_by_pages(binance):
    candles = binance.broker.candles(binance.sol, Timeframe.parse("1m"), end=datetime.now(UTC), count=2500)
    assert len(candles) == len({candle.at for candle in candles}) == 2500


def test_an_exchange_that_lacks_a_symbol_names_what_it_has(binance):
    with pytest.raises(Rejected, match="SOL against USDC, USDT"):
        binance.broker.rules(Symbol.parse("SOL/EUR"))
    with pytest.raises(Rejected):
        binance.broker.rules(Symbol.parse("AAPL"))


# --- any other exchange --------------------------------------------------------------------------------------------------


def test_an_unproven_exchange_says_what_is_unproven_and_never_claims_to_refuse_repeats():
    can = capabilities_of("bitstamp")
    assert not can.refuses_repeats and not can.client_ids and any("Unproven" in note for note in can.notes)
    assert can.order_types == {MARKET, LIMIT}


def test_an_unproven_exchange_trades_all_the_same():
    with desk("binanceus", wire="binance") as made:
        request = made.request()
        report = made.broker.submit(request)
        found = made.broker.find(made.ref(request, report.broker_order_id))
        assert (found.status, found.filled_quantity) == (VenueStatus.FILLED, 1) and found.fills
        limit = made.request(BUY, LIMIT, limit_price="90")
        made.broker.submit(limit)
        assert made.broker.find(made.ref(limit)).status is VenueStatus.WORKING
        made.broker.cancel(made.ref(limit))
        assert made.broker.find(made.ref(limit)).status is VenueStatus.CANCELED


# --- what is asked of a user ---------------------------------------------------------------------------------------------

GOOD = {"key": KEY, "secret": SECRET, "passphrase": "p"}


@pytest.mark.parametrize(("written", "hint"), [("binanse", "binance"), ("krakn", "kraken"), ("bitstmp", "bitstamp")])
def test_a_misspelt_exchange_gets_a_suggestion(written, hint):
    with pytest.raises(Malformed) as caught:
        check(GOOD, {"exchange": written})
    assert f"Did you mean {hint}?" in caught.value.hint


@pytest.mark.parametrize(("credentials", "options", "where"), [
    (GOOD, {}, "options.exchange"), ({**GOOD, "key": " "}, {"exchange": "binance"}, "credentials.key"),
    ({**GOOD, "secret": ""}, {"exchange": "binance"}, "credentials.secret"), ({**GOOD, "passphrase": ""}, {"exchange": "okx"}, "credentials.passphrase"),
    ({**GOOD, "key": "master-abc"}, {"exchange": "gemini"}, "credentials.key"), ({**GOOD, "secret": "not base64!"}, {"exchange": "kraken"}, "credentials.secret"),
    ({**GOOD, "key": "organizations/1/apiKeys/2"}, {"exchange": "coinbase"}, "credentials.secret"),
    (GOOD, {"exchange": "kraken", "mode": "paper"}, "mode"), (GOOD, {"exchange": "binance", "quote": "U$"}, "options.quote"),
])  # fmt: skip
def test_what_cannot_work_is_said_before_it_is_stored(credentials, options, where):
    with pytest.raises(Malformed) as caught:
        check(credentials, options)
    assert caught.value.where == where and caught.value.hint


@pytest.mark.parametrize("exchange", FIVE)
def test_good_credentials_pass(exchange):
    with desk(exchange) as made:
        check(made.keys, {"exchange": exchange.upper()})
    assert exchange_of("OKEx").id == "okx"


def test_a_private_key_that_cannot_be_read_is_a_matter_of_credentials():
    kind = "EC PRIVATE KEY"
    broken = f"-----BEGIN {kind}-----\nabc\n-----END {kind}-----\n"
    with desk("coinbase") as made, pytest.raises(BadCredentials):
        made.another(secret=broken).positions()


def test_a_key_pasted_with_written_line_ends_works():
    with desk("coinbase") as made:
        assert made.another(secret=made.keys["secret"].replace("\n", "\\n")).positions() == []
