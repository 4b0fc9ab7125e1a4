"""A source's rows made into bars: in order, each open time once, without what cannot be a candle.

Sources repeat candles at the edges of pages, sort them either way, and now and then send a low above the
high. What is wrong is left out and counted in the log; the gap shows in `History.missing`. numpy is loaded
with the first answer, not with the table of sources."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import finite

if TYPE_CHECKING:
    from dashtrade.market.bars import Bars

log = logging.getLogger("dashtrade.feeds")

# open time in ms, open, high, low, close, volume
Row = tuple[int, Decimal, Decimal, Decimal, Decimal, Decimal]
NEW_YORK = ZoneInfo("America/New_York")
_DAY = 86_400
# What is beyond the fifteenth digit is an error of the source's own floats: 160.31500000000001.
_FIFTEEN = Context(prec=15)
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row(at: int, opening: object, high: object, low: object, close: object, volume: object) -> Row | None:
    """None: no candle, as a price is missing or no price. Whatever the source calls a number is read: JSON
    has to be parsed with `parse_float=Decimal`, or its last digit is lost."""
    read = [finite(value) for value in (opening, high, low, close, volume)]
    numbers = [_FIFTEEN.plus(number) for number in read if number is not None]
    if len(numbers) < 5 or min(numbers[:4]) <= 0 or numbers[4] < 0:
        return None
    first, top, bottom, last, amount = numbers
    fits = bottom <= min(first, last) and max(first, last) <= top
    return (at, first, top, bottom, last, amount) if fits else None


def bars_of_rows(
    name: str,
    rows: Iterable[Row | None],
    start: datetime,
    end: datetime,
    ended_by: datetime,
    timeframe: Timeframe,
) -> Bars:
    """Those that open within the range and have ended by then. Of two with one open time the later answer
    counts: it knows more of the candle."""
    from dashtrade.market.bars import bars_of

    first, last, ended = ms_of(start), ms_of(end), ms_of(ended_by) - timeframe.seconds * 1000
    kept: dict[int, Row] = {}
    unusable = 0
    for each in rows:
        if each is None:
            unusable += 1
        elif first <= each[0] < last and each[0] <= ended:
            kept[each[0]] = each
    if unusable:
        log.warning("%s sent %s candles that cannot be any: they are left out", name, unusable)
    return bars_of(kept[at] for at in sorted(kept))


def session_day(moment: datetime) -> int:
    """The open time of a daily bar of a US stock: 00:00 UTC of its day in New York, in ms. Sources name it by
    midnight there, which is 04:00 or 05:00 UTC."""
    day = moment.astimezone(NEW_YORK).date()
    return (day - _EPOCH.date()).days * _DAY * 1000


def from_new_york(text: str) -> datetime:
    """A naive time of New York. In the hour that autumn repeats no exchange trades; the earlier one is
    taken."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970, rounded down; without loading numpy."""
    return (moment - _EPOCH) // _MS


def from_ms(ms: int) -> datetime:
    return _EPOCH + ms * _MS
