"""The store of candles, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
import sqlalchemy as sa

from bot_database import Database
from dashtrade.context import App
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.bars import Bars, bars_of, joined, moment_of
from dashtrade.market.blocks import BLOCK_BARS, Block, unpack
from dashtrade.market.series import Adjustment, Series
from dashtrade.tables import candles
from dashtrade.tables.base import EPOCH
from tests.support.fakes import ManualClock, add_user

BTC = Series(source="demo", symbol=Symbol.parse("BTC/USDT"), timeframe=Timeframe(60))
NOW = ManualClock().time
NEVER_ENDS = NOW + timedelta(days=9999)
ANN, BOB = 1, 2


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    for name in ("ann", "bob"):
        add_user(cast(App, SimpleNamespace(db=database)), f"{name}@example.com")
    yield database
    database.close()


def minutes(count: int, *, start: int = 0, price: int = 100) -> Bars:
    return bars_of([((start + n) * 60_000, price, price + 1, price - 1, price, n) for n in range(count)])


def write(db: Database, bars: Bars, series: Series = BTC) -> candles.Written:
    return db.write(lambda conn: candles.write_shared(conn, series, bars, NOW))


def write_own(db: Database, owner: int, bars: Bars, series: Series = BTC) -> candles.Written:
    return db.write(lambda conn: candles.write_own(conn, owner, series, bars, NOW))


def read(
    db: Database, owner: int = ANN, series: Series = BTC, start: datetime = EPOCH, end: datetime = NEVER_ENDS
) -> Bars:
    with db.read() as conn:
        return candles.read(conn, owner, series, start, end)


def fingerprint(db: Database, end: datetime = NEVER_ENDS, start: datetime = EPOCH) -> str:
    with db.read() as conn:
        return candles.fingerprint(conn, ANN, BTC, start, end)


def test_what_is_written_is_read(db: Database):
    bars = minutes(3 * BLOCK_BARS, start=17)
    assert write(db, bars) == candles.Written(added=len(bars))
    assert read(db).is_same(bars)
    start, end = moment_of(int(bars.at[5])), moment_of(int(bars.at[BLOCK_BARS + 9]))
    assert read(db, start=start, end=end).is_same(bars[5 : BLOCK_BARS + 9])
    assert len(read(db, end=moment_of(int(bars.at[0])))) == 0


def test_each_series_is_by_itself(db: Database):
    others = [
        Series(source="binance", symbol=BTC.symbol, timeframe=BTC.timeframe),
        Series(source="demo", symbol=Symbol.parse("AAPL"), timeframe=BTC.timeframe),
        Series(source="demo", symbol=BTC.symbol, timeframe=Timeframe(300)),
        Series(source="demo", symbol=BTC.symbol, timeframe=BTC.timeframe, adjustment=Adjustment.ALL),
    ]
    for price, series in enumerate([BTC, *others], 50):
        write(db, minutes(2, price=price), series)
    assert [read(db, series=one).candle(0).close for one in (BTC, *others)] == [50, 51, 52, 53, 54]
    with db.read() as conn:
        listed = candles.list_series(conn, ANN)
    assert {one.series for one in listed} == {BTC, *others}
    assert {(one.bars, one.first_at, one.last_at) for one in listed} == {
        (2, EPOCH, EPOCH + timedelta(minutes=1))
    }


def test_the_same_bars_again_change_nothing(db: Database):
    write(db, minutes(9))
    before = stored_rows(db)
    assert write(db, minutes(9)[2:7]) == candles.Written()
    assert stored_rows(db) == before


def stored_rows(db: Database) -> list[object]:
    tables = (candles.series_table, candles.blocks_table, candles.revisions)
    with db.read() as conn:
        return [list(map(tuple, conn.execute(sa.select(table)))) for table in tables]


def test_bars_are_appended_and_put_before_and_between(db: Database):
    whole = minutes(BLOCK_BARS + 20)
    for part in (whole[10:20], whole[20:4000], whole[:5], whole[4090:], whole[5:10], whole[4000:4090]):
        assert write(db, part) == candles.Written(added=len(part))
    assert read(db).is_same(whole)


def test_a_bar_that_changes_is_recorded_as_a_revision(db: Database):
    write(db, minutes(9))
    changed = minutes(3, start=4, price=101)
    assert write(db, changed) == candles.Written(changed=3)
    assert read(db).is_same(joined([minutes(4), changed, minutes(9)[7:]]))
    with db.read() as conn:
        row = conn.execute(sa.select(candles.revisions)).one()
    assert row.replaced_at == NOW
    before = Block(**{name: getattr(row, name) for name in Block.__slots__})
    assert unpack(before).is_same(minutes(9)[4:7])


def test_a_fingerprint_is_of_the_numbers_and_of_nothing_else(db: Database):
    whole, end = minutes(BLOCK_BARS + 50), EPOCH + timedelta(minutes=BLOCK_BARS + 40)
    for part in (whole[30:], whole[:30]):
        write(db, part)
    first = fingerprint(db, end)
    write(db, minutes(5, start=len(whole)))  # after the end
    write(db, bars_of([((len(whole) + 9) * 60_000, *["0.001"] * 4, 1)]))  # in finer steps than all before
    assert fingerprint(db, end) == first
    assert fingerprint(db, end - timedelta(minutes=1)) != first
    assert fingerprint(db, end, EPOCH + timedelta(minutes=1)) != first
    write(db, minutes(1, start=BLOCK_BARS + 3, price=101))
    assert fingerprint(db, end) != first


def test_imported_candles_are_their_users_alone(db: Database):
    write(db, minutes(3, price=7))
    write_own(db, ANN, minutes(2, price=8))
    assert read(db, ANN).is_same(minutes(2, price=8))
    assert read(db, BOB).is_same(minutes(3, price=7))
    write_own(db, BOB, minutes(4, price=9))
    assert read(db, BOB).is_same(minutes(4, price=9)) and read(db, ANN).is_same(minutes(2, price=8))
    with db.read() as conn:
        assert candles.own_bars(conn, ANN) == 2
        listed = {(one.user_id, one.bars) for one in candles.list_series(conn, ANN)}
        assert listed == {(None, 3), (ANN, 2)}
    assert db.write(lambda conn: candles.remove_own(conn, ANN, BTC)) == 2
    assert read(db, ANN).is_same(minutes(3, price=7)) and read(db, BOB).is_same(minutes(4, price=9))
    assert db.write(lambda conn: candles.remove_own(conn, ANN, BTC)) == 0


def test_several_writers_of_one_block_lose_nothing(db: Database):
    """Each has every fourth minute of the same block."""
    whole = minutes(400)
    parts = [[whole[n : n + 1] for n in range(first, 400, 4)] for first in range(4)]
    threads = [
        threading.Thread(
            target=lambda part=part: [write(db, joined(part[n : n + 10])) for n in range(0, 100, 10)]
        )
        for part in parts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert read(db).is_same(whole)


def test_what_a_source_was_asked_for_is_remembered_and_joined(db: Database):
    hour = timedelta(hours=1)

    def asked(series: Series = BTC) -> list[tuple[int, int]]:
        with db.read() as conn:
            found = candles.coverage(conn, ANN, series)
        return [((start - EPOCH) // hour, (end - EPOCH) // hour) for start, end in found]

    def ask(start: int, end: int) -> None:
        db.write(lambda conn: candles.put_coverage(conn, BTC, EPOCH + start * hour, EPOCH + end * hour, NOW))

    for start, end in ((4, 5), (0, 1), (8, 9)):
        ask(start, end)
    assert asked() == [(0, 1), (4, 5), (8, 9)] and asked(BTC.with_timeframe(Timeframe(300))) == []
    ask(1, 2)
    ask(3, 6)
    assert asked() == [(0, 2), (3, 6), (8, 9)]
    ask(0, 9)
    assert asked() == [(0, 9)]


def test_a_series_that_is_not_stored_is_empty(db: Database):
    assert len(read(db)) == 0
    assert fingerprint(db) == fingerprint(db, EPOCH)


def test_the_sessions_of_a_market_are_kept(db: Database):
    with db.read() as conn:
        assert candles.sessions(conn, "XNYS") is None
    for data in (b"old", b"new"):
        db.write(lambda conn, data=data: candles.put_sessions(conn, "XNYS", data, NOW))
    with db.read() as conn:
        assert candles.sessions(conn, "XNYS") == (NOW, b"new")
