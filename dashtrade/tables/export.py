"""All data of one user, table by table, for download: anything that grants access is left out."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.base import metadata

SYSTEM: set[str] = set()
ROWS_PER_PAGE = 50  # rows in memory
_ORDER = {"orders": ("created_at", "id"), "bot_performance": ("day", "bot_id")}  # elsewhere the primary key

TABLES = {  # file name: table
    "broker_accounts": "user_api_keys",
    "bots": "user_bot_configs",
    "signals": "signals",
    "decisions": "decisions",
    "orders": "orders",
    "order_events": "order_events",
    "fills": "fills",
    "lots": "lots",
    "trades": "bot_trades",
    "round_trips": "round_trips",
    "performance": "bot_performance",
    "risk_events": "bot_risk_events",
    "messages": "outbox",
    "sessions": "sessions",
    "api_tokens": "api_tokens",
    "webhook_tokens": "user_webhook_tokens",
    "drifts": "drifts",
    "outside_holdings": "outside_holdings",
    "flattens": "flattens",
    "protections": "protections",
    "protection_locks": "protection_locks",
    "log": "audit_log",
}
SECRET = {
    "password_hash",
    "body_secret_hash",
    "totp_secret",
    "totp_step",
    "credentials",
    "session",
    "secret",
    "token_hash",
    "code_hash",
    "demo_address",
}


def columns(name: str) -> list[sa.Column[Any]]:
    return [column for column in metadata.tables[name].c if column.name not in SECRET]


def profile(conn: sa.Connection, owner: int) -> dict[str, Any]:
    row = conn.execute(sa.select(*columns("users")).where(metadata.tables["users"].c.id == owner)).first()
    return dict(row._asdict()) if row else {}


def keys(name: str) -> tuple[sa.Column[Any], ...]:
    """The key to read a table by, oldest first, and to continue from: there is an index in this order."""
    table = metadata.tables[name]
    return (
        tuple(table.c[column] for column in _ORDER[name])
        if name in _ORDER
        else tuple(table.primary_key.columns)
    )


def rows(
    conn: sa.Connection, owner: int, name: str, after: tuple[Any, ...] | None = None
) -> Generator[Any, None, None]:
    """One table's rows after the key `after`, few in memory at a time: a row may hold a long alert. Its key
    is at its end."""
    table, key = metadata.tables[name], keys(name)
    query = sa.select(*columns(name), *(column.label(f"key_{place}") for place, column in enumerate(key)))
    query = query.where(table.c.user_id == owner).order_by(*key)
    if after is not None:
        given = (
            sa.bindparam(None, value, type_=column.type) for column, value in zip(key, after, strict=True)
        )
        query = query.where(sa.tuple_(*key) > sa.tuple_(*given))
    with conn.execute(query.execution_options(yield_per=ROWS_PER_PAGE)) as found:
        yield from found
