"""What needs a user's attention: most severe first, each with the page on which to resolve it. Pages
supply the words and links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Stop
from dashtrade.domain.notices.base import Level, Page
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.reasons import NO_REASON, Code, Reason, quoted
from dashtrade.domain.values import plain
from dashtrade.services.accounts import position_mismatch as mismatch_service
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.owned import find_bots, stopped_bots
from dashtrade.services.bots.switches import switches
from dashtrade.services.operations import quotas
from dashtrade.services.people import second_factor_policy
from dashtrade.services.trading import protections
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import orders as order_table

RECENT = timedelta(days=1)
UNREACHABLE_FOR = timedelta(minutes=1)  # one missed answer of a broker needs no attention
MAX_REFUSED = 3
# A bot that is already long gets "buy", or a flat bot gets "close": alert and skip are both correct.
HARMLESS = (Code.ALREADY_OWNED, Code.NOTHING_TO_CLOSE, Code.SIDE_NOT_TRADED)


class AttentionKind(StrEnum):
    ORDER_STATUS_UNKNOWN = "order_status_unknown"
    POSITION_MISMATCH = "position_mismatch"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_UNCONFIRMED = "account_unconfirmed"
    ACCOUNT_UNREACHABLE = "account_unreachable"
    ACCOUNT_TEST_FAILED = "account_test_failed"
    BOT_STOPPED = "bot_stopped"
    ENTRIES_LOCKED = "entries_locked"
    STORAGE_FULL = "storage_full"
    STORAGE_NEARLY_FULL = "storage_nearly_full"
    ALERT_REFUSED = "alert_refused"
    NO_SECOND_FACTOR = "no_second_factor"  # on an account that trades live


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionItem:
    kind: AttentionKind
    severity: Level
    page: Page  # where to resolve it
    at: datetime | None = None  # since when
    reason: Reason = NO_REASON  # as stored
    facts: Mapping[str, str | int | None] = field(default_factory=dict)
    account_id: int | None = None
    bot_id: int | None = None
    signal_id: str | None = None


def attention(app: App, user: User) -> list[AttentionItem]:
    """Errors before warnings."""
    finders = (
        _unknown_orders,
        _mismatches,
        _accounts,
        _stopped,
        _locked,
        _storage,
        _refused,
        _without_second_factor,
    )
    found = [item for find in finders for item in find(app, user)]
    return sorted(found, key=lambda item: item.severity is not Level.ERROR)


def _unknown_orders(app: App, user: User) -> Iterator[AttentionItem]:
    mine = [account.id for account in accounts_of(app, user)]
    with app.db.read() as conn:  # by account: open orders are indexed, however long the history is
        opened = [order for account_id in mine for order in order_table.open_in_account(conn, account_id)]
    for order in [order for order in opened if order.status is OrderStatus.ATTENTION]:
        yield AttentionItem(
            kind=AttentionKind.ORDER_STATUS_UNKNOWN,
            severity=Level.ERROR,
            page=Page.SIGNALS,
            at=order.updated_at,
            reason=order.reason,
            facts={"order_id": order.id, "side": str(order.side), "symbol": order.symbol.text},
            account_id=order.account_id,
            bot_id=order.bot_id,
            signal_id=order.signal_id,
        )


def _mismatches(app: App, user: User) -> Iterator[AttentionItem]:
    for mismatch in mismatch_service.drifts(app, user, limit=20):
        drift = mismatch.drift
        yield AttentionItem(
            kind=AttentionKind.POSITION_MISMATCH,
            severity=Level.ERROR,
            page=Page.POSITIONS,
            at=drift.opened_at,
            facts={
                "id": drift.id,
                "account": mismatch.account,
                "symbol": drift.symbol.text,
                "bots_quantity": plain(drift.bots_quantity),
                "outside": plain(drift.outside),
                "broker_quantity": plain(drift.broker_quantity),
                "difference": plain(drift.difference),
            },
            account_id=drift.account_id,
        )


def _accounts(app: App, user: User) -> Iterator[AttentionItem]:
    for account in accounts_of(app, user):
        if (item := _account(app, account)) is not None:
            yield item


def _account(app: App, account: Account) -> AttentionItem | None:
    """Disabled, or soon to be: an expiring broker sign-in is one such case."""
    if not account.is_active:
        kind, at, why = AttentionKind.ACCOUNT_DISABLED, None, account.disabled_reason
    elif account.problem:
        kind, at, why = AttentionKind.ACCOUNT_UNCONFIRMED, None, account.problem
    elif (since := prices.known_of(app, account).failing_since) and app.clock.now() - since > UNREACHABLE_FOR:
        error = prices.known_of(app, account).error
        kind, at, why = AttentionKind.ACCOUNT_UNREACHABLE, since, quoted(error)
    elif account.check_result and not account.check_result.get("ok"):
        why = quoted(str(account.check_result.get("message", "")))
        kind, at = AttentionKind.ACCOUNT_TEST_FAILED, account.checked_at
    else:
        return None
    warns = kind in (AttentionKind.ACCOUNT_UNCONFIRMED, AttentionKind.ACCOUNT_TEST_FAILED)
    return AttentionItem(
        kind=kind,
        severity=Level.WARNING if warns else Level.ERROR,
        page=Page.POSITIONS if kind is AttentionKind.ACCOUNT_UNREACHABLE else Page.SETUP,
        at=at,
        reason=why,
        facts={"account": account.label},
        account_id=account.id,
    )


def _stopped(app: App, user: User) -> Iterator[AttentionItem]:
    for bot in stopped_bots(app, user):
        yield AttentionItem(
            kind=AttentionKind.BOT_STOPPED,
            severity=Level.WARNING,
            page=Page.BOTS,
            at=bot.updated_at,
            reason=bot.paused_reason,
            facts={"bot": bot.name},
            account_id=bot.account_id,
            bot_id=bot.id,
        )


def _without_second_factor(app: App, user: User) -> Iterator[AttentionItem]:
    """Enabled before the question existed, or an admin removed the second factor: the account continues to
    trade."""
    for account in second_factor_policy.undecided(app, user):
        yield AttentionItem(
            kind=AttentionKind.NO_SECOND_FACTOR,
            severity=Level.WARNING,
            page=Page.SETUP,
            facts={"account": account.label},
            account_id=account.id,
        )


def _locked(app: App, user: User) -> Iterator[AttentionItem]:
    for lock in protections.locks(app, user, limit=10, standing=True):
        yield AttentionItem(
            kind=AttentionKind.ENTRIES_LOCKED,
            severity=Level.WARNING,
            page=Page.RISK_EVENTS,
            at=lock.since,
            reason=lock.reason,
            facts={"lock_id": lock.id, "protection": lock.kind},
        )


def _storage(app: App, user: User) -> Iterator[AttentionItem]:
    with app.db.read() as conn:
        used = quotas.stored(conn, user)
    most = quotas.room_of(app, user)
    if used < most * quotas.NEARLY_FULL_SHARE:
        return
    full = used >= most
    yield AttentionItem(
        kind=AttentionKind.STORAGE_FULL if full else AttentionKind.STORAGE_NEARLY_FULL,
        severity=Level.ERROR if full else Level.WARNING,
        page=Page.SIGNALS,
        facts={"used_bytes": used, "limit_bytes": most},
    )


def _refused(app: App, user: User) -> Iterator[AttentionItem]:
    with app.db.read() as conn:
        refused = decision_table.recently_refused(conn, user.id, since=app.clock.now() - RECENT)
    wanted = [row for row in refused if row.reason.code not in HARMLESS and not _over(app, user, row)]
    for row in wanted[:MAX_REFUSED]:
        yield AttentionItem(
            kind=AttentionKind.ALERT_REFUSED,
            severity=Level.WARNING,
            page=Page.SIGNALS,
            at=row.received_at,
            reason=row.reason,
            facts={"action": row.action, "symbol": row.symbol.text if row.symbol is not None else None},
            signal_id=row.id,
        )


def _over(app: App, user: User, row: Any) -> bool:
    """Whether a refusal by a paused bot or a switch has become obsolete."""
    if row.reason.code is Code.BOT_PAUSED:
        with app.db.read() as conn:
            outcomes = decision_table.bot_outcomes(conn, user.id, row.id)
        return all(bot.is_active for bot in find_bots(app, user, {one.bot_id for one in outcomes}))
    if row.reason.code is Code.SWITCHED:
        return all(one.stop is Stop.NONE for one in switches(app, user))
    return False
