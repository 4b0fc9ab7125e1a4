"""Users who go while they hold something for real, and simulation, in which live accounts trade on paper."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
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
from tests.support.fakes import ManualClock
from tests.support.hosts import GatedHost
from tests.support.installation import Installation, ScriptedBroker, Trader
from tests.support.user_rows import row_counts


def live_account(person: Trader) -> int:
    return accounts.add_account(
        person.installation.app,
        person.user,
        broker="venue",
        mode="live",
        label="Live",
        credentials={},
        options={},
        acknowledge=accounts.REAL_MONEY,
        decline_second_factor=True,
    )


def live_kind(venue: ScriptedBroker):
    from dataclasses import replace

    return {"venue": replace(venue.kind()["venue"], modes=("paper", "live"))}


class PricedVenue(ScriptedBroker):
    """It has prices of its own, as every real one has."""

    demo = False

    def __init__(self) -> None:
        super().__init__()
        self.offers = Offers(prices=self)

    def quote(self, symbol: Symbol) -> Quote:
        self._read()
        return Quote(symbol=symbol, bid=self.price, ask=self.price, at=self.at.now(), demo=False)


@pytest.fixture(params=[ScriptedBroker, PricedVenue])
def venue(request: pytest.FixtureRequest) -> ScriptedBroker:
    return request.param()


@pytest.fixture
def real(make_app, clock: ManualClock, feed, venue: ScriptedBroker) -> Installation:
    return Installation(make_app(clock=clock, feed=feed, brokers=live_kind(venue)))


def test_a_user_with_a_live_position_cannot_be_deleted(real: Installation):
    app, superadmin, trader = real.app, real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    bot = trader.bot(account=live_account(trader))
    trader.trades("buy")
    assert trader.holds(bot)
    with pytest.raises(Refusal, match="live account"):
        admin.delete(app, superadmin, trader.user.id, confirm=trader.user.email)
    with pytest.raises(Refusal):
        removal.remove(
            app, trader.user.id, actor=trader.user.id, action=AuditAction.DELETED_THEIR_OWN_ACCOUNT
        )
    trader.trades("close")
    admin.delete(app, superadmin, trader.user.id, confirm=trader.user.email)
    assert row_counts(app, trader.user.id) == {}


# --- simulation ---------------------------------------------------------------------------------------------


def test_in_simulation_a_live_account_is_traded_on_paper(real: Installation, venue: ScriptedBroker):
    app, superadmin, trader = real.app, real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    bot = trader.bot(account=live_account(trader))
    app.engine.host = GatedHost(lambda account_id, symbol: "waits until the venue's books were compared")
    simulation.switch(app, superadmin, True)
    assert simulation.is_on(app)
    story = trader.trades("buy")
    assert story["status"] == "filled" and not venue.sent, "no real order went out"
    assert trader.holds(bot) == Decimal("50")
    account = owned_accounts.account_of(app, trader.user, bots.bot_of(app, trader.user, bot).account_id)
    assert account.simulated and app.brokers.of(account).positions()[0].quantity == Decimal("50")
    with pytest.raises(Refusal, match=r"ann@example\.com"):
        simulation.switch(app, superadmin, False)
    trader.trades("close")
    simulation.switch(app, superadmin, False)
    app.engine.host = Host()
    trader.trades("buy")
    assert len(venue.sent) == 1
    assert [trade["simulated"] for trade in trader.get("/trades")["items"]] == [False, True, True]
    assert [line.rpartition(",")[2] for line in trader.call("GET", "/trades.csv").text.splitlines()] == [
        "simulated",
        "",
        "yes",
        "yes",
    ]


def test_what_crosses_in_simulation_is_made_up_too(real: Installation):
    app, superadmin, trader = real.app, real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    account = live_account(trader)
    long, short = trader.bot("AAPL", "15 Min", account=account), trader.bot("AAPL", "60 Min", account=account)
    simulation.switch(app, superadmin, True)
    trader.trades("buy", bot=str(long))
    trader.trades("sell", bot=str(short))
    for bot in (long, short):
        trader.send(action="close", bot=str(bot))
    real.work()
    trades = trader.get("/trades")["items"]
    assert [trade["crossed"] for trade in trades] == [True, True, False, False]
    assert {trade["simulated"] for trade in trades} == {True}


def test_simulation_is_refused_while_real_money_is_at_work(real: Installation):
    app, superadmin, trader = real.app, real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    trader.bot(account=live_account(trader), name="Turtle")
    trader.bot("MSFT")
    trader.trades("buy")
    trader.trades("buy", symbol="MSFT")
    with pytest.raises(Refusal, match="Turtle"):
        simulation.switch(app, superadmin, True)
    assert [bot.name for bot in simulation.blocking_bots(app)] == ["Turtle"], (
        "what is held on paper is in nobody's way"
    )
    assert not simulation.is_on(app)


def test_a_switch_of_simulation_acts_at_once_in_another_process(
    real: Installation, make_app, venue: ScriptedBroker, clock: ManualClock, feed
) -> None:
    other = Installation(make_app(clock=clock, feed=feed, brokers=live_kind(venue)))
    superadmin, trader = real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    trader.bot(account=live_account(trader))
    trader.trades("buy")
    trader.trades("close")
    sent = len(venue.sent)
    simulation.switch(other.app, superadmin, True)
    trader.trades("buy")
    assert len(venue.sent) == sent


def test_a_decision_made_for_the_other_broker_is_refused(
    real: Installation, venue: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the choice of the broker and the decision the mode may be switched: then nothing is sent
    anywhere."""
    superadmin, trader = real.join("superadmin@example.com", Role.SUPERADMIN).user, real.join()
    trader.bot(account=live_account(trader))
    fetch = real.app.engine.snapshots.fetch

    def switched_meanwhile(*given: Any, **more: Any) -> Any:
        market = fetch(*given, **more)
        simulation.switch(real.app, superadmin, True)
        return market

    monkeypatch.setattr(real.app.engine.snapshots, "fetch", switched_meanwhile)
    story = trader.trades("buy")
    assert story["status"] == "refused" and story["reason_code"] == Code.SIMULATION_SWITCHED
    assert not venue.sent


def test_only_a_superadmin_switches_simulation(real: Installation):
    with pytest.raises(Forbidden):
        simulation.switch(real.app, real.join("ada@example.com", Role.ADMIN).user, True)
