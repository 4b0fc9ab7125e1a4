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
MOST_AT_ONCE = 32
LIMIT_SECONDS = 10.0  # for one job; after that its broker counts as hanging
STOP_SECONDS = 1.0  # how long the end of the process waits for running jobs
IDLE_SECONDS = 10.0  # how long a thread waits for more work

Job = Callable[[], object]


class AccountJobs:
    def __init__(self, name: str, most: int = MOST_AT_ONCE) -> None:
        self._name, self._most = name, most
        self._waiting: dict[Hashable, Job] = {}
        self._started_at: dict[Hashable, float] = {}  # of running jobs
        self._idle, self._starting = 0, 0  # waiting threads, and threads about to start
        self._stopped = False
        self._free = threading.Condition()

    def start(self, key: Hashable, job: Job) -> bool:
        """Start the account's job. False if its previous job is still running."""
        with self._free:
            begun = not self._stopped and key not in self._started_at and key not in self._waiting
            if begun:
                self._waiting[key] = job
            if self._idle:
                self._free.notify()
            elif self._waiting and self._has_room():
                self._starting += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            return begun

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Start nothing more, and give running jobs a moment to end."""
        end = time.monotonic() + seconds
        with self._free:
            self._stopped = True
            self._waiting.clear()
            self._free.notify_all()
            while self._started_at and (left := end - time.monotonic()) > 0:
                self._free.wait(left)

    def running(self, key: Hashable) -> float:
        """Seconds since the job started; 0 when none runs."""
        since = self._started_at.get(key)
        return 0.0 if since is None else time.monotonic() - since

    def _has_room(self) -> bool:
        now = time.monotonic()
        return (
            self._starting + sum(now - since < LIMIT_SECONDS for since in self._started_at.values())
            < self._most
        )

    def _work(self) -> None:
        with self._free:
            self._starting -= 1
        while (found := self._next()) is not None:
            key, job = found
            try:
                job()
            except Exception:
                log.exception("%s: what was to be done for account %s failed", self._name, key)
            finally:
                with self._free:
                    del self._started_at[key]
                    if self._stopped:
                        self._free.notify_all()

    def _next(self) -> tuple[Hashable, Job] | None:
        with self._free:
            if self._stopped or not self._has_room():  # this thread exceeded its limit and was replaced
                return None
            if not self._waiting:
                self._idle += 1
                self._free.wait(IDLE_SECONDS)
                self._idle -= 1
            if not self._waiting:
                return None
            key = next(iter(self._waiting))
            self._started_at[key] = time.monotonic()
            return key, self._waiting.pop(key)
