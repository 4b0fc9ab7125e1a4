"""Every figure is the sum over its scope's bots alone: real and paper money are never added up, nor one
currency to another."""

from __future__ import annotations

import csv
import io
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.ports import AccountState
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed
from dashtrade.engine.host import Host
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import simulation
from dashtrade.services.people import tokens
from dashtrade.services.trading import portfolio_summary, scope, trade_files
from dashtrade.ui.kit import live_cells
from dashtrade.ui.shell import downloads, runtime
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader

ZERO = Decimal(0)
SYMBOLS = ("AAPL", "BTCUSD", "ETHEUR", "SOLUSDT")
SEEDS = range(4)


class Purse(ScriptedBroker):
    """An account with money of its own, in the currency its label ends with."""

    def __init__(self, label: str, clock: Any) -> None:
        super().__init__()
        self.currency, self.at = label.rpartition(" ")[2], clock
        self.worth = Decimal(1000 + sum(map(ord, label)))

    def account(self) -> AccountState:
        self._read()
        return AccountState(
            equity=self.worth,
            cash=Decimal(50_000),
            buying_power=Decimal(50_000),
            currency=self.currency,
            number=self.currency,
        )


class Purses(ScriptedBroker):
    """The venue at which they are: one purse for each account."""

    def kind(self) -> Any:
        made: dict[int, Purse] = {}

        def make(account: Any, credentials: Any, around: Any) -> Purse:
            return made.setdefault(account.id, Purse(account.label, around.clock))

        return {"venue": replace(super().kind()["venue"], modes=("paper", "live"), make=make)}


@pytest.fixture(name="app")
def scope_app(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Iterator[App]:
    made = make_app(clock=clock, feed=feed, brokers=Purses().kind())
    made.engine.host = Host()
    runtime.use(made)
    yield made
    runtime.use(None)


def live(person: Trader, label: str = "Live USD") -> int:
    return account_service.add_account(
        person.installation.app,
        person.user,
        broker="venue",
        mode="live",
        label=label,
        credentials={},
        options={},
        acknowledge=account_service.REAL_MONEY,
        decline_second_factor=True,
    )


@dataclass
class Mixed:
    """Somebody with accounts of all kinds, whose bots have traded, and what the sums have to be."""

    trader: Trader
    accounts: dict[int, bool]  # id: is it traded with real money now
    feed: ManualFeed

    def scopes(self) -> list[MoneyScope]:
        each = [
            MoneyScope(money=MoneyKind.LIVE if real else MoneyKind.PAPER, account_id=account_id)
            for account_id, real in self.accounts.items()
        ]
        return [MoneyScope(money=MoneyKind.LIVE), MoneyScope(money=MoneyKind.PAPER), *each]

    def trades(self, of: MoneyScope) -> list[dict[str, Any]]:
        """Told from each trade by itself: which account it was on, and whether it was made up."""
        modes = {account["id"]: account["mode"] for account in self.trader.get("/accounts")["items"]}
        every = self.trader.get("/trades", limit=500)["items"]
        return [
            trade
            for trade in every
            if of.account_id in (None, trade["account_id"])
            and (modes[trade["account_id"]] == "live" and not trade["simulated"])
            is (of.money is MoneyKind.LIVE)
        ]

    def net(self, of: MoneyScope) -> dict[str, Decimal]:
        found: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for trade in self.trades(of):
            found[Symbol.parse(trade["symbol"]).currency] += Decimal(trade["realized_pnl"]) - Decimal(
                trade["fee"]
            )
        return dict(found)

    def open(self, of: MoneyScope) -> dict[str, Decimal]:
        found: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for bot in self.trader.get("/bots", limit=500)["items"]:
            if (
                of.covers(
                    bot["account_id"], MoneyKind.LIVE if self.accounts[bot["account_id"]] else MoneyKind.PAPER
                )
                and bot["position"]["quantity"] != "0"
            ):
                found[Symbol.parse(bot["symbol"]).currency] += Decimal(bot["position"]["unrealized_pnl"])
        return dict(found)


def mixed(app: App, feed: ManualFeed, clock: ManualClock, seed: int) -> Mixed:
    """Real trades, then simulated ones on the same live accounts, then whichever the seed says; some days in
    between."""
    chance = random.Random(seed)
    installation = Installation(app)
    superadmin, trader = (
        installation.join("superadmin@example.com", Role.SUPERADMIN).user,
        installation.join(),
    )
    accounts = [
        trader.account(),
        live(trader, "Live USD"),
        live(trader, "Live EUR"),
        trader.account(),
        live(trader, "Live USDT"),
    ]
    for account in accounts:
        for symbol in chance.sample(SYMBOLS, 3):
            trader.bot(symbol, account=account, position_size="2000", sides="both")

    def some_trades() -> None:
        for _ in range(8):
            symbol = chance.choice(SYMBOLS)
            feed.set(symbol, Decimal(chance.randint(5000, 20000)) / 100)
            trader.trades(chance.choice(("buy", "close", "sell")), symbol, timeframe="15 Min")
            clock.forward(chance.choice((60, 3600, 30000)))

    def all_closed() -> None:
        for symbol in SYMBOLS:
            trader.trades("close", symbol)

    real = True
    some_trades()
    for _ in range(chance.randint(1, 2)):
        all_closed()
        real = not real
        simulation.switch(app, superadmin, not real)
        some_trades()
    for symbol in SYMBOLS:
        feed.set(symbol, Decimal(chance.randint(5000, 20000)) / 100)
    clock.forward(60)
    kinds = {
        account["id"]: account["mode"] == "live" and real for account in trader.get("/accounts")["items"]
    }
    trader.installation.read_brokers()
    return Mixed(trader=trader, accounts=kinds, feed=feed)


@pytest.mark.parametrize("seed", SEEDS)
def test_rest_totals_lists_and_files_are_of_the_scope_alone(
    app: App, feed: ManualFeed, clock: ManualClock, seed: int
):
    case = mixed(app, feed, clock, seed)
    trader = case.trader
    for of in case.scopes():
        told = trader.get("/performance", scope=of.text)
        totals = {
            total["currency"]: Decimal(total["net_pnl"])
            for total in (told["total"], *told["other_currencies"])
        }
        net = case.net(of)
        assert {name: totals.get(name, ZERO) for name in net} == net and not any(
            total for name, total in totals.items() if name not in net
        ), of
        assert sum(total["trades"] for total in (told["total"], *told["other_currencies"])) == len(
            case.trades(of)
        )
        wanted = [trade["id"] for trade in case.trades(of)]
        listed = trader.get("/trades", scope=of.text, limit=500)["items"]
        assert [trade["id"] for trade in listed] == wanted and {trade["money"] for trade in listed} <= {
            str(of.money)
        }
        rows = list(csv.DictReader(io.StringIO(trader.call("GET", "/trades.csv", scope=of.text).text)))
        assert [(int(row["id"]), row["currency"], row["money"]) for row in rows] == [
            (trade["id"], trade["currency"], trade["money"]) for trade in listed
        ]
        asked = downloads.own_filters(app, trader.user, {"scope": of.text})
        own = list(
            csv.DictReader(io.StringIO("".join(trade_files.fills(app, trader.user, asked)), newline=""))
        )
        assert [(int(row["Number"]), row["Money"]) for row in own] == [
            (trade["id"], trade["money"]) for trade in listed
        ]
        held = {
            part["bot_id"]
            for item in trader.get("/positions", scope=of.text)["items"]
            for part in item["bots"]
        }
        assert held == {h.bot.id for h in portfolio_summary.holdings(app, trader.user, of, open_only=True)}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_summary_and_every_tick_are_of_the_scope_and_the_currency_alone(
    app: App, feed: ManualFeed, clock: ManualClock, seed: int
):
    case = mixed(app, feed, clock, seed)
    ticks = live_cells.of_user(app, case.trader.user)
    for of in case.scopes():
        told = case.trader.get("/summary", scope=of.text)
        opened, found = case.open(of), {one["currency"]: one for one in told["currencies"]}
        assert {
            name: Decimal(one["unrealized_pnl"]) for name, one in found.items() if one["open_positions"]
        } == opened
        for name, profit in opened.items():
            assert ticks[f"open:{of.text}:{name}"][0] == live_cells.signed(profit, name)
        purses: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for account in portfolio_summary.summary(app, case.trader.user, of).accounts:
            state = app.brokers.of(account).account()
            purses[state.currency] += state.equity
        assert {
            name: Decimal(one["equity"]) for name, one in found.items() if one["equity"] is not None
        } == purses
        for name, equity in purses.items():
            assert ticks[f"equity:{of.text}:{name}"][0] == live_cells.money(equity, name)


def test_the_default_is_live_money_where_there_is_any_and_paper_else(app: App):
    trader = Installation(app).join()
    trader.bot()
    assert trader.get("/performance")["scope"] == trader.get("/summary")["scope"] == "paper"
    live(trader)
    assert trader.get("/performance")["scope"] == trader.get("/summary")["scope"] == "live"


def test_a_live_account_in_simulation_is_paper(app: App):
    installation = Installation(app)
    superadmin, trader = (
        installation.join("superadmin@example.com", Role.SUPERADMIN).user,
        installation.join(),
    )
    account = live(trader)
    simulation.switch(app, superadmin, True)
    told = trader.get("/summary", scope=str(account))
    assert (told["money"], trader.get("/summary")["scope"]) == ("paper", "paper")


@pytest.mark.parametrize(
    "path", ["/performance", "/performance/equity", "/summary", "/trades", "/trades.csv", "/positions"]
)
@pytest.mark.parametrize("wrong", ["both", "0", "-1", "LIVE", "1.0", "2", "x" * 40, "\uff11"])
def test_a_scope_that_is_none_is_a_clear_400(app: App, path: str, wrong: str):
    installation = Installation(app)
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    assert (trader.account(), other_trader.account()) == (1, 2)
    response = trader.call("GET", path, scope=wrong)
    assert (
        response.status_code == 400
        and response.json["field"] == "scope"
        and "live, paper" in response.json["hint"]
    )


def test_the_scope_is_described_in_openapi(app: App):
    described = Installation(app).flask.test_client().get("/api/v1/openapi.json").json["paths"]
    for path in ("/performance", "/performance/equity", "/summary", "/trades", "/trades.csv", "/positions"):
        named = {one["name"]: one for one in described[f"/api/v1{path}"]["get"]["parameters"]}
        assert "never added up" in str(named["scope"])


def test_what_the_user_chose_is_kept_and_an_account_that_is_gone_leaves_the_default(app: App):
    trader = Installation(app).join()
    first, second = trader.account(), trader.account()
    scope.remember(app, trader.user, MoneyScope(money=MoneyKind.PAPER, account_id=second))
    user = tokens.by_access_token(app, trader.access)
    assert user is not None and user.scope == str(second)
    trader.request("DELETE", f"/accounts/{second}")
    with pytest.raises(Malformed):
        scope.of_user(app, user, user.scope)
    assert scope.of_user(app, user, str(first)) == MoneyScope(money=MoneyKind.PAPER, account_id=first)
