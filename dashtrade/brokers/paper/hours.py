"""The hours of the US stock market, without holidays and half days."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1)
def _new_york() -> ZoneInfo:
    return ZoneInfo("America/New_York")


def in_session(moment: datetime, *, extended: bool) -> bool:
    local = moment.astimezone(_new_york())
    opens, closes = (time(4), time(20)) if extended else (time(9, 30), time(16))
    return local.weekday() < 5 and opens <= local.time() < closes


def session_start(moment: datetime) -> datetime:
    """The next regular opening."""
    local = moment.astimezone(_new_york())
    day = local.date() + timedelta(days=local.time() >= time(9, 30))
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return datetime.combine(day, time(9, 30), _new_york()).astimezone(UTC)


def session_end(moment: datetime, *, extended: bool) -> datetime:
    """The end of the session that `moment` lies in, or of the next one."""
    local, closes = moment.astimezone(_new_york()), time(20) if extended else time(16)
    day = local.date() + timedelta(days=local.time() >= closes)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    return datetime.combine(day, closes, _new_york())
