"""User accounts: set-up, registration, sign-in and options."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.operations import quotas
from dashtrade.services.people import passwords, throttle
from dashtrade.services.people.emails import read_email
from dashtrade.services.people.invitations import may_join, still_invites
from dashtrade.services.people.throttle import Key
from dashtrade.services.people.tokens import SIGN_IN, TOKEN_LIFE
from dashtrade.services.refusals import Denied
from dashtrade.tables import installation_settings
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import quotas as quota_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import tokens as token_table

_SETUP = "setup_code_hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    user: User
    access_token: str


# --- registration -------------------------------------------------------------------------------------------


def setup_link(app: App) -> str | None:
    """While there are no users: a new link for creating the first one. It replaces earlier links."""
    code = secrets.token_urlsafe(24)

    def work(conn: sa.Connection) -> bool:
        if table.count(conn):
            return False
        installation_settings.put_setting(conn, _SETUP, sha256(code))
        return True

    if not app.db.write(work):
        return None
    return f"{app.settings.dashboard_url}/setup?setup={code}"


def is_empty(app: App) -> bool:
    """Whether there are no users yet."""
    with app.db.read() as conn:
        return not table.count(conn)


def register(app: App, *, email: str, password: str, name: str, code: str | None, address: str) -> SignedIn:
    """The first user needs the set-up code and becomes superadmin; for others the installation's sign-up
    setting applies."""
    email = read_email(email)
    now = app.clock.now()
    with app.db.read() as conn:
        first = table.count(conn) == 0
    try:
        invited = None if first else may_join(app, code, email)
    except Denied as denied:
        app.notes.note(AuditAction.SIGN_UP_REFUSED, reason=denied.message, address=address)
        raise
    passwords.check(password, email, name)
    if not first and invited is None:  # open sign-up: limited per address
        throttle.reserve(
            app,
            throttle.of_network("sign-up", address),
            who=email,
            address=address,
            action=AuditAction.SIGN_UP_THROTTLED,
        )
    stored = passwords.hashed(password)
    role = Role.SUPERADMIN if first else invited.role if invited is not None else Role.STANDARD

    def work(conn: sa.Connection) -> int:
        if first:
            _use_setup_code(conn, code)
        if invited is not None and not (
            still_invites(conn, invited)
            and invitation_table.use_invitation(conn, invited.user_id, invited.id, now)
        ):
            raise Denied("this invitation was used already", "Ask for another one.")
        user_id = _insert(conn, app, email, name, stored, role)
        message_table.record(
            conn,
            actor=user_id,
            action=AuditAction.REGISTERED,
            now=now,
            subject=user_id,
            detail={"role": role},
            address=address,
        )
        return user_id

    user_id = app.db.write(work)
    return sign_in(app, user_id, address)


def check_setup_code(app: App, code: str) -> None:
    """Whether this code makes the first account. Raises Denied."""
    with app.db.read() as conn:
        _check_setup_code(conn, code)


def _check_setup_code(conn: sa.Connection, code: str | None) -> None:
    if table.count(conn) or not code or installation_settings.setting(conn, _SETUP) != sha256(code):
        raise Denied(
            "the set-up code is wrong, was used, or a newer one was made",
            "While there is no user, .venv/bin/dashtrade setup-link prints a new one.",
        )


def _use_setup_code(conn: sa.Connection, code: str | None) -> None:
    _check_setup_code(conn, code)
    # of two concurrent uses of the code, one fails here
    if not installation_settings.drop_setting(conn, _SETUP):
        raise Denied("the set-up code was used", "Sign in instead.")


def add_user(
    app: App, *, email: str, name: str, password: str, role: Role = Role.STANDARD, actor: int | None = None
) -> int:
    """Created by an admin or on the command line."""
    email = read_email(email)
    passwords.check(password, email, name)
    stored, now = passwords.hashed(password), app.clock.now()

    def work(conn: sa.Connection) -> int:
        user_id = _insert(conn, app, email, name, stored, role)
        message_table.record(
            conn, actor=actor, action=AuditAction.USER_ADDED, now=now, subject=user_id, detail={"role": role}
        )
        return user_id

    return app.db.write(work)


def _insert(conn: sa.Connection, app: App, email: str, name: str, stored: str, role: Role) -> int:
    require_free_email(conn, email)
    shown = re.sub(r"[\x00-\x1f]", " ", name or email.split("@")[0]).strip()[:80]
    return table.add(
        conn,
        email=email,
        name=shown,
        password_hash=stored,
        role=role,
        time_zone="UTC",
        created_at=app.clock.now(),
        last_login_at=None,
    )


def require_free_email(conn: sa.Connection, email: str) -> None:
    """Check that the email is unused, and reserve it until this transaction ends."""
    signal_table.lock_key(conn, f"email|{email}")
    if table.by_email(conn, email):
        raise Malformed(
            "an account with this email already exists",
            where="email",
            hint="Sign in, or use another address.",
        )


# --- signing in ---------------------------------------------------------------------------------------------


def check_password(app: App, email: str, password: str, address: str, *, device: str = "") -> User:
    """The user, or Denied: with the same message and timing whether the account exists or not."""
    email = email.strip().lower()[:254]
    with app.db.read() as conn:
        found = table.by_email(conn, email)
    known = found is not None and throttle.is_known(app, found[0].id, device)
    keys = (
        [Key(text=f"device:{device}")]
        if known
        else [Key(text=f"account:{email}"), *throttle.of_network("sign-in", address)]
    )
    return _checked(app, found, password, keys, who=email, address=address)


def _checked(
    app: App, found: tuple[User, str] | None, password: str, keys: list[Key], *, who: str, address: str
) -> User:
    subject = found[0].id if found else None
    throttle.reserve(app, keys, who=who, address=address, subject=subject)
    right = passwords.matches(password, found[1] if found else passwords.DUMMY_HASH)
    if not (found and right and found[0].is_active and found[0].demo_until is None):
        app.notes.note(
            AuditAction.SIGN_IN_FAILED, who=who, address=address, subject=subject, reason=_why(found, right)
        )
        raise Denied(
            "email or password is wrong", "Check both. An admin can send you a link for a new password."
        )
    throttle.succeeded(app, keys)
    return found[0]


def _why(found: tuple[User, str] | None, right: bool) -> str:
    """For the audit log only: the client gets the same message in each case."""
    if found is None:
        return "no such account"
    return "deactivated" if right and not found[0].is_active else "wrong password"


def check_own_password(app: App, user: User, password: str, address: str, *, where: str) -> None:
    """Protects sensitive changes from someone at an open browser. Has its own counter: a stranger who is
    not signed in cannot lock it."""
    app.db.may_write()  # an admin viewing these pages must not try passwords
    with app.db.read() as conn:
        found = table.by_email(conn, user.email)
    try:
        _checked(app, found, password, [Key(text=f"own:{user.id}")], who=user.email, address=address)
    except Denied as denied:
        if denied.retry_after:
            raise
        raise Malformed(
            "the current password is wrong", where=where, hint="Enter the password you sign in with."
        ) from None


def sign_in(app: App, user_id: int, address: str = "") -> SignedIn:
    """An access token for a program."""
    token, now = "dt_" + secrets.token_urlsafe(32), app.clock.now()

    def work(conn: sa.Connection) -> User:
        quota_table.lock(conn, user_id)
        token_table.trim_api_tokens(conn, user_id, SIGN_IN, quotas.MAX_SIGN_IN_TOKENS - 1)
        token_table.add_api_token(
            conn,
            user_id,
            token_hash=sha256(token),
            name=SIGN_IN,
            created_at=now,
            expires_at=now + TOKEN_LIFE,
            used_at=None,
            revoked_at=None,
        )
        table.change(conn, user_id, last_login_at=now)
        user = table.by_id(conn, user_id)
        assert user is not None
        return user

    user = app.db.write(work)
    app.notes.note(
        AuditAction.SIGNED_IN_OVER_REST, actor=user_id, subject=user_id, who=user.email, address=address
    )
    return SignedIn(user=user, access_token=token)


def change_options(app: App, user: User, changes: dict[str, Any]) -> User:
    """Change the user's own settings; `body_secret` is stored as a hash, an empty one removes it."""
    values = dict(changes)
    if "body_secret" in values:
        secret = values.pop("body_secret")
        values["body_secret_hash"] = sha256(secret) if secret else None
    for name in ("name", "time_zone", "tradingview_only"):
        if name in values and values[name] is None:
            raise Malformed(f"{name} is null", where=name, hint="Leave it out, or give it a value.")
    if "time_zone" in values:
        read_zone(values["time_zone"])
    if values:
        app.db.write(lambda conn: table.change(conn, user.id, **values))
    with app.db.read() as conn:
        return table.by_id(conn, user.id) or user


def read_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Malformed(
            f"there is no time zone {name[:40]!r}",
            where="time_zone",
            hint="Write it as Europe/Berlin or America/New_York.",
        ) from None
    return name
