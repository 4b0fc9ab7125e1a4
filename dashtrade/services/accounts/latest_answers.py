"""A cache of the last answer to each question put to a remote broker. Readers get the answer at once; a
stale one is refreshed in the background.

It serves what no account reading contains: quotes and candles. Only the first reader of a question waits,
briefly, and not while the broker is known to be slow."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dashtrade.domain.ports import BrokerError, Clock, RetryLater
from dashtrade.engine.account_jobs import AccountJobs
from dashtrade.engine.outages import backoff_delay

log = logging.getLogger("dashtrade.latest")

FIRST_WAIT_SECONDS = 0.3  # seconds, for the first answer to a question
SLOW_SECONDS = 1.0  # seconds after which a failure is blamed on the broker, not on the one question
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=2), timedelta(seconds=60)
MAX_ANSWERS = 4000

Ask = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestAnswer:
    value: Any
    at: Any  # time of the request, by the clock
    age_from: float


@dataclass(slots=True)
class _Failing:
    tries: int = 0
    until: float = 0.0  # not retried before

    def again(self, least: float = 0.0) -> None:
        self.tries += 1
        self.until = time.monotonic() + max(
            backoff_delay(self.tries, FIRST_RETRY, LONGEST_RETRY).total_seconds(), least
        )


@dataclass(slots=True)
class _Line:
    """The queue to one account's broker: one question at a time."""

    wanted: OrderedDict[Hashable, tuple[Ask, Clock]] = field(default_factory=OrderedDict)
    failing: _Failing = field(default_factory=_Failing)
    asking_since: float | None = None


class LatestAnswers:
    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, LatestAnswer] = OrderedDict()
        self._lines: dict[Hashable, _Line] = {}
        self._failing: dict[Hashable, _Failing] = {}
        self._news = threading.Condition()
        self._apart = AccountJobs("latest")

    def get(
        self,
        account: Hashable,
        key: Hashable,
        life: float,
        ask: Ask,
        clock: Clock,
        *,
        wait: float | None = None,
    ) -> LatestAnswer | None:
        """An answer not older than `life` seconds if available without waiting (or within `wait`);
        otherwise the last answer, or None."""
        with self._news:
            answer, line = self._known.get(key), self._lines.setdefault(account, _Line())
            now = time.monotonic()
            if answer is not None and now - answer.age_from <= life:
                return answer
            failing = self._failing.get(key)
            if now < line.failing.until or (failing is not None and now < failing.until):
                return answer
            line.wanted.setdefault(key, (ask, clock))
            if wait is None:
                slow = line.failing.tries or (
                    line.asking_since is not None and now - line.asking_since > FIRST_WAIT_SECONDS
                )
                wait = 0.0 if answer is not None or failing is not None or slow else FIRST_WAIT_SECONDS
        self._apart.start(account, lambda: self._drain(line))
        end = now + wait
        while time.monotonic() < end:
            with self._news:
                if (
                    self._known.get(key) is not answer
                    or self._failing.get(key) is not failing
                    or line.failing.tries
                ):
                    break
                self._news.wait(min(0.05, max(end - time.monotonic(), 0)))
            # the request may have ended meanwhile
            self._apart.start(account, lambda: self._drain(line))
        return self._known.get(key)

    def _drain(self, line: _Line) -> None:
        while True:
            with self._news:
                if not line.wanted:
                    line.asking_since = None
                    return
                key, (ask, clock) = line.wanted.popitem(last=False)
                line.asking_since = began = time.monotonic()
            asked = clock.now()
            try:
                value = ask()
            except Exception as error:
                if not isinstance(error, BrokerError):
                    log.exception("a question to a broker failed: %s", key)
                self._note_failure(line, key, error, time.monotonic() - began)
            else:
                self._note(line, key, LatestAnswer(value=value, at=asked, age_from=began))

    def _note(self, line: _Line, key: Hashable, answer: LatestAnswer) -> None:
        with self._news:
            line.failing = _Failing()
            self._failing.pop(key, None)
            self._known[key] = answer
            self._known.move_to_end(key)
            while len(self._known) > MAX_ANSWERS:
                self._known.popitem(last=False)
            self._news.notify_all()

    def _note_failure(self, line: _Line, key: Hashable, error: Exception, took: float) -> None:
        """A broker that hangs is paused; a single refused question does not block the others."""
        with self._news:
            before = self._failing.get(key, _Failing())
            failing = self._failing[key] = _Failing(tries=before.tries)
            failing.again()
            while len(self._failing) > MAX_ANSWERS:
                self._failing.pop(next(iter(self._failing)))
            if took > SLOW_SECONDS or isinstance(error, RetryLater):
                line.failing.again(error.after.total_seconds() if isinstance(error, RetryLater) else 0.0)
                line.wanted.clear()
            self._news.notify_all()
