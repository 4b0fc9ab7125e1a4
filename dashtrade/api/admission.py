"""Which alerts are taken when there is no room for all of them: exits alone, so that no limit stands before
the way out.

The rate is looked at before the body: a flood costs little. What comes beyond it is still read where it is
short, and an alert that leads a bot out of something passes by a bucket of its own, which entries cannot use
up."""

from __future__ import annotations

from dashtrade.api.answers import ApiError
from dashtrade.api.http import the_limits
from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.signals import Signal
from dashtrade.engine.intake import exits_count
from dashtrade.services.demo import demo
from dashtrade.services.operations import quotas
from dashtrade.services.refusals import Refusal

# of the rate at once: at 20 a second one for each bot that a user may have, as when a bar closes
BURST_SECONDS = 25
EXITS_PASS = "Exits of your bots' positions still pass."


def too_many(user: User) -> ApiError | None:
    """Why only exits are taken of this user at this moment: they sent more than their rate."""
    rate = the_limits().alerts
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


def no_room(app: App, user: User) -> Exception | None:
    """Why only exits are taken of this user for now."""
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
    if quotas.stored(app, user) >= quotas.room_of(app, user):
        return no_storage(app, user)
    try:
        demo.check_alerts(app, user)
    except Refusal as refusal:
        return refusal
    return None


def no_storage(app: App, user: User) -> Refusal:
    """Of what is not taken there is one line a minute in the audit log, and no more."""
    app.notes.note("alert refused", actor=user.id, subject=user.id, who=user.email, reason="storage used up")
    return quotas.full(quotas.room_of(app, user))


def let_exits_pass(app: App, user: User, signal: Signal, why: Exception) -> None:
    with app.db.read() as conn:
        bots = exits_count(conn, user.id, signal)
    if not bots or the_limits().exits.take(user.id, cost=bots):
        raise why
