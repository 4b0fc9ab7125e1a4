"""Each limit that a process holds by itself, tried by many at once.

Held elsewhere already: connections of both ports (test_http_server.py and test_ui_port.py:
more_connections_than_there_are, a_crowd_that_comes_at_once), places, turns, and the queue before them
(test_receiver_limits.py), one export of a user in turn (test_exports.py: a_user_gets_one_file_at_a_time), the
crowd at the dashboard's form (test_ui_crowds.py: sixty_who_guess), tabs that come one after the other
(test_ui_gate.py). What the database holds is in test_limit_races.py."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest

from dashtrade import limits
from dashtrade.context import App
from dashtrade.limits import BoundedQueue, ConcurrencyLimit, Rate, ReceiverLimits
from dashtrade.services.people import users
from dashtrade.services.refusals import Denied
from dashtrade.ui.shell.tabs import TOO_MANY_TABS, TRY_LATER, Tabs
from tests.support.concurrency import accepted_results, run_together
from tests.support.databases import SqliteFiles
from tests.support.installation import Installation, Trader, wait_until
from tests.ui.test_ui_gate import Client, settle

MANY = 40


@pytest.fixture
def database_url(sqlite_files: SqliteFiles) -> str:
    return sqlite_files.fresh()


class Gauge:
    """How many are inside at a time, of each key and in all; they stay until it is opened."""

    def __init__(self) -> None:
        self.most: Counter[Any] = Counter()
        self._inside: Counter[Any] = Counter()
        self._lock, self._go = threading.Lock(), threading.Event()

    def stay(self, key: Any = None) -> None:
        with self._lock:
            for one in (key, "all"):
                self._inside[one] += 1
                self.most[one] = max(self.most[one], self._inside[one])
        self._go.wait(30)
        with self._lock:
            for one in (key, "all"):
                self._inside[one] -= 1

    def open(self) -> None:
        self._go.set()


@pytest.mark.parametrize(("cost", "passes"), [(1, 10), (5, 2)])
def test_of_many_at_once_a_bucket_lets_through_what_is_in_it(cost: int, passes: int) -> None:
    rate = Rate(0.0001, burst_seconds=100_000)
    answer = run_together([lambda: rate.take("ann", cost=cost) for _ in range(MANY)])
    assert answer.count(0.0) == passes
    assert rate.take("bob") == 0.0


def test_exports_of_all_and_of_one_are_never_more_than_there_are_places() -> None:
    places, tried, lock = limits.exports(), Counter[bool](), threading.Lock()
    gauge = Gauge()

    def export(user: str) -> bool:
        with places.place(user) as free:
            with lock:
                tried[free] += 1
                if tried.total() == MANY:
                    gauge.open()
            if free:
                gauge.stay(user)
        return free

    answer = run_together([lambda user=f"user{n % 8}": export(user) for n in range(MANY)])
    assert answer.count(True) == 4 == gauge.most.pop("all")
    assert set(gauge.most.values()) == {1}


def test_over_rest_of_many_files_asked_for_at_once_a_user_gets_one(installation: Installation) -> None:
    trader = installation.join()
    answer = run_together([lambda: trader.call("GET", "/trades.csv") for _ in range(12)])
    assert sorted(one.status_code for one in accepted_results(answer, Denied)) == [200] + [429] * 11
    for one in answer:
        one.close()
    assert trader.call("GET", "/trades.csv").status_code == 200


def test_of_many_alerts_that_wait_few_of_a_user_and_few_in_all_have_a_place(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are answered 202 at once."""
    persons = [installation.join(f"p{n}@example.com") for n in range(6)]
    for person in persons:
        person.bot()
    gauge = Gauge()
    monkeypatch.setattr(App, "wait", lambda app, user_id, *given, **more: gauge.stay(user_id))
    answers: list[int] = []

    def send(person: Trader, number: int) -> None:
        alert = {"action": "buy", "symbol": "AAPL", "id": f"w{number}"}
        answers.append(person.alert(alert, wait="2.5").status_code)

    works = [lambda p=person, n=n: send(p, n) for person in persons for n in range(6)]
    crowd = threading.Thread(target=run_together, args=(works,))
    crowd.start()
    wait_until(lambda: len(answers) == len(works) - 16, 30)
    gauge.open()
    crowd.join(30)
    assert gauge.most.pop("all") == 16 and max(gauge.most.values()) == 4
    assert Counter(answers) == {202: 20, 200: 16}


def test_of_many_who_sign_in_at_once_two_are_looked_at_and_six_wait(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, gauge = ReceiverLimits(alerts=Rate(1)).passwords, Gauge()
    turns._patience = 30.0  # none of them gives up before all have tried
    installation.flask.config["LIMITS"] = ReceiverLimits(alerts=Rate(1), passwords=turns)
    answers: list[int] = []

    def check(*given: Any, **more: Any) -> Any:
        gauge.stay()
        raise Denied("email or password is wrong", "Check both.")

    monkeypatch.setattr(users, "check_password", check)

    def sign_in(number: int) -> None:
        body = {"email": f"n{number}@example.com", "password": "wrong horse battery"}
        client, sender = installation.flask.test_client(), {"REMOTE_ADDR": f"203.0.113.{number}"}
        answers.append(client.post("/api/v1/auth/login", json=body, environ_base=sender).status_code)

    works = [lambda n=n: sign_in(n) for n in range(MANY)]
    crowd = threading.Thread(target=run_together, args=(works,))
    crowd.start()
    wait_until(lambda: len(answers) == MANY - 8, 30)
    assert set(answers) == {429}
    gauge.open()
    crowd.join(30)
    assert Counter(answers) == {429: MANY - 8, 401: 8} and gauge.most["all"] == 2


def test_turns_that_were_given_up_are_free_again() -> None:
    turns = BoundedQueue(2, 6, 0.01)

    def fail() -> None:
        with turns.turn() as on:
            if on:
                raise Denied("x", "y")

    run_together([fail for _ in range(MANY)])
    assert [_tried(turns) for _ in range(3)] == [True] * 3


def _tried(turns: BoundedQueue) -> bool:
    with turns.turn() as on:
        return on


def test_places_that_were_given_up_are_free_again() -> None:
    places = ConcurrencyLimit(in_all=4, of_one=2)

    def fail(key: str) -> None:
        with places.place(key):
            raise Denied("x", "y")

    run_together([lambda key=f"user{n % 3}": fail(key) for n in range(MANY)])
    with places.place("user0") as one, places.place("user0") as two, places.place("user1") as three:
        assert (one, two, three) == (True, True, True)


# --- tabs ---------------------------------------------------------------------------------------------------


def test_of_many_tabs_at_once_ten_of_a_user_stay_open() -> None:
    async def open_many() -> None:
        tabs = Tabs(opened=Rate(1000.0))
        made = [Client(tabs, "ann") for _ in range(MANY)]
        await settle()
        assert [one.closed for one in made].count(None) == 10 and {one.closed for one in made} == {
            None,
            TOO_MANY_TABS,
        }
        for one in made:
            await one.leave()
        assert not tabs.full("ann")

    asyncio.run(open_many())


def test_of_tabs_of_many_users_at_once_two_hundred_stay_open() -> None:
    async def open_many() -> None:
        tabs = Tabs()
        made = [Client(tabs, f"user{n % 50}") for n in range(300)]
        await settle()
        assert [one.closed for one in made].count(None) == 200
        for one in made:
            await one.leave()

    asyncio.run(open_many())


def test_of_many_tabs_that_one_user_opens_at_once_thirty_are_let_in() -> None:
    async def open_many() -> None:
        tabs = Tabs()
        made = [Client(tabs, "ann") for _ in range(MANY)]
        await settle()
        assert [one.closed for one in made].count(TRY_LATER) == MANY - 30
        for one in made:
            await one.leave()

    asyncio.run(open_many())
