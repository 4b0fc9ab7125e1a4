"""Files of candles: what is good is read to the last digit, what is wrong is named with its row."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.market import importing
from dashtrade.market.bars import moment_of
from dashtrade.market.importing import Fault, Reading
from tests.support.sessions import new_york

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
HEADING = "time,open,high,low,close,volume"


def read(text: str, **options) -> Reading:
    given = {"timeframe": None, "now": NOW} | options
    return importing.read(text.encode(), **given)


def lines(*rows: str, heading: str = HEADING) -> str:
    return "\n".join([heading, *rows]) + "\n"


GOOD = lines(
    "2026-11-20T10:00:00Z,100.25,101,99.5,100.5,12.125",
    "2026-11-20T10:01:00Z,100.5,102.75,100,102,0",
    "2026-11-20T10:02:00Z,102,102,101,101.001,3",
)


def faults(reading: Reading) -> list[tuple[int, str, Fault]]:
    return [(one.row, one.field, one.fault) for one in reading.problems]


def test_a_good_file_is_read_to_the_last_digit():
    reading = read(GOOD)
    assert reading.is_good and reading.rows == 3 and reading.timeframe == Timeframe(60)
    first, *_, last = reading.bars.candles()
    assert (first.at, first.open, first.volume) == (
        datetime(2026, 11, 20, 10, tzinfo=UTC),
        Decimal("100.25"),
        Decimal("12.125"),
    )
    assert last.close == Decimal("101.001") and reading.gaps == ()


ROW = "100,101,99,100,1"


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([f"soon,{ROW}"], [(4, "time", Fault.NO_TIME)]),
        ([f"14:30,{ROW}"], [(4, "time", Fault.NO_TIME)]),
        (["2026-11-20T10:02:00Z,100,101,99,1OO,1"], [(4, "close", Fault.NO_NUMBER)]),
        (["2026-11-20T10:02:00Z,100,101,99,nan,1"], [(4, "close", Fault.NO_NUMBER)]),
        (["2026-11-20T10:02:00Z,100,101"], [(4, n, Fault.NO_NUMBER) for n in ("low", "close", "volume")]),
        (["2026-11-20T10:02:00Z,100,101,-1,100,1"], [(4, "low", Fault.NOT_POSITIVE)]),
        (["2026-11-20T10:02:00Z,100,101,0,100,1"], [(4, "low", Fault.NOT_POSITIVE)]),
        (["2026-11-20T10:02:00Z,100,101,99,100,-1"], [(4, "volume", Fault.NEGATIVE_VOLUME)]),
        (["2026-11-20T10:02:00Z,100,99.9,99,100,1"], [(4, "high", Fault.HIGH_TOO_LOW)]),
        (["2026-11-20T10:02:00Z,100,101,100.1,101,1"], [(4, "low", Fault.LOW_TOO_HIGH)]),
        (
            ["2026-11-20T10:02:00Z,100,98,99,100,1"],
            [(4, "high", Fault.HIGH_TOO_LOW), (4, "low", Fault.LOW_TOO_HIGH)],
        ),
        ([f"2026-11-20T10:01:00Z,{ROW}"], [(4, "time", Fault.DUPLICATE)]),
        ([f"2026-11-20T09:00:00Z,{ROW}", f"2026-11-20T10:02:00Z,{ROW}"], [(4, "time", Fault.OUT_OF_ORDER)]),
        ([f"2026-11-20T10:02:30Z,{ROW}"], [(4, "time", Fault.OFF_GRID)]),
        ([f"2026-11-30T11:59:01Z,{ROW}"], [(4, "time", Fault.OFF_GRID), (4, "time", Fault.IN_THE_FUTURE)]),
        ([f"2026-11-30T12:00:00Z,{ROW}"], [(4, "time", Fault.IN_THE_FUTURE)]),
    ],
)
def test_what_is_wrong_is_named_with_its_row(rows: list[str], found: list[tuple[int, str, Fault]]):
    first = [f"2026-11-20T10:00:00Z,{ROW}", f"2026-11-20T10:01:00Z,{ROW}"]
    reading = read(lines(*first, *rows), timeframe=Timeframe(60))
    assert faults(reading) == found
    assert not reading.is_good and len(reading.bars) == 0 and reading.problem_count == len(found)


def test_a_file_that_is_the_newest_first_is_turned_around():
    _, *rows = GOOD.splitlines()
    assert read(lines(*rows[::-1])).bars.is_same(read(GOOD).bars)
    wrong = [rows[2], "2026-11-20T10:01:00Z,100,101,99,-1,0", rows[0]]
    assert (3, "close", Fault.NOT_POSITIVE) in faults(read(lines(*wrong)))


def test_gaps_are_told_and_are_no_error():
    start = datetime(2026, 11, 20, 10, tzinfo=UTC)
    there = [n for n in range(60) if n not in (20, 21, 40)]
    reading = read(lines(*(f"{(start + timedelta(minutes=n)).isoformat()},{ROW}" for n in there)))
    assert reading.is_good and len(reading.bars) == 57
    assert reading.gaps == (
        (start + timedelta(minutes=20), start + timedelta(minutes=22), 2),
        (start + timedelta(minutes=40), start + timedelta(minutes=41), 1),
    )
    assert (reading.gap_count, reading.missing_bars) == (2, 3)


def test_a_weekend_of_a_stock_is_no_gap():
    days = ["2026-11-24", "2026-11-25", "2026-11-27", "2026-11-23", "2026-11-20"]
    text = lines(*(f"{day},{ROW}" for day in sorted(days)), heading="Date,Open,High,Low,Close,Volume")
    reading = read(text, sessions=new_york())
    assert reading.is_good and reading.timeframe == Timeframe(86_400) and reading.gaps == ()
    assert read(text).missing_bars == 3  # of a market that is always open


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("Timestamp,Open,High,Low,Close,Volume", "1763632800,100,101,99,100,1"),
        ("timestamp;open;high;low;close;vol", "1763632800000;100;101;99;100;1"),
        (
            "open_time,open,high,low,close,volume,close_time,quote_volume",
            "1763632800000000,100,101,99,100,1,2,3",
        ),
        ("datetime\tO\tH\tL\tC\tV", "2025-11-20 10:00:00\t100\t101\t99\t100\t1"),
        ("close,date,low,high,open,volume", "100,2025.11.20 10:00,99,101,100,1"),
        ("t,o,h,l,c,v", "2025-11-20T11:00:00+01:00,100,101,99,100,1"),
        ("\ufefftime,open,high,low,close,volume", "2025-11-20T10:00,100,101,99,100,1"),
        ("", "1763632800000,100,101,99,100,1,1763632859999,5,6,7,8,0"),
    ],
)
def test_columns_and_times_are_understood_as_people_and_exchanges_write_them(heading: str, row: str):
    reading = read("\n".join(filter(None, [heading, row])), timeframe=Timeframe(60))
    assert reading.is_good, reading.problems
    (candle,) = reading.bars.candles()
    assert candle.at == datetime(2025, 11, 20, 10, tzinfo=UTC)
    assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == (100, 101, 99, 100, 1)


def test_columns_with_other_names_are_said():
    text = lines("2026-11-20T10:00Z,1,2,0.5,1", heading="Zeit,Anfang,Hoch,Tief,Ende")
    with pytest.raises(Malformed) as refused:
        read(text, timeframe=Timeframe(60))
    assert refused.value.where == "columns.time"
    named = {"time": "Zeit", "open": "Anfang", "high": "Hoch", "low": "Tief", "close": "Ende"}
    reading = read(text, timeframe=Timeframe(60), columns=named)
    assert reading.is_good and reading.columns == named and reading.bars.candle(0).volume == 0
    with pytest.raises(Malformed) as refused:
        read(text, columns=named | {"volume": "Menge"})
    assert refused.value.where == "columns.volume"


def test_times_without_a_zone_are_of_the_zone_that_is_said():
    text = lines(f"2026-07-01 09:30,{ROW}", f"2026-07-01 09:31,{ROW}")
    reading = read(text, zone=ZoneInfo("America/New_York"))
    assert moment_of(reading.bars.at[0]) == datetime(2026, 7, 1, 13, 30, tzinfo=UTC)


def test_daily_candles_are_of_their_date_whatever_hour_they_name():
    """Midnight in New York is four or five o'clock in UTC."""
    text = lines(f"2026-03-06T05:00:00Z,{ROW}", f"2026-03-09T04:00:00Z,{ROW}", f"2026-03-10T04:00:00Z,{ROW}")
    reading = read(text, zone=ZoneInfo("America/New_York"), sessions=new_york(), timeframe=Timeframe(86_400))
    assert reading.is_good and reading.gaps == ()
    assert [f"{one.at:%m-%d %H}" for one in reading.bars.candles()] == ["03-06 00", "03-09 00", "03-10 00"]


def test_the_timeframe_is_what_most_rows_are_apart():
    months = lines(*(f"2026-{month:02}-01,{ROW}" for month in range(1, 9)))
    assert read(months).timeframe == Timeframe.parse("1M") and read(months).is_good
    off = lines(f"2026-01-01,{ROW}", f"2026-02-01,{ROW}", f"2026-03-02,{ROW}")
    assert faults(read(off, timeframe=Timeframe.parse("1M"))) == [(4, "time", Fault.OFF_GRID)]
    with pytest.raises(Malformed, match="how long"):
        read(lines(f"2026-01-01,{ROW}"))


@pytest.mark.parametrize("text", ["", "\n", HEADING, HEADING + "\n", "one", "a,b\n1,2\n", '"open'])
def test_what_holds_no_candles_is_refused(text: str):
    with pytest.raises(Malformed):
        read(text)


def test_bytes_that_are_no_text_are_refused():
    for data in (b"\xff\xfe\x00\x01", b"PAR1 and then nothing"):
        with pytest.raises(Malformed):
            importing.read(data, timeframe=None, now=NOW)


def test_a_file_of_wrong_rows_tells_the_first_of_them_and_counts_all():
    rows = [f"2026-01-01T{n // 60:02}:{n % 60:02}Z,1,1,1,x,1" for n in range(600)]
    reading = read(lines(*rows))
    assert len(reading.problems) == importing.MOST_TOLD and reading.problem_count == 600
    assert reading.problems[0].row == 2 and reading.problems[0].value == "x"


@pytest.mark.parametrize("rows_at_once", [1, 100])
def test_prices_that_do_not_fit_together_are_refused(monkeypatch: pytest.MonkeyPatch, rows_at_once: int):
    monkeypatch.setattr(importing, "_ROWS_AT_ONCE", rows_at_once)
    text = lines("2026-11-20,1e12,1e12,1e12,1e12,1", f"2026-11-21,{','.join(['0.00000001'] * 4)},1")
    with pytest.raises(Malformed, match="do not fit"):
        read(text)
    assert read(GOOD).is_good and len(read(GOOD).bars) == 3


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importing, "MOST_ROWS", 2)
    with pytest.raises(Malformed, match="3 rows"):
        read(GOOD)


def test_parquet_is_read_as_csv_is():
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    start = datetime(2026, 11, 20, 10, tzinfo=UTC)
    table = arrow.table(
        {
            "Time": arrow.array(
                [start + timedelta(minutes=n) for n in range(3)], arrow.timestamp("ns", "UTC")
            ),
            "Open": [100.25, 100.5, 102.0],
            "High": [101.0, 102.75, 102.0],
            "Low": [99.5, 100.0, 101.0],
            "Close": arrow.array([Decimal("100.500"), Decimal("102.000"), Decimal("101.001")]),
            "Volume": [12.125, 0, 3],
        }
    )
    file = io.BytesIO()
    parquet.write_table(table, file)
    reading = importing.read(file.getvalue(), timeframe=None, now=NOW)
    assert reading.is_good and reading.bars.is_same(read(GOOD).bars)
