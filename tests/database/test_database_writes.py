"""Transactions on both databases: each is whole or undone, whoever else writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database, DatabaseUnavailable
from dashtrade.database import engines, group_commit
from tests.support.note_rows import NOTES, note, noted


def test_connections_that_a_crowd_needed_are_not_used_in_turn_afterwards(db: Database) -> None:
    """Each keeps pages of its own in memory: used in turn, all of them would be kept full for good."""
    with contextlib.ExitStack() as crowd:
        for _ in range(6):
            crowd.enter_context(db.engine.connect())
    used = set()
    for _ in range(20):
        with db.engine.connect() as conn:
            used.add(id(conn.connection.driver_connection))
    assert len(used) == 1


def test_what_is_committed_to_sqlite_is_on_the_disk_and_outlives_a_power_cut(tmp_path: Path) -> None:
    """The product's own engine: those of other tests do not wait for the disk."""
    engine = engines.sqlite_engine(sa.make_url(f"sqlite:///{tmp_path / 'notes.db'}"), in_memory=False)
    with engine.connect() as conn:
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
    engine.dispose()


# --- transactions -------------------------------------------------------------------------------------------


def test_of_many_writes_at_once_each_is_whole_or_undone_alone(db: Database):
    def one(n: int) -> int | str:
        try:
            return db.write(note(n, n + 1000, fail=ValueError(f"no {n}") if n % 5 == 0 else None))
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(24) as pool:
        answer = list(pool.map(one, range(120)))
    assert answer == [f"no {n}" if n % 5 == 0 else 2 * n + 1000 for n in range(120)]
    good = [n for n in range(120) if n % 5]
    assert noted(db) == good + [n + 1000 for n in good]


def test_a_repeated_key_undoes_its_own_piece_and_no_other(db: Database):
    db.write(note(1))
    with pytest.raises(sa.exc.IntegrityError):
        db.write(note(2, 1))
    db.write(note(3))
    assert noted(db) == [1, 3]


def test_what_waits_for_the_writer_is_committed_together(lite: Database):
    answer: list[str] = []
    lite.group.connection().connection.driver_connection.set_trace_callback(answer.append)
    done = [work.result for work in lite.write_all([note(n) for n in range(40)])]
    assert done == list(range(40)) and noted(lite) == list(range(40))
    assert answer.count("COMMIT") < 20


def test_a_commit_that_fails_fails_all_of_its_group_and_nothing_is_half_done(
    lite: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group_commit, "GROUP_SECONDS", 60)  # one group, however slow the machine is
    lite.write(
        lambda conn: conn.exec_driver_sql(
            "CREATE TABLE child (n INTEGER REFERENCES notes (n) DEFERRABLE INITIALLY DEFERRED)"
        )
    )

    def broken(conn: sa.Connection) -> None:
        conn.exec_driver_sql("INSERT INTO child VALUES (99)")  # noticed at the commit

    works = lite.write_all([note(1), broken, note(2)])
    assert all(isinstance(work.error, DatabaseUnavailable) and work.result is None for work in works)
    assert noted(lite) == []
    lite.write(note(3))
    assert noted(lite) == [3]


def test_a_write_within_a_write_is_part_of_it(db: Database):
    def outer(conn: sa.Connection) -> int:
        inner = db.write(note(1))
        with db.read() as same:
            assert same is conn and noted(db) == [1]
        return inner + note(2)(conn)

    assert db.write(outer) == 3 and noted(db) == [1, 2]

    def failing(conn: sa.Connection) -> None:
        db.write(note(3))
        raise ValueError

    with pytest.raises(ValueError):
        db.write(failing)
    assert noted(db) == [1, 2]


def test_a_reader_sees_one_state_while_others_write(lite: Database):
    with lite.read() as conn:
        before = list(conn.scalars(sa.select(NOTES.c.n)))
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lite.write, note(7)).result(5)
        assert list(conn.scalars(sa.select(NOTES.c.n))) == before == []
    assert noted(lite) == [7]


@pytest.mark.postgres
def test_a_transaction_that_lost_a_race_is_run_again(postgres_database: str):
    database = Database(postgres_database)
    tries = []

    def work(conn: sa.Connection) -> int:
        tries.append(1)
        if len(tries) < 3:
            conn.execute(sa.text("DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$"))
        return len(tries)

    assert database.write(work) == 3
    database.close()


def test_a_statement_that_cannot_be_is_a_bug_and_not_an_absent_database(db: Database):
    for use in (db.write, lambda work: _in_read(db, work)):
        with pytest.raises(sa.exc.DBAPIError) as raised:
            use(lambda conn: conn.exec_driver_sql("SELECT nonsense FROM nowhere"))
        assert not isinstance(raised.value, DatabaseUnavailable)
    db.write(note(1))
    assert noted(db) == [1]


def _in_read(database: Database, work: Callable[[sa.Connection], Any]) -> Any:
    with database.read() as conn:
        return work(conn)
