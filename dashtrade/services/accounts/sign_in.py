"""Sign-in on a broker's own page, which a person has to repeat regularly: the link, the callback and the
reminder. What differs between brokers is in their descriptors."""

from __future__ import annotations

import hmac
import json
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.broker_kinds import BrokerSignIn
from dashtrade.domain.notices.people import SignInDue
from dashtrade.domain.people import User
from dashtrade.domain.ports import BadCredentials, BrokerError
from dashtrade.domain.reasons import Reason
from dashtrade.domain.values import Malformed, sha256
from dashtrade.engine.refused_keys import disable_account
from dashtrade.engine.workflow import run_sync
from dashtrade.services.accounts import connections
from dashtrade.services.accounts.owned import account_of
from dashtrade.services.bots.bots import Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import installation_settings
from dashtrade.tables import messages as message_table
from encryption import WrongKey

MAX_PENDING = 10_000
PENDING_FOR = timedelta(minutes=15)  # time allowed for signing in there


def begin(
    app: App, user: User, *, broker: str, key: str, callback: str, account_id: int | None = None
) -> str:
    """The sign-in link. Its callback is accepted once, for a limited time, from this user and for this
    account (None: an account being added). A new link replaces the previous one."""
    steps = _steps(app, broker)
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    begun = {
        "state": sha256(state),
        "verifier": app.vault.encrypt(verifier),
        "until": (app.clock.now() + PENDING_FOR).timestamp(),
    }
    name = _begun(broker, user.id, account_id)
    app.db.write(lambda conn: installation_settings.put_setting(conn, name, json.dumps(begun)))
    url = app.brokers.address(steps.setting)
    return steps.page(key.strip(), callback.strip(), state=state, verifier=verifier, url=url)


def is_pending(app: App, user: User, broker: str, link: str, account_id: int | None = None) -> bool:
    """Whether a callback of this link is still accepted."""
    with app.db.read() as conn:
        return _verifier(app, conn, user, broker, link, account_id) is not None


def token(
    app: App,
    user: User,
    *,
    broker: str,
    key: str,
    secret: str,
    callback: str,
    pasted: str,
    account_id: int | None = None,
) -> str:
    """Exchange the callback address for a token. Raises Malformed or Refusal."""
    steps = _steps(app, broker)
    code, again = steps.code_in(pasted), _again(steps)

    def take(conn: sa.Connection) -> str | None:
        found = _verifier(app, conn, user, broker, pasted, account_id)
        begun = _begun(broker, user.id, account_id)
        return found if found and installation_settings.drop_setting(conn, begun) else None

    verifier = app.db.write(take)
    if verifier is None:
        raise Malformed(
            (
                "this address does not belong to a sign-in started here: it was used before, is older "
                "than 15 minutes, or belongs to another account"
            ),
            where="redirected_to",
            hint=again,
        )
    try:
        return steps.exchange(
            key.strip(),
            secret.strip(),
            callback.strip(),
            code,
            verifier=verifier,
            url=app.brokers.address(steps.setting),
            clock=app.clock,
        )
    except BadCredentials as error:
        name = app.brokers.kind(broker).name
        raise Refusal(
            f"{name} refused this sign-in: the address is more than {steps.code_lives} old or was used "
            "before, or the app's key, its secret or the callback address differ from those registered "
            "there",
            again,
        ) from error
    except BrokerError as error:
        raise Refusal(error.message, again) from error


def renew_address(app: App, user: User, account_id: int) -> str:
    account, keys = _account_of_user(app, user, account_id)
    callback = _callback(app, account)
    return begin(app, user, broker=account.broker, key=keys["key"], callback=callback, account_id=account.id)


def renew(app: App, user: User, account_id: int, pasted: str) -> dict[str, Any]:
    """Renew the sign-in and test the connection; enables an account that was disabled for an expired
    sign-in."""
    account, keys = _account_of_user(app, user, account_id)
    text = token(
        app,
        user,
        broker=account.broker,
        key=keys["key"],
        secret=keys["secret"],
        callback=_callback(app, account),
        pasted=pasted,
        account_id=account.id,
    )
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        account_table.put_session(conn, account.id, None, app.vault.encrypt(text))
        message_table.record(
            conn, actor=user.id, action=AuditAction.SIGNED_IN_AT_THE_BROKER, now=now, subject=account.id
        )

    with app.db.exclusive(
        f"{account.broker}-{account.id}"
    ):  # not while another process renews the previous sign-in
        app.db.write(work)
    return connections.test(app, user, account.id)


def remind(app: App) -> None:
    """Remind the user daily in the days before a sign-in expires; disable the account once it has expired."""
    brokers = [name for name, kind in app.brokers.kinds.items() if kind.sign_in is not None]
    with app.db.read() as conn:
        accounts = account_table.active_at_brokers(conn, brokers, MAX_PENDING)
    for account in accounts:
        why = app.brokers.sign_in_warning(account)
        if app.brokers.sign_in_has_ended(account):
            run_sync(app.db, disable_account(app.clock, account.id, account.user_id, why))
        elif why:
            _notify(app, account, why)


def _notify(app: App, account: Account, why: Reason) -> None:
    now, broker = app.clock.now(), app.brokers.kind(account.broker).name
    name, today = f"sign_in_warned:{account.id}", now.date().isoformat()

    def work(conn: sa.Connection) -> None:
        if installation_settings.setting(conn, name) == today:
            return
        installation_settings.put_setting(conn, name, today)
        message_table.notify(
            conn, account.user_id, SignInDue(account=account.label, broker=broker, detail=why), now=now
        )

    app.db.write(work)


def _begun(broker: str, user_id: int, account_id: int | None) -> str:
    return f"{broker}_sign_in:{user_id}:{account_id or 'new'}"


def _verifier(
    app: App, conn: sa.Connection, user: User, broker: str, address: str, account_id: int | None
) -> str | None:
    """The verifier of the sign-in that this link or callback belongs to; None: unknown or expired."""
    try:
        state = parse_qs(urlsplit(address.strip()).query).get("state", [""])[0]
    except ValueError:  # not an address
        return None
    begun = json.loads(installation_settings.setting(conn, _begun(broker, user.id, account_id)) or "{}")
    same = (
        begun
        and hmac.compare_digest(begun["state"], sha256(state))
        and begun["until"] > app.clock.now().timestamp()
    )
    try:
        return app.vault.decrypt(begun["verifier"]) if same else None
    except WrongKey:  # started under a previous encryption key
        return None


def _account_of_user(app: App, user: User, account_id: int) -> tuple[Account, dict[str, str]]:
    account = account_of(app, user, account_id)
    _steps(app, account.broker)
    return account, json.loads(app.vault.decrypt(account.credentials))


def _callback(app: App, account: Account) -> str:
    return str(account.options.get("callback") or _steps(app, account.broker).callback)


def _steps(app: App, broker: str) -> BrokerSignIn:
    steps = app.brokers.kind(broker).sign_in
    if steps is None:
        raise Refusal("this account needs no sign-in", "Replace the key instead.")
    return steps


def _again(steps: BrokerSignIn) -> str:
    return f"Sign in again through the link, and paste the new address within {steps.code_lives}."
