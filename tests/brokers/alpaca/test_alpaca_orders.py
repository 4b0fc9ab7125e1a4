"""What we paid to find out about orders at Alpaca: how they go on, and how they are refused."""

from __future__ import annotations

from datetime import UTC

import pytest

from dashtrade.brokers.alpaca import wire
from dashtrade.domain.ports import Rejected, RetryLater, Unavailable, Unknown, VenueStatus
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.support.adapter_harness import AAPL, BUY, LIMIT, SELL, D, ref
from tests.support.alpaca_harness import BTC, AlpacaHarness, eventually, raw

# --- how the venue behaves ----------------------------------------------------------------------------------


def test_submit_answers_pending_new_and_the_fill_comes_after():
    with AlpacaSimulator(latency=0.05) as sim:
        harness = AlpacaHarness(sim)
        request = harness.request(BUY, 10)
        assert harness.broker.submit(request).status is VenueStatus.WORKING
        assert eventually(lambda: harness.find(request.client_order_id).filled_quantity == 10)
        harness.broker.close()


def test_an_order_for_money_has_no_quantity_and_its_fill_has(harness: AlpacaHarness):
    report = harness.order(BUY, None, notional="50")
    assert raw(harness.sim, "GET", f"/v2/orders/{report.broker_order_id}")[1]["qty"] is None
    end = harness.find(report.client_order_id)
    assert end.status is VenueStatus.FILLED and abs(end.filled_quantity * end.average_price - 50) < D("0.01")


def test_amounts_that_come_as_numbers_are_read_like_text(harness: AlpacaHarness):
    harness.sim.inject(Fault("numbers", method="*", times=0))
    report = harness.order(BUY, None, notional="50.5")
    assert report.status is VenueStatus.WORKING and harness.find(report.client_order_id).average_price == D(
        "100.01"
    )


@pytest.mark.parametrize("fraction", ["", ".1", ".123456", ".123456789"])
@pytest.mark.parametrize(("offset", "hour"), [("Z", 12), ("-04:00", 16)])
def test_times_have_up_to_nine_digits_and_any_offset(fraction: str, offset: str, hour: int):
    found = wire.moment(f"2026-10-12T12:00:00{fraction}{offset}")
    assert (found.hour, found.tzinfo) == (hour, UTC)


def test_an_account_has_no_fields_of_the_day_trading_rule(harness: AlpacaHarness):
    _, body = raw(harness.sim, "GET", "/v2/account")
    assert not {"pattern_day_trader", "daytrade_count", "daytrading_buying_power"} & body.keys()
    state = harness.broker.account()
    assert (state.number, state.buying_power, state.currency) == ("PA3SIMULATOR", 200_000, "USD")
    assert {"trade", "short", "crypto"} <= set(state.permissions) and state.can_withdraw is None


def test_a_blocked_account_says_so():
    state = wire.account_of(
        {"equity": "1", "cash": "1", "buying_power": "1", "account_number": "x", "trading_blocked": True}
    )
    assert state.permissions == ("trading_blocked",)


@pytest.mark.parametrize(
    ("status", "read"),
    [
        (name, VenueStatus.WORKING)
        for name in (
            "new",
            "partially_filled",
            "done_for_day",
            "pending_cancel",
            "pending_replace",
            "accepted",
            "pending_new",
            "accepted_for_bidding",
            "stopped",
            "suspended",
            "calculated",
            "held",
            "never_heard_of",
            None,
            7,
        )
    ]
    + [
        ("filled", VenueStatus.FILLED),
        ("canceled", VenueStatus.CANCELED),
        ("expired", VenueStatus.EXPIRED),
        ("rejected", VenueStatus.REJECTED),
        ("replaced", VenueStatus.CANCELED),
    ],
)
def test_only_five_statuses_end_an_order(status: object, read: VenueStatus):
    assert wire.status_of(status) is read


def test_reports_carry_totals_and_no_fills_so_that_nothing_is_counted_twice(harness: AlpacaHarness):
    harness.sim.market.next_in_parts = True
    request = harness.request(BUY, 10)
    harness.broker.submit(request)
    part = harness.find(request.client_order_id)
    harness.sim.set_price("AAPL", 110)
    with harness.sim.market.lock:
        harness.sim.market.finish_parts()
    end = harness.find(request.client_order_id)
    assert (part.filled_quantity, part.average_price, part.fills) == (5, D("100.01"), ())
    assert (end.filled_quantity, end.average_price, end.fills) == (10, D("105.01"), ())
    _, activities = raw(harness.sim, "GET", "/v2/account/activities/FILL")
    assert [each["qty"] for each in activities] == ["5", "5"] and activities[0]["cum_qty"] == "10"


# --- refusals -----------------------------------------------------------------------------------------------


def test_too_few_shares_says_what_is_free_and_what_is_held(harness: AlpacaHarness):
    harness.order(BUY, 10)
    harness.order(SELL, 7, LIMIT, limit_price="120", reduces=True)
    with pytest.raises(Rejected, match=r"has 3 AAPL free .* needs 10; 7 are held by other open orders"):
        harness.order(SELL, 10, reduces=True)


def test_too_little_money_says_both_figures(harness: AlpacaHarness):
    with pytest.raises(Rejected, match=r"needs 1,000,000\.00 and has 200,000\.00"):
        harness.order(BUY, 10_000)


def test_a_wash_trade_names_the_order_in_the_way(harness: AlpacaHarness):
    first = harness.order(BUY, 10, LIMIT, limit_price="90")
    with pytest.raises(Rejected, match=f"(?s){first.broker_order_id}.*wash trade"):
        harness.order(SELL, 10, LIMIT, limit_price="110")


def test_a_position_is_not_flipped_by_one_order(harness: AlpacaHarness):
    harness.order(BUY, 10)
    with pytest.raises(Rejected):
        harness.order(SELL, 20)
    assert harness.held() == 10


def test_a_closing_order_never_opens_a_position(harness: AlpacaHarness):
    harness.order(BUY, 10)
    raw(harness.sim, "POST", "/_hold", {"symbol": "AAPL", "qty": "0", "price": "1"})  # sold by hand
    sent = len(harness.sim.requests("POST", "/v2/orders"))
    with pytest.raises(Rejected, match="Nothing was sent"):
        harness.order(SELL, 10, reduces=True)
    assert len(harness.sim.requests("POST", "/v2/orders")) == sent and harness.held() == 0


def test_where_the_position_cannot_be_read_a_closing_order_goes_later(harness: AlpacaHarness):
    harness.order(BUY, 10)
    harness.sim.inject(Fault("server_error", method="GET", path="/v2/positions"))
    with pytest.raises(RetryLater, match="Nothing was sent"):
        harness.order(SELL, 10, reduces=True)
    harness.order(SELL, 10, reduces=True)
    assert harness.held() == 0


def test_our_own_id_used_before_is_our_own_order_and_adopted(harness: AlpacaHarness):
    request = harness.request(BUY, 10)
    harness.sim.inject(Fault("gateway_error"))
    with pytest.raises(Unknown):
        harness.broker.submit(request)
    assert harness.broker.submit(request).filled_quantity == 10
    assert len(harness.sim.requests("POST", "/v2/orders")) == 2 and len(harness.sim.orders) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault("late_visibility", seconds=9),
        Fault("garbage", method="GET", path="/v2/orders:"),
        Fault("bad_key", method="GET", path="/v2/orders:"),
    ],
)
def test_an_existing_order_that_is_not_shown_is_unconfirmed(harness: AlpacaHarness, fault: Fault):
    request = harness.request(BUY, 10)
    harness.sim.inject(fault)
    harness.broker.submit(request)
    with pytest.raises(Unknown):
        harness.broker.submit(request)
    assert len(harness.sim.orders) == 1


@pytest.mark.parametrize("ids_last", [False, True])
def test_a_second_try_is_not_refused_for_what_the_first_one_took(harness: AlpacaHarness, ids_last: bool):
    """All the money, then all the shares: each is gone when the same order is sent again after a time-out."""
    harness.sim.market.ids_last = ids_last
    for side in (BUY, SELL):
        request = harness.request(side, 1900, reduces=side is SELL)
        harness.sim.inject(Fault("gateway_error"))
        with pytest.raises(Unknown):
            harness.broker.submit(request)
        assert harness.broker.submit(request).status is VenueStatus.FILLED
    assert len(harness.sim.orders) == 2 and harness.held() == 0


def test_a_refusal_whose_earlier_try_cannot_be_looked_up_is_unconfirmed(harness: AlpacaHarness):
    harness.broker.rules(AAPL)
    harness.sim.inject(Fault("server_error", method="GET", path="/v2/orders:"))
    with pytest.raises(Unknown):
        harness.order(BUY, 1_000_000)


def test_a_404_of_another_server_is_not_a_missing_order(sim: AlpacaSimulator):
    harness = AlpacaHarness(sim, api_url=sim.url + "/not/alpaca")
    with pytest.raises(Unavailable):
        harness.find("a" * 32)
    harness.broker.close()


@pytest.mark.parametrize(
    "kind", ["garbage", "empty", "cut_off", "server_error", "gateway_error", "redirect", "drop", "time_out"]
)
def test_a_spoiled_reading_is_unavailable_never_empty(harness: AlpacaHarness, kind: str):
    harness.broker.rules(AAPL)
    harness.sim.inject(Fault(kind, method="GET", path="/v2", times=0))
    broker = harness.broker
    calls = [
        broker.account,
        broker.positions,
        lambda: harness.find("a" * 32),
        lambda: broker.poll([ref("a"), ref("b"), ref("c")]),
        lambda: broker.market_open(AAPL),
        lambda: broker.quote(AAPL),
        broker.clock_skew,
        lambda: broker.cancel(ref("a" * 32)),
        lambda: broker.rules(BTC),
    ]
    for call in calls[:2] if kind == "time_out" else calls:
        with pytest.raises(Unavailable):
            call()


def test_the_simulator_refuses_what_alpaca_refuses(sim: AlpacaSimulator):
    base = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    legs = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "90"}}
    exits = {"order_class": "bracket", "time_in_force": "gtc", **legs}
    limit = {"type": "limit", "limit_price": "100"}
    for change, status, code, words in (
        ({**limit, "limit_price": "100.123"}, 422, 42210000, "sub-penny"),
        ({"qty": -1}, 422, 40010001, "qty must be > 0"),
        ({**limit, "limit_price": 0.12345}, 422, 42210000, "sub-penny"),
        ({"side": "sell", "qty": "1.5"}, 422, 42210000, "fractional orders cannot be sold short"),
        ({**exits, "qty": "1.5"}, 422, 42210000, "simple orders"),
        ({"qty": "1.5", "time_in_force": "gtc"}, 422, 42210000, "DAY"),
        ({**limit, "qty": "1.5", "time_in_force": "gtc"}, 422, 42210000, "DAY"),
        ({"symbol": "HARD", "side": "sell"}, 422, 42210000, "sold short"),
        ({"extended_hours": True}, 422, 42210000, "extended hours"),
        ({**exits, "time_in_force": "ioc"}, 422, 42210000, "DAY or GTC"),
        ({**exits, **limit, "extended_hours": True}, 422, 42210000, "simple orders"),
        ({"symbol": "NOPE"}, 422, 42210000, "not found"),
        ({"symbol": "BTC/USD"}, 422, 42210000, "crypto time_in_force"),
        ({"qty": "9999"}, 403, 40310000, "insufficient buying power"),
        ({"limit_price": "1"}, 422, 40010001, "no limit price"),
        ({"notional": "5"}, 422, 40010001, "only one of"),
        ({"qty": None}, 422, 40010001, "required"),
        ({"type": "limit"}, 422, 40010001, "require limit price"),
        ({"lmit": 1}, 422, 40010001, "unknown field"),
        ({"symbol": "HALT"}, 422, 42210000, "not tradable"),
    ):
        answered, body = raw(sim, "POST", "/v2/orders", {**base, **change})
        assert (answered, body["code"]) == (status, code) and words in body["message"], (change, body)
    assert sim.orders == []
