"""Protections and market hours around a decision: what is read before it, what is written after it.

What a protection needs is read under the account's lock, and only where one is active; a triggered lock is
stored in the transaction of the decision that it refused, with its event and message."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashtrade.domain import protections as domain
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.outcomes import Check, Defer
from dashtrade.domain.decisions.view import WaitingEntry
from dashtrade.domain.notices.trading import CloseWaitsForMarket, EntriesLocked, EntryWaitsForMarket
from dashtrade.domain.protections import Guard, LockTarget, Needs, ProtectionLock, Scope
from dashtrade.domain.reasons import Code, Fact, Reason, numbers_of, reason
from dashtrade.domain.signals import Action
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import plain
from dashtrade.engine.settlement import refuse_undecided
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import protections as table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import signals as signal_table

MINUTE = timedelta(minutes=1)
_BUILT_IN_GUARDS = {
    rule.kind: Guard(id=0, scope=Scope.USER, scope_id=0, rule=rule)
    for rule in domain.BUILT_IN
    if rule.kind != domain.MarketClosed.kind
}


# --- before the decision ------------------------------------------------------------------------------------


def load(conn: sa.Connection, bot: Bot, now: datetime) -> tuple[table.BotRestrictions, tuple[Guard, ...]]:
    """The bot's restrictions, in one statement where no protection is active; else also the protections'
    data."""
    restrictions = table.restrictions_on(conn, bot, now)
    if not restrictions.watching:
        return restrictions, tuple(_BUILT_IN_GUARDS.values())
    # serialise decisions of two accounts that one protection counts together
    if any(row.scope is Scope.USER for row in restrictions.watching):
        signal_table.lock_key(conn, f"protections|{bot.user_id}")
        restrictions = table.restrictions_on(conn, bot, now)
    return restrictions, _guards(conn, bot, restrictions, now)


def _guards(
    conn: sa.Connection, bot: Bot, restrictions: table.BotRestrictions, now: datetime
) -> tuple[Guard, ...]:
    """A protection whose lock is active is not evaluated again."""
    locked_ids = {lock.protection_id for lock in restrictions.locks}
    active = [
        (row, domain.read(row.kind, row.scope, row.settings))
        for row in restrictions.watching
        if row.id not in locked_ids
    ]
    built_in = [
        guard
        for kind, guard in _BUILT_IN_GUARDS.items()
        if all(row.kind != kind for row in restrictions.watching)
    ]
    scopes = {need: _widest(row.scope for row, rule in active if rule.needs is need) for need in Needs}
    look_back_minutes = max((_minutes_back(rule) for _, rule in active), default=0)
    exits = (
        table.exits(conn, bot, widest, now - timedelta(minutes=look_back_minutes))
        if (widest := scopes[Needs.EXITS])
        else []
    )
    sent = table.sent(conn, bot, widest, now - MINUTE) if (widest := scopes[Needs.ORDERS]) else []
    others = table.holdings(conn, bot, widest) if (widest := scopes[Needs.HOLDINGS]) else []
    resets = table.resets(conn, [row.id for row, _ in active]) if exits or sent else {}
    return (
        *built_in,
        *(
            Guard(
                id=row.id,
                scope=row.scope,
                scope_id=row.scope_id,
                rule=rule,
                others=tuple(_in_scope(others, bot, row.scope)),
                exits=tuple(
                    e
                    for e in _in_scope(exits, bot, row.scope)
                    if not _reset_since(resets, row, rule, e.at, e.bot_id, e.symbol)
                ),
                sent=tuple(
                    o
                    for o in _in_scope(sent, bot, row.scope)
                    if not _reset_since(resets, row, rule, o.at, o.bot_id, None)
                ),
            )
            for row, rule in active
        ),
    )


def _widest(scopes: Iterable[Scope]) -> Scope | None:
    found = list(scopes)
    return max(found, key=list(Scope).index) if found else None


def _minutes_back(rule: domain.Protection) -> int:
    return int(getattr(rule, "look_back_minutes", 0) or getattr(rule, "minutes", 0) or 0)


def _in_scope(records: list[Any], bot: Bot, scope: Scope) -> list[Any]:
    """The part of the widest scope's data that belongs to this one."""
    if scope is Scope.USER:
        return records
    return [
        record
        for record in records
        if record.account_id == bot.account_id and (scope is Scope.ACCOUNT or record.bot_id == bot.id)
    ]


def _reset_since(
    resets: dict[Any, datetime],
    row: table.Watching,
    rule: Any,
    at: datetime,
    bot_id: int,
    symbol: Symbol | None,
) -> bool:
    """Was the lock that this led to, or could have, lifted since? Then it no longer counts."""
    keys = [
        (row.id, row.scope, row.scope_id, None),
        (row.id, row.scope, row.scope_id, symbol),
        (row.id, Scope.BOT, bot_id, None),
    ]
    return any(key in resets and at <= resets[key] for key in keys)


def entries_waiting_for_open(
    conn: sa.Connection, task: decision_table.PendingDecision, now: datetime
) -> tuple[WaitingEntry, ...]:
    """The bot's entries that wait for the market to open. None for crypto, whose markets do not close."""
    if task.symbol.is_crypto:
        return ()
    entries = decision_table.waiting_for_open(conn, task, now)
    return tuple(
        WaitingEntry(
            decision_id=row.id,
            signal_id=row.signal_id,
            sole_recipient=row.sole_recipient,
            action=Action(row.action),
        )
        for row in entries
    )


# --- after it -----------------------------------------------------------------------------------------------


def store_locks(
    conn: sa.Connection, bot: Bot, checks: tuple[Check, ...], signal_id: str, now: datetime
) -> None:
    """Store the lock, event and message of a triggered protection, where it is what stopped the entry."""
    failed = next((check for check in checks if not check.ok), None)
    for triggered in failed.triggered if failed else ():
        if triggered.lock.lasts(now) and triggered.guard.id:
            _store_lock(conn, bot, triggered, signal_id, now)


def _store_lock(
    conn: sa.Connection, bot: Bot, triggered: ProtectionLock, signal_id: str, now: datetime
) -> None:
    guard, lock = triggered.guard, triggered.lock
    scope, scope_id = (Scope.BOT, bot.id) if lock.target is LockTarget.BOT else (guard.scope, guard.scope_id)
    symbol = bot.symbol if lock.target is LockTarget.SYMBOL else None
    facts: dict[str, Fact] = {"scope": str(scope)}
    facts |= {"symbol": symbol.short} if symbol else {}
    facts |= {"until": lock.until} if lock.until else {}
    table.add_lock(
        conn,
        user_id=bot.user_id,
        protection_id=guard.id,
        kind=guard.rule.kind,
        scope=scope,
        scope_id=scope_id,
        symbol=symbol,
        bot_id=bot.id,
        signal_id=signal_id,
        reason=lock.reason,
        numbers={"actual": plain(lock.actual), "limit": plain(lock.limit)} | numbers_of(lock.reason),
        since=now,
        until=lock.until,
    )
    risk_event_table.add_risk_event(
        conn,
        bot,
        at=now,
        kind=guard.rule.kind,
        threshold=lock.limit,
        actual=lock.actual,
        action=reason(Code.ENTRIES_LOCKED, **facts),
        detail=lock.reason,
        signal_id=signal_id,
    )
    message_table.notify(
        conn,
        bot.user_id,
        EntriesLocked(
            bot=bot.name,
            protection=guard.rule.kind,
            reason=lock.reason,
            scope=scope,
            locked_symbol=symbol.text if symbol else None,
            until=lock.until,
        ),
        now=now,
        signal_id=signal_id,
    )


def defer_entry(
    conn: sa.Connection, bot: Bot, task: decision_table.PendingDecision, deferral: Defer, now: datetime
) -> None:
    """Defer the entry. Its user is notified once, however often it is deferred."""
    if deferral.entry:
        decision_table.wait_for_open(conn, task.id, until=deferral.until, reason=deferral.reason)
    else:
        decision_table.defer(conn, task.id, held_until=deferral.until, reason=deferral.reason)
    if task.reason.code not in (Code.WAITS_FOR_OPEN, Code.QUEUED_FOR_OPEN, Code.WAITS_FOR_OPEN_UNKNOWN):
        notice_kind = EntryWaitsForMarket if deferral.entry else CloseWaitsForMarket
        message_table.notify(
            conn,
            bot.user_id,
            notice_kind(bot=bot.name, symbol=bot.symbol.text, retry_at=deferral.until),
            now=now,
            signal_id=task.signal_id,
        )


def supersede(conn: sa.Connection, waiting: tuple[WaitingEntry, ...], now: datetime) -> None:
    """A later signal replaces entries that were waiting for the open."""
    why = Reason(Code.SUPERSEDED)
    for entry in waiting:
        refuse_undecided(
            conn, entry.decision_id, entry.signal_id, sole_recipient=entry.sole_recipient, reason=why, now=now
        )
