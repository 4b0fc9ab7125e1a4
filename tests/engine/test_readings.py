"""Brokers are read by the worker, each by itself; what is known is kept with its age."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.access import Role
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import BrokerKind, Surroundings
from dashtrade.domain.ports import AccountState, BrokerPosition, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.engine import account_jobs
from dashtrade.engine.outages import Outages
from dashtrade.engine.readings import FAST_EVERY, SLOW_EVERY, Readings
from dashtrade.services.accounts import prices, simulation
from dashtrade.tables import accounts as account_table
from dashtrade.tables import readings as table
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader, wait_until

AAPL = Symbol.parse("AAPL")
D = Decimal


class Holding(ScriptedBroker):
    """A venue of one account each, which may hold something, hang, or be away."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[BrokerPosition] = []
        self.equity = D("1000.10")
        self.reads = 0
        self.hang: threading.Event | None = None

    def account(self) -> AccountState:
        self.reads += 1
        if self.hang is not None:
            self.hang.wait(30)
            raise Unavailable("no answer in time")
        self._read()
        return AccountState(
            equity=self.equity,
            cash=D(90_000),
            buying_power=D(80_000),
            currency="USDT",
            permissions=("trade",),
            can_withdraw=False,
        )

    def positions(self) -> list[BrokerPosition]:
        self._read()
        return self.held


class Street:
    """Venues by the label of their account."""

    def __init__(self) -> None:
        self.venues: dict[str, Holding] = {}

    def kind(self) -> dict[str, BrokerKind]:
        return {
            "venue": BrokerKind(
                name="Venue",
                modes=("paper", "live"),
                check=lambda credentials, options: None,
                make=self._make,
            )
        }

    def _make(self, account: Any, credentials: Any, around: Surroundings) -> Holding:
        venue = self.venues.setdefault(account.options["at"], Holding())
        venue.at = around.clock
        return venue


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.fixture
def installation(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, street: Street
) -> Iterator[Installation]:
    yield Installation(make_app(clock=clock, feed=feed, brokers=street.kind()))


@pytest.fixture
def readings(installation: Installation) -> Readings:
    return reader(installation)


def reader(installation: Installation, lines: list[str] | None = None) -> Readings:
    engine, outages = installation.app.engine, installation.app.engine.outages
    if lines is not None:
        outages = Outages(installation.app.clock, lambda words, *given: lines.append(words % given))
    return Readings(
        installation.app.db, installation.app.clock, installation.app.brokers.of, engine.leases, outages
    )


def look(readings: Readings) -> list[int]:
    """One look of the worker, in this thread: the accounts it read."""
    found = readings.due()
    for account in found:
        readings._schedules[account.id].started_at = readings._clock.now()
        readings.read(account)
    return [account.id for account in found]


def known(installation: Installation, trader: Trader, account: int) -> table.AccountReading:
    with installation.app.db.read() as conn:
        return table.of_user(conn, trader.user.id)[account]


def test_what_the_broker_says_is_kept_digit_for_digit(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock
):
    trader = installation.join()
    account = trader.account("venue", at="one")
    street.venues["one"] = venue = Holding()
    venue.held = [
        BrokerPosition(
            symbol=AAPL, quantity=D("-0.10000000000001"), average_price=D("99.990"), mark=D("100.1")
        )
    ]
    look(readings)
    reading = known(installation, trader, account)
    assert reading.positions == tuple(venue.held) and reading.read_at == clock.now() and not reading.error
    assert reading.state == AccountState(
        equity=D("1000.10"),
        cash=D(90_000),
        buying_power=D(80_000),
        currency="USDT",
        permissions=("trade",),
        can_withdraw=False,
    )


def test_the_built_in_paper_broker_is_not_read_as_its_books_are_here(
    installation: Installation, readings: Readings
):
    installation.join().account()
    assert look(readings) == []


def test_a_new_account_is_read_at_once_and_then_now_and_then(
    installation: Installation, readings: Readings, clock: ManualClock
):
    account = installation.join().account("venue", at="one")
    assert look(readings) == [account]
    clock.forward(SLOW_EVERY.total_seconds() - 1)
    assert look(readings) == []
    clock.forward(1)
    assert look(readings) == [account]


def test_an_account_shown_on_a_page_is_read_often(
    installation: Installation, readings: Readings, clock: ManualClock
):
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    account, other = trader.account("venue", at="one"), other_trader.account("venue", at="two")
    look(readings)
    installation.app.db.write(lambda conn: table.mark_watched(conn, trader.user.id, clock.now()))
    clock.forward(FAST_EVERY.total_seconds())
    assert look(readings) == [account]
    clock.forward(60)
    assert set(look(readings)) == {account, other}
    clock.forward(FAST_EVERY.total_seconds())
    assert look(readings) == []


def test_a_fill_has_its_account_read_at_once(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock
):
    trader = installation.join()
    account = trader.account("venue", at="one")
    trader.bot(account=account)
    look(readings)
    clock.forward(0.5)
    assert trader.trades("buy")["status"] == "filled"
    assert look(readings) == [account]
    clock.forward(FAST_EVERY.total_seconds())
    assert look(readings) == [account], "it holds something"


def test_a_broker_that_allows_few_requests_is_read_less_often(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock
):
    account = installation.join().account("venue", at="one")
    street.venues["one"] = venue = Holding()
    venue.capabilities = replace(venue.capabilities, requests_per_minute=8)
    look(readings)
    clock.forward(SLOW_EVERY.total_seconds())
    assert look(readings) == [], "two requests each time, and no more than half of what is allowed"
    clock.forward(15)
    assert look(readings) == [account]


def test_nothing_is_written_while_nothing_changes(
    installation: Installation, readings: Readings, clock: ManualClock, monkeypatch
):
    trader = installation.join()
    account = trader.account("venue", at="one")
    look(readings)
    writes = []
    monkeypatch.setattr(table, "put", lambda conn, reading: writes.append(reading))
    for _ in range(10):
        installation.app.db.write(lambda conn: table.mark_watched(conn, trader.user.id, clock.now()))
        clock.forward(3)
        assert look(readings) == [account]
    assert len(writes) == 2, "30 seconds: only that it was read is told, every ten or so"


def test_while_a_broker_is_away_the_last_known_stays_with_its_time(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock
):
    trader = installation.join()
    account = trader.account("venue", at="one")
    street.venues["one"] = venue = Holding()
    venue.held = [BrokerPosition(symbol=AAPL, quantity=D(5))]
    look(readings)
    read_at, venue.away = clock.now(), Unavailable("the venue does not answer")
    went = clock.forward(SLOW_EVERY.total_seconds())
    look(readings)
    reading = known(installation, trader, account)
    assert (reading.read_at, reading.positions, reading.failing_since) == (read_at, tuple(venue.held), went)
    assert (reading.error_code, reading.error, reading.changed_at) == (
        "unreachable",
        "the venue does not answer",
        went,
    )
    venue.away = None
    clock.forward(60)
    look(readings)
    assert known(installation, trader, account).failing_since is None


def test_a_broker_that_stays_away_is_asked_less_and_less_often(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock
):
    installation.join().account("venue", at="one")
    street.venues["one"] = venue = Holding()
    venue.away = Unavailable("the venue does not answer")
    for _ in range(600):
        look(readings)
        clock.forward(1)
    assert 10 <= venue.reads <= 20


def test_nine_dead_accounts_write_a_line_each_and_not_a_hundred(
    installation: Installation, street: Street, clock: ManualClock
):
    lines: list[str] = []
    readings, trader = reader(installation, lines), installation.join()
    accounts = [trader.account("venue", at=str(number)) for number in range(9)]
    for venue in street.venues.values():
        venue.away = Unavailable("the venue does not answer")
    for number in range(9):
        street.venues.setdefault(str(number), Holding()).away = Unavailable("the venue does not answer")
    for _ in range(600):
        look(readings)
        readings._outages.record_failure(accounts[0], "comparing", "the same broker, asked by another loop")
        clock.forward(1)
    assert len(lines) <= 9 * 2, "one when it goes, and one after five minutes"
    lines.clear()
    for venue in street.venues.values():
        venue.away = None
    for _ in range(90):
        look(readings)
        clock.forward(1)
    assert len(lines) == 9 and all("answers again" in line for line in lines)


def test_accounts_whose_brokers_hang_cost_the_others_nothing(
    installation: Installation, street: Street, readings: Readings, clock: ManualClock, monkeypatch
):
    monkeypatch.setattr(account_jobs, "JOB_LIMIT_SECONDS", 0.2)
    monkeypatch.setattr("dashtrade.engine.readings.JOB_LIMIT_SECONDS", 0.2)
    trader, end = installation.join(), threading.Event()
    accounts = [trader.account("venue", at=str(number)) for number in range(20)]
    for number in range(3):
        street.venues[str(number)] = venue = Holding()
        venue.hang = end
    try:
        readings.start_due()
        wait_until(lambda: sum(account in of(installation, trader) for account in accounts[3:]) == 17, 5)

        def given_up() -> bool:
            readings.start_due()
            return all(account in of(installation, trader) for account in accounts)

        wait_until(given_up)
        hung = [of(installation, trader)[account] for account in accounts[:3]]
        assert {reading.error_code for reading in hung} == {"silent"} and all(
            reading.read_at is None for reading in hung
        )
        clock.forward(SLOW_EVERY.total_seconds())
        before = [street.venues[str(number)].reads for number in range(20)]
        readings.start_due()
        wait_until(lambda: all(street.venues[str(number)].reads > before[number] for number in range(3, 20)))
        assert [street.venues[str(number)].reads for number in range(3)] == before[:3], (
            "what hangs is not asked once more"
        )
    finally:
        end.set()
        readings.stop()


def of(installation: Installation, trader: Trader) -> dict[int, table.AccountReading]:
    with installation.app.db.read() as conn:
        return table.of_user(conn, trader.user.id)


def test_what_was_read_of_the_real_account_is_not_shown_of_the_simulated_one(
    installation: Installation, readings: Readings, clock: ManualClock
):
    trader, superadmin = installation.join(), installation.join("superadmin@example.com", Role.SUPERADMIN)
    body = {
        "broker": "venue",
        "mode": "live",
        "label": "Real",
        "credentials": {},
        "options": {"at": "one"},
        "acknowledge": "REAL MONEY",
        "decline_second_factor": True,
    }
    account = trader.request("POST", "/accounts", body)["id"]
    look(readings)
    assert prices.known_of(installation.app, stored(installation, trader, account)).state.equity == D(
        "1000.10"
    )
    simulation.switch(installation.app, superadmin.user, True)
    assert prices.known_of(installation.app, stored(installation, trader, account)).state is None
    look(readings)
    assert (
        known(installation, trader, account).simulated
        and known(installation, trader, account).state.equity == 100_000
    )


def stored(installation: Installation, trader: Trader, account: int) -> Account:
    with installation.app.db.read() as conn:
        found = account_table.get(conn, trader.user.id, account)
    assert found is not None
    return found


def test_what_was_read_half_a_minute_ago_is_not_called_fresh(
    installation: Installation, readings: Readings, clock: ManualClock
):
    """Whether the broker went away or the worker did."""
    trader = installation.join()
    account = stored(installation, trader, trader.account("venue", at="one"))
    look(readings)
    clock.forward(30)
    assert prices.known_of(installation.app, account).fresh
    clock.forward(1)
    assert (
        not prices.known_of(installation.app, account).fresh
        and prices.known_of(installation.app, account).state is not None
    )
