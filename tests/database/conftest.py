"""Databases with one table, for tests of the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_database import Database
from tests.support.note_rows import NOTES


@pytest.fixture
def db(empty_database_url: str) -> Iterator[Database]:
    """With one table, `notes`; on both databases in turn."""
    database = Database(empty_database_url)
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'notes.db'}")
    database.write(lambda conn: NOTES.create(conn))
    yield database
    database.close()
