"""How much of everything one user may have, so that no tenant uses up what the others need: all the numbers
in one place.

Each is counted inside the write that adds one more, so that of many at once no more pass than are allowed.
Who had more than that before there was a quota keeps it. What is deleted leaves rows behind, which history
needs; so what is made within a day is bounded, too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot_engine import Accepted
from dashtrade.context import App
from dashtrade.domain.notices.people import StorageNearlyFull
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin, Signal
from dashtrade.engine.intake import StorageFull
from dashtrade.services.refusals import Refusal
from dashtrade.tables import messages as message_table
from dashtrade.tables import quotas as table
from dashtrade.tables import storage

MB = 1024 * 1024
DEMO_MB = 16  # stored of a demo; of other users DASHTRADE_USER_MB
NEARLY, ENOUGH = 0.9, 0.8  # of what may be stored: texts are taken away from the first on, down to the second
TEXTS_AT_ONCE = 500  # in one commit
DAY = timedelta(days=1)
SESSIONS, SIGN_IN_TOKENS = 20, 50  # of one user; the one that was used longest ago gives way


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    kind: str  # as `tables/quotas.py` knows it
    what: str  # in the user's words
    a_day: int  # made within a day, deleted ones too
    most: int | None = None  # at a time
    demo: int | None = None  # that a demo may ever make: anybody can have one
    room: str = ""  # how to make room


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
    """There is room for one more, which this transaction adds; or Refusal."""
    table.lock(conn, user.id)
    if (
        user.demo_until is not None
        and quota.demo is not None
        and table.made(conn, user.id, quota.kind) >= quota.demo
    ):
        raise Refusal(
            f"a demo can have {quota.demo} {quota.what}, deleted ones included",
            "Turn the demo into a real account first, on the Account page.",
        )
    if quota.most is not None and table.count(conn, user.id, quota.kind, now) >= quota.most:
        raise Refusal(f"you have {quota.most} {quota.what}, the maximum per user; none was added", quota.room)
    if table.made(conn, user.id, quota.kind, now - DAY) >= quota.a_day:
        raise Refusal(
            (
                f"you created {quota.a_day:,} {quota.what} within a day, deleted ones included, the maximum "
                "per user; none was added"
            ),
            "Try again tomorrow.",
        )


# --- stored bytes -------------------------------------------------------------------------------------------


def room(app: App, *, demo: bool) -> int:
    """Bytes that may be stored of one user."""
    return (min(DEMO_MB, app.settings.user_mb) if demo else app.settings.user_mb) * MB


def room_of(app: App, user: User) -> int:
    return room(app, demo=user.demo_until is not None)


def stored(app: App, user: User) -> int:
    """Bytes that are stored of the user's alerts and of what came of them."""
    with app.db.read() as conn:
        return storage.used(conn, user.id)


def full(most: int) -> Refusal:
    return Refusal(
        (f"the {most // MB:,} MB of storage per user are used up: this alert was refused and is not stored"),
        (
            "Exits of your bots' positions still pass. Ask the operator of this installation for more "
            "(DASHTRADE_USER_MB)."
        ),
    )


def take_in(
    app: App,
    user: User,
    signal: Signal,
    *,
    content: str = "",
    raw: str = "",
    origin: Origin = Origin.USER,
    sender: str,
) -> Accepted:
    """An alert that the user sends from a page: like any other it needs room, unless it is an exit."""
    most = room_of(app, user)
    try:
        return app.engine.accept(
            user.id, signal, content=content, raw=raw, origin=origin, sender=sender, room=most
        )
    except StorageFull:
        raise full(most) from None


def make_room(app: App) -> None:
    """The worker's, every minute: of those who have nearly used up what is theirs, the oldest texts of ended
    alerts go. At their rate nobody fills a tenth of it in a minute. Whom that does not help is told, once a
    day."""
    with app.db.read() as conn:
        limits = {demo: int(room(app, demo=demo) * NEARLY) for demo in (False, True)}
        found = storage.nearly_full(conn, most=limits[False], most_of_demo=limits[True])
    for row in found:
        most = room(app, demo=row.demo_until is not None)
        left = row.bytes
        while left > most * ENOUGH and (freed := _forget_some(app, row.user_id)) is not None:
            left -= freed
        if left > most * NEARLY and (row.told_at is None or row.told_at <= app.clock.now() - DAY):
            _tell(app, row.user_id, left, most)


def _forget_some(app: App, user_id: int) -> int | None:
    """How many bytes that made free; None: there are no texts left."""
    with app.db.read() as conn:
        ids = storage.oldest_texts(conn, user_id, TEXTS_AT_ONCE)
    return app.db.write(lambda conn: storage.forget_texts(conn, user_id, ids)) if ids else None


def _tell(app: App, user_id: int, used: int, most: int) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        storage.told(conn, user_id, now)
        message_table.notify(conn, user_id, StorageNearlyFull(used_bytes=used, limit_bytes=most), now=now)

    app.db.write(work)
