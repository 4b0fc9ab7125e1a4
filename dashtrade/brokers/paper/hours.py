"""The hours of the US stock market: its trading days, with holidays and half days, and extended hours.

Where the calendar knows nothing (beyond its last day, or while it cannot be computed) every weekday is a
trading day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dashtrade.domain.sessions import Session, Sessions

_OPENS, _CLOSES = time(9, 30), time(16)
_BEFORE = timedelta(hours=5, minutes=30)  # extended hours: from 04:00 to 20:00, on half days to 17:00
_AFTER = timedelta(hours=4)
_DAY = timedelta(days=1)


@lru_cache(maxsize=1)
def _new_york() -> ZoneInfo:
    return ZoneInfo("America/New_York")


class Hours:
    def __init__(self, sessions: Callable[[], Sessions]) -> None:
        self._sessions = sessions

    def in_session(self, moment: datetime, *, extended: bool) -> bool:
        session = self._session(moment.astimezone(_new_york()).date())
        return session is not None and _opens(session, extended) <= moment < _closes(session, extended)

    def session_start(self, moment: datetime) -> datetime:
        """The next regular opening."""
        return next(one.opens_at for one in self._from(moment) if one.opens_at > moment)

    def session_end(self, moment: datetime, *, extended: bool) -> datetime:
        """The end of the session that `moment` lies in, or of the next one."""
        ends = (_closes(one, extended) for one in self._from(moment))
        return next(end for end in ends if end > moment)

    def _from(self, moment: datetime) -> Iterator[Session]:
        """The sessions of that day and after it."""
        day = moment.astimezone(_new_york()).date()
        while True:
            session = self._session(day)
            if session is not None:
                yield session
            day += _DAY

    def _session(self, day: date) -> Session | None:
        label, sessions = datetime.combine(day, time(), UTC), self._sessions()
        if sessions.knows(label):
            return sessions.of_day(label)
        if day.weekday() >= 5:
            return None
        opens, closes = (datetime.combine(day, one, _new_york()).astimezone(UTC) for one in (_OPENS, _CLOSES))
        return Session(day=label, opens_at=opens, closes_at=closes)


def _opens(session: Session, extended: bool) -> datetime:
    return session.opens_at - _BEFORE if extended else session.opens_at


def _closes(session: Session, extended: bool) -> datetime:
    return session.closes_at + _AFTER if extended else session.closes_at
