"""The trading days of markets, for whoever needs them: from memory, from the database, else computed.

The calendar library is loaded in a process of its own that ends with its answer: none of ours keeps its
100 MB. That takes about two seconds, once for an installation; renewing happens beside the work."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.ports import Clock
from dashtrade.domain.sessions import NO_SESSIONS, Sessions
from dashtrade.tables import candles

log = logging.getLogger("dashtrade.trading_days")
ROOT = Path(__file__).resolve().parents[1]
AHEAD = timedelta(days=2 * 365)
RENEW_AFTER = timedelta(days=30)  # a new release of the library may know of another holiday
RETRY_AFTER = timedelta(hours=1)
COMPUTE_TIMEOUT_SECONDS = 60


class CannotCompute(Exception):
    """The calendar library did not answer."""


def compute_in_own_process(calendar: str, until: date) -> Sessions:
    command = [sys.executable, "-m", "dashtrade.market.calendar", calendar, until.isoformat()]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, timeout=COMPUTE_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompute(str(error)) from error
    if done.returncode:
        raise CannotCompute(done.stderr.decode(errors="replace").strip()[-300:])
    return Sessions.from_bytes(done.stdout)


@dataclass(frozen=True, slots=True)
class _Known:
    sessions: Sessions
    renew_at: datetime


class TradingDays:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()
        self._renewing: set[str] = set()

    def sessions(self, calendar: str) -> Sessions:
        """Of a calendar by its name, such as XNYS. Empty if nothing could be computed: try again later."""
        known = self._known.get(calendar) or self._load(calendar)
        if known.renew_at <= self._clock.now():
            self._renew(calendar)
        return known.sessions

    def _load(self, calendar: str) -> _Known:
        """Without a lock, as the caller may be in a transaction: two that load at once know the same."""
        with self._db.read() as conn:
            stored = candles.sessions(conn, calendar)
        if stored is None:
            return self._compute(calendar, NO_SESSIONS)
        computed_at, data = stored
        self._known[calendar] = _Known(Sessions.from_bytes(data), computed_at + RENEW_AFTER)
        return self._known[calendar]

    def _renew(self, calendar: str) -> None:
        """Beside the work, which goes on with what is known."""
        with self._lock:
            if calendar in self._renewing:
                return
            self._renewing.add(calendar)
        threading.Thread(target=self._renewed, args=(calendar,), name="trading days", daemon=True).start()

    def _renewed(self, calendar: str) -> None:
        try:
            self._compute(calendar, self._known[calendar].sessions)
        finally:
            self._renewing.discard(calendar)

    def _compute(self, calendar: str, otherwise: Sessions) -> _Known:
        now = self._clock.now()
        try:
            found = compute_in_own_process(calendar, (now + AHEAD).date())
        except CannotCompute as error:
            log.warning("the trading days of %s cannot be computed, weekdays count: %s", calendar, error)
            self._known[calendar] = _Known(otherwise, now + RETRY_AFTER)
            return self._known[calendar]
        self._known[calendar] = _Known(found, now + RENEW_AFTER)
        try:
            self._db.write(lambda conn: candles.put_sessions(conn, calendar, found.to_bytes(), now))
        except DatabaseUnavailable as error:
            log.warning("the trading days of %s are not stored: %s", calendar, error)
        return self._known[calendar]
