"""Backs up the SQLite file during operation and restores it while stopped; each copy is checked."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

Prepare = Callable[[Path, Path | None], None]  # called with the copy, and with the path it replaces


def save(database: str, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    target = sqlite3.connect(partial)
    with contextlib.closing(source), contextlib.closing(target):
        source.backup(target, pages=2000)
    check(partial)
    with open(partial, "rb") as done:
        os.fsync(done.fileno())
    os.chmod(partial, 0o600)
    os.replace(partial, path)


def put_back(path: Path, current: Path, prepare: Prepare) -> Path | None:
    """Make `path` the database `current`; the replaced files are kept beside it."""
    previous = current.with_name(
        f"{current.name}.before-restore-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    )
    incoming = current.with_name(current.name + ".incoming")
    shutil.copyfile(path, incoming)
    os.chmod(incoming, 0o600)
    replaced = current.exists()
    if replaced:
        # it may be damaged
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(current)) as old:
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    try:
        prepare(incoming, current if replaced else None)
    except BaseException:
        for tail in ("", "-wal", "-shm"):
            Path(f"{incoming}{tail}").unlink(missing_ok=True)
        raise
    if replaced:
        os.replace(current, previous)
    for tail in ("-wal", "-shm"):
        Path(f"{current}{tail}").unlink(missing_ok=True)
    os.replace(incoming, current)
    return previous if replaced else None


def check(path: Path) -> None:
    """Complete, undamaged, and a DashTrade database; raises ValueError otherwise."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
            verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            copy.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path.name} is not a complete DashTrade database: {error}") from error
    if verdict != "ok":
        raise ValueError(f"{path.name} is damaged: {verdict}")
