"""Background jobs, one at a time per account, so that a slow broker delays only its own account.

In a plain thread pool, enough hanging brokers would block every account. Here a job over its time limit no
longer counts against the maximum. Threads are daemons, so that one waiting on a socket does not delay the end
of the process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

log = logging.getLogger("dashtrade.apart")

# jobs within their time limit; hanging jobs do not count, as each account has at most one
MAX_RUNNING_JOBS = 32
JOB_LIMIT_SECONDS = 10.0  # for one job; after that its broker counts as hanging
STOP_SECONDS = 1.0  # how long the end of the process waits for running jobs
IDLE_SECONDS = 10.0  # how long a thread waits for more work

Job = Callable[[], object]


class AccountJobs:
    def __init__(self, name: str, max_jobs: int = MAX_RUNNING_JOBS) -> None:
        self._name, self._max_jobs = name, max_jobs
        self._waiting: dict[Hashable, Job] = {}
        self._started_at: dict[Hashable, float] = {}  # of running jobs
        self._idle, self._starting = 0, 0  # waiting threads, and threads about to start
        self._stopped = False
        self._condition = threading.Condition()

    def start(self, key: Hashable, job: Job) -> bool:
        """Start the account's job. False if its previous job is still running."""
        with self._condition:
            started = not self._stopped and key not in self._started_at and key not in self._waiting
            if started:
                self._waiting[key] = job
            if self._idle:
                self._condition.notify()
            elif self._waiting and self._has_room():
                self._starting += 1
                threading.Thread(target=self._run_jobs, name=self._name, daemon=True).start()
            return started

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Start nothing more, and give running jobs a moment to end."""
        end = time.monotonic() + seconds
        with self._condition:
            self._stopped = True
            self._waiting.clear()
            self._condition.notify_all()
            while self._started_at and (left := end - time.monotonic()) > 0:
                self._condition.wait(left)

    def running_seconds(self, key: Hashable) -> float:
        """Seconds since the job started; 0 when none runs."""
        since = self._started_at.get(key)
        return 0.0 if since is None else time.monotonic() - since

    def _has_room(self) -> bool:
        now = time.monotonic()
        return (
            self._starting + sum(now - since < JOB_LIMIT_SECONDS for since in self._started_at.values())
            < self._max_jobs
        )

    def _run_jobs(self) -> None:
        with self._condition:
            self._starting -= 1
        while (next_job := self._take_job()) is not None:
            key, job = next_job
            try:
                job()
            except Exception:
                log.exception("%s: what was to be done for account %s failed", self._name, key)
            finally:
                with self._condition:
                    del self._started_at[key]
                    if self._stopped:
                        self._condition.notify_all()

    def _take_job(self) -> tuple[Hashable, Job] | None:
        with self._condition:
            if self._stopped or not self._has_room():  # this thread exceeded its limit and was replaced
                return None
            if not self._waiting:
                self._idle += 1
                self._condition.wait(IDLE_SECONDS)
                self._idle -= 1
            if not self._waiting:
                return None
            key = next(iter(self._waiting))
            self._started_at[key] = time.monotonic()
            return key, self._waiting.pop(key)
