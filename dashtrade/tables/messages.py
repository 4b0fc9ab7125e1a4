"""Messages to users, and the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from dashtrade import security_log
from dashtrade.domain.audit import AuditAction, AuditTopic, actions_on
from dashtrade.domain.channels import CHANNELS
from dashtrade.domain.kernel.records import Message as NewMessage
from dashtrade.domain.notices.base import Level, Notice
from dashtrade.domain.notices.stored import Message, facts_of, notice_of
from dashtrade.domain.notices.wording_base import Words
from dashtrade.tables import deliveries
from dashtrade.tables.base import (
    BigId,
    Json,
    after_commit,
    id_column,
    insert_returning_id,
    int_column,
    metadata,
    owner_column,
    text_column,
    time_column,
    without_index,
)
from dashtrade.tables.compiled_sql import run_many, send_gathered

outbox = sa.Table(
    "outbox",
    metadata,
    id_column(),
    owner_column(),
    time_column("created_at"),
    text_column("level"),
    text_column("title", nullable=True),  # of messages from before kinds were stored
    text_column("text", nullable=True),
    text_column("signal_id", nullable=True),
    time_column("read_at", nullable=True),
    text_column("kind", nullable=True),
    sa.Column("facts", Json, nullable=True),
    sa.Index("ix_outbox_user", "user_id", "id"),
    sa.Index("ix_outbox_signal", "signal_id"),
)
audit = sa.Table(
    "audit_log",
    metadata,
    id_column(),
    time_column("at"),
    sa.Column("user_id", BigId, nullable=True, index=True),
    int_column("subject_id", nullable=True),
    text_column("action"),
    sa.Column("detail", Json, nullable=True),
    text_column("address"),
    # merges repeats within a minute into one row
    sa.Column("collapse_key", sa.Text, nullable=True, index=True),
)

SYSTEM = {"add", "notify", "record", "everything_recorded", "record_often", "forget_name"}

_NOTIFY = sa.insert(outbox)


def notify(
    conn: sa.Connection, user_id: int, notice: Notice, *, now: datetime, signal_id: str | None = None
) -> None:
    add(conn, [NewMessage(user_id=user_id, notice=notice, signal_id=signal_id, at=now)])


def add(conn: sa.Connection, new: Sequence[NewMessage]) -> None:
    """Written in the transaction that they report on, so that a message exists if and only if the change
    does."""
    rows_to_add = [_values(message) for message in new]
    if not CHANNELS:
        run_many(conn, _NOTIFY, rows_to_add)
        return
    send_gathered(conn)
    for message, row in zip(new, rows_to_add, strict=True):
        message_id = insert_returning_id(conn, _NOTIFY.values(**row))
        deliveries.enqueue(conn, message.user_id, message_id, CHANNELS, message.at)


def _values(message: NewMessage) -> dict[str, Any]:
    return {
        "user_id": message.user_id,
        "created_at": message.at,
        "level": message.notice.level,
        "signal_id": message.signal_id,
        "kind": message.notice.kind,
        "facts": facts_of(message.notice),
    }


def list_page(
    conn: sa.Connection,
    owner: int,
    *,
    before: int | None,
    limit: int,
    unread_only: bool = False,
    problems_only: bool = False,
) -> list[Message]:
    query = sa.select(outbox).where(outbox.c.user_id == owner)
    if before is not None:
        query = query.where(outbox.c.id < before)
    if unread_only:
        query = query.where(outbox.c.read_at.is_(None))
    if problems_only:
        query = query.where(outbox.c.level != "info")
    return [_message(row) for row in conn.execute(query.order_by(outbox.c.id.desc()).limit(limit))]


def get(conn: sa.Connection, owner: int, message_id: int) -> Message | None:
    query = sa.select(outbox).where(without_index(outbox.c.user_id) == owner, outbox.c.id == message_id)
    row = conn.execute(query).first()
    return _message(row) if row is not None else None


def words_of(row: Any) -> Words:
    return _message(row).words(UTC)


def _message(row: Any) -> Message:
    return Message(
        id=row.id,
        at=row.created_at,
        level=Level(row.level),
        notice=notice_of(row.kind, row.facts) if row.kind is not None else None,
        written=Words(row.title, row.text),
        signal_id=row.signal_id,
        read_at=row.read_at,
    )


def unread(conn: sa.Connection, owner: int, *, among: int = 1000) -> Any:
    """(count, newest) of the unread ones among the latest, without scanning a long history."""
    latest = (
        sa.select(outbox.c.id, outbox.c.read_at)
        .where(outbox.c.user_id == owner)
        .order_by(outbox.c.id.desc())
        .limit(among)
        .subquery()
    )
    return conn.execute(
        sa.select(sa.func.count().label("number"), sa.func.max(latest.c.id).label("newest")).where(
            latest.c.read_at.is_(None)
        )
    ).one()


def for_signal(conn: sa.Connection, owner: int, signal_id: str) -> list[Message]:
    query = sa.select(outbox).where(without_index(outbox.c.user_id) == owner, outbox.c.signal_id == signal_id)
    return [_message(row) for row in conn.execute(query.order_by(outbox.c.id))]


def mark_read(conn: sa.Connection, owner: int, *, up_to: int, now: datetime) -> int:
    of_owner = (outbox.c.user_id == owner) & (outbox.c.id <= up_to) & outbox.c.read_at.is_(None)
    return conn.execute(sa.update(outbox).where(of_owner).values(read_at=now)).rowcount


def record(
    conn: sa.Connection,
    *,
    actor: int | None,
    action: AuditAction,
    now: datetime,
    subject: int | None = None,
    detail: Any = None,
    address: str = "",
) -> None:
    row = {
        "at": now,
        "user_id": actor,
        "subject_id": subject,
        "action": action,
        "detail": detail,
        "address": address,
    }
    conn.execute(sa.insert(audit).values(**row))
    _log_for_security(conn, row)


def _log_for_security(conn: sa.Connection, row: dict[str, Any]) -> None:
    """Trading is in the audit log only, as it is much."""
    if row["action"].topic in (AuditTopic.BOT, AuditTopic.TRADING):
        return
    entry = {"action": row["action"], "at": row["at"], "user": row["user_id"], "subject": row["subject_id"]}
    after_commit(
        conn, partial(security_log.write_event, **entry, address=row["address"], detail=row["detail"])
    )


def record_often(
    conn: sa.Connection,
    *,
    key: str,
    count: int,
    actor: int | None,
    action: AuditAction,
    now: datetime,
    subject: int | None,
    detail: dict[str, Any],
    address: str,
) -> None:
    """For actions that may occur many times a minute: one row per key, with a count."""
    row = {
        "at": now,
        "user_id": actor,
        "subject_id": subject,
        "action": action,
        "address": address,
        "detail": detail | {"count": count},
    }
    _log_for_security(conn, row)
    found = conn.execute(
        sa.select(audit.c.id, audit.c.detail).where(audit.c.collapse_key == key).with_for_update()
    ).first()
    if found is not None:
        more = found.detail | {"count": int(found.detail["count"]) + count}
        conn.execute(sa.update(audit).where(audit.c.id == found.id).values(detail=more))
        return
    conn.execute(sa.insert(audit).values(**row, collapse_key=key))


def forget_name(conn: sa.Connection, user_id: int, email: str) -> None:
    """For a deleted user: audit entries stay under the user's number, without the email."""
    about = sa.or_(audit.c.user_id == user_id, audit.c.subject_id == user_id)
    for row in list(
        conn.execute(sa.select(audit.c.id, audit.c.detail).where(about, audit.c.detail.is_not(None)))
    ):
        without_email = {
            name: f"removed-{user_id}" if value == email else value for name, value in row.detail.items()
        }
        if without_email != row.detail:
            conn.execute(sa.update(audit).where(audit.c.id == row.id).values(detail=without_email))


def recorded(conn: sa.Connection, owner: int, *, before: int | None, limit: int) -> list[Any]:
    query = sa.select(audit).where(audit.c.user_id == owner)
    if before is not None:
        query = query.where(audit.c.id < before)
    return list(conn.execute(query.order_by(audit.c.id.desc()).limit(limit)))


def about_bot(conn: sa.Connection, owner: int, bot_id: int, *, limit: int) -> list[Any]:
    """The owner's actions on a bot, newest first."""
    of_bots = audit.c.action.in_(actions_on(AuditTopic.BOT))
    of_owner = (audit.c.user_id == owner) & (audit.c.subject_id == bot_id) & of_bots
    return list(conn.execute(sa.select(audit).where(of_owner).order_by(audit.c.id.desc()).limit(limit)))


def everything_recorded(conn: sa.Connection, *, before: int | None, limit: int) -> list[Any]:
    query = sa.select(audit)
    if before is not None:
        query = query.where(audit.c.id < before)
    return list(conn.execute(query.order_by(audit.c.id.desc()).limit(limit)))
