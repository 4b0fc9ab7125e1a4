"""Deleting a user with all their data. Refused while one of their bots has a position on a live account.

The first commit removes sessions, tokens and name. Then the rows go, a few thousand per commit, so that no
other writer waits long. An interrupted deletion is continued by `finish`, which the worker calls every
hour."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.reasons import Code, Reason
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.tables import admin_queries
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import sessions as session_table

log = logging.getLogger("dashtrade.people")
ROWS_PER_BATCH = 2000  # rows per commit


def remove(app: App, user_id: int, *, actor: int | None, action: AuditAction, address: str = "") -> None:
    """The caller checks the permission."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        user = table.by_id(conn, user_id)
        if user is None:
            raise NotFound("user")
        keep_a_superadmin(conn, user_id)
        busy = admin_queries.busy_for_real(conn, user_id)
        if busy:
            raise Refusal(
                f"{busy[0].name} still has a position or an open order on a live account",
                ("Close the positions on live accounts first: after the deletion no bot owns them."),
            )
        message_table.record(conn, actor=actor, action=action, now=now, subject=user_id, address=address)
        message_table.forget_name(conn, user_id, user.email)
        bot_table.pause_all(conn, user_id, reason=Reason(Code.OWNER_DELETED), now=now)
        session_table.remove_sessions(conn, user_id)
        table.change(
            conn,
            user_id,
            removed_at=now,
            is_active=False,
            email=f"removed-{user_id}",
            name="",
            password_hash="-",
            totp_secret=None,
            demo_until=None,
            demo_address=None,
            role=Role.STANDARD,
        )

    app.db.write(work)
    _remove_rows(app, user_id)


def keep_a_superadmin(conn: sa.Connection, user_id: int) -> None:
    """Refuses to remove the last superadmin, as no one could appoint another."""
    if table.lock_superadmins(conn) == [user_id]:
        raise Refusal("this is the last superadmin", "Give another user the role superadmin first.")


def finish(app: App) -> int:
    """Continue interrupted deletions."""
    with app.db.read() as conn:
        users = table.removed(conn)
    for user_id in users:
        _remove_rows(app, user_id)
    return len(users)


def _remove_rows(app: App, user_id: int) -> None:
    while app.db.write(lambda conn: admin_queries.remove_some(conn, user_id, ROWS_PER_BATCH)):
        pass
    app.db.write(lambda conn: admin_queries.remove_user(conn, user_id))
    log.info("user %s and all their data are deleted", user_id)
