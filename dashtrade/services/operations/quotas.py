"""Limits on what one user may have, so that no tenant exhausts what the others need: all numbers in one
place.

Each is counted inside the write that adds one more, so concurrent requests cannot exceed it. Anything
above a quota that existed before the quota stays. Deleted things leave rows that history needs, so the
number created per day is limited too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot_engine import IntakeResult
from dashtrade.context import App
from dashtrade.domain.kernel.accepting import StorageFull
from dashtrade.domain.notices.people import StorageNearlyFull
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin, Signal
from dashtrade.services.refusals import Refusal
from dashtrade.tables import messages as message_table
from dashtrade.tables import quotas as table
from dashtrade.tables import storage

MB = 1024 * 1024
DEMO_MB = 16  # storage of a demo; other users have DASHTRADE_USER_MB
NEARLY_FULL_SHARE, FREED_SHARE = (
    0.9,
    0.8,
)  # share of storage: above the first, texts are deleted down to the second
TEXTS_PER_BATCH = 500  # per commit
DAY = timedelta(days=1)
MAX_SESSIONS, MAX_SIGN_IN_TOKENS = 20, 50  # per user; the least recently used is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    kind: str  # name in `tables/quotas.py`
    what: str  # name shown to the user
    a_day: int  # created per day, deleted ones included
    most: int | None = None  # at a time
    demo: int | None = None  # limit over a demo's lifetime, as anyone can start one
    room: str = ""  # advice on making room


ACCOUNTS = Quota(
    kind="accounts",
    what="broker accounts",
    most=50,
    a_day=200,
    demo=3,
    room="Remove one that you do not use.",
)
BOTS = Quota(kind="bots", what="bots", most=500, a_day=2000, demo=12, room="Delete one that you do not use.")
PROTECTIONS = Quota(
    kind="protections", what="protections", most=200, a_day=1000, room="Remove one that you do not need."
)
API_TOKENS = Quota(
    kind="api_tokens", what="API tokens", most=50, a_day=200, room="Revoke one that is not used."
)
INVITATIONS = Quota(
    kind="invitations",
    what="open invitations",
    most=200,
    a_day=500,
    room="Revoke one, or wait until some are used.",
)
WEBHOOK_TOKENS = Quota(kind="webhook_tokens", what="webhook tokens", a_day=50)


def claim(conn: sa.Connection, user: User, quota: Quota, now: datetime) -> None:
    """Check that one more fits, which this transaction adds. Raises Refusal."""
    table.lock(conn, user.id)
    if (
        user.demo_until is not None
        and quota.demo is not None
        and table.created_since(conn, user.id, quota.kind) >= quota.demo
    ):
        raise Refusal(
            f"a demo can have {quota.demo} {quota.what}, deleted ones included",
            "Turn the demo into a real account first, on the Account page.",
        )
    if quota.most is not None and table.count(conn, user.id, quota.kind, now) >= quota.most:
        raise Refusal(f"you have {quota.most} {quota.what}, the maximum per user; none was added", quota.room)
    if table.created_since(conn, user.id, quota.kind, now - DAY) >= quota.a_day:
        raise Refusal(
            (
                f"you created {quota.a_day:,} {quota.what} within a day, deleted ones included, the maximum "
                "per user; none was added"
            ),
            "Try again tomorrow.",
        )


# --- storage ------------------------------------------------------------------------------------------------


def room(app: App, *, demo: bool) -> int:
    """Storage limit of one user in bytes."""
    return (min(DEMO_MB, app.settings.user_mb) if demo else app.settings.user_mb) * MB


def room_of(app: App, user: User) -> int:
    return room(app, demo=user.demo_until is not None)


def stored(conn: sa.Connection, user: User) -> int:
    """Bytes stored for the user's alerts and their results."""
    return storage.used(conn, user.id)


def full(most: int) -> Refusal:
    return Refusal(
        (f"the {most // MB:,} MB of storage per user are used up: this alert was refused and is not stored"),
        (
            "Exits of your bots' positions still pass. Ask the operator of this installation for more "
            "(DASHTRADE_USER_MB)."
        ),
    )


def accept_alert(
    app: App,
    user: User,
    signal: Signal,
    *,
    content: str = "",
    raw: str = "",
    origin: Origin = Origin.USER,
    sender: str,
) -> IntakeResult:
    """Accept an alert that the user sends from a page: it needs storage like any other, unless it is an
    exit."""
    most = room_of(app, user)
    try:
        return app.engine.accept(
            user.id, signal, content=content, raw=raw, origin=origin, sender=sender, storage_limit_bytes=most
        )
    except StorageFull:
        raise full(most) from None


def make_room(app: App) -> None:
    """Runs every minute in the worker: deletes the oldest texts of finished alerts of users near their
    limit. At the alert rate limit nobody fills a tenth of it in a minute. Users still near the limit are
    notified once a day."""
    with app.db.read() as conn:
        limits = {demo: int(room(app, demo=demo) * NEARLY_FULL_SHARE) for demo in (False, True)}
        found = storage.nearly_full(conn, most=limits[False], most_of_demo=limits[True])
    for row in found:
        most = room(app, demo=row.demo_until is not None)
        left = row.bytes
        while left > most * FREED_SHARE and (freed := _forget_some(app, row.user_id)) is not None:
            left -= freed
        if left > most * NEARLY_FULL_SHARE and (row.told_at is None or row.told_at <= app.clock.now() - DAY):
            _notify(app, row.user_id, left, most)


def _forget_some(app: App, user_id: int) -> int | None:
    """Bytes freed; None: no texts left."""
    with app.db.read() as conn:
        ids = storage.oldest_texts(conn, user_id, TEXTS_PER_BATCH)
    return app.db.write(lambda conn: storage.forget_texts(conn, user_id, ids)) if ids else None


def _notify(app: App, user_id: int, used: int, most: int) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        storage.mark_notified(conn, user_id, now)
        message_table.notify(conn, user_id, StorageNearlyFull(used_bytes=used, limit_bytes=most), now=now)

    app.db.write(work)
