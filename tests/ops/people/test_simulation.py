"""Users who go while they hold something for real, and simulation, in which live accounts trade on paper."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dashtrade.domain.access import Role
from dashtrade.domain.ports import Offers, Quote
from dashtrade.domain.reasons import Code
from dashtrade.domain.symbols import Symbol
from dashtrade.engine.host import Host
from dashtrade.services.accounts import accounts, simulation
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.services.bots import bots
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people import admin, removal
from dashtrade.services.people.permission import Forbidden
from tests.support.fakes import SetClock
from tests.support.hosts import Gated
from tests.support.installation import House, Person, Venue
from tests.support.people import rows_of


def live_account(person: Person) -> int:
    return accounts.add_account(
        person.house.app,
        person.user,
        broker="venue",
        mode="live",
        label="Live",
        credentials={},
        options={},
        acknowledge=accounts.REAL_MONEY,
        decline_second_factor=True,
    )


def live_kind(venue: Venue):
    from dataclasses import replace

    return {"venue": replace(venue.kind()["venue"], modes=("paper", "live"))}


class PricedVenue(Venue):
    """It has prices of its own, as every real one has."""

    demo = False

    def __init__(self) -> None:
        super().__init__()
        self.offers = Offers(prices=self)

    def quote(self, symbol: Symbol) -> Quote:
        self._read()
        return Quote(symbol=symbol, bid=self.price, ask=self.price, at=self.at.now(), demo=False)


@pytest.fixture(params=[Venue, PricedVenue])
def venue(request: pytest.FixtureRequest) -> Venue:
    return request.param()


@pytest.fixture
def real(make_app, clock: SetClock, feed, venue: Venue) -> House:
    return House(make_app(clock=clock, feed=feed, brokers=live_kind(venue)))


def test_nobody_goes_while_a_bot_of_theirs_holds_something_for_real(real: House):
    app, boss, ann = real.app, real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    bot = ann.bot(account=live_account(ann))
    ann.trades("buy")
    assert ann.holds(bot)
    with pytest.raises(Refusal, match="live account"):
        admin.delete(app, boss, ann.user.id, confirm=ann.user.email)
    with pytest.raises(Refusal):
        removal.remove(app, ann.user.id, actor=ann.user.id, action="deleted their own account")
    ann.trades("close")
    admin.delete(app, boss, ann.user.id, confirm=ann.user.email)
    assert rows_of(app, ann.user.id) == {}


# --- simulation ---------------------------------------------------------------------------------------------


def test_in_simulation_a_live_account_is_traded_on_paper(real: House, venue: Venue):
    app, boss, ann = real.app, real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    bot = ann.bot(account=live_account(ann))
    app.engine.host = Gated(lambda account_id, symbol: "waits until the venue's books were compared")
    simulation.switch(app, boss, True)
    assert simulation.is_on(app)
    story = ann.trades("buy")
    assert story["status"] == "filled" and not venue.sent, "no real order went out"
    assert ann.holds(bot) == Decimal("50")
    account = owned_accounts.account_of(app, ann.user, bots.bot_of(app, ann.user, bot).account_id)
    assert account.simulated and app.brokers.of(account).positions()[0].quantity == Decimal("50")
    with pytest.raises(Refusal, match=r"ann@example\.com"):
        simulation.switch(app, boss, False)
    ann.trades("close")
    simulation.switch(app, boss, False)
    app.engine.host = Host()
    ann.trades("buy")
    assert len(venue.sent) == 1
    assert [trade["simulated"] for trade in ann.get("/trades")["items"]] == [False, True, True]
    assert [line.rpartition(",")[2] for line in ann.call("GET", "/trades.csv").text.splitlines()] == [
        "simulated",
        "",
        "yes",
        "yes",
    ]


def test_what_crosses_in_simulation_is_made_up_too(real: House):
    app, boss, ann = real.app, real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    account = live_account(ann)
    long, short = ann.bot("AAPL", "15 Min", account=account), ann.bot("AAPL", "60 Min", account=account)
    simulation.switch(app, boss, True)
    ann.trades("buy", bot=str(long))
    ann.trades("sell", bot=str(short))
    for bot in (long, short):
        ann.sends(action="close", bot=str(bot))
    real.work()
    trades = ann.get("/trades")["items"]
    assert [trade["crossed"] for trade in trades] == [True, True, False, False]
    assert {trade["simulated"] for trade in trades} == {True}


def test_simulation_is_refused_while_real_money_is_at_work(real: House):
    app, boss, ann = real.app, real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    ann.bot(account=live_account(ann), name="Turtle")
    ann.bot("MSFT")
    ann.trades("buy")
    ann.trades("buy", symbol="MSFT")
    with pytest.raises(Refusal, match="Turtle"):
        simulation.switch(app, boss, True)
    assert [bot.name for bot in simulation.in_the_way(app)] == ["Turtle"], (
        "what is held on paper is in nobody's way"
    )
    assert not simulation.is_on(app)


def test_a_switch_of_simulation_acts_at_once_in_another_process(
    real: House, make_app, venue: Venue, clock: SetClock, feed
) -> None:
    other = House(make_app(clock=clock, feed=feed, brokers=live_kind(venue)))
    boss, ann = real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    ann.bot(account=live_account(ann))
    ann.trades("buy")
    ann.trades("close")
    sent = len(venue.sent)
    simulation.switch(other.app, boss, True)
    ann.trades("buy")
    assert len(venue.sent) == sent


def test_a_decision_made_for_the_other_broker_is_refused(real: House):
    """Between the choice of the broker and the decision the mode may be switched: then nothing is sent
    anywhere."""
    from dashtrade.tables import accounts as account_table

    boss, ann = real.join("boss@example.com", Role.SUPERADMIN).user, real.join()
    account = live_account(ann)
    simulation.switch(real.app, boss, True)
    with real.app.db.read() as conn:
        assert not account_table.problem(conn, account, simulated=True)
        why = account_table.problem(conn, account, simulated=False)
        assert why.code is Code.SIMULATION_SWITCHED


def test_only_a_superadmin_switches_simulation(real: House):
    with pytest.raises(Forbidden):
        simulation.switch(real.app, real.join("ada@example.com", Role.ADMIN).user, True)
