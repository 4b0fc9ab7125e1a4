"""The broker's books and ours, held against each other at Alpaca's simulator with its real library: what
differs is told once, has three ways out, and nothing is concluded from silence."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.symbols import Symbol
from tests.conftest import MakeApp
from tests.simulators.alpaca import AlpacaSimulator
from tests.simulators.alpaca_faults import Fault
from tests.support.at_alpaca import account, addresses, clock, sim  # noqa: F401
from tests.support.fakes import SetClock
from tests.support.installation import House, Person

D = Decimal


class Desk:
    """Ann with an Alpaca account; `look` compares it as the worker does, some seconds apart."""

    def __init__(self, house: House, sim: AlpacaSimulator, clock: SetClock) -> None:
        self.house, self.sim, self.clock, self.ann = house, sim, clock, house.join()
        self.account = account(self.ann, sim)
        self.reconciler = house.app.engine.reconciler
        house.app.engine.gate = self.reconciler.gate

    def bot(self, symbol: str = "AAPL", timeframe: str = "15 Min", **fields: Any) -> int:
        return self.ann.bot(
            symbol,
            timeframe,
            account=self.account,
            position_size="10",
            position_size_type="quantity",
            **fields,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.reconciler.look(self.account)
            self.clock.forward(4)

    def by_hand(self, symbol: str, quantity: object, price: object = 100) -> None:
        """The venue's books after something that nobody told us of."""
        with self.sim.market.lock:
            self.sim.market.set_position(self.sim.market.asset(symbol), D(str(quantity)), D(str(price)))

    def drifts(self, status: str = "unresolved") -> list[Any]:
        return self.ann.get("/drifts", status=status)["items"]

    def drift(self) -> Any:
        (only,) = self.drifts()
        return only

    def resolve(self, drift: Any, way: str, **more: Any) -> Any:
        return self.ann.does("POST", f"/drifts/{drift['id']}/resolve", {"way": way} | more)

    def told(self, words: str) -> int:
        return sum(words in message for message in self.ann.messages())


@pytest.fixture
def desk(make_app: MakeApp, clock: SetClock, sim: AlpacaSimulator) -> Desk:
    return Desk(House(make_app(clock=clock, **addresses(sim))), sim, clock)


@pytest.fixture
def holding(desk: Desk) -> Desk:
    """A bot that owns 10 AAPL, on books that agree."""
    desk.bot()
    desk.look()
    assert desk.ann.trades("buy", timeframe="15 Min")["status"] == "filled"
    desk.look(2)
    assert desk.ann.holds(1) == 10 and not desk.drifts("open")
    return desk


# --- what is there before, and what agrees ------------------------------------------------------------------


def test_what_was_there_before_dashtrade_is_its_users_own(desk: Desk):
    desk.by_hand("AAPL", 7)
    desk.by_hand("MSFT", 3)
    desk.bot()
    desk.look()
    desk.ann.trades("buy")
    desk.look(3)
    assert not desk.drifts() and desk.ann.holds(1) == 10
    desk.ann.trades("close")
    desk.look(2)
    assert desk.ann.holds(1) == 0 and not desk.drifts()
    assert desk.sim.market.quantity(desk.sim.market.asset("AAPL")) == 7


def test_an_order_under_way_is_no_drift_and_neither_is_one_that_fills_in_parts(holding: Desk):
    holding.sim.market.next_in_parts = True
    holding.ann.trades("add")
    holding.look(3)
    assert not holding.drifts()
    with holding.sim.market.lock:
        holding.sim.market.finish_parts()
    holding.look(3)
    assert not holding.drifts() and holding.ann.holds(1) == 20


def test_a_resting_order_that_fills_unnoticed_is_asked_after_first(holding: Desk):
    holding.ann.sends(action="add", order_type="limit", limit_price="90")
    holding.house.work()
    holding.look(2)
    holding.sim.set_price("AAPL", 89)
    holding.look(3)
    assert not holding.drifts() and holding.ann.holds(1) == 20


# --- four things that happen at brokers ---------------------------------------------------------------------


def test_a_position_closed_by_hand_raises_one_drift(holding: Desk):
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
    assert holding.told("your broker and your bots differ") == 1


def test_given_to_its_bot_a_hand_closed_position_is_a_sale_of_the_bots_with_its_profit(holding: Desk):
    holding.sim.set_price("AAPL", 110)
    holding.by_hand("AAPL", 0)
    holding.look(2)
    resolved = holding.resolve(holding.drift(), "give")
    assert (resolved["status"], resolved["way"], resolved["bot_id"]) == ("resolved", "give", 1)
    trade = holding.ann.get("/trades")["items"][0]
    assert (trade["action"], trade["effect"], trade["quantity"]) == ("sell", "close", "10") and D(
        trade["realized_pnl"]
    ) == (D(trade["price"]) - D("100.01")) * 10
    assert abs(D(trade["price"]) - 110) < 1 and holding.ann.holds(1) == 0
    story = holding.ann.story(trade["signal_id"])
    assert (story["origin"], story["status"]) == (
        "adjustment",
        "filled",
    ) and "nothing is sent to the broker" in str(story["timeline"])
    holding.look(3)
    assert not holding.drifts() and len(holding.sim.requests("POST", "/v2/orders")) == 1
    assert holding.ann.trades("buy")["status"] == "filled" and holding.ann.holds(1) == 10


def test_a_partial_sale_by_hand_is_given_to_the_bot_at_the_price_its_user_says(holding: Desk):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    drift = holding.drift()
    assert (drift["kind"], drift["difference"]) == ("less", "-4")
    holding.resolve(drift, "give", bot_id=1, price="130.01")
    assert holding.ann.holds(1) == 6
    bot = holding.ann.get("/bots/1")
    assert D(holding.ann.get("/trades")["items"][0]["realized_pnl"]) == 120 and D(
        bot["position"]["average_price"]
    ) == D("100.01")
    holding.look(3)
    assert not holding.drifts()
    assert holding.ann.trades("close")["status"] == "filled" and holding.ann.holds(1) == 0
    holding.look(2)
    assert not holding.drifts()


def test_a_split_is_recognised_and_scales_what_the_bots_own_at_the_same_cost(holding: Desk):
    other = holding.bot(timeframe="1H")
    holding.ann.trades("buy", timeframe="1H")
    before = [holding.ann.get(f"/bots/{bot}")["position"] for bot in (1, other)]
    holding.sim.set_price("AAPL", 50)
    holding.by_hand("AAPL", 40, "50.005")
    holding.look(2)
    drift = holding.drift()
    assert (drift["kind"], drift["split"]) == ("split", "2:1") and "looks like a split 2:1" in drift["detail"]
    holding.resolve(drift, "give")
    after = [holding.ann.get(f"/bots/{bot}")["position"] for bot in (1, other)]
    assert [D(p["quantity"]) for p in after] == [20, 20]
    assert [D(p["average_price"]) * 2 for p in after] == [D(p["average_price"]) for p in before]
    holding.look(3)
    assert not holding.drifts() and holding.told("was split") == 2
    holding.sim.set_price("AAPL", 60)
    holding.ann.trades("close", timeframe="15 Min")
    trade = holding.ann.get("/trades")["items"][0]
    assert D(trade["quantity"]) == 20 and D(trade["realized_pnl"]) == (D(trade["price"]) - D("50.005")) * 20


def test_an_assignment_like_change_is_a_drift_like_any(holding: Desk):
    holding.by_hand("MSFT", 100, 180)
    holding.by_hand("AAPL", -90)
    holding.look(2)
    kinds = {
        Symbol.parse(drift["symbol"]).base: (drift["kind"], drift["difference"], drift["bots"] != [])
        for drift in holding.drifts()
    }
    assert kinds == {"MSFT": ("appeared", "100", False), "AAPL": ("turned", "-100", True)}


# --- the three ways out -------------------------------------------------------------------------------------


def test_a_bot_is_not_made_short_by_the_sale_of_what_was_its_users_own(desk: Desk):
    desk.by_hand("AAPL", 6)
    desk.bot()
    desk.look()
    desk.ann.trades("buy")
    desk.by_hand("AAPL", 2)
    desk.look(2)
    assert desk.drift()["difference"] == "-14"
    desk.resolve(desk.drift(), "give")
    assert desk.ann.holds(1) == 0 and D(desk.ann.get("/trades")["items"][0]["quantity"]) == 10
    desk.look(3)
    assert not desk.drifts(), "the other four came out of what was outside"


def test_left_outside_it_is_its_users_own_from_then_on(holding: Desk):
    holding.by_hand("AAPL", 15)
    holding.look(2)
    holding.resolve(holding.drift(), "outside")
    holding.look(3)
    assert not holding.drifts() and holding.ann.holds(1) == 10
    assert holding.ann.trades("close")["status"] == "filled"
    holding.look(2)
    assert not holding.drifts() and holding.sim.market.quantity(holding.sim.market.asset("AAPL")) == 5


def test_a_frozen_symbol_takes_no_entries_and_lets_exits_pass(holding: Desk):
    holding.by_hand("AAPL", 15)
    holding.look(2)
    frozen = holding.resolve(holding.drift(), "freeze")
    assert frozen["status"] == "frozen"
    refused = holding.ann.trades("add")
    assert (
        refused["status"] == "refused"
        and "AAPL is frozen: the broker has 15, the bots own 10" in refused["reason"]
    )
    assert holding.ann.trades("close")["status"] == "filled" and holding.ann.holds(1) == 0
    holding.by_hand("AAPL", 0)
    holding.look(4)
    assert holding.drift()["status"] == "frozen", "it stays frozen until its user says otherwise"
    assert holding.ann.does("POST", f"/drifts/{frozen['id']}/unfreeze")["status"] == "gone"
    assert holding.ann.trades("buy")["status"] == "filled"


def test_a_difference_that_goes_away_by_itself_is_told_and_closed(holding: Desk):
    holding.by_hand("AAPL", 4)
    holding.look(2)
    holding.by_hand("AAPL", 10)
    holding.look(3)
    assert not holding.drifts() and [drift["status"] for drift in holding.drifts("gone")] == ["gone"]
    assert holding.told("There is nothing to decide any more") == 1


def test_a_figure_that_moves_is_the_same_drift(holding: Desk):
    for quantity in (8, 5, 2):
        holding.by_hand("AAPL", quantity)
        holding.look(3)
    assert holding.drift()["difference"] == "-8" and holding.told("your broker and your bots differ") == 1


def test_a_drift_is_resolved_once_and_only_as_it_was_seen(holding: Desk):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    drift = holding.drift()
    elsewhere = holding.bot("MSFT")
    assert (
        holding.ann.call(
            "POST", f"/drifts/{drift['id']}/resolve", {"way": "give", "bot_id": elsewhere}
        ).status_code
        == 409
    )
    assert (
        holding.ann.call("POST", f"/drifts/{drift['id']}/resolve", {"way": "give", "price": "-1"}).status_code
        == 400
    )
    holding.resolve(drift, "give")
    again = holding.ann.call("POST", f"/drifts/{drift['id']}/resolve", {"way": "give"})
    assert again.status_code == 409 and holding.ann.holds(1) == 6
    assert holding.ann.call("POST", f"/drifts/{drift['id']}/unfreeze").status_code == 409


# --- what a drift means for orders --------------------------------------------------------------------------


def test_a_bot_does_not_sell_what_the_broker_does_not_have(holding: Desk):
    holding.by_hand("AAPL", 0)
    holding.look(2)
    posts = len(holding.sim.requests("POST", "/v2/orders"))
    for action in ("close", "sell", "reverse"):
        said = holding.ann.trades(action)
        assert (
            said["status"] == "refused" and "the broker has 0 of the 10 AAPL this bot owns" in said["reason"]
        )
    assert len(holding.sim.requests("POST", "/v2/orders")) == posts and holding.ann.holds(1) == 10


def test_a_stop_does_not_ask_again_and_again_for_what_is_not_there(holding: Desk):
    holding.ann.does("PATCH", "/bots/1", {"risk_limit_percent": "5"})
    holding.sim.set_price("AAPL", 50)
    holding.by_hand("AAPL", 0)
    holding.look(2)
    for _ in range(5):
        assert holding.house.look() == 0
        holding.clock.forward(40)
    assert not holding.ann.get("/risk-events")["items"] and holding.ann.get("/bots/1")["is_active"]


def test_a_split_is_not_taken_for_a_crash_by_the_stops(holding: Desk):
    holding.ann.does("PATCH", "/bots/1", {"risk_limit_percent": "5"})
    holding.by_hand("AAPL", 20, "50.005")
    holding.look(2)
    holding.sim.set_price("AAPL", 50)
    assert holding.house.look() == 0 and holding.told("of before the split") == 1
    holding.resolve(holding.drift(), "give")
    assert holding.house.look() == 0 and holding.ann.holds(1) == 20
    holding.sim.set_price("AAPL", 40)
    assert holding.house.look() == 1
    holding.house.work()
    assert holding.ann.holds(1) == 0


def test_a_closing_order_is_limited_to_what_the_broker_has_left(holding: Desk):
    holding.by_hand("AAPL", 6)
    holding.look(2)
    said = holding.ann.trades("reverse")
    assert said["status"] == "filled" and "no more of the 10 on record" in str(said["timeline"])
    assert holding.ann.holds(1) == 4 and holding.sim.market.quantity(holding.sim.market.asset("AAPL")) == 0
    holding.look(2)
    holding.resolve(holding.drift(), "give")
    holding.look(2)
    assert holding.ann.holds(1) == 0 and not holding.drifts()


# --- silence ------------------------------------------------------------------------------------------------


def test_a_failed_question_is_not_flat(holding: Desk):
    holding.sim.inject(Fault("server_error", method="GET", path="/v2/positions", times=0))
    holding.look(4)
    assert not holding.drifts() and holding.ann.holds(1) == 10
    holding.sim.clear_faults()
    holding.look(2)
    assert not holding.drifts()


def test_nothing_is_sent_before_the_account_was_compared_once(desk: Desk):
    desk.bot()
    story = desk.ann.trades("buy")
    assert story["status"] == "working" and not desk.sim.orders
    assert "waits until the account has been compared" in story["bots"][0]["reason"]
    desk.look()
    desk.house.work()
    assert desk.ann.story(story["id"])["status"] == "filled"


def test_a_venue_that_stays_silent_at_the_start_is_told_once_and_the_entry_given_up(desk: Desk):
    desk.bot()
    desk.sim.inject(Fault("server_error", method="GET", path="/v2", times=0))
    signal = desk.ann.sends(action="buy")
    for _ in range(30):
        desk.look()
        desk.house.work()
    story = desk.ann.story(signal)
    assert story["status"] == "refused" and "could not be reached for 60 s" in story["reason"]
    assert desk.told("the broker cannot be asked") == 1 and not desk.sim.orders
    assert desk.ann.get("/drifts")["problems"][0]["account_id"] == desk.account
    desk.sim.clear_faults()
    desk.look(2)
    assert desk.told("the broker answers again") == 1 and not desk.ann.get("/drifts")["problems"]
    after = desk.ann.trades("buy")
    assert after["status"] == "filled", after["reason"]


def test_a_way_out_waits_for_the_comparison_and_then_sells_only_what_is_there(
    make_app: MakeApp, holding: Desk
):
    """Closed by hand while DashTrade was down: the first thing after the start must not open a short."""
    holding.by_hand("AAPL", 0)
    holding.house.app.engine.leases.release()
    later = House(make_app(clock=holding.clock, **addresses(holding.sim)))
    later.app.engine.gate = later.app.engine.reconciler.gate
    ann = Person(house=later, user=holding.ann.user, access=holding.ann.access, token=holding.ann.token)
    story = ann.trades("close")
    assert story["status"] == "working" and "compared" in story["bots"][0]["reason"]
    later.app.engine.reconciler.look(holding.account)
    holding.clock.forward(4)
    later.work()
    assert "is being compared once more" in ann.story(story["id"])["bots"][0]["reason"], (
        "one look is not enough where it differs"
    )
    later.app.engine.reconciler.look(holding.account)
    holding.clock.forward(2)
    later.work()
    ended = ann.story(story["id"])
    assert ended["status"] == "refused" and "the broker has 0 of the 10 AAPL" in ended["reason"]
    assert len(holding.sim.requests("POST", "/v2/orders")) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_second_worker_that_starts_amid_a_difference_looks_until_it_knows(make_app: MakeApp, holding: Desk):
    """One worker keeps the account's lane and compares it; what another found unsure at its start must not
    stay shut there."""
    account = holding.account
    holding.clock.forward(11)
    assert holding.reconciler.due() == [account], "the first worker has the account's lane"
    holding.look()
    second = make_app(clock=holding.clock, **addresses(holding.sim)).engine.reconciler
    holding.by_hand("AAPL", 7)
    assert second.due() == [account]
    second.look(account)
    assert "once more" in second.gate(account, Symbol.parse("AAPL"))
    holding.by_hand("AAPL", 10)
    holding.clock.forward(11)
    assert second.due() == [account]
    second.look(account)
    assert second.gate(account, Symbol.parse("AAPL")) == ""
    holding.clock.forward(11)
    assert second.due() == [] and holding.reconciler.due() == [account] and not holding.drifts()


def test_two_workers_that_find_the_same_difference_tell_of_it_once(make_app: MakeApp, holding: Desk):
    second = make_app(clock=holding.clock, **addresses(holding.sim)).engine.reconciler
    holding.by_hand("AAPL", 4)
    for _ in range(3):
        second.look(holding.account)
        holding.look()
    assert len(holding.drifts()) == 1 and holding.told("your broker and your bots differ") == 1


def test_an_account_that_begins_to_trade_is_compared_soon(desk: Desk):
    def asked() -> int:
        for due in desk.reconciler.due():
            desk.reconciler.look(due)
        return len(
            [seen for seen in desk.sim.requests("GET", "/v2/positions") if seen.path == "/v2/positions"]
        )

    assert (asked(), asked()) == (1, 1)
    desk.clock.forward(11)
    assert asked() == 1, "without bots once a minute is enough"
    desk.bot()
    desk.ann.trades("buy")
    desk.clock.forward(11)
    assert asked() == 2
    desk.clock.forward(11)
    assert asked() == 3


def test_a_key_that_is_refused_stops_the_account_as_everywhere(holding: Desk):
    holding.sim.inject(Fault("bad_key", method="GET", path="/v2/positions", times=0))
    holding.look(3)
    assert holding.told("the broker refused the key") == 1 and not holding.drifts()
    assert holding.house.app.engine.reconciler.due() == []
