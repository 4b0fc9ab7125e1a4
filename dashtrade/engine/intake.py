"""Alerts on the database: stored in one transaction each, those that cannot be read too."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.alert_retention import alert_bytes
from dashtrade.domain.as_json import to_json
from dashtrade.domain.kernel import accepting
from dashtrade.domain.kernel.accepting import Alert, IntakeResult, StorageFull
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.reasons import quoted
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import new_id
from dashtrade.engine.steps import on_books
from dashtrade.failpoints import failpoint
from dashtrade.tables import signals as table
from dashtrade.tables import storage


def signal_json(signal: Signal) -> str:
    """DashTrade's own signal as text, in place of an alert's body."""
    return json.dumps(to_json(signal), ensure_ascii=False, sort_keys=True)


def accept(conn: sa.Connection, alert: Alert) -> IntakeResult:
    return on_books(conn, lambda books: accept_on(books, alert))


def accept_on(books: Books, alert: Alert) -> IntakeResult:
    result = accepting.accept(books, alert)
    failpoint("before_accept_commit")
    return result


def record_refusal(
    conn: sa.Connection,
    owner: int,
    *,
    raw: str,
    why: str,
    sender: str,
    now: datetime,
    storage_limit_bytes: int,
) -> str:
    """Store a body that could not be parsed: its sender is a machine, so the user looks for the error
    here."""
    signal_id = new_id(now)
    if storage.add(conn, owner, alert_bytes(raw, 0)) > storage_limit_bytes:
        raise StorageFull
    table.add_unreadable(conn, owner, signal_id=signal_id, raw=raw, why=quoted(why), sender=sender, now=now)
    return signal_id
