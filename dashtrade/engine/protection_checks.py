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
_ALWAYS = {
    rule.kind: Guard(id=0, scope=Scope.USER, scope_id=0, rule=rule)
    for rule in domain.ALWAYS
    if rule.kind != domain.MarketClosed.kind
}


# --- before the decision ------------------------------------------------------------------------------------


def load(conn: sa.Connection, bot: Bot, now: datetime) -> tuple[table.BotRestrictions, tuple[Guard, ...]]:
    """The bot's restrictions, in one statement where no protection is active; else also the protections'
    data."""
    restrictions = table.restrictions_on(conn, bot, now)
    if not restrictions.watching:
        return restrictions, tuple(_ALWAYS.values())
    # serialise decisions of two accounts that one protection counts together
    if any(one.scope is Scope.USER for one in restrictions.watching):
        signal_table.lock_key(conn, f"protections|{bot.user_id}")
        restrictions = table.restrictions_on(conn, bot, now)
    return restrictions, _guards(conn, bot, restrictions, now)


def _guards(
    conn: sa.Connection, bot: Bot, restrictions: table.BotRestrictions, now: datetime
) -> tuple[Guard, ...]:
    """A protection whose lock is active is not evaluated again."""
    locked = {lock.protection_id for lock in restrictions.locks}
    active = [
        (one, domain.read(one.kind, one.scope, one.settings))
        for one in restrictions.watching
        if one.id not in locked
    ]
    always = [
        guard for kind, guard in _ALWAYS.items() if all(one.kind != kind for one in restrictions.watching)
    ]
    scopes = {need: _widest(one.scope for one, rule in active if rule.needs is need) for need in Needs}
    back = max((_minutes_back(rule) for _, rule in active), default=0)
    exits = (
        table.exits(conn, bot, widest, now - timedelta(minutes=back))
        if (widest := scopes[Needs.EXITS])
        else []
    )
    sent = table.sent(conn, bot, widest, now - MINUTE) if (widest := scopes[Needs.ORDERS]) else []
    others = table.holdings(conn, bot, widest) if (widest := scopes[Needs.HOLDINGS]) else []
    resets = table.resets(conn, [one.id for one, _ in active]) if exits or sent else {}
    return (
        *always,
        *(
            Guard(
                id=one.id,
                scope=one.scope,
                scope_id=one.scope_id,
                rule=rule,
                others=tuple(_within(others, bot, one.scope)),
                exits=tuple(
                    e
                    for e in _within(exits, bot, one.scope)
                    if not _reset_since(resets, one, rule, e.at, e.bot_id, e.symbol)
                ),
                sent=tuple(
                    o
                    for o in _within(sent, bot, one.scope)
                    if not _reset_since(resets, one, rule, o.at, o.bot_id, None)
                ),
            )
            for one, rule in active
        ),
    )


def _widest(scopes: Iterable[Scope]) -> Scope | None:
    found = list(scopes)
    return max(found, key=list(Scope).index) if found else None


def _minutes_back(rule: domain.Protection) -> int:
    return int(getattr(rule, "look_back_minutes", 0) or getattr(rule, "minutes", 0) or 0)


def _within(found: list[Any], bot: Bot, scope: Scope) -> list[Any]:
    """The part of the widest scope's data that belongs to this one."""
    if scope is Scope.USER:
        return found
    return [
        one
        for one in found
        if one.account_id == bot.account_id and (scope is Scope.ACCOUNT or one.bot_id == bot.id)
    ]


def _reset_since(
    resets: dict[Any, datetime],
    one: table.Watching,
    rule: Any,
    at: datetime,
    bot_id: int,
    symbol: Symbol | None,
) -> bool:
    """Was the lock that this led to, or could have, lifted since? Then it no longer counts."""
    keys = [
        (one.id, one.scope, one.scope_id, None),
        (one.id, one.scope, one.scope_id, symbol),
        (one.id, Scope.BOT, bot_id, None),
    ]
    return any(key in resets and at <= resets[key] for key in keys)


def entries_waiting_for_open(
    conn: sa.Connection, task: decision_table.PendingDecision, now: datetime
) -> tuple[WaitingEntry, ...]:
    """The bot's entries that wait for the market to open. None for crypto, whose markets do not close."""
    if task.symbol.is_crypto:
        return ()
    found = decision_table.waiting_for_open(conn, task, now)
    return tuple(
        WaitingEntry(
            decision_id=r.id, signal_id=r.signal_id, sole_recipient=r.sole_recipient, action=Action(r.action)
        )
        for r in found
    )


# --- after it -----------------------------------------------------------------------------------------------


def put_locks(
    conn: sa.Connection, bot: Bot, checks: tuple[Check, ...], signal_id: str, now: datetime
) -> None:
    """Store the lock, event and message of a triggered protection, where it is what stopped the entry."""
    failed = next((check for check in checks if not check.ok), None)
    for fired in failed.fired if failed else ():
        if fired.lock.lasts(now) and fired.guard.id:
            _put_lock(conn, bot, fired, signal_id, now)


def _put_lock(conn: sa.Connection, bot: Bot, fired: ProtectionLock, signal_id: str, now: datetime) -> None:
    guard, lock = fired.guard, fired.lock
    scope, scope_id = (Scope.BOT, bot.id) if lock.target is LockTarget.BOT else (guard.scope, guard.scope_id)
    symbol = bot.symbol if lock.target is LockTarget.SYMBOL else None
    locked: dict[str, Fact] = {"scope": str(scope)}
    locked |= {"symbol": symbol.short} if symbol else {}
    locked |= {"until": lock.until} if lock.until else {}
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
        action=reason(Code.ENTRIES_LOCKED, **locked),
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
        waits = EntryWaitsForMarket if deferral.entry else CloseWaitsForMarket
        message_table.notify(
            conn,
            bot.user_id,
            waits(bot=bot.name, symbol=bot.symbol.text, retry_at=deferral.until),
            now=now,
            signal_id=task.signal_id,
        )


def supersede(conn: sa.Connection, waiting: tuple[WaitingEntry, ...], now: datetime) -> None:
    """A later signal replaces entries that were waiting for the open."""
    why = Reason(Code.SUPERSEDED)
    for one in waiting:
        refuse_undecided(
            conn, one.decision_id, one.signal_id, sole_recipient=one.sole_recipient, reason=why, now=now
        )
