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

REPEAT_AFTER, LONGEST_REPEAT = timedelta(minutes=5), timedelta(hours=4)  # doubled each time


def backoff_delay(tries: int, first: timedelta, most: timedelta) -> timedelta:
    """The delay after this many consecutive failures, doubled each time."""
    return min(first * 2 ** min(max(tries - 1, 0), 20), most)


@dataclass(slots=True)
class _Outage:
    since: datetime
    reports: bool  # this loop logs the outage; False: another one does
    next_line_at: datetime
    repeat_after: timedelta
    tries: int = 0


class Outages:
    """Safe to use from several threads."""

    def __init__(self, clock: Clock, write_line: Callable[..., None] = log.warning) -> None:
        self._clock, self._write_line = clock, write_line
        self._outages: dict[tuple[int, str], _Outage] = {}
        self._lock = threading.Lock()

    def record_failure(self, account_id: int, what: str, message: str) -> int:
        """`what` failed for the account. Returns the number of consecutive failures."""
        now = self._clock.now()
        with self._lock:
            outage = self._outages.get((account_id, what))
            if outage is None:
                reports = not any(known_id == account_id for known_id, _ in self._outages)
                outage = self._outages[account_id, what] = _Outage(
                    since=now, reports=reports, next_line_at=now + REPEAT_AFTER, repeat_after=REPEAT_AFTER
                )
                if reports:
                    self._write_line("account %s cannot be reached (%s): %s", account_id, what, message)
            elif now >= outage.next_line_at:
                outage.repeat_after = min(outage.repeat_after * 2, LONGEST_REPEAT)
                outage.next_line_at = now + outage.repeat_after
                outage.reports = outage.reports or not any(
                    other.reports for (known_id, _), other in self._outages.items() if known_id == account_id
                )
                if outage.reports:
                    self._write_line(
                        "account %s cannot be reached since %s, %s tries (%s): %s",
                        account_id,
                        _time_text(outage.since),
                        outage.tries,
                        what,
                        message,
                    )
            outage.tries += 1
            return outage.tries

    def recovered(self, account_id: int, what: str) -> bool:
        """`what` succeeded. True if it had failed before."""
        with self._lock:
            outage = self._outages.pop((account_id, what), None)
            if outage is not None and outage.reports:
                self._write_line(
                    "account %s answers again (%s), after %s tries since %s",
                    account_id,
                    what,
                    outage.tries,
                    _time_text(outage.since),
                )
            return outage is not None

    def forget(self, account_id: int) -> None:
        with self._lock:
            for key in [key for key in self._outages if key[0] == account_id]:
                del self._outages[key]


def _time_text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
