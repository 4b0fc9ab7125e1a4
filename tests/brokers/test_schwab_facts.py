"""What we paid to find out about Schwab: one test for each thing that can bite."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import pytest

from dashtrade.brokers.schwab.adapter import SchwabBroker
from dashtrade.brokers.schwab.auth import Token, authorize_url, exchange_code, expires_in, warning
from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.brokers.schwab.credentials import check
from dashtrade.domain.ports import (
    BadCredentials,
    OrderRef,
    OrderRequest,
    Rejected,
    RetryLater,
    Unavailable,
    Unknown,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed, OrderSide, OrderType, new_id
from tests.simulators.crypto import Simulator
from tests.simulators.schwab import CALLBACK, CODE, HASH, KEY, NUMBER, SECRET, SchwabFront

D = Decimal
AAPL, MSFT, BUY, SELL, MARKET, LIMIT = (
    Symbol.parse("AAPL"),
    Symbol.parse("MSFT"),
    OrderSide.BUY,
    OrderSide.SELL,
    OrderType.MARKET,
    OrderType.LIMIT,
)
VERIFIER = "made up, as no challenge was given"
NOW = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)


class Desk:
    """A simulated Schwab, an adapter on it, and short words for orders."""

    def __init__(self, **options) -> None:
        self.front = SchwabFront()
        self.simulator = Simulator(self.front)
        self.simulator.hold, self.core, self.saved = 1.0, self.front.core, []
        self.broker = self.another(**options)

    def another(self, **options) -> SchwabBroker:
        first = options.pop("token", None) or self.front.token()
        given = {"save_token": self.saved.append, "url": self.simulator.url, "timeout": 0.5, **options}
        return SchwabBroker(KEY, SECRET, lambda: self.saved[-1] if self.saved else first, **given)

    def request(self, side=BUY, kind=MARKET, quantity=10, symbol=AAPL, **rest) -> OrderRequest:
        return OrderRequest(
            client_order_id=new_id(datetime.now(UTC)),
            symbol=symbol,
            side=side,
            type=kind,
            quantity=D(quantity),
            **rest,
        )

    def ref(self, request, *, created=None, number=None) -> OrderRef:
        return OrderRef(
            client_order_id=request.client_order_id,
            broker_order_id=number,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            type=request.type,
            created_at=created or datetime.now(UTC),
        )

    def by_hand(self, side="buy", quantity=10, name="AAPL/USD", limit=None):
        return self.core.place(
            client_id="",
            name=name,
            side=side,
            type="limit" if limit else "market",
            quantity=D(quantity),
            limit=limit,
        )

    def times_out(self, request):
        self.broker.rules(request.symbol)
        self.simulator.fault("time_out")
        with pytest.raises(Unknown):
            self.broker.submit(request)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.simulator.requests]

    def close(self) -> None:
        self.broker.close()
        self.simulator.close()


@contextmanager
def made(**options):
    desk = Desk(**options)
    try:
        yield desk
    finally:
        desk.close()


@pytest.fixture
def desk():
    with made() as one:
        yield one


def test_the_http_library_is_loaded_by_the_first_account_and_not_before():
    code = (
        "import sys; from dashtrade.brokers.schwab import adapter as schwab; assert 'requests' not in "
        "sys.modules and "
        "'urllib3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- there is no id of ours ---------------------------------------------------------------------------------


def test_it_claims_no_client_ids_so_the_engine_never_sends_an_order_twice():
    assert not CAPABILITIES.client_ids and not CAPABILITIES.refuses_repeats and not CAPABILITIES.sandbox


def test_an_order_that_filled_at_once_comes_without_a_number_and_is_found(desk):
    desk.front.silent_fills = True
    report = desk.broker.submit(desk.request())
    assert report.status is VenueStatus.FILLED and report.broker_order_id == str(desk.core.orders[-1].id)


def test_without_a_number_and_with_a_twin_it_is_unknown(desk):
    desk.front.silent_fills = True
    desk.by_hand()
    request = desk.request()
    with pytest.raises(Unknown):
        desk.broker.submit(request)
    assert desk.broker.find(desk.ref(request)) is None and len(desk.core.orders) == 2


def test_a_number_is_enough_although_its_state_cannot_be_read(desk):
    desk.broker.rules(AAPL)
    desk.simulator.fault("answer", on="read", status=500, body="<html>")
    desk.broker._api.account_of = HASH
    report = desk.broker.submit(desk.request())
    assert report.status is VenueStatus.WORKING and report.broker_order_id


def test_after_a_time_out_the_one_order_that_fits_is_ours(desk):
    request = desk.request()
    desk.times_out(request)
    found = desk.broker.find(desk.ref(request))
    assert found.status is VenueStatus.FILLED and found.filled_quantity == 10 and len(desk.core.orders) == 1
    assert desk.broker.find(desk.ref(request)).broker_order_id == found.broker_order_id


def test_of_two_orders_that_fit_none_is_ours(desk):
    request = desk.request()
    desk.times_out(request)
    desk.by_hand()
    assert desk.broker.find(desk.ref(request)) is None


def test_a_twin_that_belongs_to_another_order_of_ours_is_left_out(desk):
    other = desk.request()
    number = desk.broker.submit(other).broker_order_id
    request = desk.request()
    desk.times_out(request)
    assert desk.broker.find(desk.ref(request)).broker_order_id != number


def test_after_a_restart_the_app_says_whose_orders_are_whose(desk):
    number = desk.broker.submit(desk.request()).broker_order_id
    request = desk.request()
    desk.times_out(request)
    assert desk.another().find(desk.ref(request)) is None
    fresh = desk.another(owner_of={number: "somebody else's"}.get)
    assert fresh.find(desk.ref(request)).broker_order_id == str(desk.core.orders[-1].id)


def test_an_order_that_never_arrived_is_not_mistaken_for_an_earlier_twin(desk):
    desk.by_hand()
    desk.core.orders[-1].created -= 30
    assert desk.broker.find(desk.ref(desk.request())) is None


@pytest.mark.parametrize(
    "other", [{"side": "sell"}, {"quantity": 9}, {"name": "MSFT/USD"}, {"limit": D(120)}]
)
def test_an_order_of_another_kind_is_not_ours(desk, other):
    desk.core.balances["AAPL"] = D(100)
    desk.by_hand(**other)
    assert desk.broker.find(desk.ref(desk.request())) is None


def test_a_part_of_a_bracket_is_not_ours(desk):
    whole = desk.front._order
    desk.front._order = lambda order: {**whole(order), "orderStrategyType": "TRIGGER"}
    desk.by_hand()
    assert desk.broker.find(desk.ref(desk.request())) is None


def test_a_failed_search_is_not_an_absent_order(desk):
    desk.broker.account()
    for status, body in (
        (500, "<html>"),
        (200, "<html>"),
        (200, "{}"),
        (200, '[{"orderId": 1}]'),
        (404, "<html>"),
    ):
        desk.simulator.fault("answer", on="read", status=status, body=body)
        if body.startswith("["):
            assert desk.broker.find(desk.ref(desk.request())) is None  # it can be read, and does not fit
        else:
            with pytest.raises(Unavailable):
                desk.broker.find(desk.ref(desk.request()))


@pytest.mark.parametrize("minutes", [-7, 7])
def test_a_clock_that_is_off_is_allowed_for_when_searching(minutes):
    class Off:
        def now(self):
            return datetime.now(UTC) + timedelta(minutes=minutes)

    with made(clock=Off()) as desk:
        request = desk.request()
        desk.times_out(request)
        assert desk.broker.find(desk.ref(request, created=Off().now())).status is VenueStatus.FILLED


def test_schwab_is_never_asked_for_more_than_sixty_days(desk):
    old = desk.ref(desk.request(), created=datetime.now(UTC) - timedelta(days=200))
    assert desk.broker.find(old) is None
    asked = desk.simulator.requests[-1].params
    assert datetime.fromisoformat(asked["fromEnteredTime"]) > datetime.now(UTC) - timedelta(days=61)


def test_many_orders_are_polled_with_one_list(desk):
    requests = [desk.request(quantity=n) for n in (1, 2, 3)]
    refs = [desk.ref(request, number=desk.broker.submit(request).broker_order_id) for request in requests]
    before = len(desk.simulator.requests)
    assert [report.filled_quantity for report in desk.broker.poll(refs)] == [1, 2, 3]
    assert len(desk.simulator.requests) == before + 1


# --- placing ------------------------------------------------------------------------------------------------


def test_an_order_that_is_taken_and_then_rejected_tells_why(desk):
    desk.front.rejects_later = "This order cannot be accepted."
    report = desk.broker.submit(desk.request(BUY, LIMIT, limit_price=D(90)))
    assert report.status is VenueStatus.REJECTED and report.reason == "This order cannot be accepted."


def test_prices_leave_as_text_in_steps_and_shares_as_whole_numbers(desk):
    desk.broker.submit(desk.request(BUY, LIMIT, limit_price=D("90.016")))
    body = next(asked.json for asked in reversed(desk.simulator.requests) if asked.method == "POST")
    assert body["price"] == "90.02" and body["orderLegCollection"][0]["quantity"] == 10


def test_below_a_dollar_prices_have_four_decimals(desk):
    desk.core.set_price("MSFT/USD", D("0.5"))
    assert desk.broker.rules(MSFT).price_step == D("0.0001")


def test_a_class_of_shares_is_spelled_as_schwab_spells_it(desk):
    symbol = Symbol.parse("BRK.B")
    assert desk.broker.submit(desk.request(symbol=symbol)).status is VenueStatus.FILLED
    assert desk.broker.positions()[0].symbol == symbol


@pytest.mark.parametrize("symbol", ["BTC/USDT", "LSE:VOD"])
def test_what_is_no_american_stock_is_refused(desk, symbol):
    with pytest.raises(Rejected, match="no stock"):
        desk.broker.submit(desk.request(symbol=Symbol.parse(symbol)))


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, '{"message": "Account is restricted"}', Rejected),
        (400, "<html>", Unknown),
        (500, '{"message": "x"}', Unknown),
        (503, "", Unknown),
        (200, "", Unknown),
        (202, "{}", Unknown),
        (408, "{}", Unknown),
        (302, "", Unknown),
        (403, '{"message": "no"}', BadCredentials),
        (403, "<html>", Unknown),
        (429, "{}", RetryLater),
    ],
)
def test_only_schwabs_own_words_are_a_refusal(desk, status, body, meaning):
    desk.broker.rules(AAPL)
    desk.simulator.fault("answer", status=status, body=body)
    with pytest.raises(meaning):
        desk.broker.submit(desk.request())


def test_an_order_that_ended_works_until_its_executions_are_told(desk):
    desk.simulator.fault("late_trades", seconds=0.5)
    request = desk.request()
    early = desk.broker.submit(request)
    assert (early.status, early.filled_quantity) == (VenueStatus.WORKING, 0)
    time.sleep(0.55)
    assert desk.broker.find(desk.ref(request)).status is VenueStatus.FILLED


def test_cancelling_what_schwab_does_not_let_go_of_is_said(desk):
    report = desk.broker.submit(request := desk.request(BUY, LIMIT, limit_price=D(90)))
    desk.simulator.fault("answer", on="cancel", status=400, body='{"message": "too late"}')
    with pytest.raises(Unavailable):
        desk.broker.cancel(desk.ref(request, number=report.broker_order_id))


# --- the sign-in --------------------------------------------------------------------------------------------


def test_a_token_about_to_end_is_renewed_once_and_given_back(desk):
    broker = desk.another(token=desk.front.token(life=timedelta(seconds=60)))
    threads = [threading.Thread(target=broker.positions) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.front.refreshes == 1 and len(desk.saved) == 1
    kept = Token.read(desk.saved[0])
    assert kept.access == desk.front.access and kept.access_ends > datetime.now(UTC) + timedelta(minutes=29)


def test_renewing_does_not_move_the_seven_days(desk):
    created = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    broker = desk.another(token=desk.front.token(created=created, life=timedelta(0)))
    broker.positions()
    assert Token.read(desk.saved[-1]).created == created
    assert timedelta(days=3, hours=23) < broker.expires_in() < timedelta(days=4)


def test_a_token_that_is_refused_early_is_renewed_and_the_order_goes_once(desk):
    desk.broker.rules(AAPL)
    desk.front.access = "another"
    assert desk.broker.submit(desk.request()).status is VenueStatus.FILLED
    assert len(desk.core.orders) == 1 and desk.front.refreshes == 1


def test_after_seven_days_nothing_is_asked_any_more(desk):
    ended = datetime.now(UTC) - timedelta(days=7, seconds=1)
    broker = desk.another(token=desk.front.token(created=ended, life=timedelta(0)))
    with pytest.raises(BadCredentials, match="seven days"):
        broker.submit(desk.request())
    assert desk.paths() == []


def test_a_sign_in_that_was_revoked_is_a_matter_of_credentials(desk):
    token = desk.front.token(life=timedelta(0))
    desk.front.refresh = "revoked"
    with pytest.raises(BadCredentials, match="Sign in"):
        desk.another(token=token).positions()
    assert not desk.saved


def test_a_sign_in_that_does_not_answer_means_later_as_nothing_was_sent(desk):
    broker = desk.another(token=desk.front.token(life=timedelta(0)))
    desk.simulator.fault("answer", on="sign_in", status=503, body="<html>")
    with pytest.raises(RetryLater):
        broker.submit(desk.request())
    assert not desk.core.orders and not desk.saved


def test_the_end_is_warned_of_days_before():
    token = json.dumps({"creation_timestamp": int(NOW.timestamp()), "token": {"refresh_token": "r"}})
    assert expires_in(token, NOW) == timedelta(days=7)
    said = {days: warning(token, NOW + timedelta(days=days)) for days in (0, 4.9, 5, 6, 6.99, 7)}
    assert (
        not said[0]
        and not said[4.9]
        and "2 days" in said[5]
        and "24 hours" in said[6]
        and "less than 2 hours" in said[6.99]
    )
    assert "has ended" in said[7] and all("Sign in" in words for words in said.values() if words)


def test_the_address_to_sign_in_at_names_key_and_callback():
    """The verifier and its challenge are the example of RFC 7636."""
    link = authorize_url("k&1", CALLBACK, state="s", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert parse_qs(urlsplit(link).query) == {
        "client_id": ["k&1"],
        "redirect_uri": [CALLBACK],
        "response_type": ["code"],
        "state": ["s"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }


@pytest.mark.parametrize(
    "written", [CODE, CODE.replace("@", "%40"), f"{CALLBACK}?code={CODE.replace('@', '%40')}&session=1"]
)
def test_a_code_becomes_a_token_however_it_is_pasted(desk, written):
    text = exchange_code(KEY, SECRET, CALLBACK, written, verifier=VERIFIER, url=desk.simulator.url)
    check({"key": KEY, "secret": SECRET, "token": text}, {})
    assert desk.another(token=text).positions() == [] and expires_in(text, datetime.now(UTC)) > timedelta(
        days=6, hours=23
    )


def test_a_wrong_code_is_told_and_an_address_without_one_too(desk):
    with pytest.raises(BadCredentials):
        exchange_code(KEY, SECRET, CALLBACK, "C0.wrong@", verifier=VERIFIER, url=desk.simulator.url)
    with pytest.raises(Malformed, match="no code"):
        exchange_code(
            KEY, SECRET, CALLBACK, f"{CALLBACK}?error=denied", verifier=VERIFIER, url=desk.simulator.url
        )


def test_a_token_does_not_show_in_logs(desk):
    assert "refresh-1" not in repr(Token.read(desk.front.token())) and "access-1" not in repr(
        desk.broker.__dict__
    )


GOOD = {"key": KEY, "secret": SECRET, "token": '{"creation_timestamp": 1, "token": {"refresh_token": "r"}}'}


@pytest.mark.parametrize(
    ("change", "options", "where"),
    [
        ({"key": ""}, {}, "credentials.key"),
        ({"secret": " "}, {}, "credentials.secret"),
        ({"token": "{"}, {}, "credentials.token"),
        ({"token": "[]"}, {}, "credentials.token"),
        ({"token": '{"token": {}}'}, {}, "credentials.token"),
        (
            {"token": '{"creation_timestamp": 1e999, "token": {"refresh_token": "r"}}'},
            {},
            "credentials.token",
        ),
        ({}, {"mode": "paper"}, "mode"),
    ],
)
def test_what_cannot_work_is_said_before_it_is_stored(change, options, where):
    check(GOOD, {})
    with pytest.raises(Malformed) as caught:
        check({**GOOD, **change}, options)
    assert caught.value.where == where and caught.value.hint


# --- the account and the prices -----------------------------------------------------------------------------


def test_every_path_names_the_account_by_its_hash(desk):
    desk.broker.account()
    assert (
        desk.paths() == ["/trader/v1/accounts/accountNumbers", f"/trader/v1/accounts/{HASH}"]
        and desk.broker.account().number == NUMBER
    )


def test_of_several_accounts_one_has_to_be_chosen(desk):
    desk.front.accounts["99998888"] = "FEDCBA"
    with pytest.raises(BadCredentials, match=r"several accounts.*…5678, …8888"):
        desk.another().submit(desk.request())
    assert desk.another(account="99998888").account().number == "99998888"
    with pytest.raises(BadCredentials):
        desk.another(account="1").account()


def test_an_answer_of_another_shape_is_unavailable(desk):
    desk.broker.account()
    for body in ("[]", "{}", '{"securitiesAccount": 7}', "null", "<html>"):
        desk.simulator.fault("answer", on="read", status=200, body=body)
        with pytest.raises(Unavailable):
            desk.broker.positions()


def test_a_price_is_as_old_as_schwab_says_and_never_of_the_future(desk):
    desk.front.quotes_late = 900.0
    assert timedelta(seconds=890) < datetime.now(UTC) - desk.broker.quote(AAPL).at < timedelta(seconds=910)
    desk.front.quotes_late = -60.0
    assert desk.broker.quote(AAPL).at <= datetime.now(UTC)


def test_on_a_holiday_the_market_is_closed(desk):
    desk.front.trades_today = False
    assert not desk.broker.market_open(AAPL)
    assert not desk.broker.market_open(AAPL) and desk.paths().count("/marketdata/v1/markets") == 1


def test_the_next_open_is_sought_day_by_day_over_a_long_weekend(desk):
    desk.front.trades_today, desk.front.closed_days = False, 4
    opens = desk.broker.opens_at(AAPL)
    assert timedelta(days=3, hours=22) < opens - datetime.now(UTC) < timedelta(days=4)
    asked = desk.paths().count("/marketdata/v1/markets")
    assert (
        asked == 5
        and desk.broker.opens_at(AAPL) == opens
        and desk.paths().count("/marketdata/v1/markets") == asked
    )
    desk.front.closed_days = 30
    assert desk.another().opens_at(AAPL) is None, "further ahead it is not known"


@pytest.mark.parametrize("frame", ["1h", "2h", "15m", "1d", "1w"])
def test_candles_that_schwab_lacks_are_put_together(desk, frame):
    candles = desk.broker.candles(AAPL, Timeframe.parse(frame), end=datetime.now(UTC), count=5)
    assert len(candles) == 5 and {(b.at - a.at) for a, b in itertools.pairwise(candles)} == {
        Timeframe.parse(frame).span
    }


def test_a_timeframe_that_cannot_be_had_is_said(desk):
    with pytest.raises(Unavailable, match="Use 1, 5"):
        desk.broker.candles(AAPL, Timeframe.parse("7s"), end=datetime.now(UTC), count=5)


def test_settling_may_be_set_for_one_account(desk):
    assert desk.another(settle=timedelta(0)).capabilities == replace(CAPABILITIES, settle=timedelta(0))
