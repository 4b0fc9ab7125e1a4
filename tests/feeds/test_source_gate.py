"""The budget of a source and its circuit, which all processes on one database share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, Rejected, RetryLater, Unavailable
from dashtrade.feeds.kinds import Tier
from dashtrade.services.market import source_gate
from dashtrade.services.market.source_gate import SharedGate
from dashtrade.tables.attempts import attempts, delete_expired
from tests.support.fakes import ManualClock

TIER = Tier(name="free", per_minute=5, per_day=12)


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def gate(db: Database, clock: ManualClock, key: str = "k1", tier: Tier = TIER) -> SharedGate:
    return SharedGate(db, clock, source="Somewhere", key=key, tier=tier)


def admitted(one: SharedGate, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            one.enter()
        except RetryLater:
            continue
        one.leave(None)
        count += 1
    return count


def fails(one: SharedGate, error: BrokerError) -> None:
    one.enter()
    one.leave(error)


DOWN = Unavailable("down")


# --- budget ---


def test_the_budget_of_a_minute_is_shared_by_all_processes(db: Database, clock: ManualClock):
    assert admitted(gate(db, clock), 3) + admitted(gate(db, clock), 10) == 5


def test_in_no_minute_are_there_more_requests_than_allowed(db: Database, clock: ManualClock):
    one, tier = gate(db, clock, tier=Tier(name="free", per_minute=5)), 5
    times = []
    for _ in range(300):
        if admitted(one, 1):
            times.append(clock.now())
        clock.forward(1.7)
    assert len(times) > 20
    assert all(
        later - earlier >= timedelta(minutes=1) for earlier, later in zip(times, times[tier:], strict=False)
    )


def test_the_budget_of_a_day_is_kept_over_the_day(db: Database, clock: ManualClock):
    one, times = gate(db, clock), []
    for _ in range(50 * 12):
        if admitted(one, 1):
            times.append(clock.now())
        clock.forward(300)
    assert 24 <= len(times) <= 36
    assert all(
        later - earlier >= timedelta(days=1) for earlier, later in zip(times, times[12:], strict=False)
    )


def test_a_request_that_is_not_admitted_says_how_long_to_wait_and_costs_nothing(
    db: Database, clock: ManualClock
):
    one = gate(db, clock)
    assert admitted(one, 5) == 5
    for _ in range(20):
        with pytest.raises(RetryLater) as raised:
            one.enter()
    assert timedelta(0) < raised.value.after <= timedelta(minutes=1)
    clock.forward(80)
    assert admitted(one, 9) == 5


def test_another_key_has_a_budget_of_its_own(db: Database, clock: ManualClock):
    assert admitted(gate(db, clock, "k1"), 9) == admitted(gate(db, clock, "k2"), 9) == 5


def test_without_a_limit_nothing_is_counted(db: Database, clock: ManualClock):
    assert admitted(gate(db, clock, tier=Tier(name="open")), 100) == 100


def test_of_threads_at_once_as_many_pass_as_the_budget_has(db: Database, clock: ManualClock):
    passed: list[int] = []
    threads = [threading.Thread(target=lambda: passed.append(admitted(gate(db, clock), 2))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 5


def test_what_was_counted_is_a_bounded_number_of_rows_and_is_forgotten(db: Database, clock: ManualClock):
    one = gate(db, clock, tier=Tier(name="free", per_minute=5, per_day=10_000))
    for _ in range(300):
        admitted(one, 1)
        clock.forward(11)
    with db.read() as conn:
        assert (conn.scalar(sa.select(sa.func.count()).select_from(attempts)) or 0) <= 1 + 8 + 26
        digests = set(conn.scalars(sa.select(attempts.c.key_digest)))
    assert not [digest for digest in digests if "k1" in digest]
    clock.forward(3 * 86_400)
    db.write(lambda conn: delete_expired(conn, clock.now(), clock.now()))
    with db.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(attempts)) == 0


# --- circuit ---


def rest_of(one: SharedGate) -> float:
    try:
        one.enter()
    except RetryLater as later:
        return later.after.total_seconds()
    return 0.0


def test_a_source_that_fails_rests_for_growing_pauses_in_all_processes(db: Database, clock: ManualClock):
    one, other = (gate(db, clock, tier=Tier(name="open")) for _ in range(2))
    for _ in range(3):
        fails(one, DOWN)
    rests = []
    for _ in range(10):
        rests.append(rest_of(other))
        clock.forward(rests[-1])
        fails(other, DOWN)
    assert rests[:5] == [5, 10, 20, 40, 80] and rests[-1] == 900


def test_one_alone_tries_whether_it_answers_again(db: Database, clock: ManualClock):
    one, other = (gate(db, clock, tier=Tier(name="open")) for _ in range(2))
    for _ in range(3):
        fails(one, DOWN)
    clock.forward(5)
    one.enter()
    assert rest_of(other) == 30
    one.leave(None)
    assert rest_of(other) == 0


def test_one_that_died_while_it_tried_blocks_the_others_for_half_a_minute(db: Database, clock: ManualClock):
    one, other = (gate(db, clock, tier=Tier(name="open")) for _ in range(2))
    for _ in range(3):
        fails(one, DOWN)
    clock.forward(5)
    one.enter()
    clock.forward(30)
    assert rest_of(other) == 0


def test_an_answer_in_between_closes_the_circuit(db: Database, clock: ManualClock):
    one = gate(db, clock, tier=Tier(name="open"))
    for error in (DOWN, DOWN, None, DOWN, DOWN):
        one.enter()
        one.leave(error)
    assert rest_of(one) == 0


@pytest.mark.parametrize("error", [NotOffered("no"), Rejected("no")])
def test_what_a_source_does_not_have_is_no_failure_of_it(
    db: Database, clock: ManualClock, error: BrokerError
):
    one = gate(db, clock, tier=Tier(name="open"))
    for _ in range(9):
        fails(one, error)
    assert rest_of(one) == 0


def test_the_time_that_a_source_asks_for_is_kept(db: Database, clock: ManualClock):
    fails(gate(db, clock), RetryLater("slow down", timedelta(seconds=77)))
    other = gate(db, clock)
    assert rest_of(other) == 77
    clock.forward(77)
    assert rest_of(other) == 0


def test_a_refused_key_rests_for_an_hour_and_another_is_tried_at_once(db: Database, clock: ManualClock):
    fails(gate(db, clock, "old"), BadCredentials("wrong"))
    assert rest_of(gate(db, clock, "old")) == 3600
    assert rest_of(gate(db, clock, "new")) == 0


def test_without_the_database_nothing_is_sent(db: Database, clock: ManualClock, monkeypatch):
    one = gate(db, clock)

    def away(work: object) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(db, "write_unchecked", away)
    with pytest.raises(RetryLater):
        one.enter()


def test_the_answer_of_a_source_outlives_the_database(db: Database, clock: ManualClock, monkeypatch, caplog):
    one = gate(db, clock)
    one.enter()

    def away(work: object) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(db, "write_unchecked", away)
    one.leave(DOWN)
    assert "could not be stored" in caplog.text
    assert source_gate.OPENS_AFTER == 3
