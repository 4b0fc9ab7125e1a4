"""The gate of a source of market data: its budget of requests, and a circuit that opens when it fails.

Both are in the database, so that all processes together keep to the budget, and a source that is down is
tried by one of them at a time, after growing pauses. The budget is a sliding window in slices: at no moment
are there more requests in a minute, or in a day, than the source allows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.ports import BadCredentials, BrokerError, Clock, NotOffered, Rejected, RetryLater
from dashtrade.domain.values import sha256
from dashtrade.feeds.kinds import Tier
from dashtrade.tables import source_use as table

log = logging.getLogger("dashtrade.sources")

OPENS_AFTER = 3  # failures in a row
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=15)
REFUSED_REST = timedelta(hours=1)  # after a refused key: another key has a gate of its own
PROBE_REST = timedelta(seconds=30)  # for everybody else, while one tries whether it answers again
FORGET_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """At most `limit` requests in any `slices` slices of time."""

    name: str
    limit: int
    slice_seconds: int
    slices: int

    def digest(self, key: str, number: int) -> str:
        """Of a ring that is two longer than the window: what comes round again has been forgotten."""
        return sha256(f"{key}:{self.name}:{number % (self.slices + 2)}")

    def is_full(self, conn: sa.Connection, key: str, now: datetime) -> bool:
        ring = [self.digest(key, number) for number in range(self.slices + 2)]
        return table.used(conn, ring, now) >= self.limit

    def count(self, conn: sa.Connection, key: str, now: datetime) -> None:
        number = int(now.timestamp()) // self.slice_seconds
        ends = datetime.fromtimestamp((number + 1) * self.slice_seconds, UTC)
        forget_at = ends + timedelta(seconds=self.slice_seconds * self.slices)
        table.count(conn, self.digest(key, number), now, forget_at)


class SharedGate:
    """Of one source under one key."""

    def __init__(self, db: Database, clock: Clock, *, source: str, key: str, tier: Tier) -> None:
        self._db, self._clock, self._source = db, clock, source
        self._digest = sha256(f"source:{source}:{key}")
        self._windows = [
            _Window(name=name, limit=limit, slice_seconds=seconds, slices=slices)
            for name, limit, seconds, slices in (
                ("day", tier.per_day, 3600, 24),
                ("minute", tier.per_minute, 10, 6),
            )
            if limit is not None
        ]
        self._has_failed = False

    def enter(self) -> None:
        try:
            refusal = self._db.write_unchecked(self._enter)
        except DatabaseUnavailable as error:
            raise RetryLater(
                f"Requests to {self._source} cannot be counted, as the database is unavailable ({error}). "
                "Nothing was sent.",
                FIRST_REST,
            ) from error
        if refusal is not None:
            raise refusal

    def leave(self, error: BrokerError | None) -> None:
        works = error is None or isinstance(error, (NotOffered, Rejected))
        if works and not self._has_failed:
            return
        try:
            self._db.write_unchecked(lambda conn: self._leave(conn, None if works else error))
        except DatabaseUnavailable as away:  # what the source answered counts more
            log.warning("%s: what became of a request could not be stored: %s", self._source, away)

    def _enter(self, conn: sa.Connection) -> RetryLater | None:
        now = self._clock.now()
        circuit = table.lock(conn, self._digest, now)
        self._has_failed = circuit.failed > 0
        if circuit.rests_until is not None and circuit.rests_until > now:
            return self._later("does not answer, or asked to wait", circuit.rests_until - now)
        for window in self._windows:
            if window.is_full(conn, self._digest, now):
                wait = timedelta(seconds=window.slice_seconds)
                return self._later(f"has had its {window.limit} requests a {window.name}", wait)
        for window in self._windows:
            window.count(conn, self._digest, now)
        if circuit.failed >= OPENS_AFTER:
            until = now + PROBE_REST
            table.rest(conn, self._digest, circuit.failed, until, until + FORGET_AFTER)
        return None

    def _leave(self, conn: sa.Connection, error: BrokerError | None) -> None:
        now = self._clock.now()
        failed = table.lock(conn, self._digest, now).failed
        if error is None:
            table.clear(conn, self._digest)
            return
        if isinstance(error, RetryLater):
            until: datetime | None = now + error.after
        elif isinstance(error, BadCredentials):
            until = now + REFUSED_REST
        else:
            failed += 1
            over = failed - OPENS_AFTER
            until = now + min(FIRST_REST * 2 ** min(over, 12), LONGEST_REST) if over >= 0 else None
        table.rest(conn, self._digest, failed, until, (until or now) + FORGET_AFTER)

    def _later(self, why: str, wait: timedelta) -> RetryLater:
        return RetryLater(f"{self._source} {why}: not asked for {wait.total_seconds():.0f} s.", wait)
