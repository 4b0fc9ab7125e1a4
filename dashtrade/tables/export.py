"""Everything of one user's, table by table, for them to take along: whatever opens something is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.base import metadata

SYSTEM: set[str] = set()

TABLES = {  # the file's name: the table
    "broker_accounts": "user_api_keys", "bots": "user_bot_configs", "signals": "signals", "decisions": "decisions", "orders": "orders",
    "order_events": "order_events", "fills": "fills", "lots": "lots", "trades": "bot_trades", "round_trips": "round_trips", "performance": "bot_performance",
    "risk_events": "bot_risk_events", "messages": "outbox", "sessions": "sessions", "api_tokens": "api_tokens",
    "webhook_tokens": "user_webhook_tokens", "drifts": "drifts", "outside_holdings": "outside_holdings", "flattens": "flattens", "protections": "protections",
    "protection_locks": "protection_locks", "log": "audit_log",
}  # fmt: skip
SECRET = {"password_hash", "body_secret_hash", "totp_secret", "totp_step", "credentials", "session", "secret", "token_hash", "code_hash", "demo_address"}


def columns(name: str) -> list[sa.Column[Any]]:
    return [column for column in metadata.tables[name].c if column.name not in SECRET]


def profile(conn: sa.Connection, owner: int) -> dict[str, Any]:
    row = conn.execute(sa.select(*columns("users")).where(metadata.tables["users"].c.id == owner)).first()
    return dict(row._asdict()) if row else {}


def rows(conn: sa.Connection, owner: int, name: str) -> Iterator[Any]:
    """One table's rows, oldest first, a few thousand in memory at a time."""
    table = metadata.tables[name]
    query = sa.select(*columns(name)).where(table.c.user_id == owner).order_by(*table.primary_key.columns)
    yield from conn.execution_options(yield_per=2000).execute(query)
