"""The second factor: one-time codes of an authenticator app, and recovery codes for a lost phone."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.people import RecoveryCodeUsed, SecondFactorRemoved, WrongCodes
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people import second_factor_policy, throttle, tokens, users
from dashtrade.services.people.throttle import Key
from dashtrade.services.refusals import CodeNeeded, Denied
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table
from dashtrade.tables import second_factors as table
from dashtrade.tables import sessions as session_table
from dashtrade.tables import tokens as token_table
from encryption import WrongKey

RECOVERY_CODES = 10
TICKET_LIFE, _TICKET = timedelta(minutes=5), "signing in "


def new_secret() -> str:
    return base64.b32encode(secrets.token_bytes(20)).decode()


def enable(
    app: App, user: User, *, secret: str, code: str, password: str, address: str, token: str | None
) -> list[str]:
    """Requires the password and a code that proves the app has the secret. Returns the recovery codes,
    shown only now. Ends every other session and the API tokens obtained by password alone."""
    users.check_own_password(app, user, password, address, where="password")
    now = app.clock.now()
    step = totp.step_of(secret, _digits(code), now)
    if step is None:
        raise Malformed(
            "this code is wrong",
            where="code",
            hint="Enter the six digits that the app shows now, and check that the phone's clock is right.",
        )
    codes, sealed = _new_codes(), app.vault.encrypt(secret)

    def work(conn: sa.Connection) -> None:
        table.put_factor(conn, user.id, sealed, step)
        table.put_codes(conn, user.id, [sha256(_plain(code)) for code in codes])
        session_table.remove_sessions(conn, user.id, keep=sha256(token or ""))
        token_table.revoke_api_tokens(conn, user.id, now, name=tokens.SIGN_IN)
        ended = second_factor_policy.end_declines(conn, user)
        detail = {"declines_ended": ended} if ended else None
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.SECOND_FACTOR_SWITCHED_ON,
            now=now,
            subject=user.id,
            detail=detail,
            address=address,
        )

    app.db.write(work)
    return codes


def disable(app: App, user: User, *, password: str, address: str, declines: bool = False) -> None:
    """`declines`: the user accepts that their live accounts continue without a second factor."""
    users.check_own_password(app, user, password, address, where="password")
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.put_factor(conn, user.id, None, None)
        table.put_codes(conn, user.id, [])
        second_factor_policy.switched_off(conn, user, declines=declines, now=now)
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.SECOND_FACTOR_SWITCHED_OFF,
            now=now,
            subject=user.id,
            address=address,
        )

    app.db.write(work)


def remove(app: App, user_id: int, *, actor: int | None, action: AuditAction, by: str | None) -> None:
    """Removal by another person; the caller checks the permission. `by`: an admin's email; None: the
    command line."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.put_factor(conn, user_id, None, None)
        table.put_codes(conn, user_id, [])
        message_table.record(conn, actor=actor, action=action, now=now, subject=user_id)
        message_table.notify(conn, user_id, SecondFactorRemoved(by=by), now=now)

    app.db.write(work)


def renew_codes(app: App, user: User, *, password: str, address: str) -> list[str]:
    """New recovery codes; the old ones no longer work."""
    if not user.second_factor:
        raise Refusal("two-factor authentication is off", "Switch on two-factor authentication first.")
    users.check_own_password(app, user, password, address, where="password")
    codes, now = _new_codes(), app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.put_codes(conn, user.id, [sha256(_plain(code)) for code in codes])
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.RECOVERY_CODES_RENEWED,
            now=now,
            subject=user.id,
            address=address,
        )

    app.db.write(work)
    return codes


def codes_left(app: App, user: User) -> int:
    with app.db.read() as conn:
        return table.codes_left(conn, user.id)


def check(app: App, user: User, code: str, address: str, *, device: str = "") -> None:
    """After the password: checks a code of the app or a recovery code, or raises Denied. Attempts are few,
    as six digits are few; after many wrong ones in a row the app's codes are refused."""
    if not user.second_factor:
        return
    if not code.strip():
        raise CodeNeeded(
            "this account needs a code from its authenticator app",
            'Send the code as "code"; a recovery code works too.',
        )
    known = throttle.is_known(app, user.id, device)
    keys = [Key(text=f"code:{user.id}:{device}" if known else f"code:{user.id}")]
    throttle.reserve(app, keys, who=user.email, address=address, subject=user.id)
    locked = app.db.write_unchecked(lambda conn: table.count_wrong_code(conn, user.id)) > table.LOCKED_AFTER
    if _is_right(app, user, _plain(code), address, locked=locked):
        app.db.write_unchecked(lambda conn: table.reset_wrong_codes(conn, user.id))
        throttle.succeeded(app, keys)
        return
    app.notes.note(
        AuditAction.SIGN_IN_FAILED,
        who=user.email,
        address=address,
        subject=user.id,
        reason="wrong code after the right password",
    )
    if throttle.wait(app, keys):
        _warn(app, user, address)
    if locked:
        raise Denied(
            f"codes from the app are locked after {table.LOCKED_AFTER} wrong ones in a row",
            "Use a recovery code, or ask an admin to remove two-factor authentication.",
        )
    raise Denied(
        "this code is wrong or was used",
        "Wait for the app's next code and enter that, or use a recovery code.",
    )


def ticket(app: App, user: User, *, remember: bool) -> str:
    """An encrypted proof, valid for five minutes, that the password was right: the browser returns it with
    the code. The next sign-in or a change of the password invalidates it."""
    until = (app.clock.now() + TICKET_LIFE).timestamp()
    with app.db.read() as conn:
        state = _state(conn, user.email)
    said = {"user": user.id, "until": until, "remember": remember, "state": state}
    return app.vault.encrypt(f"{_TICKET}{json.dumps(said)}")


def _state(conn: sa.Connection, email: str) -> str:
    found = people_table.by_email(conn, email)
    return sha256(f"{found[1]} {found[0].last_login_at}") if found else ""


def user_of_ticket(app: App, given: str) -> tuple[User, bool]:
    """The user, and whether to remember them. Raises Denied."""
    with contextlib.suppress(WrongKey, ValueError):
        kind, _, text = app.vault.decrypt(given[:1000]).partition("{")
        said = json.loads("{" + text) if kind == _TICKET else {}
        if said and said["until"] > app.clock.now().timestamp():
            with app.db.read() as conn:
                user = people_table.by_id(conn, said["user"])
                fits = user is not None and _state(conn, user.email) == said["state"]
            if user is not None and user.is_active and fits:
                return user, said["remember"]
    raise Denied("the sign-in took too long", "Type email and password again.")


def _is_right(app: App, user: User, code: str, address: str, *, locked: bool) -> bool:
    now = app.clock.now()
    if len(code) != totp.DIGITS:
        return app.db.write(lambda conn: _use_recovery(conn, user, code, address, now))
    if locked:
        return False
    with app.db.read() as conn:
        sealed = table.factor(conn, user.id)
    step = totp.step_of(app.vault.decrypt(sealed), code, now) if sealed else None
    return step is not None and app.db.write(lambda conn: table.use_step(conn, user.id, step))


def _use_recovery(conn: sa.Connection, user: User, code: str, address: str, now: datetime) -> bool:
    if not table.use_code(conn, user.id, sha256(code), now):
        return False
    left = table.codes_left(conn, user.id)
    message_table.record(
        conn,
        actor=user.id,
        action=AuditAction.RECOVERY_CODE_USED,
        now=now,
        subject=user.id,
        detail={"left": left},
        address=address,
    )
    message_table.notify(conn, user.id, RecoveryCodeUsed(left=left), now=now)
    return True


def _warn(app: App, user: User, address: str) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.TOO_MANY_WRONG_CODES,
            now=now,
            subject=user.id,
            address=address,
        )
        message_table.notify(conn, user.id, WrongCodes(), now=now)

    app.db.write(work)


def _new_codes() -> list[str]:
    """120 random bits each, in groups for typing: enough that a plain digest cannot be brute-forced."""
    texts = [base64.b32encode(secrets.token_bytes(15)).decode().lower() for _ in range(RECOVERY_CODES)]
    return ["-".join(text[at : at + 4] for at in range(0, 24, 4)) for text in texts]


def _plain(code: str) -> str:
    return "".join(c for c in code.lower() if c.isalnum())[:40]


def _digits(code: str) -> str:
    return "".join(c for c in code if c.isascii() and c.isdigit())[:10]
