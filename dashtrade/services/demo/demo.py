"""The demo: an account without sign-up, with paper money and a week of history.

The history is simulated, not invented: three sample bots get alerts from moving-average crossings on the
demo prices of the last seven days, and the engine decides, fills and books by its own rules in an in-memory
database with a simulated clock. The result, profit or loss, is copied into the real database in one commit.

Afterwards the bots wait for alerts like any other. A demo that is unused for thirty days is deleted with
its data."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.limits import network_of
from dashtrade.locks import LockTimeout
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.demo.transfer import move_in
from dashtrade.services.demo.week import simulate_week, unlogged
from dashtrade.services.people import admin, emails, invitations, passwords, removal, users
from dashtrade.services.people.users import Denied
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import signals as signal_table

MAX_DEMOS = 200  # demos at a time

MAX_PER_HOUR = 5  # from one address

TIMEOUT_SECONDS = 5.0  # seconds to wait while another demo is created

MAX_ALERTS = 2000  # per demo, in total

# --- start --------------------------------------------------------------------------------------------------


def start(app: App, *, address: str) -> int:
    """Create a demo user; Denied at the limit. One at a time: each takes much work, and concurrent starts
    would otherwise all pass the limit before any of them is counted."""
    address = network_of(address)
    try:
        with app.db.exclusive("demo", timeout_seconds=TIMEOUT_SECONDS):
            return _start(app, address)
    except LockTimeout:
        raise Denied(
            "other users are starting demos at this moment", "Try again in a moment.", retry_after=5
        ) from None


def _start(app: App, address: str) -> int:
    _check_room(app, address)
    now = app.clock.now()
    with unlogged():
        past = simulate_week(app, now)
    try:
        with past.db.read() as old:
            return app.db.write(lambda conn: move_in(conn, old, now=now, address=address))
    finally:
        past.close()


def _check_room(app: App, address: str) -> None:
    if not admin.demo_offered(app):
        raise Denied("this installation offers no demo", "Ask an admin for an invitation.")
    now = app.clock.now()
    with app.db.read() as conn:
        here, alive = table.count_demos_from(conn, address, now - timedelta(hours=1)), table.count_demos(conn)
    if here >= MAX_PER_HOUR:
        raise Denied(
            "too many demos were started from your address",
            "Continue with one of them, or try again in an hour.",
            retry_after=3600,
        )
    if alive >= MAX_DEMOS:
        raise Denied(
            "all demos are in use at the moment",
            "Try again later: unused demos end after 30 days.",
            retry_after=3600,
        )


def claim(
    app: App, user: User, *, email: str, name: str, password: str, code: str | None, address: str
) -> None:
    """Turn the demo into a real account; bots, history and settings stay. Sign-up by invitation applies
    here too."""
    email, now = emails.read_email(email), app.clock.now()
    invited = invitations.may_join(app, code or None, email)
    passwords.check(password, email, name)
    stored = passwords.hashed(password)

    def work(conn: sa.Connection) -> None:
        users.require_free_email(conn, email)
        if invited is not None and not (
            invitations.still_invites(conn, invited)
            and invitation_table.use_invitation(conn, invited.user_id, invited.id, now)
        ):
            raise Denied("this invitation was used already", "Ask for another one.")
        role = invited.role if invited is not None else Role.STANDARD
        shown = " ".join(name.split())[:80] or email.split("@")[0]
        table.change(
            conn,
            user.id,
            email=email,
            name=shown,
            password_hash=stored,
            role=role,
            demo_until=None,
            demo_address=None,
        )
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.DEMO_BECAME_AN_ACCOUNT,
            now=now,
            subject=user.id,
            detail={"email": email},
            address=address,
        )

    app.db.write(work)


def check_alerts(app: App, user: User) -> None:
    """Limits a demo's alerts, as anyone who has its webhook address could send them without end."""
    if user.demo_until is None:
        return
    with app.db.read() as conn:
        if not signal_table.room_for(conn, user.id, MAX_ALERTS):
            raise Refusal(
                f"this demo has used its {MAX_ALERTS:,} alerts",
                "Turn the demo into a real account first, on the Account page.",
            )


def end_expired(app: App) -> int:
    """Delete demos that were unused for a month."""
    now = app.clock.now()
    with app.db.read() as conn:
        over = table.expired_demos(conn, now)
    for user_id in over:
        removal.remove(app, user_id, actor=None, action=AuditAction.DEMO_ENDED)
    return len(over)
