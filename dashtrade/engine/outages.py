"""Log lines about unreachable accounts: one when the outage begins, one when it ends, few in between.

Several loops call the same broker. The first loop that fails logs it; the others stay silent."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashtrade.domain.ports import Clock

log = logging.getLogger("dashtrade.outages")

REPEAT_AFTER, REPEAT_MOST = timedelta(minutes=5), timedelta(hours=4)  # doubled each time


def backed_off(tries: int, first: timedelta, most: timedelta) -> timedelta:
    """The delay after this many consecutive failures, doubled each time."""
    return min(first * 2 ** min(max(tries - 1, 0), 20), most)


@dataclass(slots=True)
class _Outage:
    since: datetime
    reports: bool  # this loop logs the outage; False: another one does
    next_line: datetime
    gap: timedelta
    tries: int = 0


class Outages:
    """Safe to use from several threads."""

    def __init__(self, clock: Clock, write: Callable[..., None] = log.warning) -> None:
        self._clock, self._write = clock, write
        self._of: dict[tuple[int, str], _Outage] = {}
        self._lock = threading.Lock()

    def record_failure(self, account_id: int, what: str, words: str) -> int:
        """`what` failed for the account. Returns the number of consecutive failures."""
        now = self._clock.now()
        with self._lock:
            outage = self._of.get((account_id, what))
            if outage is None:
                reports = not any(known == account_id for known, _ in self._of)
                outage = self._of[account_id, what] = _Outage(
                    since=now, reports=reports, next_line=now + REPEAT_AFTER, gap=REPEAT_AFTER
                )
                if reports:
                    self._write("account %s cannot be reached (%s): %s", account_id, what, words)
            elif now >= outage.next_line:
                outage.gap = min(outage.gap * 2, REPEAT_MOST)
                outage.next_line = now + outage.gap
                outage.reports = outage.reports or not any(
                    of.reports for (known, _), of in self._of.items() if known == account_id
                )
                if outage.reports:
                    self._write(
                        "account %s cannot be reached since %s, %s tries (%s): %s",
                        account_id,
                        _clock(outage.since),
                        outage.tries,
                        what,
                        words,
                    )
            outage.tries += 1
            return outage.tries

    def recovered(self, account_id: int, what: str) -> bool:
        """`what` succeeded. True if it had failed before."""
        with self._lock:
            outage = self._of.pop((account_id, what), None)
            if outage is not None and outage.reports:
                self._write(
                    "account %s answers again (%s), after %s tries since %s",
                    account_id,
                    what,
                    outage.tries,
                    _clock(outage.since),
                )
            return outage is not None

    def forget(self, account_id: int) -> None:
        with self._lock:
            for key in [key for key in self._of if key[0] == account_id]:
                del self._of[key]


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
