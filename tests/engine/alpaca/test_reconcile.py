"""The broker's books and ours, held against each other at Alpaca's simulator with its real library: what
differs is told once, has three ways out, and nothing is concluded from silence."""

from __future__ import annotations

import sqlalchemy as sa

from dashtrade.domain.notices.trading import MismatchGone, PositionMismatch, PositionSplit
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.symbols import Symbol
from dashtrade.services.accounts import position_mismatch
from tests.support.reconcile_harness import D, ReconcileHarness

# --- what is there before, and what agrees ------------------------------------------------------------------


def test_what_was_there_before_dashtrade_is_its_users_own(harness: ReconcileHarness):
    harness.by_hand("AAPL", 7)
    harness.by_hand("MSFT", 3)
    harness.bot()
    harness.look()
    harness.trader.trades("buy")
    harness.look(3)
    assert not harness.drifts() and harness.trader.holds(1) == 10
    harness.trader.trades("close")
    harness.look(2)
    assert harness.trader.holds(1) == 0 and not harness.drifts()
    assert harness.sim.market.quantity(harness.sim.market.asset("AAPL")) == 7


def test_an_order_under_way_is_no_drift_and_neither_is_one_that_fills_in_parts(holding: ReconcileHarness):
    holding.sim.market.next_in_parts = True
    holding.trader.trades("add")
    holding.look(3)
    assert not holding.drifts()
    with holding.sim.market.lock:
        holding.sim.market.finish_parts()
    holding.look(3)
    assert not holding.drifts() and holding.trader.holds(1) == 20


def test_a_resting_order_that_fills_unnoticed_is_asked_after_first(holding: ReconcileHarness):
    holding.trader.send(action="add", order_type="limit", limit_price="90")
    holding.installation.work()
    holding.look(2)
    holding.sim.set_price("AAPL", 89)
    holding.look(3)
    assert not holding.drifts() and holding.trader.holds(1) == 20


# --- four things that happen at brokers ---------------------------------------------------------------------


def test_a_position_closed_by_hand_raises_one_drift(holding: ReconcileHarness):
    holding.sim.set_price("AAPL", 110)
    holding.by_hand("AAPL", 0)
    holding.look()
    assert not holding.drifts(), "seen once proves nothing: venues lag"
    holding.look(5)
    drift = holding.drift()
    assert (drift["kind"], drift["bots_quantity"], drift["broker_quantity"], drift["difference"]) == (
        "closed",
        "10",
        "0",
        "-10",
    )
    assert drift["bots"] == [{"bot_id": 1, "name": "AAPL 15 Min", "quantity": "10"}]
    assert holding.notices(PositionMismatch) == 1


def test_given_to_its_bot_a_hand_closed_position_is_a_sale_of_the_bots_with_its_profit(
    holding: ReconcileHarness,
):
    holding.sim.set_price("AAPL", 110)
    holding.by_hand("AAPL", 0)
    holding.look(2)
    resolved = holding.resolve(holding.drift(), "give")
    assert (resolved["status"], resolved["way"], resolved["bot_id"]) == ("resolved", "give", 1)
    trade = holding.trader.get("/trades")["items"][0]
    assert (trade["action"], trade["effect"], trade["quantity"]) == ("sell", "close", "10") and D(
        trade["realized_pnl"]
    ) == (D(trade["price"]) - D("100.01")) * 10
    assert abs(D(trade["price"]) - 110) < 1 and holding.trader.holds(1) == 0
    story = holding.trader.story(trade["signal_id"])
    assert (story["origin"], story["status"]) == (
        "adjustment",
        "filled",
    ) and "nothing is sent to the broker" in str(story["timeline"])
    holding.look(3)
    assert not holding.drifts() and len(holding.sim.requests("POST", "/v2/orders")) == 1
    assert holding.trader.trades("buy")["status"] == "filled" and holding.trader.holds(1) == 10


def test_a_partial_sale_by_hand_is_given_to_the_bot_at_the_price_its_user_says(holding: ReconcileHarness):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    drift = holding.drift()
    assert (drift["kind"], drift["difference"]) == ("less", "-4")
    holding.resolve(drift, "give", bot_id=1, price="130.01")
    assert holding.trader.holds(1) == 6
    bot = holding.trader.get("/bots/1")
    assert D(holding.trader.get("/trades")["items"][0]["realized_pnl"]) == 120 and D(
        bot["position"]["average_price"]
    ) == D("100.01")
    holding.look(3)
    assert not holding.drifts()
    assert holding.trader.trades("close")["status"] == "filled" and holding.trader.holds(1) == 0
    holding.look(2)
    assert not holding.drifts()


def test_a_split_is_recognised_and_scales_what_the_bots_own_at_the_same_cost(holding: ReconcileHarness):
    other = holding.bot(timeframe="1H")
    holding.trader.trades("buy", timeframe="1H")
    before = [holding.trader.get(f"/bots/{bot}")["position"] for bot in (1, other)]
    holding.sim.set_price("AAPL", 50)
    holding.by_hand("AAPL", 40, "50.005")
    holding.look(2)
    drift = holding.drift()
    assert (drift["kind"], drift["split"]) == ("split", "2:1") and "split 2:1" in drift["detail"]
    found = position_mismatch.drift(holding.installation.app, holding.trader.user, drift["id"])
    assert found.drift.detail == reason(
        Code.POSITION_MISMATCH, kind="split", symbol="AAPL", bots=D(20), broker=D(40), ratio=D(2)
    )
    holding.resolve(drift, "give")
    after = [holding.trader.get(f"/bots/{bot}")["position"] for bot in (1, other)]
    assert [D(p["quantity"]) for p in after] == [20, 20]
    assert [D(p["average_price"]) * 2 for p in after] == [D(p["average_price"]) for p in before]
    holding.look(3)
    assert not holding.drifts() and holding.notices(PositionSplit) == 2
    holding.sim.set_price("AAPL", 60)
    holding.trader.trades("close", timeframe="15 Min")
    trade = holding.trader.get("/trades")["items"][0]
    assert D(trade["quantity"]) == 20 and D(trade["realized_pnl"]) == (D(trade["price"]) - D("50.005")) * 20


def test_a_mismatch_recorded_as_a_text_keeps_it(holding: ReconcileHarness):
    """Older records; their sentence is shown and told as it was stored."""
    holding.by_hand("AAPL", 6)
    holding.look(2)
    text = "The broker has 6 AAPL; your bots own 10. Somebody sold."
    app = holding.installation.app
    app.db.write(lambda conn: conn.execute(sa.text("UPDATE drifts SET detail = :text"), {"text": text}))
    drift = holding.drift()
    assert drift["detail"] == text
    holding.resolve(drift, "give", bot_id=1)
    signal = holding.trader.get("/trades")["items"][0]["signal_id"]
    steps = [line["detail"] for line in holding.trader.story(signal)["timeline"]]
    assert any(detail.startswith(f"{text} ") for detail in steps)


def test_an_assignment_like_change_is_a_drift_like_any(holding: ReconcileHarness):
    holding.by_hand("MSFT", 100, 180)
    holding.by_hand("AAPL", -90)
    holding.look(2)
    kinds = {
        Symbol.parse(drift["symbol"]).base: (drift["kind"], drift["difference"], drift["bots"] != [])
        for drift in holding.drifts()
    }
    assert kinds == {"MSFT": ("appeared", "100", False), "AAPL": ("turned", "-100", True)}


# --- the three ways out -------------------------------------------------------------------------------------


def test_a_bot_is_not_made_short_by_the_sale_of_what_was_its_users_own(harness: ReconcileHarness):
    harness.by_hand("AAPL", 6)
    harness.bot()
    harness.look()
    harness.trader.trades("buy")
    harness.by_hand("AAPL", 2)
    harness.look(2)
    assert harness.drift()["difference"] == "-14"
    harness.resolve(harness.drift(), "give")
    assert harness.trader.holds(1) == 0 and D(harness.trader.get("/trades")["items"][0]["quantity"]) == 10
    harness.look(3)
    assert not harness.drifts(), "the other four came out of what was outside"


def test_left_outside_it_is_its_users_own_from_then_on(holding: ReconcileHarness):
    holding.by_hand("AAPL", 15)
    holding.look(2)
    holding.resolve(holding.drift(), "outside")
    holding.look(3)
    assert not holding.drifts() and holding.trader.holds(1) == 10
    assert holding.trader.trades("close")["status"] == "filled"
    holding.look(2)
    assert not holding.drifts() and holding.sim.market.quantity(holding.sim.market.asset("AAPL")) == 5


def test_a_frozen_symbol_takes_no_entries_and_lets_exits_pass(holding: ReconcileHarness):
    holding.by_hand("AAPL", 15)
    holding.look(2)
    frozen = holding.resolve(holding.drift(), "freeze")
    assert frozen["status"] == "frozen"
    refused = holding.trader.trades("add")
    assert (
        refused["status"] == "refused"
        and "AAPL is frozen: the broker has 15, the bots own 10" in refused["reason"]
    )
    assert holding.trader.trades("close")["status"] == "filled" and holding.trader.holds(1) == 0
    holding.by_hand("AAPL", 0)
    holding.look(4)
    assert holding.drift()["status"] == "frozen", "it stays frozen until its user says otherwise"
    assert holding.trader.request("POST", f"/drifts/{frozen['id']}/unfreeze")["status"] == "gone"
    assert holding.trader.trades("buy")["status"] == "filled"


def test_a_mismatch_that_disappears_is_notified_and_closed(holding: ReconcileHarness):
    holding.by_hand("AAPL", 4)
    holding.look(2)
    holding.by_hand("AAPL", 10)
    holding.look(3)
    assert not holding.drifts() and [drift["status"] for drift in holding.drifts("gone")] == ["gone"]
    assert holding.notices(MismatchGone) == 1


def test_a_figure_that_moves_is_the_same_drift(holding: ReconcileHarness):
    for quantity in (8, 5, 2):
        holding.by_hand("AAPL", quantity)
        holding.look(3)
    assert holding.drift()["difference"] == "-8" and holding.notices(PositionMismatch) == 1


def test_a_drift_is_resolved_once_and_only_as_it_was_seen(holding: ReconcileHarness):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    drift = holding.drift()
    elsewhere = holding.bot("MSFT")
    assert (
        holding.trader.call(
            "POST", f"/drifts/{drift['id']}/resolve", {"way": "give", "bot_id": elsewhere}
        ).status_code
        == 409
    )
    assert (
        holding.trader.call(
            "POST", f"/drifts/{drift['id']}/resolve", {"way": "give", "price": "-1"}
        ).status_code
        == 400
    )
    holding.resolve(drift, "give")
    again = holding.trader.call("POST", f"/drifts/{drift['id']}/resolve", {"way": "give"})
    assert again.status_code == 409 and holding.trader.holds(1) == 6
    assert holding.trader.call("POST", f"/drifts/{drift['id']}/unfreeze").status_code == 409
