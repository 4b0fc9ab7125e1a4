"""What protections need for a decision: read under the account's lock, and only where one is active."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from dashtrade.domain import protections as domain
from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.source import ProtectionSource, Resets
from dashtrade.domain.protections import ActiveProtection, BotRestrictions, Guard, Needs, Scope
from dashtrade.domain.symbols import Symbol

MINUTE = timedelta(minutes=1)
_BUILT_IN_GUARDS = {
    rule.kind: Guard(id=0, scope=Scope.USER, scope_id=0, rule=rule)
    for rule in domain.BUILT_IN
    if rule.kind != domain.MarketClosed.kind
}


def load(source: ProtectionSource, bot: Bot, now: datetime) -> tuple[BotRestrictions, tuple[Guard, ...]]:
    """The bot's restrictions; where a protection is active, also the protections' data."""
    restrictions = source.restrictions(bot, now)
    if not restrictions.protections:
        return restrictions, tuple(_BUILT_IN_GUARDS.values())
    if any(row.scope is Scope.USER for row in restrictions.protections):
        source.lock_protections(bot.user_id)
        restrictions = source.restrictions(bot, now)
    return restrictions, _guards(source, bot, restrictions, now)


def _guards(
    source: ProtectionSource, bot: Bot, restrictions: BotRestrictions, now: datetime
) -> tuple[Guard, ...]:
    """A protection whose lock is active is not evaluated again."""
    locked_ids = {lock.protection_id for lock in restrictions.locks}
    active = [
        (row, domain.read(row.kind, row.scope, row.settings))
        for row in restrictions.protections
        if row.id not in locked_ids
    ]
    built_in = [
        guard
        for kind, guard in _BUILT_IN_GUARDS.items()
        if all(row.kind != kind for row in restrictions.protections)
    ]
    scopes = {need: _widest(row.scope for row, rule in active if rule.needs is need) for need in Needs}
    look_back_minutes = max((_minutes_back(rule) for _, rule in active), default=0)
    exits = (
        source.past_exits(bot, widest, now - timedelta(minutes=look_back_minutes))
        if (widest := scopes[Needs.EXITS])
        else []
    )
    sent = source.sent_entries(bot, widest, now - MINUTE) if (widest := scopes[Needs.ORDERS]) else []
    others = source.other_holdings(bot, widest) if (widest := scopes[Needs.HOLDINGS]) else []
    resets = source.resets([row.id for row, _ in active]) if exits or sent else {}
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


def _in_scope(records: Sequence[Any], bot: Bot, scope: Scope) -> Sequence[Any]:
    """The part of the widest scope's data that belongs to this one."""
    if scope is Scope.USER:
        return records
    return [
        record
        for record in records
        if record.account_id == bot.account_id and (scope is Scope.ACCOUNT or record.bot_id == bot.id)
    ]


def _reset_since(
    resets: Resets, row: ActiveProtection, rule: Any, at: datetime, bot_id: int, symbol: Symbol | None
) -> bool:
    """Was the lock that this led to, or could have, lifted since? Then it no longer counts."""
    keys = [
        (row.id, row.scope, row.scope_id, None),
        (row.id, row.scope, row.scope_id, symbol),
        (row.id, Scope.BOT, bot_id, None),
    ]
    return any(key in resets and at <= resets[key] for key in keys)
