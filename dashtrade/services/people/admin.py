"""What admins do to accounts, and superadmins to the installation. Each action checks the table of
permissions and is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission, Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.people import AccountReactivated, RoleChanged
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.values import Malformed
from dashtrade.services.people import invitations, removal, second_factor
from dashtrade.services.people.permission import managed_user, require
from dashtrade.services.refusals import Refusal
from dashtrade.tables import admin_queries, installation_settings
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import second_factors as proof_table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import tokens as token_table

SIGNUPS = ("open", "invite", "closed")
DAYS, SYMBOLS, LATEST = 14, 8, 1000
BACKUPS = 50


def user_of(app: App, actor: User, user_id: int) -> User:
    """A user whose account the actor may manage."""
    with app.db.read() as conn:
        return managed_user(conn, actor, user_id)


def users(app: App, actor: User, *, after: int, limit: int, named: str = "") -> list[User]:
    """All users; `named` filters by a part of the name or the email."""
    require(actor, Permission.MANAGE_USERS)
    with app.db.read() as conn:
        return table.everyone(conn, after=after, limit=limit, named=named.strip())


def find_users(app: App, actor: User, user_ids: Iterable[int]) -> dict[int, User]:
    """The users with these ids, for naming them in the audit log. Unknown ids are left out."""
    require(actor, Permission.SEE_SYSTEM)
    with app.db.read() as conn:
        found = [table.by_id(conn, user_id) for user_id in user_ids]
    return {user.id: user for user in found if user is not None}


def find_by_email(app: App, actor: User, email: str) -> User | None:
    require(actor, Permission.SEE_ALL_TRADES)
    with app.db.read() as conn:
        found = table.by_email(conn, email.strip().lower())
    return None if found is None else found[0]


def set_role(app: App, actor: User, user_id: int, role: Role) -> None:
    require(actor, Permission.MANAGE_ROLES)
    user, now = user_of(app, actor, user_id), app.clock.now()
    if user.demo_until is not None:
        raise Refusal(
            "a demo account has no other role", "The user can turn the demo into a real account first."
        )

    def work(conn: sa.Connection) -> None:
        if role is not Role.SUPERADMIN:
            removal.keep_a_superadmin(conn, user_id)
        table.change(conn, user_id, role=role)
        proof_table.end_handed_out(conn, user_id)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.ROLE_GIVEN,
            now=now,
            subject=user_id,
            detail={"email": user.email, "role": role},
        )
        message_table.notify(
            conn, user_id, RoleChanged(before=user.role, after=role, by=actor.email), now=now
        )

    app.db.write(work)


def set_active(app: App, actor: User, user_id: int, active: bool) -> None:
    """Deactivation ends every session and token for good; the bots open nothing until their owner resumes
    them."""
    user, now = user_of(app, actor, user_id), app.clock.now()

    def work(conn: sa.Connection) -> None:
        if not active:
            removal.keep_a_superadmin(conn, user_id)
            session_table.remove_sessions(conn, user_id)
            token_table.revoke_api_tokens(conn, user_id, now)
            token_table.end_webhook_tokens(conn, user_id, now=now, until=None)
            proof_table.end_handed_out(conn, user_id)
            bot_table.pause_all(conn, user_id, reason=Reason(Code.OWNER_DEACTIVATED), now=now)
        table.change(conn, user_id, is_active=active)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.USER_ACTIVATED if active else AuditAction.USER_DEACTIVATED,
            now=now,
            subject=user_id,
            detail={"email": user.email},
        )
        if active and not user.is_active:
            message_table.notify(conn, user_id, AccountReactivated(), now=now)

    app.db.write(work)


def reset_second_factor(app: App, actor: User, user_id: int) -> None:
    user = user_of(app, actor, user_id)
    if not user.second_factor:
        raise Refusal("the user's two-factor authentication is already off", "No action is needed.")
    second_factor.remove(
        app, user_id, actor=actor.id, action=AuditAction.SECOND_FACTOR_TAKEN_OFF_BY_AN_ADMIN, by=actor.email
    )


def delete(app: App, actor: User, user_id: int, *, confirm: str) -> None:
    """Delete the user with all their data; `confirm` is their email, typed."""
    user = user_of(app, actor, user_id)
    if user.id == actor.id:
        raise Refusal("this is your own account", "Delete your own account on the Account page.")
    if confirm.strip().lower() != user.email:
        raise Malformed(
            "this is not the user's email", where="confirm", hint="Type the email of the account to delete."
        )
    removal.remove(app, user_id, actor=actor.id, action=AuditAction.USER_DELETED)


# --- the installation ---------------------------------------------------------------------------------------


def settings(app: App) -> dict[str, Any]:
    return {"signup": invitations.signup(app), "demo": demo_offered(app)}


def demo_offered(app: App) -> bool:
    """There is no demo while sign-up is closed: a demo can become an account."""
    with app.db.read() as conn:
        return (
            installation_settings.setting(conn, invitations.DEMO) != "off"
            and (installation_settings.setting(conn, invitations.SIGNUP) or app.settings.signup) != "closed"
        )


def put_setting(app: App, actor: User, name: str, value: str) -> None:
    require(actor, Permission.MANAGE_SYSTEM)
    allowed = {invitations.SIGNUP: SIGNUPS, invitations.DEMO: ("on", "off")}[name]
    if value not in allowed:
        raise Malformed(f"{name} cannot be {value[:30]!r}", where=name, hint=f"One of: {', '.join(allowed)}.")
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        installation_settings.put_setting(conn, name, value)
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.SETTING_CHANGED,
            now=now,
            detail={"name": name, "value": value},
        )

    app.db.write(work)


def overview(app: App) -> dict[str, Any]:
    """Figures of all users: users, bots, trades and volume by day, most traded symbols, problems of the
    last day."""
    now = app.clock.now()
    since = (now - timedelta(days=DAYS - 1)).date()
    with app.db.read() as conn:
        counts = admin_queries.figures(
            conn, since_active=now - timedelta(days=7), since_error=now - timedelta(days=1)
        )
        days, symbols = admin_queries.by_day(conn, since), admin_queries.by_symbol(conn, since, SYMBOLS)
    return {
        "counts": counts,
        "days": [(row.day, int(row.trades), float(row.volume)) for row in days],
        "symbols": [(row.symbol, int(row.trades), float(row.volume)) for row in symbols],
    }


def latencies(app: App) -> list[tuple[str, int, dict[str, float]]]:
    """(measure, count, milliseconds by percentile) over the newest decisions that sent an order at once."""
    with app.db.read() as conn:
        rows = admin_queries.latencies(conn, LATEST)
    spans = {
        "accepted → decided": [row.decided_at - row.received_at for row in rows],
        "accepted → fill booked": [
            row.booked_at - row.received_at for row in rows if row.booked_at is not None
        ],
    }
    return [(name, len(found), _percentiles(found)) for name, found in spans.items()]


def _percentiles(found: list[timedelta]) -> dict[str, float]:
    ordered = sorted(found)
    return (
        {
            f"p{share}": ordered[min(len(ordered) * share // 100, len(ordered) - 1)]
            / timedelta(milliseconds=1)
            for share in (50, 90, 99)
        }
        if found
        else {}
    )


# --- backups ------------------------------------------------------------------------------------------------


def backups(app: App) -> list[tuple[str, datetime, int]]:
    """(name, time, bytes) of the backups made here, newest first."""
    files = sorted(_backup_folder(app).glob("dashtrade-*.db"), reverse=True)[:BACKUPS]
    return [
        (file.name, datetime.fromtimestamp(file.stat().st_mtime, UTC), file.stat().st_size) for file in files
    ]


def make_backup(app: App, actor: User) -> Path:
    """A verified copy of the SQLite database, made while trading continues."""
    require(actor, Permission.MANAGE_SYSTEM)
    now, folder = app.clock.now(), _backup_folder(app)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"dashtrade-{now:%Y%m%d-%H%M%S}.db"
    app.db.backup(path)
    app.db.write(
        lambda conn: message_table.record(
            conn, actor=actor.id, action=AuditAction.BACKUP_MADE, now=now, detail={"file": path.name}
        )
    )
    return path


def _backup_folder(app: App) -> Path:
    return app.settings.home / "backups"


# --- the logs -----------------------------------------------------------------------------------------------

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
TAIL_BYTES = 512 * 1024  # bytes searched at the end of each file


def log_lines(app: App, actor: User, *, level: str, text: str, most: int) -> list[str]:
    """The newest matching lines of all processes, at this level or above. Secrets were redacted when
    logged, and are redacted again here."""
    from dashtrade.redaction import redacted

    require(actor, Permission.MANAGE_SYSTEM)
    wanted = {*LEVELS[LEVELS.index(level) :], "CRITICAL"}
    found: list[str] = []
    for file in sorted(app.settings.logs.glob("*.log")):
        for entry in _entries(file):
            words = entry.split(" ", 2)
            known = words[1] if len(words) > 2 and words[1] in (*LEVELS, "CRITICAL") else "INFO"
            if known in wanted and text.lower() in entry.lower():
                found.append(entry)
    return [redacted(entry) for entry in sorted(found)[-most:]]


def _entries(file: Path) -> list[str]:
    """Log entries: a line with the lines that belong to it, such as a traceback."""
    try:
        with open(file, "rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(opened.tell() - TAIL_BYTES, 0))
            lines = opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        if line[:2] == "20" or not found:
            found.append(line)
        else:
            found[-1] += "\n" + line
    return found
