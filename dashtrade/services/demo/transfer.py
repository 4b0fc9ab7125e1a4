"""Copies a demo's week from memory into the real database, in one commit."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.people import DemoStarted
from dashtrade.services.demo.week import SAMPLES
from dashtrade.services.people import passwords
from dashtrade.services.people.sessions import DEMO_LIFE
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables.base import insert_returning_id, metadata

_MOVED = (  # referenced tables first
    "user_api_keys",
    "paper_accounts",
    "paper_positions",
    "paper_orders",
    "paper_fills",
    "user_bot_configs",
    "bot_performance",
    "signals",
    "decisions",
    "orders",
    "order_events",
    "fills",
    "lots",
    "bot_trades",
    "round_trips",
    "bot_risk_events",
    "outbox",
)

_REFERS = {
    "user_id": "users",
    "account_id": "user_api_keys",
    "bot_id": "user_bot_configs",
    "decision_id": "decisions",
}

_REFERRED = {"user_api_keys", "user_bot_configs", "decisions", "fills"}


def move_in(conn: sa.Connection, old: sa.Connection, *, now: datetime, address: str) -> int:
    """Insert every row of the history with new ids."""
    user_id = table.add(
        conn,
        email=f"demo-{secrets.token_hex(8)}@demo.invalid",
        name="Demo",
        password_hash=passwords.DUMMY_HASH,
        role=Role.STANDARD,
        time_zone="UTC",
        created_at=now,
        last_login_at=now,
        demo_until=now + DEMO_LIFE,
        demo_address=address,
    )
    numbers: dict[str, dict[Any, Any]] = {"users": {1: user_id}}
    for name in _MOVED:
        source = metadata.tables[name]
        rows = [
            _renumbered(source, row._asdict(), numbers)
            for row in old.execute(sa.select(source).order_by(*source.primary_key.columns))
        ]
        if name == "outbox":
            rows = [row | {"read_at": now} for row in rows]
        if name in _REFERRED:
            numbers[name] = {
                row.pop("id"): insert_returning_id(conn, sa.insert(source).values(**row)) for row in rows
            }
        elif rows:
            numbered = source.c.get("id") is not None and source.c.id.autoincrement is True
            conn.execute(
                sa.insert(source),
                [{n: v for n, v in row.items() if not (numbered and n == "id")} for row in rows],
            )
    message_table.record(
        conn, actor=user_id, action=AuditAction.DEMO_STARTED, now=now, subject=user_id, address=address
    )
    message_table.notify(conn, user_id, DemoStarted(bots=len(SAMPLES)), now=now)
    return user_id


def _renumbered(source: sa.Table, row: dict[str, Any], numbers: dict[str, dict[Any, Any]]) -> dict[str, Any]:
    changed = {name: numbers[of][row[name]] for name, of in _REFERS.items() if name in row}
    if source.name == "lots":
        changed["fill_id"] = numbers["fills"][row["fill_id"]]
    return row | changed
