"""How much of everything one user may have, so that no tenant uses up what the others need: all the numbers in one place.

Each is counted inside the write that adds one more, so that of many at once no more pass than are allowed. Who had more than
that before there was a quota keeps it. What is deleted leaves rows behind, which history needs; so what is made within a
day is bounded, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from dashtrade.services.refusals import Refusal
from dashtrade.tables import quotas as table
from dashtrade.tables.people import User

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


ACCOUNTS = Quota(kind="accounts", what="broker accounts", most=50, a_day=200, demo=3, room="Remove one that you do not use.")
BOTS = Quota(kind="bots", what="bots", most=500, a_day=2000, demo=12, room="Delete one that you do not use.")
PROTECTIONS = Quota(kind="protections", what="protections", most=200, a_day=1000, room="Remove one that you do not need.")
API_TOKENS = Quota(kind="api_tokens", what="API tokens", most=50, a_day=200, room="Revoke one that nothing uses.")
INVITATIONS = Quota(kind="invitations", what="open invitations", most=200, a_day=500, room="Revoke one, or wait until some are used.")
WEBHOOK_TOKENS = Quota(kind="webhook_tokens", what="webhook tokens", a_day=50)


def claim(conn: sa.Connection, user: User, quota: Quota, now: datetime) -> None:
    """There is room for one more, which this transaction adds; or Refusal."""
    table.lock(conn, user.id)
    if user.demo_until is not None and quota.demo is not None and table.made(conn, user.id, quota.kind) >= quota.demo:
        raise Refusal(
            f"a demo has room for {quota.demo} {quota.what}, deleted ones too", "Turn it into a real account first, on the Account page."
        )
    if quota.most is not None and table.count(conn, user.id, quota.kind, now) >= quota.most:
        raise Refusal(f"you have {quota.most} {quota.what}, the most a user can have, so none was added", quota.room)
    if table.made(conn, user.id, quota.kind, now - DAY) >= quota.a_day:
        raise Refusal(f"you made {quota.a_day:,} {quota.what} within a day, deleted ones too, so none was added", "Go on tomorrow.")
