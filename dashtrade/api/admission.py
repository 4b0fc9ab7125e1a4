"""Admission of alerts: beyond the rate or the storage limit only exits are accepted, as no limit may block
an exit.

The rate is checked before the body is read, so a flood costs little. Beyond the rate, short bodies are
still read, and exits pass by a rate limit of their own, which entries cannot use up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import sqlalchemy as sa

from dashtrade.api.answers import ApiError
from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.kernel.accepting import count_exits
from dashtrade.domain.people import User
from dashtrade.domain.signals import Signal
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.limits import ReceiverLimits
from dashtrade.services.demo import demo
from dashtrade.services.operations import quotas
from dashtrade.services.refusals import Refusal

# seconds' worth of the rate: at 20 a second, one alert for each bot a user may have, as when a bar closes
BURST_SECONDS = 25
EXITS_PASS = "Exits of your bots' positions still pass."


def too_many(limits: ReceiverLimits, user: User) -> ApiError | None:
    """The reason to accept only exits from this user now: they exceeded the rate."""
    rate = limits.alerts
    wait = rate.take(user.id)
    if not wait:
        return None
    seconds = max(1, round(wait))
    return ApiError(
        429,
        "too_many_alerts",
        f"More than {rate.per_second:g} alerts a second arrived for this user; this alert was refused.",
        f"Wait {seconds} s, then send it again. {EXITS_PASS}",
        {"Retry-After": str(seconds)},
    )


def no_room(
    app: App, user: User, reader: Callable[[], AbstractContextManager[sa.Connection]]
) -> Exception | None:
    """The reason to accept only exits from this user for now."""
    if app.disk.is_low():
        return ApiError(
            507,
            "disk_nearly_full",
            (
                "The disk of this installation is nearly full: only exits are accepted, and this alert was "
                "refused."
            ),
            f"{EXITS_PASS} Ask the operator of the installation to free space, then send the alert again.",
            {"Retry-After": "60"},
        )
    with reader() as conn:
        stored = quotas.stored(conn, user)
    if stored >= quotas.room_of(app, user):
        return no_storage(app, user)
    try:
        demo.check_alerts(app, user)
    except Refusal as refusal:
        return refusal
    return None


def no_storage(app: App, user: User) -> Refusal:
    """Refused alerts make at most one line a minute in the audit log."""
    app.notes.note(
        AuditAction.ALERT_REFUSED, actor=user.id, subject=user.id, who=user.email, reason="storage used up"
    )
    return quotas.full(quotas.room_of(app, user))


def let_exits_pass(app: App, limits: ReceiverLimits, user: User, signal: Signal, refusal: Exception) -> None:
    with app.db.read() as conn:
        bots = count_exits(StoredBooks(conn), user.id, signal)
    if not bots or limits.exits.take(user.id, cost=bots):
        raise refusal
