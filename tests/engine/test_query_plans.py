"""How SQLite looks things up: what is asked for at every order must not walk through everything its owner
ever had."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot_database import Database
from dashtrade.tables import decisions, fills, messages, order_events, signals, user_orders

OF_ONE_SIGNAL = [
    user_orders.for_signal,
    order_events.events_for_signal,
    fills.fills_for_signal,
    messages.for_signal,
    decisions.bot_outcomes,
    decisions.bot_statuses,
    signals.get,
    signals.status_of,
]


@pytest.mark.parametrize(
    "query", OF_ONE_SIGNAL, ids=lambda query: f"{query.__module__.rpartition('.')[2]}.{query.__name__}"
)
def test_what_belongs_to_a_signal_is_found_by_the_signal(tmp_path: Path, query):
    db = Database(f"sqlite:///{tmp_path}/plans.db")
    db.migrate()
    with db.read() as conn:
        raw, asked = conn.connection.driver_connection, []
        raw.set_trace_callback(asked.append)
        query(conn, 1, "0" * 32)
        raw.set_trace_callback(None)
        plans = [
            row[3]
            for text in asked
            if text.lstrip().startswith("SELECT")
            for row in raw.execute(f"EXPLAIN QUERY PLAN {text}")
        ]
    assert plans
    assert not [plan for plan in plans if "SCAN" in plan or "(user_id=?)" in plan], plans
    db.close()


@pytest.mark.parametrize("status", sorted(signals.RARE))
def test_rare_signals_are_found_by_what_became_of_them(tmp_path: Path, status: str):
    db = Database(f"sqlite:///{tmp_path}/plans.db")
    db.migrate()
    with db.read() as conn:
        raw, asked = conn.connection.driver_connection, []
        raw.set_trace_callback(asked.append)
        signals.list_page(conn, 1, before=None, limit=10, status=status)
        raw.set_trace_callback(None)
        [plan] = [
            row[3]
            for text in asked
            if text.lstrip().startswith("SELECT")
            for row in raw.execute(f"EXPLAIN QUERY PLAN {text}")
        ]
    assert "ix_signals_rare" in plan
    db.close()
