"""What wants a person: worst first, each with the page where it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dashtrade.context import App
from dashtrade.domain.bots import Stop
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.protections import KINDS
from dashtrade.services.accounts import position_mismatch as drift_service
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.owned import stopped_bots
from dashtrade.services.operations import quotas
from dashtrade.services.people import second_factor_policy
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import protections as protection_table
from dashtrade.tables import switches as switch_table
from dashtrade.ui.positions import mismatch_dialog

RECENT = timedelta(days=1)
UNREACHED = timedelta(minutes=1)  # a broker that misses one answer is nobody's worry
MOST_REFUSED = 3
# A bot that is long already and hears "buy", or owns nothing and hears "close": the alert was right, and so
# was the skip.
HARMLESS = ("nothing to do", "nothing to close", "no position to close")
PAUSED, SWITCHED = "the bot is paused", " is switched to "  # as a decision says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Worry:
    tone: str
    title: str
    detail: str
    at: datetime | None
    page: str
    query: tuple[str, str] | None = None  # what of the page
    resume: int | None = None  # the bot that a button here lets trade again


def of_user(app: App, user: User) -> list[Worry]:
    finders = (_stuck, _drifts, _accounts, _stopped, _locked, _storage, _refused, _alone)
    found = [worry for find in finders for worry in find(app, user)]
    return sorted(found, key=lambda worry: worry.tone != "down")


def _stuck(app: App, user: User) -> Iterator[Worry]:
    mine = [account.id for account in accounts_of(app, user)]
    with app.db.read() as conn:  # by account: what is open is in an index, however long the history is
        opened = [order for account_id in mine for order in order_table.open_in_account(conn, account_id)]
    for order in [order for order in opened if order.status is OrderStatus.ATTENTION]:
        yield Worry(
            tone="down",
            title=f"{order.side.upper()} {order.symbol.short}: what became of this order is not known",
            detail=order.reason or "Look at your broker, then say what happened.",
            at=order.updated_at,
            page="pages/signals.py",
            query=("signal", order.signal_id),
        )


def _drifts(app: App, user: User) -> Iterator[Worry]:
    for drift in drift_service.drifts(app, user, limit=20):
        yield Worry(
            tone="down",
            title=f"{mismatch_dialog.short(drift)}: your broker and your bots disagree",
            detail=mismatch_dialog.summary(drift),
            at=datetime.fromisoformat(drift["opened_at"]),
            page="pages/positions.py",
        )


def _accounts(app: App, user: User) -> Iterator[Worry]:
    """Switched off, or about to be: a broker's sign-in that ends soon says so when it is tested."""
    for account in accounts_of(app, user):
        if not account.is_active:
            yield Worry(
                tone="down",
                title=f"{account.label} is disabled",
                detail=account.disabled_reason,
                at=None,
                page="pages/setup.py",
            )
        elif account.problem:
            yield Worry(
                tone="warn",
                title=f"{account.label} does not trade yet",
                detail=account.problem,
                at=None,
                page="pages/setup.py",
            )
        elif (
            known := prices.known_of(app, account)
        ).failing_since is not None and app.clock.now() - known.failing_since > UNREACHED:
            yield Worry(
                tone="down",
                title=f"{account.label} cannot be reached",
                detail=known.error,
                at=known.failing_since,
                page="pages/positions.py",
            )
        elif account.check_result and not account.check_result.get("ok"):
            yield Worry(
                tone="warn",
                title=f"{account.label} did not pass its last test",
                detail=str(account.check_result.get("message", "")),
                at=account.checked_at,
                page="pages/setup.py",
            )


def _stopped(app: App, user: User) -> Iterator[Worry]:
    for bot in stopped_bots(app, user):
        yield Worry(
            tone="warn",
            title=f"{bot.name} is stopped",
            detail=bot.paused_reason,
            at=bot.updated_at,
            page="pages/bots.py",
            query=("bot", str(bot.id)),
            resume=bot.id,
        )


def _alone(app: App, user: User) -> Iterator[Worry]:
    """Confirmed before there was this question, or an admin took off the second factor: the account trades
    on."""
    for account in second_factor_policy.undecided(app, user):
        yield Worry(
            tone="warn",
            title=f"{account.label}: real money behind your password alone",
            at=None,
            page="pages/setup.py",
            detail=(
                "Set up two-factor sign-in on the Account page, or say under Setup that you go on without it."
            ),
        )


def _locked(app: App, user: User) -> Iterator[Worry]:
    with app.db.read() as conn:
        found = protection_table.list_locks(conn, user.id, before=None, limit=10, standing_at=app.clock.now())
    for row in found:
        yield Worry(
            tone="warn",
            title=f"{KINDS[row.kind].title}: entries are locked",
            detail=row.reason,
            at=row.since,
            page="pages/risk_events.py",
            query=("part", "Protections"),
        )


def _storage(app: App, user: User) -> Iterator[Worry]:
    used, most = quotas.stored(app, user), quotas.room_of(app, user)
    if used < most * quotas.NEARLY:
        return
    full, what = (
        used >= most,
        (
            f"{used / quotas.MB:,.0f} of {most / quotas.MB:,.0f} MB are stored of your alerts and what "
            "came of them"
        ),
    )
    yield Worry(
        tone="down" if full else "warn",
        title="Entries are refused: your storage is used up" if full else "Your storage is nearly used up",
        detail=(
            f"{what}. Exits still pass. Ask whoever runs this installation for more room (DASHTRADE_USER_MB)."
        ),
        at=None,
        page="pages/signals.py",
    )


def _refused(app: App, user: User) -> Iterator[Worry]:
    with app.db.read() as conn:
        refused = decision_table.recently_refused(conn, user.id, since=app.clock.now() - RECENT)
    wanted = [
        row
        for row in refused
        if not any(words in row.reason for words in HARMLESS) and not _over(app, user, row)
    ]
    for row in wanted[:MOST_REFUSED]:
        yield Worry(
            tone="warn",
            title=f"{_what(row)} was refused",
            detail=row.reason,
            at=row.received_at,
            page="pages/signals.py",
            query=("signal", row.id),
        )


def _over(app: App, user: User, row: Any) -> bool:
    """Was it refused because a bot was paused or a switch was on, and that is so no longer?"""
    if row.reason.startswith(PAUSED):
        with app.db.read() as conn:
            bots = [
                bot_table.get(conn, user.id, each.bot_id)
                for each in decision_table.bot_outcomes(conn, user.id, row.id)
            ]
        return all(bot is None or bot.is_active for bot in bots)
    if SWITCHED in row.reason.partition(" (")[0]:
        with app.db.read() as conn:
            return all(Stop(switch.stop) is Stop.NONE for switch in switch_table.list_switches(conn, user.id))
    return False


def _what(row: Any) -> str:
    return (
        f"{row.action.capitalize()} {row.symbol.short}"
        if row.symbol is not None
        else "An alert that could not be read"
    )
