"""Accounts of people: the first one, the others, signing in, and the tokens they hand to machines."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from bot_database import DatabaseAway
from dashtrade.context import App
from dashtrade.domain.access import Permission, Role, TokenScope, may
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.operations import quotas
from dashtrade.services.people import passwords, throttle
from dashtrade.services.people.permission import require, require_over
from dashtrade.services.people.throttle import Key
from dashtrade.services.refusals import Denied, NotFound
from dashtrade.tables import installation_settings
from dashtrade.tables import invitations as invitation_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as table
from dashtrade.tables import quotas as quota_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import tokens as token_table

TOKEN_LIFE = timedelta(days=30)
INVITATION_LIFE = timedelta(days=7)
LOOKED_AT = timedelta(seconds=60)  # "last used" is as exact as this
SIGN_IN = token_table.SIGN_IN
_SETUP = "setup_code_hash"
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>\"']{1,64}@[^@\s\x00-\x1f<>\"']+\.[^@\s\x00-\x1f<>\"'.]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    user: User
    access_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a token of the REST API opens. `second_factor_due`: no more than that before its user has set one
    up."""

    user: User
    scopes: frozenset[TokenScope]
    second_factor_due: bool


# --- becoming a user ----------------------------------------------------------------------------------------


def setup_link(app: App) -> str | None:
    """While there is no user: a link, new each time, by which the first one is made. It ends the ones before
    it."""
    code = secrets.token_urlsafe(24)

    def work(conn: sa.Connection) -> bool:
        if table.count(conn):
            return False
        installation_settings.put_setting(conn, _SETUP, sha256(code))
        return True

    if not app.db.write(work):
        return None
    return f"{app.settings.dashboard_url}/setup?setup={code}"


def register(app: App, *, email: str, password: str, name: str, code: str | None, address: str) -> SignedIn:
    """The first user needs the set-up code and becomes superadmin; the others what the installation's sign-up
    says."""
    email = read_email(email)
    now = app.clock.now()
    with app.db.read() as conn:
        first = table.count(conn) == 0
    try:
        invited = None if first else may_join(app, code, email)
    except Denied as denied:
        app.notes.note("sign-up refused", reason=denied.message, address=address)
        raise
    passwords.check(password, email, name)
    if not first and invited is None:  # nobody asked for them: not many from one address
        throttle.reserve(
            app,
            throttle.of_network("sign-up", address),
            who=email,
            address=address,
            action="sign-up throttled",
        )
    stored = passwords.hashed(password)
    role = Role.SUPERADMIN if first else Role(invited.role) if invited is not None else Role.STANDARD

    def work(conn: sa.Connection) -> int:
        if first and (
            table.count(conn) or not code or installation_settings.setting(conn, _SETUP) != sha256(code)
        ):
            raise Denied(
                "the set-up code is wrong or was used",
                "Start DashTrade again: it prints a new set-up link while there is no user.",
            )
        if invited is not None and not (
            still_invites(conn, invited) and invitation_table.use_invitation(conn, invited.id, now)
        ):
            raise Denied("this invitation was used already", "Ask for another one.")
        # of two who use the code at once, one finds it gone
        if first and not installation_settings.drop_setting(conn, _SETUP):
            raise Denied("the set-up code was used", "Sign in instead.")
        user_id = _insert(conn, app, email, name, stored, role)
        message_table.record(
            conn,
            actor=user_id,
            action="registered",
            now=now,
            subject=user_id,
            detail={"role": role},
            address=address,
        )
        return user_id

    user_id = app.db.write(work)
    return sign_in(app, user_id, address)


SIGNUP, DEMO = "signup", "demo"  # settings of the installation, by a superadmin


def signup(app: App) -> str:
    """open, invite or closed: as a superadmin chose it; before anybody did, as DASHTRADE_SIGNUP says."""
    with app.db.read() as conn:
        return installation_settings.setting(conn, SIGNUP) or app.settings.signup


def may_join(app: App, code: str | None, email: str) -> Any:
    """The invitation by which they may, None where none is needed; or Denied."""
    match signup(app):
        case "open":
            return None
        case "invite" if code:
            with app.db.read() as conn:
                found = invitation_table.invitation(conn, sha256(code), app.clock.now())
                good = found is not None and found.email in ("", email) and still_invites(conn, found)
            if good:
                return found
            raise Denied("the invitation is wrong, used or too old", "Ask an admin for a new one.")
        case "invite":
            raise Denied("joining needs an invitation", "Ask an admin for one.")
    raise Denied("nobody can sign up here", "An admin can add you.")


def still_invites(conn: sa.Connection, invitation: Any) -> bool:
    """Asked again when an invitation is used: may who made it still invite, and give this role?"""
    maker = table.by_id(conn, invitation.user_id)
    return maker is not None and maker.is_active and _may_invite(maker.role, Role(invitation.role))


def _may_invite(role: Role, given: Role) -> bool:
    return may(role, Permission.INVITE) and (given is Role.STANDARD or may(role, Permission.MANAGE_ROLES))


def add_user(
    app: App, *, email: str, name: str, password: str, role: Role = Role.STANDARD, actor: int | None = None
) -> int:
    """By an admin or the command line."""
    email = read_email(email)
    passwords.check(password, email, name)
    stored, now = passwords.hashed(password), app.clock.now()

    def work(conn: sa.Connection) -> int:
        user_id = _insert(conn, app, email, name, stored, role)
        message_table.record(
            conn, actor=actor, action="user added", now=now, subject=user_id, detail={"role": role}
        )
        return user_id

    return app.db.write(work)


def _insert(conn: sa.Connection, app: App, email: str, name: str, stored: str, role: Role) -> int:
    check_free(conn, email)
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


def check_free(conn: sa.Connection, email: str) -> None:
    """Nobody has this email, and nobody else takes it before this transaction ends."""
    signal_table.lock_key(conn, f"email|{email}")
    if table.by_email(conn, email):
        raise Malformed(
            "there is an account with this email already",
            where="email",
            hint="Sign in, or use another address.",
        )


def read_email(text: str) -> str:
    email = text.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise Malformed("this is not an email address", where="email", hint="Write it as name@example.com.")
    return email


def invite(app: App, actor: User, *, email: str, role: Role) -> str:
    """A code for one new user, good for a week."""
    require(actor, Permission.INVITE)
    if role is not Role.STANDARD:
        require(actor, Permission.MANAGE_ROLES)
    code, now = secrets.token_urlsafe(24), app.clock.now()
    address = read_email(email) if email else ""

    def work(conn: sa.Connection) -> None:
        quotas.claim(conn, actor, quotas.INVITATIONS, now)
        invitation_table.add_invitation(
            conn,
            actor.id,
            code_hash=sha256(code),
            email=address,
            role=role,
            created_at=now,
            expires_at=now + INVITATION_LIFE,
            used_at=None,
        )
        message_table.record(
            conn, actor=actor.id, action="invited", now=now, detail={"email": address, "role": role}
        )

    app.db.write(work)
    return code


def open_invitations(app: App, actor: User) -> list[Any]:
    require(actor, Permission.INVITE)
    with app.db.read() as conn:
        return invitation_table.open_invitations(conn, app.clock.now())


def revoke_invitation(app: App, actor: User, invitation_id: int) -> None:
    """One's own, or that of somebody whose account one may change."""
    require(actor, Permission.INVITE)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        found = next(
            (one for one in invitation_table.open_invitations(conn, now) if one.id == invitation_id), None
        )
        maker = table.by_id(conn, found.user_id) if found else None
        if found is None or maker is None:
            raise NotFound("invitation")
        if maker.id != actor.id:
            require_over(actor, maker)
        invitation_table.drop_invitation(conn, invitation_id)
        message_table.record(
            conn,
            actor=actor.id,
            action="invitation revoked",
            now=now,
            detail={"email": found.email, "role": found.role},
        )

    app.db.write(work)


# --- signing in ---------------------------------------------------------------------------------------------


def check_password(app: App, email: str, password: str, address: str, *, device: str = "") -> User:
    """The user, or Denied: in the same words and the same time whether the account exists or not."""
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
    right = passwords.matches(password, found[1] if found else passwords.NOBODY)
    if not (found and right and found[0].is_active and found[0].demo_until is None):
        app.notes.note("sign-in failed", who=who, address=address, subject=subject, reason=_why(found, right))
        raise Denied("email or password is wrong", "Check both. An admin can make you a new password.")
    throttle.right(app, keys)
    return found[0]


def _why(found: tuple[User, str] | None, right: bool) -> str:
    """For the audit log alone: a stranger is told the same whatever it was."""
    if found is None:
        return "no such account"
    return "deactivated" if right and not found[0].is_active else "wrong password"


def check_own_password(app: App, user: User, password: str, address: str, *, where: str) -> None:
    """Before something that whoever merely found an open browser must not do. Counted apart: who is not
    signed in cannot lock it."""
    app.db.may_write()  # an admin who looks at these pages guesses nothing
    with app.db.read() as conn:
        found = table.by_email(conn, user.email)
    try:
        _checked(app, found, password, [Key(text=f"own:{user.id}")], who=user.email, address=address)
    except Denied as denied:
        if denied.retry_after:
            raise
        raise Malformed(
            "the current password is wrong", where=where, hint="Type the one you sign in with."
        ) from None


def sign_in(app: App, user_id: int, address: str = "") -> SignedIn:
    """An access token for a program."""
    token, now = "dt_" + secrets.token_urlsafe(32), app.clock.now()

    def work(conn: sa.Connection) -> User:
        quota_table.lock(conn, user_id)
        token_table.trim_api_tokens(conn, user_id, SIGN_IN, quotas.SIGN_IN_TOKENS - 1)
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
    app.notes.note("signed in over REST", actor=user_id, subject=user_id, who=user.email, address=address)
    return SignedIn(user=user, access_token=token)


def by_access_token(app: App, token: str) -> User | None:
    found = by_scoped_token(app, token)
    return found.user if found else None


def by_scoped_token(app: App, token: str) -> Access | None:
    """The user, and what this token may be used for. One that a password alone has made closes and stops, and
    nothing else, while the installation requires a second factor that its user has not set up."""
    found = _by_token(app, token, token_table.of_api_token, token_table.used_api_token)
    if found is None:
        return None
    user, row = found
    due = user.second_factor_due and row.token_name == SIGN_IN
    scopes = frozenset(map(TokenScope, row.scopes.split()))
    return Access(user=user, scopes=scopes & {TokenScope.STOP} if due else scopes, second_factor_due=due)


def by_webhook_token(app: App, token: str) -> User | None:
    found = _by_token(app, token, token_table.of_webhook_token, token_table.used_webhook_token)
    return found[0] if found else None


def _by_token(
    app: App, token: str, find: Callable[..., Any], used: Callable[..., None]
) -> tuple[User, Any] | None:
    """Asked at every request: a token that was revoked is dead at once."""
    now = app.clock.now()
    with app.db.read() as conn:
        found = find(conn, sha256(token), now)
    if found is None:
        return None
    row = found[1]
    if row.used_at is None or now - row.used_at > LOOKED_AT:
        with contextlib.suppress(DatabaseAway):  # who only reads can go on while nothing can be written
            app.db.write(lambda conn: used(conn, row.token_id, now))
    return found


# --- webhook tokens -----------------------------------------------------------------------------------------


def rotate_webhook_token(app: App, user: User, *, overlap: timedelta = timedelta(0)) -> str:
    """A new token; the old one ends now, or after the overlap."""
    token, now = "usr_" + secrets.token_urlsafe(24), app.clock.now()

    def work(conn: sa.Connection) -> None:
        quotas.claim(conn, user, quotas.WEBHOOK_TOKENS, now)
        token_table.end_webhook_tokens(conn, user.id, now=now, until=now + overlap if overlap else None)
        token_table.add_webhook_token(
            conn,
            user.id,
            token_hash=sha256(token),
            secret=app.vault.encrypt(token),
            created_at=now,
            used_at=None,
            expires_at=None,
            revoked_at=None,
        )
        message_table.record(
            conn,
            actor=user.id,
            action="webhook token rotated",
            now=now,
            detail={"overlap_seconds": overlap.total_seconds()},
        )

    app.db.write(work)
    return token


def revoke_webhook_tokens(app: App, user: User) -> int:
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        message_table.record(conn, actor=user.id, action="webhook token revoked", now=now)
        return token_table.end_webhook_tokens(conn, user.id, now=now, until=None)

    return app.db.write(work)


def webhook_token(app: App, user: User) -> tuple[str, Any] | None:
    """The current token in clear, for its owner, and its row. Whoever else looks at the page could trade with
    it: they see none."""
    with app.db.read() as conn:
        row = token_table.current_webhook_token(conn, user.id)
    return ("hidden-in-this-view" if user.viewer else app.vault.decrypt(row.secret), row) if row else None


def change_options(app: App, user: User, changes: dict[str, Any]) -> None:
    """The user's own settings; `body_secret` is kept as a hash, empty takes it away."""
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
