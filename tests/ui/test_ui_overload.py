"""Many at the form at once: those who guess, and those who want a demo, keep it from nobody else."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.services.demo import demo
from dashtrade.services.people.users import Denied
from tests.support.installation import wait_until
from tests.support.ui_harness import DashboardHarness

GUESSER = "203.0.113.66"


def test_sixty_password_guessers_do_not_block_the_sign_in_form(harness: DashboardHarness) -> None:
    over, statuses, words = threading.Event(), [], set()

    def guess(place: int) -> None:
        while not over.is_set():
            fields = urlencode({"email": f"{place}@example.com", "password": "not the password"})
            answer = harness.ask("POST", "/auth/login", fields, X_Forwarded_For=GUESSER)
            statuses.append(answer.status)
            if answer.status == 429:
                words.add(
                    "Wait" in answer.text and "Too many" in answer.text and "retry-after" in answer.headers
                )
                over.wait(0.3)

    with ThreadPoolExecutor(60) as crowd:
        try:
            for place in range(60):
                crowd.submit(guess, place)
            time.sleep(1)
            took = []
            for _ in range(10):
                began = time.monotonic()
                assert harness.ask("GET", "/auth/login").status == 200
                took.append(time.monotonic() - began)
            person = harness.person()
            wait_until(lambda: harness.sign_in(person).status == 303, 60)
        finally:
            over.set()
    assert words == {True} and statuses.count(401) <= 30
    assert statistics.median(took) < 2


def test_demos_of_one_address_are_no_more_than_there_may_be_however_many_begin_at_once(
    harness: DashboardHarness,
) -> None:
    with ThreadPoolExecutor(24) as crowd:
        answer = list(crowd.map(lambda _: _demo(harness), range(24)))
    assert set(answer) <= {303, 429}
    with harness.app.db.read() as conn:
        made = conn.scalar(
            sa.text("SELECT count(*) FROM users WHERE demo_address = :a"), {"a": "2001:db8:1:2::/64"}
        )
    assert 1 <= made == answer.count(303) <= demo.MAX_PER_HOUR


def _demo(harness: DashboardHarness) -> int:
    """Whoever has one IPv6 address has all of its network."""
    return harness.ask(
        "POST", "/demo", "", X_Forwarded_For=f"2001:db8:1:2::{threading.get_ident() % 60000:x}"
    ).status


def test_of_those_who_begin_in_several_processes_each_is_counted(
    make_app, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "MAX_PER_HOUR", 1)
    monkeypatch.setattr(demo, "TIMEOUT_SECONDS", 60.0)
    apps: list[App] = [make_app() for _ in range(3)]

    def begin(app: App) -> bool:
        try:
            return demo.start(app, address="203.0.113.7") > 0
        except Denied:
            return False

    with ThreadPoolExecutor(3) as crowd:
        assert sum(crowd.map(begin, apps)) == 1
