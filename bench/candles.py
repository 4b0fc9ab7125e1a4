"""The store of candles: write and read of five million bars, on both databases, beside a row for each bar.

    python -m bench.candles [--bars 5000000] [--rows 300000] [--databases sqlite,postgresql]

The bars are the demo market's, one-minute candles of 50 symbols. `--rows` of them are stored a row a bar for
comparison: whole numbers, a key of series and time, the fastest way in that each driver has. Reading is
100,000 bars of one series into arrays; of several rounds by turns the best counts. Seconds are by the clock,
as PostgreSQL works in processes of its own: on a busy machine compare the ratios."""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.rig import show
from bot_database import Database
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.feeds.demo_bars import DemoHistory
from dashtrade.market.bars import COLUMNS, Bars
from dashtrade.market.series import Series
from dashtrade.tables import candles
from tests.support.databases import migrate, postgres
from tests.support.fakes import ManualClock

END = datetime(2026, 11, 1, tzinfo=UTC)
READ = 100_000
SERIES = 50
ROUNDS = 5
NOBODY = 0  # no user has this id: only what is shared is read
TABLE = "CREATE TABLE bench_rows (series BIGINT, {}, PRIMARY KEY (series, at))".format(
    ", ".join(f'"{name}" BIGINT NOT NULL' for name in COLUMNS)
)


def series_of(number: int) -> Series:
    return Series(
        source="demo",
        symbol=Symbol.parse(f"B{chr(65 + number // 26)}{chr(65 + number % 26)}"),
        timeframe=Timeframe(60),
    )


def made(number: int, count: int) -> Bars:
    return DemoHistory(ManualClock(END)).bars(series_of(number), END - timedelta(minutes=count), END)


def clocked(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Seconds by the clock and of this process's own computing, and the result."""
    before = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - before, result


# --- blocks -------------------------------------------------------------------------------------------------


def write_blocks(db: Database, total: int) -> np.ndarray:
    """A series at a time; making the bars is not counted."""
    seconds, each = np.zeros(2), -(-total // SERIES)
    for number in range(SERIES):
        bars = made(number, each)
        took, _ = clocked(
            lambda n=number, b=bars: db.write(lambda conn: candles.write_shared(conn, series_of(n), b, END))
        )
        seconds += took
    return seconds


def read_blocks(db: Database, count: int) -> Bars:
    with db.read() as conn:
        return candles.read(conn, NOBODY, series_of(0), END - timedelta(minutes=count), END)


def append(db: Database, count: int) -> np.ndarray:
    """A bar at the end of a series, each in a transaction of its own; the median."""
    bars, took = made(SERIES, 3000 + count), []
    db.write(lambda conn: candles.write_shared(conn, series_of(SERIES), bars[:3000], END))
    for place in range(3000, 3000 + count):
        seconds, _ = clocked(
            lambda p=place: db.write(
                lambda conn: candles.write_shared(conn, series_of(SERIES), bars[p : p + 1], END)
            )
        )
        took.append(seconds)
    return np.median(took, axis=0)


# --- a row a bar --------------------------------------------------------------------------------------------


def write_rows(db: Database, total: int) -> np.ndarray:
    seconds, written, number = np.zeros(2), 0, 0
    db.write(lambda conn: conn.exec_driver_sql(TABLE))
    while written < total:
        bars = made(number, min(READ, total - written))
        rows = np.stack([np.full(len(bars), number), *(getattr(bars, name) for name in COLUMNS)], axis=1)
        took, _ = clocked(lambda r=rows: db.write(lambda conn: _insert(conn, r, is_sqlite=db.is_sqlite)))
        seconds, written, number = seconds + took, written + len(bars), number + 1
    return seconds


def _insert(conn: Any, rows: np.ndarray, *, is_sqlite: bool) -> None:
    if is_sqlite:
        values = list(map(tuple, rows.tolist()))  # sqlite3 would store a number of numpy as bytes
        conn.exec_driver_sql("INSERT INTO bench_rows VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        return
    text = io.StringIO()
    np.savetxt(text, rows, fmt="%d", delimiter="\t")
    text.seek(0)
    conn.connection.cursor().copy_expert("COPY bench_rows FROM STDIN", text)


def read_rows(db: Database, count: int) -> np.ndarray:
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    mark = "?" if db.is_sqlite else "%s"
    query = f"SELECT {columns} FROM bench_rows WHERE series = {mark} ORDER BY at DESC LIMIT {count}"
    with db.read() as conn:
        found = conn.exec_driver_sql(query, (0,)).fetchall()
    return np.array([tuple(row) for row in found], np.int64)


# --- databases ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def database(kind: str) -> Iterator[tuple[Database, Callable[[str], int]]]:
    """And what a table takes on the disk."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashtrade-candles-")))
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'candles.db'}"
            migrate(url)
        else:
            url = stack.enter_context(postgres()).fresh()
        db = Database(url)
        stack.callback(db.close)

        def size(table: str) -> int:
            with db.read() as conn:
                if db.is_sqlite:
                    pages = "SELECT sum(pgsize) FROM dbstat WHERE name = ? OR name LIKE ?"
                    return int(
                        conn.exec_driver_sql(pages, (table, f"sqlite_autoindex_{table}%")).scalar() or 0
                    )
                return int(conn.exec_driver_sql("SELECT pg_total_relation_size(%s)", (table,)).scalar() or 0)

        yield db, size


def measure(kind: str, bars: int, rows: int) -> dict[str, object]:
    with database(kind) as (db, size):
        wrote_blocks, wrote_rows = write_blocks(db, bars), write_rows(db, rows)
        count = min(READ, bars // SERIES, rows)
        reads: dict[str, list[np.ndarray]] = {"blocks": [], "rows": []}
        for _ in range(ROUNDS):
            took, found = clocked(lambda: read_blocks(db, count))
            reads["blocks"].append(took)
            took, as_rows = clocked(lambda: read_rows(db, count))
            reads["rows"].append(took)
            same = np.array_equal(found.close, as_rows[::-1, 4]) and len(found) == count
            assert same, "both ways hold the same bars"
        (block_read, block_cpu), (row_read, _) = (np.min(one, axis=0) for one in reads.values())
        (wrote_blocks, write_cpu), (wrote_rows, _) = wrote_blocks, wrote_rows
        appended = append(db, 50) * 1000
        block_bytes, row_bytes = size("candle_blocks") / bars, size("bench_rows") / rows
        return {
            "bench": "candles",
            "database": kind,
            "bars": bars,
            "write_s": round(wrote_blocks, 2),
            "write_cpu_s": round(write_cpu, 2),
            "write_bars_per_second": round(bars / wrote_blocks),
            "read_bars": count,
            "read_s": round(block_read, 4),
            "read_cpu_s": round(block_cpu, 4),
            "read_bars_per_second": round(count / block_read),
            "bytes_per_bar": round(block_bytes, 1),
            "append_ms": round(appended[0], 2),
            "append_cpu_ms": round(appended[1], 2),
            "rows": rows,
            "row_a_bar": {
                "write_bars_per_second": round(rows / wrote_rows),
                "read_bars_per_second": round(count / row_read),
                "bytes_per_bar": round(row_bytes, 1),
            },
            "ratio_write": round(wrote_rows / rows / (wrote_blocks / bars), 1),
            "ratio_read": round(row_read / block_read, 1),
            "ratio_size": round(row_bytes / block_bytes, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bars", type=int, default=5_000_000)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--databases", default="sqlite,postgresql")
    given = parser.parse_args()
    for kind in given.databases.split(","):
        show(measure(kind, given.bars, given.rows))


if __name__ == "__main__":
    main()
