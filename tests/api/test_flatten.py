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
from tests.conftest import MakeApp
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person, Venue

D = Decimal


def carry_on(house: House, clock: SetClock, person: Person, flatten_id: int, rounds: int = 40) -> Any:
    """What the worker does, some seconds at a time, until it has ended."""
    for _ in range(rounds):
        flatten.advance(house.app)
        house.work()
        clock.forward(7)
        said = person.get(f"/flatten/{flatten_id}")
        if said["status"] != "running":
            return said
    return person.get(f"/flatten/{flatten_id}")


def test_everything_is_closed_the_largest_risk_first_and_orders_are_taken_back(
    house: House, ann: Person, clock: SetClock
):
    small, large = ann.bot(position_size="1000"), ann.bot("MSFT", position_size="9000")
    idle = ann.bot("KO")
    resting = ann.bot("SPY", order_type="limit", limit_offset_percent="5")
    for symbol in ("AAPL", "MSFT", "SPY"):
        ann.trades("buy", symbol)
    said = ann.does("POST", "/flatten", {"scope": "user"})
    assert (said["status"], said["done"], said["total"]) == ("running", 0, 3)
    assert [item["bot_id"] for item in said["items"]] == [large, small, resting]
    ended = carry_on(house, clock, ann, said["id"])
    assert (ended["status"], ended["done"]) == ("done", 3) and {
        item["reason"] for item in ended["items"]
    } == {"flat"}
    assert ann.holds(small) == ann.holds(large) == ann.holds(resting) == ann.holds(idle) == 0
    assert not ann.get("/orders", status="working")["items"]
    assert [one.positions for one in ann.told(FlattenDone)] == [3]


@pytest.mark.parametrize("scope", ["bot", "account"])
def test_only_what_is_in_the_scope_is_closed(house: House, ann: Person, clock: SetClock, scope: str):
    inside, here = ann.bot(), ann.paper
    ann.paper = 0
    outside = ann.bot("MSFT")
    ann.trades("buy")
    ann.trades("buy", "MSFT")
    said = ann.does("POST", "/flatten", {"scope": scope, "id": inside if scope == "bot" else here})
    assert carry_on(house, clock, ann, said["id"])["status"] == "done"
    assert ann.holds(inside) == 0 and ann.holds(outside) > 0


def test_only_the_accounts_that_were_named_are_closed(house: House, ann: Person, clock: SetClock):
    bots = []
    for symbol in ("AAPL", "MSFT", "SPY"):
        ann.paper = 0
        bots.append(ann.bot(symbol))
        ann.trades("buy", symbol)
    accounts = [ann.get(f"/bots/{bot}")["account_id"] for bot in bots]
    said = ann.does("POST", "/flatten", {"scope": "user", "accounts": accounts[:2]})
    ended = carry_on(house, clock, ann, said["id"])
    assert (ended["status"], {item["account_id"] for item in ended["items"]}) == ("done", set(accounts[:2]))
    assert ann.holds(bots[0]) == ann.holds(bots[1]) == 0 and ann.holds(bots[2]) > 0


def test_an_account_that_is_not_there_is_refused_before_anything_is_paused(house: House, ann: Person):
    ann.bot()
    said = ann.call("POST", "/flatten", {"scope": "user", "pause": True, "accounts": [ann.paper, 9999]})
    assert said.status_code == 404 and not ann.get("/switches")["items"]


def test_accounts_go_with_the_users_scope_alone(house: House, ann: Person):
    bot = ann.bot()
    said = ann.call("POST", "/flatten", {"scope": "bot", "id": bot, "accounts": [ann.paper]})
    assert said.status_code == 400 and "accounts" in said.json["hint"]


def test_asked_for_twice_it_runs_once_and_what_is_new_is_closed_too(house: House, ann: Person):
    one = ann.bot()
    ann.trades("buy")
    first = ann.does("POST", "/flatten", {"scope": "user"})
    assert ann.does("POST", "/flatten", {"scope": "user"})["id"] == first["id"]
    ann.paper = 0
    two = ann.bot("MSFT")
    ann.trades("buy", "MSFT")
    second = ann.does("POST", "/flatten", {"scope": "user"})
    assert second["id"] != first["id"] and [item["bot_id"] for item in second["items"]] == [two]
    assert [item["bot_id"] for item in first["items"]] == [one]


def test_entries_are_paused_meanwhile_if_asked(house: House, ann: Person):
    ann.bot()
    ann.trades("buy")
    ann.does("POST", "/flatten", {"scope": "user", "pause": True})
    assert [(s["scope"], s["mode"]) for s in ann.get("/switches")["items"]] == [("user", "pause_entries")]
    ann.bot("MSFT")
    assert ann.trades("buy", "MSFT")["status"] == "refused"


def test_with_nothing_to_close_it_is_done_at_once(house: House, ann: Person, clock: SetClock):
    ann.bot()
    said = ann.does("POST", "/flatten", {"scope": "user"})
    assert carry_on(house, clock, ann, said["id"], 1)["status"] == "done"
    assert not ann.get("/messages")["items"]


# --- at a venue that fails ----------------------------------------------------------------------------------


@pytest.fixture
def far(make_app: MakeApp, clock: SetClock, feed: SetFeed) -> tuple[House, Person, Venue, list[int]]:
    venue = Venue()
    house = House(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    ann = house.join()
    account = ann.account("venue")
    bots = [ann.bot(symbol, account=account) for symbol in ("AAPL", "MSFT", "SPY", "KO")]
    for symbol in ("AAPL", "MSFT", "SPY", "KO"):
        ann.trades("buy", symbol)
    return house, ann, venue, bots


def test_a_venue_that_fails_half_of_the_calls_is_asked_until_all_is_flat(far: Any, clock: SetClock):
    house, ann, venue, bots = far
    said = ann.does("POST", "/flatten", {"scope": "user"})
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
    ended = carry_on(house, clock, ann, said["id"])
    assert (ended["status"], ended["done"]) == ("done", 4), ended
    assert [ann.holds(bot) for bot in bots] == [0, 0, 0, 0]
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


def test_a_venue_that_never_takes_it_ends_with_the_reason(far: Any, clock: SetClock):
    house, ann, venue, bots = far
    venue.plan.extend([Rejected("trading in AAPL is halted")] * 30)
    said = ann.does("POST", "/flatten", {"scope": "bot", "id": bots[0]})
    for _ in range(40):
        carry_on(house, clock, ann, said["id"], 12)
    ended = ann.get(f"/flatten/{said['id']}")
    assert ended["status"] == "incomplete" and "trading in AAPL is halted" in ended["items"][0]["reason"]
    assert (
        len([sent for sent in venue.sent if sent.side == "sell"])
        == ended["items"][0]["tries"]
        == flatten.MOST_FAILURES
    )
    assert [left.reason.code for one in ann.told(FlattenIncomplete) for left in one.left] == [
        "ended_unfilled"
    ]


def test_a_second_process_carries_on_what_the_first_began(
    far: Any, make_app: MakeApp, clock: SetClock, feed: SetFeed
):
    house, ann, venue, _bots = far
    said = ann.does("POST", "/flatten", {"scope": "user"})
    flatten.advance(house.app)  # its signals are in, nothing was sent: here the process dies
    house.app.engine.leases.release()
    other = House(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    clock.forward(60)
    ended = carry_on(other, clock, ann, said["id"])
    assert (ended["status"], ended["done"]) == ("done", 4) and {item["tries"] for item in ended["items"]} == {
        1
    }
    assert len([sent for sent in venue.sent if sent.side == "sell"]) == 4


def test_a_crash_between_the_signal_and_its_note_repeats_nothing(
    far: Any, clock: SetClock, monkeypatch: pytest.MonkeyPatch
):
    house, ann, venue, bots = far
    said = ann.does("POST", "/flatten", {"scope": "bot", "id": bots[0]})
    with monkeypatch.context() as patch:
        patch.setattr(
            flatten, "_put", lambda app, item, **values: (_ for _ in ()).throw(RuntimeError("killed"))
        )
        with pytest.raises(RuntimeError, match="killed"):
            flatten.advance(house.app)
    house.work()
    assert carry_on(house, clock, ann, said["id"])["status"] == "done"
    assert len([sent for sent in venue.sent if sent.side == "sell"]) == 1 and ann.holds(bots[0]) == 0


def test_an_order_in_doubt_is_looked_at_by_a_person_first(make_app: MakeApp, clock: SetClock, feed: SetFeed):
    venue = Venue(refuses_repeats=False)
    house = House(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    ann = house.join()
    bot = ann.bot(account=ann.account("venue"))
    ann.trades("buy")
    venue.plan.append(Unknown("no answer"))
    said = ann.does("POST", "/flatten", {"scope": "bot", "id": bot})
    ended = carry_on(house, clock, ann, said["id"])
    assert ended["status"] == "incomplete" and "looked at first" in ended["items"][0]["reason"]
    assert len(venue.sent) == 2, "the purchase and one sale, which is not sent again on doubt"


def test_dust_that_nobody_can_sell_keeps_no_closing_from_its_end(
    far: Any, clock: SetClock, monkeypatch: pytest.MonkeyPatch
):
    house, ann, venue, bots = far
    whole = replace(venue.rules(Symbol.parse("AAPL")), quantity_step=D(40), min_quantity=D(40))
    monkeypatch.setattr(venue, "rules", lambda symbol: whole)  # of the 50 shares each bot has, 40 can be sold
    ended = carry_on(house, clock, ann, ann.does("POST", "/flatten", {"scope": "user"})["id"])
    assert (ended["status"], ended["done"]) == ("done", 4), ended
    assert [ann.holds(bot) for bot in bots] == [10, 10, 10, 10]
    assert all("minimum order of 40 and is treated as closed" in item["reason"] for item in ended["items"])
