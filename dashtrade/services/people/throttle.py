"""Slows down guessing of passwords and codes. Counts are in the database, so they hold across processes and
restarts.

An attempt is counted before it is checked and given back if right, so of sixty concurrent attempts only
the allowed number is checked. Counts are kept per account and per address. A device on which the user has
signed in before is counted separately, so that others cannot lock the user out."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.values import sha256
from dashtrade.limits import network_of
from dashtrade.services.refusals import Denied
from dashtrade.tables import attempts as table
from dashtrade.tables import quotas as quota_table

MAX_FAILURES, MAX_FAILURES_OF_NETWORK = 8, 20
DEVICE_LIFE, MAX_DEVICES = timedelta(days=400), 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A counter of attempts, and how many wrong ones lock it."""

    text: str
    most: int = MAX_FAILURES
    # shared by unrelated people: a success of one does not clear it
    shared: bool = False

    @property
    def digest(self) -> str:
        return sha256(self.text)


def of_network(kind: str, address: str) -> list[Key]:
    """None for loopback: behind an undeclared proxy all users share that address."""
    network = network_of(address)
    try:
        if not network or ipaddress.ip_network(network).is_loopback:
            return []
    except ValueError:
        return []
    return [Key(text=f"{kind}:{network}", most=MAX_FAILURES_OF_NETWORK, shared=True)]


def wait(app: App, keys: list[Key]) -> int:
    """Seconds until another attempt is allowed; 0: now."""
    with app.db.read() as conn:
        until = table.locked_until(conn, [key.digest for key in keys], app.clock.now())
    return int((until - app.clock.now()).total_seconds()) + 1 if until else 0


def reserve(
    app: App,
    keys: list[Key],
    *,
    who: str,
    address: str,
    subject: int | None = None,
    action: AuditAction = AuditAction.SIGN_IN_THROTTLED,
) -> None:
    """Count an attempt before it is checked. Raises Denied."""
    seconds = wait(app, keys) or _counted(app, keys)
    if seconds:
        # An unknown name is arbitrary input by a stranger: it gets no audit line of its own.
        app.notes.note(action, who=who if subject else "", address=address, subject=subject)
        raise denied(seconds)


def _counted(app: App, keys: list[Key]) -> int:
    now = app.clock.now()
    until = app.db.write_unchecked(
        lambda conn: table.reserve(conn, {key.digest: key.most for key in keys}, now)
    )
    return int((until - now).total_seconds()) + 1 if until else 0


def failed(app: App, keys: list[Key]) -> None:
    """Count an attempt after checking: for codes too long to guess."""
    if keys:
        _counted(app, keys)


def succeeded(app: App, keys: list[Key]) -> None:
    """The reserved attempt was right."""

    def work(conn: sa.Connection) -> None:
        table.forget(conn, [key.digest for key in keys if not key.shared])
        for key in keys:
            if key.shared:
                table.uncount(conn, key.digest, key.most)

    app.db.write_unchecked(work)


def denied(seconds: int) -> Denied:
    return Denied("too many attempts", f"Wait {seconds} seconds, then try again.", retry_after=seconds)


# --- devices ------------------------------------------------------------------------------------------------


def know_device(app: App, user_id: int, given: str | None) -> str:
    """The token of this device for its cookie, after a sign-in in a browser."""
    token, now = given if given and len(given) <= 100 else secrets.token_urlsafe(32), app.clock.now()

    def work(conn: sa.Connection) -> bool:
        if given and not table.is_known(conn, user_id, sha256(token)):
            return False
        quota_table.lock(conn, user_id)  # two at once would each remove the other's device
        table.put_device(conn, user_id, sha256(token), now, MAX_DEVICES)
        return True

    if app.db.write_unchecked(work):
        return token
    return know_device(app, user_id, None)


def is_known(app: App, user_id: int, device: str) -> bool:
    if not device or len(device) > 100:
        return False
    with app.db.read() as conn:
        return table.is_known(conn, user_id, sha256(device))
