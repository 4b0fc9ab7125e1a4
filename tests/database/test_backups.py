"""A backup is whole, and one that is damaged or another's is refused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_database import Database, PostgresBackupUnsupported, newest_migration
from tests.support.installation import wait_until
from tests.support.note_rows import NOTES, note, noted

# --- backup -------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(sqlite_files: Any, tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_files.fresh(tmp_path / "live.db"))
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()


def test_a_backup_made_while_others_write_is_whole_and_can_be_restored(whole: Database, tmp_path: Path):
    ended, counted = threading.Event(), iter(range(10**6))

    def go_on() -> None:
        while not ended.is_set():
            n = next(counted)
            whole.write(note(2 * n, 2 * n + 1))

    writer = threading.Thread(target=go_on)
    writer.start()
    wait_until(lambda: len(noted(whole)) > 20)
    before = len(noted(whole))
    whole.backup(tmp_path / "copy")
    ended.set()
    writer.join()
    after = noted(whole)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy:
        saved = [row[0] for row in copy.execute("SELECT n FROM notes ORDER BY n")]
    assert before <= len(saved) <= len(after) and saved == list(range(len(saved))) and len(saved) % 2 == 0
    kept = whole.restore(tmp_path / "copy")
    assert noted(whole) == saved and whole.version() == newest_migration()
    whole.write(note(10**6))
    with contextlib.closing(sqlite3.connect(kept)) as old:
        assert [row[0] for row in old.execute("SELECT n FROM notes ORDER BY n")] == after, (
            "what was there is kept beside it"
        )
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob("*.incoming"))


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _scratched(data: bytes) -> bytes:
    return data[:8192] + bytes(len(data) - 8192)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": _cut,
    "scratched": _scratched,
    "empty": lambda _: b"",
    "another file": lambda _: b"a letter " * 999,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_refused_and_nothing_changes(whole: Database, tmp_path: Path, damage: str):
    whole.write(note(1))
    whole.backup(tmp_path / "copy")
    (tmp_path / "copy").write_bytes(DAMAGE[damage]((tmp_path / "copy").read_bytes()))
    whole.write(note(2))
    with pytest.raises(ValueError, match="copy"):
        whole.restore(tmp_path / "copy")
    assert noted(whole) == [1, 2]


def test_anothers_database_and_a_missing_file_are_refused_as_a_backup(whole: Database, tmp_path: Path):
    with contextlib.closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE recipes (name)")
    for path in (tmp_path / "other", tmp_path / "missing", tmp_path):
        with pytest.raises(ValueError):
            whole.restore(path)
    assert noted(whole) == []


@pytest.mark.postgres
def test_postgresql_is_backed_up_with_its_own_tools(postgres_database: str, tmp_path: Path):
    database = Database(postgres_database)
    for use in (database.backup, database.restore):
        with pytest.raises(PostgresBackupUnsupported, match="pg_dump"):
            use(tmp_path / "copy")
    assert os.listdir(tmp_path) == []
    database.close()
