"""Closing everything of a bot, an account or a user: in order, with progress, through crashes and at a venue
that fails."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.notices.trading import FlattenDone, FlattenIncomplete
from dashtrade.domain.ports import Rejected, RetryLater, Unknown
from dashtrade.domain.symbols import Symbol
from dashtrade.services.trading import flatten
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader

D = Decimal


def carry_on(
    installation: Installation, clock: ManualClock, person: Trader, flatten_id: int, rounds: int = 40
) -> Any:
    """What the worker does, some seconds at a time, until it has ended."""
    for _ in range(rounds):
        flatten.advance(installation.app)
        installation.work()
        clock.forward(7)
        answer = person.get(f"/flatten/{flatten_id}")
        if answer["status"] != "running":
            return answer
    return person.get(f"/flatten/{flatten_id}")


def test_everything_is_closed_the_largest_risk_first_and_orders_are_taken_back(
    installation: Installation, trader: Trader, clock: ManualClock
):
    small, large = trader.bot(position_size="1000"), trader.bot("MSFT", position_size="9000")
    idle = trader.bot("KO")
    resting = trader.bot("SPY", order_type="limit", limit_offset_percent="5")
    for symbol in ("AAPL", "MSFT", "SPY"):
        trader.trades("buy", symbol)
    answer = trader.request("POST", "/flatten", {"scope": "user"})
    assert (answer["status"], answer["done"], answer["total"]) == ("running", 0, 3)
    assert [item["bot_id"] for item in answer["items"]] == [large, small, resting]
    ended = carry_on(installation, clock, trader, answer["id"])
    assert (ended["status"], ended["done"]) == ("done", 3) and {
        item["reason"] for item in ended["items"]
    } == {"flat"}
    assert trader.holds(small) == trader.holds(large) == trader.holds(resting) == trader.holds(idle) == 0
    assert not trader.get("/orders", status="working")["items"]
    assert [one.positions for one in trader.notices(FlattenDone)] == [3]


@pytest.mark.parametrize("scope", ["bot", "account"])
def test_only_what_is_in_the_scope_is_closed(
    installation: Installation, trader: Trader, clock: ManualClock, scope: str
):
    inside, here = trader.bot(), trader.paper
    trader.paper = 0
    outside = trader.bot("MSFT")
    trader.trades("buy")
    trader.trades("buy", "MSFT")
    answer = trader.request("POST", "/flatten", {"scope": scope, "id": inside if scope == "bot" else here})
    assert carry_on(installation, clock, trader, answer["id"])["status"] == "done"
    assert trader.holds(inside) == 0 and trader.holds(outside) > 0


def test_only_the_accounts_that_were_named_are_closed(
    installation: Installation, trader: Trader, clock: ManualClock
):
    bots = []
    for symbol in ("AAPL", "MSFT", "SPY"):
        trader.paper = 0
        bots.append(trader.bot(symbol))
        trader.trades("buy", symbol)
    accounts = [trader.get(f"/bots/{bot}")["account_id"] for bot in bots]
    answer = trader.request("POST", "/flatten", {"scope": "user", "accounts": accounts[:2]})
    ended = carry_on(installation, clock, trader, answer["id"])
    assert (ended["status"], {item["account_id"] for item in ended["items"]}) == ("done", set(accounts[:2]))
    assert trader.holds(bots[0]) == trader.holds(bots[1]) == 0 and trader.holds(bots[2]) > 0


def test_an_account_that_is_not_there_is_refused_before_anything_is_paused(
    installation: Installation, trader: Trader
):
    trader.bot()
    response = trader.call(
        "POST", "/flatten", {"scope": "user", "pause": True, "accounts": [trader.paper, 9999]}
    )
    assert response.status_code == 404 and not trader.get("/switches")["items"]


def test_accounts_go_with_the_users_scope_alone(installation: Installation, trader: Trader):
    bot = trader.bot()
    response = trader.call("POST", "/flatten", {"scope": "bot", "id": bot, "accounts": [trader.paper]})
    assert response.status_code == 400 and "accounts" in response.json["hint"]


def test_asked_for_twice_it_runs_once_and_what_is_new_is_closed_too(
    installation: Installation, trader: Trader
):
    one = trader.bot()
    trader.trades("buy")
    first = trader.request("POST", "/flatten", {"scope": "user"})
    assert trader.request("POST", "/flatten", {"scope": "user"})["id"] == first["id"]
    trader.paper = 0
    two = trader.bot("MSFT")
    trader.trades("buy", "MSFT")
    second = trader.request("POST", "/flatten", {"scope": "user"})
    assert second["id"] != first["id"] and [item["bot_id"] for item in second["items"]] == [two]
    assert [item["bot_id"] for item in first["items"]] == [one]


def test_entries_are_paused_meanwhile_if_asked(installation: Installation, trader: Trader):
    trader.bot()
    trader.trades("buy")
    trader.request("POST", "/flatten", {"scope": "user", "pause": True})
    assert [(s["scope"], s["mode"]) for s in trader.get("/switches")["items"]] == [("user", "pause_entries")]
    trader.bot("MSFT")
    assert trader.trades("buy", "MSFT")["status"] == "refused"


def test_with_nothing_to_close_it_is_done_at_once(
    installation: Installation, trader: Trader, clock: ManualClock
):
    trader.bot()
    answer = trader.request("POST", "/flatten", {"scope": "user"})
    assert carry_on(installation, clock, trader, answer["id"], 1)["status"] == "done"
    assert not trader.get("/messages")["items"]


# --- at a venue that fails ----------------------------------------------------------------------------------


@pytest.fixture
def far(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed
) -> tuple[Installation, Trader, ScriptedBroker, list[int]]:
    venue = ScriptedBroker()
    installation = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    trader = installation.join()
    account = trader.account("venue")
    bots = [trader.bot(symbol, account=account) for symbol in ("AAPL", "MSFT", "SPY", "KO")]
    for symbol in ("AAPL", "MSFT", "SPY", "KO"):
        trader.trades("buy", symbol)
    return installation, trader, venue, bots


def test_a_venue_that_fails_half_of_the_calls_is_asked_until_all_is_flat(far: Any, clock: ManualClock):
    installation, trader, venue, bots = far
    answer = trader.request("POST", "/flatten", {"scope": "user"})
    venue.plan.extend(
        [
            Rejected("not now"),
            RetryLater("busy"),
            "fill",
            Rejected("not now"),
            RetryLater("busy"),
            ("fill", Unknown("no answer")),
        ]
        * 2
    )
    ended = carry_on(installation, clock, trader, answer["id"])
    assert (ended["status"], ended["done"]) == ("done", 4), ended
    assert [trader.holds(bot) for bot in bots] == [0, 0, 0, 0]
    sales = {sent.client_order_id: sent.symbol.base for sent in venue.sent if sent.side == "sell"}
    sold = {
        symbol: sum(
            venue.reports[name].filled_quantity
            for name in sales
            if sales[name] == symbol and name in venue.reports
        )
        for symbol in sales.values()
    }
    assert sold == {symbol: D(50) for symbol in ("AAPL", "MSFT", "SPY", "KO")}, (
        "each was sold once, whatever was tried"
    )


def test_a_venue_that_never_takes_it_ends_with_the_reason(far: Any, clock: ManualClock):
    installation, trader, venue, bots = far
    venue.plan.extend([Rejected("trading in AAPL is halted")] * 30)
    answer = trader.request("POST", "/flatten", {"scope": "bot", "id": bots[0]})
    for _ in range(40):
        carry_on(installation, clock, trader, answer["id"], 12)
    ended = trader.get(f"/flatten/{answer['id']}")
    assert ended["status"] == "incomplete" and "trading in AAPL is halted" in ended["items"][0]["reason"]
    assert (
        len([sent for sent in venue.sent if sent.side == "sell"])
        == ended["items"][0]["tries"]
        == flatten.MAX_FAILURES
    )
    assert [left.reason.code for one in trader.notices(FlattenIncomplete) for left in one.left] == [
        "ended_unfilled"
    ]


def test_a_second_process_carries_on_what_the_first_began(
    far: Any, make_app: MakeApp, clock: ManualClock, feed: ManualFeed
):
    installation, trader, venue, _bots = far
    answer = trader.request("POST", "/flatten", {"scope": "user"})
    flatten.advance(installation.app)  # its signals are in, nothing was sent: here the process dies
    installation.app.engine.leases.release()
    other = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    clock.forward(60)
    ended = carry_on(other, clock, trader, answer["id"])
    assert (ended["status"], ended["done"]) == ("done", 4) and {item["tries"] for item in ended["items"]} == {
        1
    }
    assert len([sent for sent in venue.sent if sent.side == "sell"]) == 4


def test_a_crash_between_the_signal_and_its_note_repeats_nothing(
    far: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    installation, trader, venue, bots = far
    answer = trader.request("POST", "/flatten", {"scope": "bot", "id": bots[0]})
    with monkeypatch.context() as patch:
        patch.setattr(
            flatten, "_update_item", lambda app, item, **values: (_ for _ in ()).throw(RuntimeError("killed"))
        )
        with pytest.raises(RuntimeError, match="killed"):
            flatten.advance(installation.app)
    installation.work()
    assert carry_on(installation, clock, trader, answer["id"])["status"] == "done"
    assert len([sent for sent in venue.sent if sent.side == "sell"]) == 1 and trader.holds(bots[0]) == 0


def test_an_unconfirmed_order_is_resolved_by_its_user_first(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed
):
    venue = ScriptedBroker(refuses_repeats=False)
    installation = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    trader = installation.join()
    bot = trader.bot(account=trader.account("venue"))
    trader.trades("buy")
    venue.plan.append(Unknown("no answer"))
    answer = trader.request("POST", "/flatten", {"scope": "bot", "id": bot})
    ended = carry_on(installation, clock, trader, answer["id"])
    assert ended["status"] == "incomplete" and "unconfirmed order" in ended["items"][0]["reason"]
    assert len(venue.sent) == 2, "the purchase and one sale, which is not sent again on doubt"


def test_unsellable_dust_does_not_keep_a_close_from_ending(
    far: Any, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    installation, trader, venue, bots = far
    whole = replace(venue.rules(Symbol.parse("AAPL")), quantity_step=D(40), min_quantity=D(40))
    monkeypatch.setattr(venue, "rules", lambda symbol: whole)  # of the 50 shares each bot has, 40 can be sold
    ended = carry_on(installation, clock, trader, trader.request("POST", "/flatten", {"scope": "user"})["id"])
    assert (ended["status"], ended["done"]) == ("done", 4), ended
    assert [trader.holds(bot) for bot in bots] == [10, 10, 10, 10]
    assert all("minimum order of 40 and is treated as closed" in item["reason"] for item in ended["items"])
