"""One's own candles from a file: read, checked row by row, and made into bars.

A dry run is the same reading without storing. Whatever is wrong is named with its row; a file with one wrong
row is not imported at all. Gaps are told and are no error."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from dashtrade.domain.sessions import Sessions
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.market import timeframes
from dashtrade.market.bars import EPOCH, PRICES, Bars, bars_of, joined, ms_of, no_bars

FIELDS = ("time", *PRICES, "volume")
NAMES = {
    "time": ("time", "date", "datetime", "timestamp", "opentime", "at", "t"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c", "last"),
    "volume": ("volume", "v", "vol", "volumebtc", "tickvol", "tickvolume"),
}
MOST_ROWS = 600_000  # more than a year of minutes; they take half a kilobyte each while they are checked
MOST_UNPACKED = 512 * 1024 * 1024  # bytes of a Parquet file
MOST_TOLD = 100  # problems, and gaps, that are listed; all are counted
_MS = timedelta(milliseconds=1)
_DAY_MS = 86_400_000
_ROWS_AT_ONCE = 20_000


class Fault(StrEnum):
    """What is wrong with a row."""

    NO_TIME = "no_time"  # cannot be read as one
    NO_NUMBER = "no_number"
    NOT_POSITIVE = "not_positive"  # a price of zero or less
    NEGATIVE_VOLUME = "negative_volume"
    HIGH_TOO_LOW = "high_too_low"  # below the open, the close or the low
    LOW_TOO_HIGH = "low_too_high"
    DUPLICATE = "duplicate"  # of the time of the row before
    OUT_OF_ORDER = "out_of_order"
    OFF_GRID = "off_grid"  # between the open times of the others
    IN_THE_FUTURE = "in_the_future"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    row: int  # as a spreadsheet counts: the heading is row 1
    field: str
    fault: Fault
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """A file's columns, and where each field is."""

    names: tuple[str, ...]
    of_field: Mapping[str, int]
    rows: Sequence[Sequence[Any]]
    first_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file holds. `bars` has all its candles where there is no problem, and none otherwise."""

    bars: Bars
    timeframe: Timeframe
    rows: int
    columns: Mapping[str, str]  # field: the file's own name
    problems: tuple[Problem, ...]
    problem_count: int
    gaps: tuple[tuple[datetime, datetime, int], ...] = ()
    gap_count: int = 0
    missing_bars: int = 0

    @property
    def is_good(self) -> bool:
        return not self.problem_count


def read(
    data: bytes,
    *,
    timeframe: Timeframe | None,
    now: datetime,
    sessions: Sessions | None = None,
    columns: Mapping[str, str] | None = None,
    zone: ZoneInfo | None = None,
) -> Reading:
    """`timeframe`: None takes what most rows are apart. `columns`: which of the file's columns is which
    field, where the names do not say. `zone`: of times that name none; UTC otherwise."""
    table = parquet_columns(data, columns or {}) if data[:4] == b"PAR1" else csv_columns(data, columns or {})
    found = _Found(table, zone)
    at = found.times()
    timeframe = timeframe or _usual(at)
    if len(at) > 1 and at[0] is not None and at[-1] is not None and at[0] > at[-1]:  # newest first
        at.reverse()
        found.reverse()
    at = found.on_the_grid(at, timeframe)
    found.check_order(at)
    found.check_ended(at, timeframe, sessions, now)
    try:
        bars = found.bars(at)
    except ValueError as error:  # each number is one, and together they do not fit into steps
        raise Malformed(
            f"the file's numbers do not fit together: {error}", where="file", hint="Round its prices."
        ) from error
    gaps = _gaps(bars, timeframe, sessions)
    named = {name: table.names[place] for name, place in table.of_field.items()}
    problems = sorted(found.problems, key=lambda one: (one.row, FIELDS.index(one.field)))
    return Reading(
        bars=bars,
        timeframe=timeframe,
        rows=len(table.rows),
        columns=named,
        problems=tuple(problems[:MOST_TOLD]),
        problem_count=found.problem_count,
        gaps=tuple(gaps[:MOST_TOLD]),
        gap_count=len(gaps),
        missing_bars=sum(bars for _, _, bars in gaps),
    )


def _gaps(
    bars: Bars, timeframe: Timeframe, sessions: Sessions | None
) -> list[tuple[datetime, datetime, int]]:
    if not len(bars):
        return []
    start, end = (EPOCH + int(at) * _MS for at in (bars.at[0], bars.at[-1]))
    found = timeframes.gaps(bars.at, timeframe, sessions, start, end)
    return [(EPOCH + first * _MS, EPOCH + last * _MS, count) for first, last, count in found]


# --- files --------------------------------------------------------------------------------------------------


def csv_columns(data: bytes, given: Mapping[str, str]) -> Columns:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(
            "the file is not text in UTF-8", where="file", hint="Save it as CSV, UTF-8."
        ) from error
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if row]
    except csv.Error as error:
        raise Malformed(
            f"the file is no CSV: {error}", where="file", hint="Save it as CSV, UTF-8."
        ) from error
    if rows and not given and _number(rows[0][1] if len(rows[0]) > 1 else "") is not None:
        names = (*FIELDS, *(f"column {n + 1}" for n in range(len(FIELDS), len(rows[0]))))[: len(rows[0])]
        return _columns(names, rows, given, first_row=1)  # no heading, as exchanges publish them
    return _columns(rows[0] if rows else (), rows[1:], given, first_row=2)


def parquet_columns(data: bytes, given: Mapping[str, str]) -> Columns:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise Malformed(
            "Parquet files cannot be read here", where="file", hint="Install pyarrow, or save it as CSV."
        ) from error
    try:
        file = ParquetFile(io.BytesIO(data))
        meta = file.metadata
        unpacked = sum(meta.row_group(number).total_byte_size for number in range(meta.num_row_groups))
        if meta.num_rows > MOST_ROWS or unpacked > MOST_UNPACKED:
            raise _too_long(meta.num_rows)
        table = file.read()
    except (ArrowInvalid, OSError) as error:
        raise Malformed("the file is no Parquet file", where="file", hint="Save it again.") from error
    columns = [column.to_pylist() for column in table.columns]
    return _columns(table.column_names, list(zip(*columns, strict=True)), given, first_row=2)


def _too_long(rows: int) -> Malformed:
    return Malformed(
        f"the file has {rows:,} rows; {MOST_ROWS:,} can be imported at once", where="file", hint="Split it."
    )


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[Any]], given: Mapping[str, str], *, first_row: int
) -> Columns:
    if len(rows) > MOST_ROWS:
        raise _too_long(len(rows))
    if not rows:
        raise Malformed("the file holds no rows", where="file", hint="It needs a heading and candles.")
    places: dict[str, int] = {}
    for field in FIELDS:
        wanted = (given[field],) if field in given else NAMES[field]
        plain = str.strip if field in given else _plain_name
        matching = [place for place, name in enumerate(names) if plain(name) in wanted]
        if len(matching) > 1:
            matching = [place for place in matching if _plain_name(names[place]) == wanted[0]][:1]
        if matching:
            places[field] = matching[0]
        elif field in given or field != "volume":
            raise Malformed(
                f"there is no column for the {field}",
                where=f"columns.{field}",
                hint=f"The file has: {', '.join(names)[:200]}. Say which one is the {field}.",
            )
    return Columns(names=tuple(names), of_field=places, rows=rows, first_row=first_row)


def _plain_name(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


# --- rows ---------------------------------------------------------------------------------------------------


class _Found:
    """The rows' values, and what is wrong with them."""

    def __init__(self, table: Columns, zone: ZoneInfo | None) -> None:
        self.problems: list[Problem] = []  # the first of each fault
        self.problem_count = 0
        self._table, self._zone, self._rows = table, zone, list(table.rows)
        self._numbers = list(range(table.first_row, table.first_row + len(table.rows)))
        self._told: Counter[Fault] = Counter()

    def reverse(self) -> None:
        self._numbers.reverse()
        self._rows.reverse()

    def times(self) -> list[int | None]:
        zone = self._zone or UTC
        return self._column("time", slice(None), lambda value: _moment(value, zone), Fault.NO_TIME)

    def bars(self, at: Sequence[int | None]) -> Bars:
        """None, once there is a problem; some rows at a time, as a Decimal is twelve times a bar's number."""
        parts = []
        for start in range(0, len(at), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            columns = [self._numbers_of(name, part) for name in (*PRICES, "volume")]
            self._check_numbers(part, columns)
            if not self.problem_count:
                rows = zip(at[part], *columns, strict=True)
                parts.append(bars_of(rows))
        return no_bars() if self.problem_count else joined(parts)

    def _numbers_of(self, name: str, part: slice) -> list[Decimal | None]:
        if name not in self._table.of_field:
            return [Decimal(0)] * len(self._numbers[part])
        return self._column(name, part, _number, Fault.NO_NUMBER)

    def _column(self, name: str, part: slice, parse: Callable[[Any], Any], fault: Fault) -> list[Any]:
        place, values = self._table.of_field[name], []
        for number, row in zip(self._numbers[part], self._rows[part], strict=True):
            value = row[place] if place < len(row) else ""
            values.append(parse(value))
            if values[-1] is None:
                self._problem(number, name, fault, value)
        return values

    def _problem(self, row: int, field: str, fault: Fault, value: object) -> None:
        self.problem_count += 1
        self._told[fault] += 1
        if self._told[fault] <= MOST_TOLD:
            self.problems.append(Problem(row=row, field=field, fault=fault, value=str(value)[:60]))

    def _check_numbers(self, part: slice, columns: Sequence[Sequence[Decimal | None]]) -> None:
        for row, *values in zip(self._numbers[part], *columns, strict=True):
            for name, value in zip(PRICES, values, strict=False):
                if value is not None and value <= 0:
                    self._problem(row, name, Fault.NOT_POSITIVE, value)
            if values[4] is not None and values[4] < 0:
                self._problem(row, "volume", Fault.NEGATIVE_VOLUME, values[4])
            if None in values[:4]:
                continue
            opening, high, low, close = values[:4]
            if high < max(opening, close, low):
                self._problem(row, "high", Fault.HIGH_TOO_LOW, high)
            if low > min(opening, close, high):
                self._problem(row, "low", Fault.LOW_TOO_HIGH, low)

    def on_the_grid(self, at: list[int | None], timeframe: Timeframe) -> list[int | None]:
        """Those of days and longer become their date."""
        span = timeframe.seconds * 1000
        if span >= _DAY_MS:
            at = [None if one is None else self._date_of(one) for one in at]
            known = np.array([one for one in at if one is not None], np.int64)
            on = set(timeframes.labels_by_date(known, timeframe).tolist())
            off = [one is not None and one not in on for one in at]
        else:
            places = [one % span for one in at if one is not None]
            usual = Counter(places).most_common(1)[0][0] if places else 0
            off = [one is not None and one % span != usual for one in at]
        for row, one, is_off in zip(self._numbers, at, off, strict=True):
            if is_off and one is not None:
                self._problem(row, "time", Fault.OFF_GRID, EPOCH + one * _MS)
        return at

    def _date_of(self, at: int) -> int:
        day = (EPOCH + at * _MS).astimezone(self._zone or UTC).date()
        return ms_of(datetime.combine(day, time(), UTC))

    def check_order(self, at: Sequence[int | None]) -> None:
        last: int | None = None
        for row, one in zip(self._numbers, at, strict=True):
            if one is None:
                continue
            if last is not None and one <= last:
                fault = Fault.DUPLICATE if one == last else Fault.OUT_OF_ORDER
                self._problem(row, "time", fault, EPOCH + one * _MS)
            last = one if last is None else max(one, last)

    def check_ended(
        self, at: Sequence[int | None], timeframe: Timeframe, sessions: Sessions | None, now: datetime
    ) -> None:
        ends = timeframes.ends(np.array([one or 0 for one in at], np.int64), timeframe, sessions)
        for place in np.flatnonzero(ends > ms_of(now)).tolist():
            one = at[place]
            if one is not None:
                self._problem(self._numbers[place], "time", Fault.IN_THE_FUTURE, EPOCH + one * _MS)


def _usual(at: Iterable[int | None]) -> Timeframe:
    """What most rows are apart; months and weeks too."""
    known = np.unique(np.array([one for one in at if one is not None], np.int64))
    apart, counts = np.unique(np.diff(known) // 1000, return_counts=True)
    usual = int(apart[counts.argmax()]) if len(apart) else 0
    if 28 * 86_400 <= usual <= 31 * 86_400:
        usual = 30 * 86_400
    if usual < 1:
        raise Malformed(
            "the rows do not say how long a candle is", where="timeframe", hint="Name it, such as 1h."
        )
    return Timeframe(usual)


def _number(value: object) -> Decimal | None:
    if isinstance(value, float):
        value = repr(value)  # the shortest decimal that is this float
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 20 else None


def _moment(value: object, zone: ZoneInfo | Any) -> int | None:
    """Milliseconds since 1970, of an epoch in any unit or of a written time."""
    if isinstance(value, datetime):
        return ms_of(value if value.tzinfo else value.replace(tzinfo=zone))
    if isinstance(value, date):
        return ms_of(datetime.combine(value, time(), zone))
    number = _number(value)
    if number is not None:
        return _epoch(number)
    if not isinstance(value, str):
        return None
    written = value.strip()
    if len(written) > 9 and written[4] == written[7] == ".":  # 2026.11.30 14:30
        written = written[:10].replace(".", "-") + written[10:]
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        return None
    return ms_of(found if found.tzinfo else found.replace(tzinfo=zone))


def _epoch(number: Decimal) -> int | None:
    """Seconds, milliseconds, microseconds or nanoseconds: whichever is a time between 1973 and 2200."""
    for power in (3, 0, -3, -6):
        ms = int(number.scaleb(power))
        if 10**11 <= ms < 7_258_118_400_000:
            return ms
    return None
