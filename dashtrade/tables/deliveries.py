"""Deliveries of messages by channels: one row per message and channel."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from dashtrade.domain.channels import MAX_TRIES, DeliveryState, retry_after
from dashtrade.domain.record import record
from dashtrade.tables.base import (
    BigId,
    id_column,
    int_column,
    metadata,
    owner_column,
    text_column,
    time_column,
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    id_column(),
    owner_column(index=True),
    sa.Column("message_id", BigId, sa.ForeignKey("outbox.id"), nullable=False),
    text_column("channel"),
    text_column("state"),
    int_column("tries"),
    time_column("next_try_at", nullable=True),  # None: sent or given up
    text_column("error"),
    time_column("created_at"),
    time_column("ended_at", nullable=True),
    sa.UniqueConstraint("message_id", "channel"),
    sa.Index("ix_deliveries_next_try_at", "next_try_at"),
)

SYSTEM = {"enqueue", "claim_due", "mark_sent", "mark_failed"}
CLAIM_LIFE = timedelta(minutes=2)  # a claim without a result after this counts as abandoned
INTERRUPTED = "the process ended while it was being sent"


@record(kw_only=False)
class Claim:
    """A delivery that one process is attempting. `tries` includes this attempt; it identifies the claim."""

    id: int
    user_id: int
    message_id: int
    channel: str
    tries: int


def enqueue(
    conn: sa.Connection, user_id: int, message_id: int, channels: Collection[str], now: datetime
) -> None:
    row = {
        "user_id": user_id,
        "message_id": message_id,
        "state": DeliveryState.WAITING,
        "tries": 0,
        "next_try_at": now,
        "error": "",
        "created_at": now,
    }
    conn.execute(sa.insert(deliveries), [row | {"channel": channel} for channel in channels])


def claim_due(conn: sa.Connection, channels: Collection[str], *, now: datetime, limit: int) -> list[Claim]:
    """Claim deliveries, the longest due first. No other process gets them until CLAIM_LIFE is over."""
    d = deliveries.c
    due = d.channel.in_(channels) & (d.next_try_at <= now)
    conn.execute(
        sa.update(deliveries)
        .where(due, d.tries >= MAX_TRIES)
        .values(state=DeliveryState.GIVEN_UP, next_try_at=None, error=INTERRUPTED, ended_at=now)
    )
    chosen = (
        sa.select(d.id, d.user_id, d.message_id, d.channel, d.tries)
        .where(due)
        .order_by(d.next_try_at, d.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claims = [
        Claim(row.id, row.user_id, row.message_id, row.channel, row.tries + 1) for row in conn.execute(chosen)
    ]
    conn.execute(
        sa.update(deliveries)
        .where(d.id.in_([claim.id for claim in claims]))
        .values(tries=d.tries + 1, next_try_at=now + CLAIM_LIFE)
    )
    return claims


def mark_sent(conn: sa.Connection, claim: Claim, *, now: datetime) -> bool:
    """False: the claim expired, and another process has it."""
    return _end(conn, claim, state=DeliveryState.SENT, next_try_at=None, error="", ended_at=now)


def mark_failed(conn: sa.Connection, claim: Claim, error: str, *, now: datetime) -> bool:
    """Schedule a retry, or give up. False as with `sent`."""
    if claim.tries >= MAX_TRIES:
        return _end(
            conn, claim, state=DeliveryState.GIVEN_UP, next_try_at=None, error=error[:500], ended_at=now
        )
    again = now + retry_after(claim.tries)
    return _end(conn, claim, state=DeliveryState.FAILED, next_try_at=again, error=error[:500], ended_at=None)


def _end(conn: sa.Connection, claim: Claim, **values: object) -> bool:
    d = deliveries.c
    held = (d.id == claim.id) & (d.tries == claim.tries) & d.next_try_at.is_not(None)
    return conn.execute(sa.update(deliveries).where(held).values(**values)).rowcount == 1
