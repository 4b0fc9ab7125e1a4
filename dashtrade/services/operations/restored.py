"""A restored backup must not bring back what was revoked in the newer database it replaces.

All sessions, tokens and links end. What was revoked, rotated or used up in the replaced database is so in
the restored one, if the replaced one can be read."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bot_database import Database
from dashtrade.domain.audit import AuditAction
from dashtrade.tables import messages as message_table
from dashtrade.tables import second_factors
from dashtrade.tables import tokens as token_table
from dashtrade.tables.people import users
from dashtrade.tables.second_factors import recovery_codes
from dashtrade.tables.tokens import webhook_tokens

_USER = (
    users.c.id,
    users.c.email,
    users.c.created_at,
    users.c.role,
    users.c.is_active,
    users.c.password_hash,
    users.c.totp_secret,
    users.c.totp_step,
)
_AS_BEFORE: dict[str, Callable[[Any], Any]] = {
    "password": lambda user: user.password_hash,
    "role": lambda user: user.role,
    "active or not": lambda user: user.is_active,
    "two-factor authentication": lambda user: user.totp_secret is not None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedState:
    """Data of the replaced database."""

    users: dict[tuple[int, datetime], Any]
    tokens: dict[str, Any]
    used_codes: dict[tuple[int, str], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The result shown at the console."""

    compared: bool  # a database of the same installation was readable
    webhook_tokens: dict[str, str]  # email -> status of the token
    as_in_the_backup: dict[str, list[str]]  # email -> what had changed since the backup


def make_safe(incoming: Path, replaced: Path | None, now: datetime) -> Restored:
    """Runs before the backup replaces the database, so an interruption changes nothing."""
    before = _read(replaced) if replaced is not None else None
    db = Database(f"sqlite:///{incoming}")
    try:
        _bring_up_to_date(db, incoming)
        return db.write(lambda conn: _end(conn, before, now))
    finally:
        db.close()
        Path(f"{incoming}.migrating").unlink(missing_ok=True)


def _bring_up_to_date(db: Database, incoming: Path) -> None:
    from alembic.util import CommandError

    try:
        db.migrate()
    except CommandError as error:
        raise ValueError(
            f"this backup was made by a newer DashTrade; nothing was changed ({error})\n  Update "
            "DashTrade, then restore it."
        ) from error


def _read(path: Path) -> ReplacedState | None:
    """None if it is damaged or has another schema."""
    engine = sa.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true", poolclass=sa.NullPool)
    t = webhook_tokens.c
    wanted = (t.user_id, t.token_hash, t.secret, t.created_at, t.used_at, t.expires_at, t.revoked_at)
    with contextlib.suppress(sa.exc.DatabaseError), engine.connect() as conn:
        used = conn.execute(sa.select(recovery_codes).where(recovery_codes.c.used_at.is_not(None)))
        return ReplacedState(
            users={
                (user.id, user.created_at): user
                for user in conn.execute(sa.select(*_USER).where(users.c.removed_at.is_(None)))
            },
            tokens={row.token_hash: row for row in conn.execute(sa.select(*wanted))},
            used_codes={(row.user_id, row.code_hash): row.used_at for row in used},
        )
    return None


def _end(conn: sa.Connection, before: ReplacedState | None, now: datetime) -> Restored:
    second_factors.end_everything(conn, now)
    message_table.record(conn, actor=None, action=AuditAction.DATABASE_RESTORED_FROM_A_BACKUP, now=now)
    here = {
        (user.id, user.created_at): user
        for user in conn.execute(sa.select(*_USER).where(users.c.removed_at.is_(None)))
    }
    known = {key: (user, before.users[key]) for key, user in here.items() if before and key in before.users}
    if before is None or not known:
        return Restored(compared=False, webhook_tokens={}, as_in_the_backup={})
    changed = {
        user.email: found
        for user, then in known.values()
        if (found := [name for name, of in _AS_BEFORE.items() if of(user) != of(then)])
    }
    for user, then in known.values():
        if (then.totp_step or 0) > (user.totp_step or 0):
            second_factors.use_step(conn, user.id, then.totp_step)
    for (user_id, code_hash), used_at in before.used_codes.items():
        second_factors.use_code(conn, user_id, code_hash, used_at)
    return Restored(compared=True, webhook_tokens=_tokens(conn, before, here, now), as_in_the_backup=changed)


def _tokens(
    conn: sa.Connection, before: ReplacedState, here: dict[tuple[int, datetime], Any], now: datetime
) -> dict[str, str]:
    """The webhook tokens as in the replaced database; a user deleted there gets none."""
    said: dict[str, str] = {}
    mine: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for row in conn.execute(sa.select(webhook_tokens)):
        mine[row.user_id][row.token_hash] = row
    newer = defaultdict(list)
    for row in before.tokens.values():
        newer[row.user_id].append(row)
    for key, user in here.items():
        if key not in before.users:
            if token_table.end_webhook_tokens(conn, user.id, now=now, until=None):
                said[user.email] = "revoked, as this user no longer existed before the restore"
            continue
        for row in newer[user.id]:
            kept = mine[user.id].get(row.token_hash)
            if kept is None:
                values = {name: value for name, value in row._mapping.items() if name != "user_id"}
                token_table.add_webhook_token(conn, user.id, **values)
                if row.revoked_at is None:
                    said[user.email] = (
                        "rotated after the backup: the newer token works, the one in the backup does not"
                    )
            elif (kept.revoked_at, kept.expires_at) != (row.revoked_at, row.expires_at):
                token_table.put_webhook_end(
                    conn, kept.id, revoked_at=row.revoked_at or kept.revoked_at, expires_at=row.expires_at
                )
                said.setdefault(user.email, "revoked after the backup, and still revoked")
    return said


def in_words(done: Restored) -> str:
    lines = [
        (
            "Every session, sign-in, API token, password link and invitation has ended: sign in again, "
            "and create new API tokens."
        )
    ]
    if not done.compared:
        lines.append(
            "Revocations after the backup are unknown: webhook tokens are as in the backup. If a token "
            "was rotated since then because somebody else had it, rotate it again (Setup, or POST "
            "/api/v1/webhook-token/rotate)."
        )
    elif not done.webhook_tokens:
        lines.append("No webhook token changed since the backup.")
    lines += [f"Webhook token of {email}: {what}." for email, what in done.webhook_tokens.items()]
    if done.as_in_the_backup:
        lines.append(
            "These changed after the backup and are back to their state in the backup; check whether you "
            "want that:"
        )
        lines += [f"  {email}: {', '.join(names)}" for email, names in done.as_in_the_backup.items()]
    return "\n".join(lines)
