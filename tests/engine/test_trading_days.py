"""Trading days are computed once, stored, and renewed beside the work."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from bot_database import Database
from dashtrade import trading_days
from dashtrade.domain.sessions import NO_SESSIONS, Sessions
from dashtrade.trading_days import RENEW_AFTER, RETRY_AFTER, CannotCompute, TradingDays
from tests.support.fakes import ManualClock
from tests.support.sessions import new_york


class Library:
    """Stands in for the calendar library in its own process."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, date]] = []
        self.sessions, self.fails = new_york(), False

    def __call__(self, calendar: str, until: date) -> Sessions:
        self.asked.append((calendar, until))
        if self.fails:
            raise CannotCompute("no such module")
        return self.sessions


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(trading_days, "compute_in_own_process", made)
    return made


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def wait_for_renewal() -> None:
    for thread in [one for one in threading.enumerate() if one.name == "trading days"]:
        thread.join(20)


def test_they_are_computed_once_for_all_processes(db: Database, library: Library, clock: ManualClock):
    days = TradingDays(db, clock)
    assert days.sessions("XNYS") is days.sessions("XNYS") is library.sessions
    assert TradingDays(db, clock).sessions("XNYS").closes == new_york().closes
    assert library.asked == [("XNYS", (clock.time + timedelta(days=730)).date())]


def test_they_are_renewed_in_time_while_the_old_ones_serve(
    db: Database, library: Library, clock: ManualClock
):
    days = TradingDays(db, clock)
    first = days.sessions("XNYS")
    clock.time += RENEW_AFTER
    library.sessions = Sessions.from_bytes(new_york().to_bytes())
    assert days.sessions("XNYS") is first
    wait_for_renewal()
    assert days.sessions("XNYS") is library.sessions and len(library.asked) == 2


def test_without_the_library_nothing_stops_and_it_is_tried_again(
    db: Database, library: Library, clock: ManualClock
):
    library.fails = True
    days = TradingDays(db, clock)
    assert days.sessions("XNYS") is NO_SESSIONS and days.sessions("XNYS") is NO_SESSIONS
    assert len(library.asked) == 1
    library.fails = False
    clock.time += RETRY_AFTER
    days.sessions("XNYS")
    wait_for_renewal()
    assert days.sessions("XNYS") is library.sessions


def test_what_was_known_stays_while_it_cannot_be_renewed(db: Database, library: Library, clock: ManualClock):
    days = TradingDays(db, clock)
    first, library.fails = days.sessions("XNYS"), True
    clock.time += RENEW_AFTER
    days.sessions("XNYS")
    wait_for_renewal()
    assert days.sessions("XNYS") is first


def test_inside_a_transaction_they_are_there_too(db: Database, library: Library, clock: ManualClock):
    """Where the paper broker is asked while a decision is written."""
    days = TradingDays(db, clock)
    assert db.write(lambda conn: days.sessions("XNYS")) is library.sessions
    assert TradingDays(db, clock).sessions("XNYS").closes == new_york().closes and len(library.asked) == 1


def test_the_process_of_the_library_answers_or_says_why(monkeypatch: pytest.MonkeyPatch):
    until = date(2028, 6, 1)
    assert trading_days.compute_in_own_process("XNYS", until).closes == new_york().closes
    with pytest.raises(CannotCompute, match="XXXX"):
        trading_days.compute_in_own_process("XXXX", until)

    def hangs(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 60)

    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(CannotCompute, match="timed out"):
        trading_days.compute_in_own_process("XNYS", until)


def test_no_process_of_ours_loads_the_library():
    script = (
        "import sys; from dashtrade import trading_days; from datetime import date; "
        "trading_days.compute_in_own_process('XNYS', date(2028, 6, 1)); "
        "print([n for n in ('exchange_calendars', 'pandas', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=trading_days.ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
