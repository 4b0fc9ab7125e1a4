"""The engines of both databases: pools, time-outs, and connection settings."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

BUSY_SECONDS = 1.0  # how long to wait for another process's SQLite write lock before "try again"
READER_CACHE_KB = 2000  # small for each of many connections, as the OS caches the file for all


def driver(conn: sa.Connection) -> Any:
    """The driver's own connection, for what SQLAlchemy does not offer."""
    return conn.connection.driver_connection


def sqlite_engine(url: sa.URL, *, in_memory: bool) -> sa.Engine:
    if not in_memory and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = (
        {} if in_memory else {"pool_size": 32, "max_overflow": 64, "pool_timeout": 5, "pool_use_lifo": True}
    )
    engine = sa.create_engine(
        url,
        poolclass=sa.StaticPool if in_memory else sa.QueuePool,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
        **options,
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def postgres_engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(
        url,
        pool_size=24,
        max_overflow=24,
        pool_timeout=5,
        pool_pre_ping=False,
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": "dashtrade",
            "options": "-c timezone=utc -c lock_timeout=5000",
        },
    )


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions start only with our own BEGIN
    cache = f"cache_size=-{READER_CACHE_KB}"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", cache, "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
