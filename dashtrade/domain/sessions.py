"""The trading days of a market: when each opens and closes, holidays and half days included.

Kept as plain columns of milliseconds, so that what asks for the hours of a market needs no calendar library:
`market.calendar` computes them."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from operator import add

from dashtrade.domain.record import record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_COLUMNS = 3


@record
class Session:
    day: datetime  # its date, as 00:00 UTC
    opens_at: datetime
    closes_at: datetime


@record(eq=False)
class Sessions:
    """Oldest first, in milliseconds since 1970. Outside the first and the last day nothing is known."""

    days: array[int]
    opens: array[int]
    closes: array[int]

    def __len__(self) -> int:
        return len(self.days)

    def __getitem__(self, index: int) -> Session:
        at = (self.days[index], self.opens[index], self.closes[index])
        day, opens, closes = (_EPOCH + ms * _MS for ms in at)
        return Session(day=day, opens_at=opens, closes_at=closes)

    def knows(self, moment: datetime) -> bool:
        """Is there a session before it and one after it?"""
        ms = (moment - _EPOCH) // _MS
        return bool(self.days) and self.opens[0] <= ms < self.opens[-1]

    def ending_after(self, moment: datetime) -> int:
        """The session that `moment` lies in, or the next one."""
        return bisect_right(self.closes, (moment - _EPOCH) // _MS)

    def of_day(self, day: datetime) -> Session | None:
        ms = (day - _EPOCH) // _MS
        index = bisect_left(self.days, ms)
        return self[index] if index < len(self) and self.days[index] == ms else None

    def to_bytes(self) -> bytes:
        """As differences, which compress to a tenth."""
        from_midnight = (opens - day for day, opens in zip(self.days, self.opens, strict=True))
        lengths = (closes - opens for opens, closes in zip(self.opens, self.closes, strict=True))
        between = (day - before for before, day in pairwise([0, *self.days]))
        return zlib.compress(array("q", [*between, *from_midnight, *lengths]).tobytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Sessions:
        whole = array("q", zlib.decompress(data))
        count = len(whole) // _COLUMNS
        between, from_midnight, lengths = (
            whole[count * part : count * (part + 1)] for part in range(_COLUMNS)
        )
        days = array("q", accumulate(between))
        opens = array("q", map(add, days, from_midnight))
        return cls(days=days, opens=opens, closes=array("q", map(add, opens, lengths)))


NO_SESSIONS = Sessions(days=array("q"), opens=array("q"), closes=array("q"))
