"""Signing in at Schwab, which only a person can do, every seven days: where to go, what comes back, and being
told in time."""

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
from dashtrade.domain.notices.people import SignInDue
from dashtrade.domain.people import User
from dashtrade.domain.ports import BadCredentials, BrokerError
from dashtrade.domain.values import Malformed, sha256
from dashtrade.engine.workflow import drive
from dashtrade.services.accounts import connections
from dashtrade.services.accounts.owned import account_of
from dashtrade.services.bots.bots import Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import installation_settings
from dashtrade.tables import messages as message_table
from encryption import WrongKey

CALLBACK = "https://127.0.0.1"  # what people register at Schwab for an app without a website
REFUSED = (
    "Schwab did not take this sign-in: the address is more than 30 seconds old or was used before, or the "
    "app's key, its secret or the callback address differ from those registered there"
)
AGAIN = "Sign in again by the link, and paste the new address within 30 seconds."
MOST = 10_000
LIFE = timedelta(minutes=15)  # to sign in there


def begin(app: App, user: User, *, key: str, callback: str, account_id: int | None = None) -> str:
    """Where to sign in. What comes back is taken from this user alone, for this account (none: one that is
    being added), once, and for a while; a new beginning takes the place of the one before."""
    from dashtrade.brokers.schwab.auth import authorize_url

    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    begun = {
        "state": sha256(state),
        "verifier": app.vault.encrypt(verifier),
        "until": (app.clock.now() + LIFE).timestamp(),
    }
    app.db.write(
        lambda conn: installation_settings.put_setting(conn, _begun(user.id, account_id), json.dumps(begun))
    )
    url = app.settings.broker_urls.get("SCHWAB_URL")
    return authorize_url(key.strip(), callback.strip(), state=state, verifier=verifier, url=url)


def waits(app: App, user: User, link: str, account_id: int | None = None) -> bool:
    """Is the answer to this link still taken?"""
    with app.db.read() as conn:
        return _verifier(app, conn, user, link, account_id) is not None


def token(
    app: App, user: User, *, key: str, secret: str, callback: str, pasted: str, account_id: int | None = None
) -> str:
    """The token for the address that Schwab sent the person back to. Raises Malformed or Refusal."""
    from dashtrade.brokers.schwab.auth import code_in, exchange_code

    code, url = code_in(pasted), app.settings.broker_urls.get("SCHWAB_URL")

    def take(conn: sa.Connection) -> str | None:
        found = _verifier(app, conn, user, pasted, account_id)
        return (
            found if found and installation_settings.drop_setting(conn, _begun(user.id, account_id)) else None
        )

    verifier = app.db.write(take)
    if verifier is None:
        raise Malformed(
            (
                "this address belongs to no sign-in that was begun here: it was used before, is older than "
                "15 minutes, or is of another account"
            ),
            where="redirected_to",
            hint=AGAIN,
        )
    try:
        return exchange_code(
            key.strip(), secret.strip(), callback.strip(), code, verifier=verifier, url=url, clock=app.clock
        )
    except BadCredentials as error:
        raise Refusal(REFUSED, AGAIN) from error
    except BrokerError as error:
        raise Refusal(error.message, AGAIN) from error


def renew_address(app: App, user: User, account_id: int) -> str:
    account, keys = _mine(app, user, account_id)
    return begin(app, user, key=keys["key"], callback=_callback(account), account_id=account.id)


def renew(app: App, user: User, account_id: int, pasted: str) -> dict[str, Any]:
    """Let in for seven more days; the connection is tested, and an account that was stopped for this is
    usable again."""
    account, keys = _mine(app, user, account_id)
    text = token(
        app,
        user,
        key=keys["key"],
        secret=keys["secret"],
        callback=_callback(account),
        pasted=pasted,
        account_id=account.id,
    )
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        account_table.put_session(conn, account.id, None, app.vault.encrypt(text))
        message_table.record(
            conn, actor=user.id, action="signed in at the broker", now=now, subject=account.id
        )

    with app.db.alone(f"schwab-{account.id}"):  # not while another process renews the one before
        app.db.write(work)
    return connections.test(app, user, account.id)


def remind(app: App) -> None:
    """Days before a sign-in ends its user is told, once a day; when it has ended, the account stops in so
    many words."""
    with app.db.read() as conn:
        accounts = account_table.active_at(conn, ["schwab"], MOST)
    for account in accounts:
        words = app.brokers.sign_in_warning(account)
        if words and "has ended" in words:
            drive(app.db, app.engine.sender.disable_account(account.id, account.user_id, words))
        elif words:
            _tell(app, account, words)


def _tell(app: App, account: Account, words: str) -> None:
    now = app.clock.now()
    name, today = f"sign_in_warned:{account.id}", now.date().isoformat()

    def work(conn: sa.Connection) -> None:
        if installation_settings.setting(conn, name) == today:
            return
        installation_settings.put_setting(conn, name, today)
        message_table.notify(
            conn, account.user_id, SignInDue(account=account.label, broker="Schwab", detail=words), now=now
        )

    app.db.write(work)


def _begun(user_id: int, account_id: int | None) -> str:
    return f"schwab_sign_in:{user_id}:{account_id or 'new'}"


def _verifier(app: App, conn: sa.Connection, user: User, address: str, account_id: int | None) -> str | None:
    """Of the sign-in that this address, there or back, belongs to; None: it is none that was begun, or it is
    over."""
    try:
        state = parse_qs(urlsplit(address.strip()).query).get("state", [""])[0]
    except ValueError:  # no address at all
        return None
    begun = json.loads(installation_settings.setting(conn, _begun(user.id, account_id)) or "{}")
    same = (
        begun
        and hmac.compare_digest(begun["state"], sha256(state))
        and begun["until"] > app.clock.now().timestamp()
    )
    try:
        return app.vault.decrypt(begun["verifier"]) if same else None
    except WrongKey:  # it was begun under a key that is gone
        return None


def _mine(app: App, user: User, account_id: int) -> tuple[Account, dict[str, str]]:
    account = account_of(app, user, account_id)
    if account.broker != "schwab":
        raise Refusal("this account needs no sign-in", "Give it a new key instead.")
    return account, json.loads(app.vault.decrypt(account.credentials))


def _callback(account: Account) -> str:
    return str(account.options.get("callback") or CALLBACK)
