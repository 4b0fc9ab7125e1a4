"""Second factors, their recovery codes, and one-time links."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dashtrade.tables.base import id_column, int_column, metadata, owner_column, text_column, time_column
from dashtrade.tables.invitations import invitations
from dashtrade.tables.people import users
from dashtrade.tables.sessions import sessions
from dashtrade.tables.tokens import api_tokens

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    id_column(),
    owner_column(index=True),
    text_column("code_hash"),
    time_column("used_at", nullable=True),
)
reset_links = sa.Table(
    "reset_links",
    metadata,
    id_column(),
    owner_column(index=True),
    sa.Column("code_hash", sa.Text, nullable=False, unique=True),
    int_column("made_by"),
    time_column("created_at"),
    time_column("expires_at"),
    time_column("used_at", nullable=True),
)

LOCKED_AFTER = 50  # consecutive wrong codes; then only a recovery code, or an admin, helps

SYSTEM = {"sealed_factors", "put_sealed_factor", "link", "open_links", "end_everything"}


# --- the second factor --------------------------------------------------------------------------------------


def factor(conn: sa.Connection, owner: int) -> str | None:
    """The sealed secret."""
    return conn.scalar(sa.select(users.c.totp_secret).where(users.c.id == owner))


def lock_factor(conn: sa.Connection, owner: int) -> bool:
    """Is it enabled? Nobody changes it before this transaction ends."""
    return (
        conn.scalar(sa.select(users.c.totp_secret).where(users.c.id == owner).with_for_update(key_share=True))
        is not None
    )


def put_factor(conn: sa.Connection, owner: int, secret: str | None, step: int | None) -> None:
    conn.execute(
        sa.update(users).where(users.c.id == owner).values(totp_secret=secret, totp_step=step, wrong_codes=0)
    )


def use_step(conn: sa.Connection, owner: int, step: int) -> bool:
    """A code works once, and none older than the last one used: of two simultaneous uses one fails."""
    fresh = (users.c.id == owner) & sa.or_(users.c.totp_step.is_(None), users.c.totp_step < step)
    return conn.execute(sa.update(users).where(fresh).values(totp_step=step)).rowcount == 1


def sealed_factors(conn: sa.Connection, *, after: int, limit: int) -> list[Any]:
    u = users.c
    return list(
        conn.execute(
            sa.select(u.id, u.totp_secret)
            .where(u.id > after, u.totp_secret.is_not(None))
            .order_by(u.id)
            .limit(limit)
        )
    )


def put_sealed_factor(conn: sa.Connection, user_id: int, old: str, new: str) -> bool:
    of_owner = (users.c.id == user_id) & (users.c.totp_secret == old)
    return conn.execute(sa.update(users).where(of_owner).values(totp_secret=new)).rowcount == 1


def count_wrong_code(conn: sa.Connection, owner: int) -> int:
    """Count an attempt before it is checked; returns the number of consecutive wrong codes, this one
    included."""
    conn.execute(sa.update(users).where(users.c.id == owner).values(wrong_codes=users.c.wrong_codes + 1))
    return conn.scalar(sa.select(users.c.wrong_codes).where(users.c.id == owner)) or 0


def reset_wrong_codes(conn: sa.Connection, owner: int) -> None:
    conn.execute(sa.update(users).where(users.c.id == owner).values(wrong_codes=0))


def put_codes(conn: sa.Connection, owner: int, hashes: list[str]) -> None:
    """Replace all recovery codes."""
    conn.execute(sa.delete(recovery_codes).where(recovery_codes.c.user_id == owner))
    if hashes:
        conn.execute(
            sa.insert(recovery_codes),
            [{"user_id": owner, "code_hash": code, "used_at": None} for code in hashes],
        )


def use_code(conn: sa.Connection, owner: int, code_hash: str, now: datetime) -> bool:
    r = recovery_codes.c
    of_owner = (r.user_id == owner) & (r.code_hash == code_hash) & r.used_at.is_(None)
    return conn.execute(sa.update(recovery_codes).where(of_owner).values(used_at=now)).rowcount == 1


def codes_left(conn: sa.Connection, owner: int) -> int:
    r = recovery_codes.c
    return (
        conn.scalar(
            sa.select(sa.func.count())
            .select_from(recovery_codes)
            .where(r.user_id == owner, r.used_at.is_(None))
        )
        or 0
    )


# --- password reset links -----------------------------------------------------------------------------------


def add_link(
    conn: sa.Connection, owner: int, *, code_hash: str, made_by: int, now: datetime, expires_at: datetime
) -> None:
    """Earlier links become invalid."""
    conn.execute(sa.delete(reset_links).where(reset_links.c.user_id == owner))
    conn.execute(
        sa.insert(reset_links).values(
            user_id=owner,
            code_hash=code_hash,
            made_by=made_by,
            created_at=now,
            expires_at=expires_at,
            used_at=None,
        )
    )


def link(conn: sa.Connection, code_hash: str, now: datetime) -> Any | None:
    """The link's user and creator, while it is valid."""
    r = reset_links.c
    query = sa.select(r.user_id, r.made_by).where(
        r.code_hash == code_hash, r.used_at.is_(None), r.expires_at > now
    )
    return conn.execute(query).first()


def open_links(conn: sa.Connection, now: datetime) -> list[Any]:
    """Valid ones, the newest 200, with the emails of user and creator (None: the command line)."""
    r, maker = reset_links.c, users.alias("maker")
    query = sa.select(r.user_id, r.created_at, r.expires_at, users.c.email, maker.c.email.label("made_by"))
    query = query.join(users, users.c.id == r.user_id).outerjoin(maker, maker.c.id == r.made_by)
    return list(
        conn.execute(query.where(r.used_at.is_(None), r.expires_at > now).order_by(r.id.desc()).limit(200))
    )


def drop_link(conn: sa.Connection, owner: int) -> bool:
    r = reset_links.c
    return conn.execute(sa.delete(reset_links).where(r.user_id == owner, r.used_at.is_(None))).rowcount > 0


def end_everything(conn: sa.Connection, now: datetime) -> None:
    """Delete all sessions, API tokens, links and invitations. Nobody stays signed in."""
    for gone in (sessions, reset_links, invitations):
        conn.execute(sa.delete(gone))
    conn.execute(sa.update(api_tokens).where(api_tokens.c.revoked_at.is_(None)).values(revoked_at=now))


def end_handed_out(conn: sa.Connection, owner: int) -> int:
    """Delete the links for this user, and the links and invitations this user created, as their authority
    ended."""
    r, i = reset_links.c, invitations.c
    unused = sa.or_(r.user_id == owner, r.made_by == owner) & r.used_at.is_(None)
    links = conn.execute(sa.delete(reset_links).where(unused)).rowcount
    return (
        links + conn.execute(sa.delete(invitations).where(i.user_id == owner, i.used_at.is_(None))).rowcount
    )


def use_link(conn: sa.Connection, owner: int, code_hash: str, now: datetime) -> bool:
    r = reset_links.c
    of_owner = (r.user_id == owner) & (r.code_hash == code_hash) & r.used_at.is_(None) & (r.expires_at > now)
    return conn.execute(sa.update(reset_links).where(of_owner).values(used_at=now)).rowcount == 1
