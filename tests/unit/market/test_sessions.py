"""Trading days: as the exchange keeps them, and the same again after they were stored."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.domain.sessions import NO_SESSIONS, Sessions
from dashtrade.domain.symbols import Symbol
from dashtrade.market.calendar import calendar_of
from tests.support.sessions import new_york


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "closed",
    ["2026-11-26", "2026-12-25", "2025-01-09", "2026-06-19", "2026-11-28", "2001-09-12", "2027-03-26"],
    ids=["Thanksgiving", "Christmas", "mourning", "Juneteenth", "Saturday", "2001", "Good Friday"],
)
def test_a_holiday_has_no_session(closed: str):
    assert new_york().of_day(day(closed)) is None


@pytest.mark.parametrize(
    ("date", "opens", "closes"),
    [
        ("2026-11-25", "14:30", "21:00"),
        ("2026-11-27", "14:30", "18:00"),
        ("2026-12-24", "14:30", "18:00"),
        ("2026-07-01", "13:30", "20:00"),
    ],
)
def test_half_days_and_daylight_saving_are_known(date: str, opens: str, closes: str):
    session = new_york().of_day(day(date))
    assert session is not None
    assert session.opens_at == day(f"{date}T{opens}") and session.closes_at == day(f"{date}T{closes}")


def test_the_session_after_a_moment():
    sessions, closes = new_york(), day("2026-11-27T18:00")
    assert sessions[sessions.ending_after(closes - timedelta(seconds=1))].day == day("2026-11-27")
    assert sessions[sessions.ending_after(closes)].day == day("2026-11-30")


def test_nothing_is_known_before_the_first_and_after_the_last_day():
    sessions = new_york()
    assert sessions.knows(day("2026-11-28")) and not sessions.knows(day("1969-12-31"))
    assert not sessions.knows(day("2031-01-01")) and not NO_SESSIONS.knows(day("2026-11-28"))


def test_what_is_stored_is_read_again():
    sessions, again = new_york(), Sessions.from_bytes(new_york().to_bytes())
    assert (again.days, again.opens, again.closes) == (sessions.days, sessions.opens, sessions.closes)
    assert len(sessions.to_bytes()) < 30_000


def test_a_process_of_its_own_computes_the_same():
    command = [sys.executable, "-m", "dashtrade.market.calendar", "XNYS", "2028-06-01"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert Sessions.from_bytes(done.stdout).closes == new_york().closes


def test_only_markets_with_a_calendar_have_one():
    assert calendar_of(Symbol.parse("NASDAQ:AAPL")) == "XNYS"
    assert calendar_of(Symbol.parse("BTC/USDT")) is None and calendar_of(Symbol.parse("LSE:VOD")) is None
