"""What a difference from the broker means for orders, and what a broker that says nothing means."""

from __future__ import annotations

import pytest

from dashtrade.domain.notices.people import BrokerAnswers, BrokerUnreachable, KeyRefused
from dashtrade.domain.notices.trading import PositionMismatch
from dashtrade.domain.reasons import NO_REASON, Code, reason
from dashtrade.domain.symbols import Symbol
from tests.simulators.alpaca_faults import Fault
from tests.support.at_alpaca import addresses
from tests.support.hosts import GatedHost
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.reconcile_harness import ReconcileHarness

# --- what a drift means for orders --------------------------------------------------------------------------


def test_a_bot_does_not_sell_what_the_broker_does_not_have(holding: ReconcileHarness):
    holding.by_hand("AAPL", 0)
    holding.look(2)
    posts = len(holding.sim.requests("POST", "/v2/orders"))
    for action in ("close", "sell", "reverse"):
        answer = holding.trader.trades(action)
        assert (answer["status"], answer["reason_code"]) == ("refused", "broker_has_less")
        assert (answer["facts"]["left"], answer["facts"]["owned"]) == ("0", "10")
    assert len(holding.sim.requests("POST", "/v2/orders")) == posts and holding.trader.holds(1) == 10


def test_a_stop_does_not_ask_again_and_again_for_what_is_not_there(holding: ReconcileHarness):
    holding.trader.request("PATCH", "/bots/1", {"risk_limit_percent": "5"})
    holding.sim.set_price("AAPL", 50)
    holding.by_hand("AAPL", 0)
    holding.look(2)
    for _ in range(5):
        assert holding.installation.look() == 0
        holding.clock.forward(40)
    assert not holding.trader.get("/risk-events")["items"] and holding.trader.get("/bots/1")["is_active"]


def test_a_split_is_not_taken_for_a_crash_by_the_stops(holding: ReconcileHarness):
    holding.trader.request("PATCH", "/bots/1", {"risk_limit_percent": "5"})
    holding.by_hand("AAPL", 20, "50.005")
    holding.look(2)
    holding.sim.set_price("AAPL", 50)
    assert holding.installation.look() == 0 and [
        one.ratio for one in holding.trader.notices(PositionMismatch)
    ] == [2]
    holding.resolve(holding.drift(), "give")
    assert holding.installation.look() == 0 and holding.trader.holds(1) == 20
    holding.sim.set_price("AAPL", 40)
    assert holding.installation.look() == 1
    holding.installation.work()
    assert holding.trader.holds(1) == 0


def test_a_closing_order_is_limited_to_what_the_broker_has_left(holding: ReconcileHarness):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    answer = holding.trader.trades("reverse")
    assert answer["status"] == "filled" and "no more of the 10 on record" in str(answer["timeline"])
    assert holding.trader.holds(1) == 4 and holding.sim.market.quantity(holding.sim.market.asset("AAPL")) == 0
    holding.look(2)
    holding.resolve(holding.drift(), "give")
    holding.look(2)
    assert holding.trader.holds(1) == 0 and not holding.drifts()


# --- silence ------------------------------------------------------------------------------------------------


def test_a_failed_question_is_not_flat(holding: ReconcileHarness):
    holding.sim.inject(Fault("server_error", method="GET", path="/v2/positions", times=0))
    holding.look(4)
    assert not holding.drifts() and holding.trader.holds(1) == 10
    holding.sim.clear_faults()
    holding.look(2)
    assert not holding.drifts()


def test_nothing_is_sent_before_the_account_was_compared_once(harness: ReconcileHarness):
    harness.bot()
    story = harness.trader.trades("buy")
    assert story["status"] == "working" and not harness.sim.orders
    assert "waits until the account's positions are compared" in story["bots"][0]["reason"]
    harness.look()
    harness.installation.work()
    assert harness.trader.story(story["id"])["status"] == "filled"


def test_a_broker_silent_at_the_start_is_notified_once_and_the_entry_given_up(harness: ReconcileHarness):
    harness.bot()
    harness.sim.inject(Fault("server_error", method="GET", path="/v2", times=0))
    signal = harness.trader.send(action="buy")
    for _ in range(30):
        harness.look()
        harness.installation.work()
    story = harness.trader.story(signal)
    assert story["status"] == "refused" and story["reason_code"] == "broker_unreachable"
    assert harness.notices(BrokerUnreachable) == 1 and not harness.sim.orders
    assert harness.trader.get("/drifts")["problems"][0]["account_id"] == harness.account
    harness.sim.clear_faults()
    harness.look(2)
    assert harness.notices(BrokerAnswers) == 1 and not harness.trader.get("/drifts")["problems"]
    after = harness.trader.trades("buy")
    assert after["status"] == "filled", after["reason"]


def test_a_way_out_waits_for_the_comparison_and_then_sells_only_what_is_there(
    make_app: MakeApp, holding: ReconcileHarness
):
    """Closed by hand while DashTrade was down: the first thing after the start must not open a short."""
    holding.by_hand("AAPL", 0)
    holding.installation.app.engine.leases.release()
    later = Installation(make_app(clock=holding.clock, **addresses(holding.sim)))
    later.app.engine.host = GatedHost(later.app.engine.reconciler.wait_reason)
    trader = Trader(
        installation=later, user=holding.trader.user, access=holding.trader.access, token=holding.trader.token
    )
    story = trader.trades("close")
    assert story["status"] == "working" and "compared" in story["bots"][0]["reason"]
    later.app.engine.reconciler.reconcile(holding.account)
    holding.clock.forward(4)
    later.work()
    assert "is compared again" in trader.story(story["id"])["bots"][0]["reason"], (
        "one look is not enough where it differs"
    )
    later.app.engine.reconciler.reconcile(holding.account)
    holding.clock.forward(2)
    later.work()
    ended = trader.story(story["id"])
    assert ended["status"] == "refused" and ended["reason_code"] == "broker_has_less"
    assert len(holding.sim.requests("POST", "/v2/orders")) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_second_worker_that_starts_amid_a_difference_looks_until_it_knows(
    make_app: MakeApp, holding: ReconcileHarness
):
    """One worker keeps the account's lane and compares it; what another found unsure at its start must not
    stay shut there."""
    account = holding.account
    holding.clock.forward(11)
    assert holding.reconciler.due() == [account], "the first worker has the account's lane"
    holding.look()
    second = make_app(clock=holding.clock, **addresses(holding.sim)).engine.reconciler
    holding.by_hand("AAPL", 7)
    assert second.due() == [account]
    second.reconcile(account)
    assert second.wait_reason(account, Symbol.parse("AAPL")) == reason(Code.WAITS_FOR_RECHECK, symbol="AAPL")
    holding.by_hand("AAPL", 10)
    holding.clock.forward(11)
    assert second.due() == [account]
    second.reconcile(account)
    assert second.wait_reason(account, Symbol.parse("AAPL")) == NO_REASON
    holding.clock.forward(11)
    assert second.due() == [] and holding.reconciler.due() == [account] and not holding.drifts()


def test_two_workers_that_find_the_same_difference_tell_of_it_once(
    make_app: MakeApp, holding: ReconcileHarness
):
    second = make_app(clock=holding.clock, **addresses(holding.sim)).engine.reconciler
    holding.by_hand("AAPL", 4)
    for _ in range(3):
        second.reconcile(holding.account)
        holding.look()
    assert len(holding.drifts()) == 1 and holding.notices(PositionMismatch) == 1


def test_an_account_that_begins_to_trade_is_compared_soon(harness: ReconcileHarness):
    def asked() -> int:
        for due in harness.reconciler.due():
            harness.reconciler.reconcile(due)
        return len(
            [seen for seen in harness.sim.requests("GET", "/v2/positions") if seen.path == "/v2/positions"]
        )

    assert (asked(), asked()) == (1, 1)
    harness.clock.forward(11)
    assert asked() == 1, "without bots once a minute is enough"
    harness.bot()
    harness.trader.trades("buy")
    harness.clock.forward(11)
    assert asked() == 2
    harness.clock.forward(11)
    assert asked() == 3


def test_a_key_that_is_refused_stops_the_account_as_everywhere(holding: ReconcileHarness):
    holding.sim.inject(Fault("bad_key", method="GET", path="/v2/positions", times=0))
    holding.look(3)
    assert holding.notices(KeyRefused) == 1 and not holding.drifts()
    assert holding.installation.app.engine.reconciler.due() == []
