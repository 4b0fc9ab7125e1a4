"""How much of a database each process keeps in memory: many connections, and a bound for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot_database import Database
from tests.support.databases import SqliteFiles

MOST_KB = 100_000


@pytest.fixture
def lite(tmp_path: Path, sqlite_files: SqliteFiles) -> Iterator[Database]:
    made = Database(sqlite_files.fresh(tmp_path / "dashtrade.db"))
    yield made
    made.close()


def cache_kb(conn: sa.Connection) -> int:
    pages = int(conn.exec_driver_sql("PRAGMA cache_size").scalar_one())
    size = int(conn.exec_driver_sql("PRAGMA page_size").scalar_one())
    return -pages if pages < 0 else pages * size // 1024


def test_all_connections_that_are_kept_have_a_bounded_cache_together(lite: Database):
    writer = lite.write(cache_kb)
    with ExitStack() as stack:
        readers = [stack.enter_context(lite.read()) for _ in range(lite.engine.pool.size())]  # type: ignore[attr-defined]
        assert writer + sum(map(cache_kb, readers)) <= MOST_KB
