"""The trading days of New York, computed once for all tests."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from dashtrade.domain.sessions import Sessions
from dashtrade.market import calendar


@lru_cache(maxsize=1)
def new_york() -> Sessions:
    return calendar.compute("XNYS", date(2028, 6, 1))
