"""Who must have a second factor: every user where a superadmin requires it; otherwise those who enable
live trading, unless they decline, which is recorded. Closing a position never requires one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission
from dashtrade.domain.accounts import Account
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.notices.people import SecondFactorRequired, SecondFactorStays, SecondFactorVoluntary
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.people.permission import require
from dashtrade.services.records import record
from dashtrade.services.refusals import Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import admin_queries, installation_settings, second_factors
from dashtrade.tables import messages as message_table
from dashtrade.tables.installation_settings import REQUIRED, SECOND_FACTOR

# --- for all users ------------------------------------------------------------------------------------------


def is_required(app: App) -> bool:
    with app.db.read() as conn:
        return _is_required(conn)


def _is_required(conn: sa.Connection) -> bool:
    return installation_settings.setting(conn, SECOND_FACTOR) == REQUIRED


def put(app: App, actor: User, required: bool) -> None:
    """From the next request on, users without a second factor must set one up first
    (`User.second_factor_due`). All users are notified."""
    require(actor, Permission.MANAGE_SYSTEM)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        if _is_required(conn) is required:
            return
        installation_settings.put_setting(conn, SECOND_FACTOR, REQUIRED if required else "voluntary")
        done = AuditAction.SECOND_FACTOR_REQUIRED if required else AuditAction.SECOND_FACTOR_MADE_OPTIONAL
        message_table.record(conn, actor=actor.id, action=done, now=now)
        _notify(conn, required, now)

    app.db.write(work)


def _notify(conn: sa.Connection, required: bool, now: datetime) -> None:
    for has_one in (True, False):
        notice: Notice = SecondFactorVoluntary(has_one=has_one)
        if required:
            notice = SecondFactorStays() if has_one else SecondFactorRequired()
        for user_id in admin_queries.people_by_factor(conn, second_factor=has_one):
            message_table.notify(conn, user_id, notice, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorFigures:
    people: int  # demos excluded
    with_factor: int


def figures(app: App) -> FactorFigures:
    with app.db.read() as conn:
        return record(FactorFigures, admin_queries.factors(conn))


# --- for real money -----------------------------------------------------------------------------------------


def check(user: User, *, declines: bool) -> None:
    """Validate before anything is created."""
    _declined(has=user.second_factor, required=user.second_factor_due, declines=declines)


def declined_at(conn: sa.Connection, user: User, *, declines: bool, now: datetime) -> datetime | None:
    """Checked when live trading is enabled: None if the owner has a second factor, else the time at which
    they declined one. Raises Refusal without either."""
    declined = _declined(
        has=second_factors.lock_factor(conn, user.id), required=_is_required(conn), declines=declines
    )
    return now if declined else None


def _declined(*, has: bool, required: bool, declines: bool) -> bool:
    if has:
        return False
    if required:
        raise _required()
    if not declines:
        raise Malformed(
            "a live account requires two-factor authentication, which you have not set up",
            where="decline_second_factor",
            hint=(
                "Set it up on the Account page; or send true to continue without it: anyone who gets "
                "your password can then trade your money."
            ),
        )
    return True


def _required() -> Refusal:
    return Refusal(
        "this installation requires two-factor authentication",
        "A superadmin requires two-factor authentication for all users: set it up, and keep it on.",
    )


def record_decline(
    conn: sa.Connection, user: User, account_id: int, *, label: str, broker: str, now: datetime
) -> None:
    detail = {"label": label, "broker": broker}
    message_table.record(
        conn,
        actor=user.id,
        action=AuditAction.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR,
        now=now,
        subject=account_id,
        detail=detail,
    )


def switched_off(conn: sa.Connection, user: User, *, declines: bool, now: datetime) -> None:
    """After the owner removed the second factor, in the same transaction: each live account requires the
    decline."""
    if _is_required(conn):
        raise _required()
    for account in [account for account in account_table.list_all(conn, user.id) if account.confirmed_live]:
        account_table.change(
            conn,
            user.id,
            account.id,
            second_factor_declined_at=declined_at(conn, user, declines=declines, now=now),
        )
        record_decline(conn, user, account.id, label=account.label, broker=account.broker, now=now)


def end_declines(conn: sa.Connection, user: User) -> int:
    """After a second factor was set up."""
    declined = [
        account
        for account in account_table.list_all(conn, user.id)
        if account.second_factor_declined_at is not None
    ]
    for account in declined:
        account_table.change(conn, user.id, account.id, second_factor_declined_at=None)
    return len(declined)


def live(app: App, user: User) -> list[Account]:
    """Accounts with live trading enabled."""
    with app.db.read() as conn:
        return [account for account in account_table.list_all(conn, user.id) if account.confirmed_live]


def undecided(app: App, user: User) -> list[Account]:
    """Live accounts with neither a second factor nor a decline: they continue to trade, and their owner is
    asked."""
    return (
        []
        if user.second_factor
        else [account for account in live(app, user) if account.second_factor_declined_at is None]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordOnly:
    """A user who trades live with a password alone."""

    accounts: int
    declined: int  # for how many of them a second factor was declined
    since: datetime | None  # the first decline


def without(app: App, user_ids: Collection[int]) -> dict[int, PasswordOnly]:
    """Which of these users trade live with a password alone."""
    with app.db.read() as conn:
        found = admin_queries.live_without_factor(conn, user_ids)
    return {user_id: record(PasswordOnly, row) for user_id, row in found.items()}
