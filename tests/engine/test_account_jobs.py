"""A broker that hangs costs its own account alone."""

from __future__ import annotations

import threading

from dashtrade.engine import account_jobs
from dashtrade.engine.account_jobs import AccountJobs
from tests.support.installation import wait_until


def test_accounts_that_hang_leave_the_others_their_turn(monkeypatch):
    monkeypatch.setattr(account_jobs, "JOB_LIMIT_SECONDS", 0.05)
    work, hang, done = AccountJobs("test", max_jobs=3), threading.Event(), []
    for account in range(10):
        work.start(account, hang.wait)
    work.start("well", lambda: done.append("well"))

    def looked_again() -> list[str]:
        work.start("another", lambda: None)
        return done

    wait_until(looked_again)
    hang.set()


def test_one_account_has_one_job_at_a_time():
    work, hang, done = AccountJobs("test"), threading.Event(), []
    assert work.start(1, hang.wait)
    assert not work.start(1, lambda: done.append("second"))
    hang.set()
    wait_until(lambda: work.start(1, lambda: done.append("third")))
    wait_until(lambda: done)
    assert done == ["third"]


def test_more_jobs_than_places_are_all_done():
    work, done = AccountJobs("test", max_jobs=2), []
    for account in range(50):
        assert work.start(account, lambda account=account: done.append(account))
    wait_until(lambda: len(done) == 50)
    assert sorted(done) == list(range(50))


def test_a_failed_job_does_not_block_the_next():
    work, done = AccountJobs("test", max_jobs=1), []

    def fail() -> None:
        raise RuntimeError("as adapters may")

    work.start(1, fail)
    work.start(2, lambda: done.append(2))
    wait_until(lambda: done)
    assert work.running_seconds(1) == 0
