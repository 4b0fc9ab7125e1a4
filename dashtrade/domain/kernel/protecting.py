"""What a triggered protection changes, where it is what stopped the entry: a lock, its event and message."""

from __future__ import annotations

from datetime import datetime

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.outcomes import Check
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.records import NewLock, RiskEvent
from dashtrade.domain.notices.trading import EntriesLocked
from dashtrade.domain.protections import LockTarget, ProtectionLock, Scope
from dashtrade.domain.reasons import Code, Fact, numbers_of, reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import plain


def put_locks(books: Books, bot: Bot, checks: tuple[Check, ...], signal_id: str, now: datetime) -> None:
    failed = next((check for check in checks if not check.ok), None)
    for triggered in failed.triggered if failed else ():
        if triggered.lock.lasts(now) and triggered.guard.id:
            _put_lock(books, bot, triggered, signal_id, now)


def _put_lock(books: Books, bot: Bot, triggered: ProtectionLock, signal_id: str, now: datetime) -> None:
    guard, lock = triggered.guard, triggered.lock
    scope, scope_id = (Scope.BOT, bot.id) if lock.target is LockTarget.BOT else (guard.scope, guard.scope_id)
    symbol = bot.symbol if lock.target is LockTarget.SYMBOL else None
    books.changes.locks.append(
        NewLock(
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
    )
    books.add_risk_event(
        RiskEvent(
            bot=bot,
            at=now,
            kind=guard.rule.kind,
            threshold=lock.limit,
            actual=lock.actual,
            action=reason(Code.ENTRIES_LOCKED, **_locked(scope, symbol, lock.until)),
            detail=lock.reason,
            signal_id=signal_id,
        )
    )
    notice = EntriesLocked(
        bot=bot.name,
        protection=guard.rule.kind,
        reason=lock.reason,
        scope=scope,
        locked_symbol=symbol.text if symbol else None,
        until=lock.until,
    )
    books.notify(bot.user_id, notice, signal_id=signal_id, at=now)


def _locked(scope: Scope, symbol: Symbol | None, until: datetime | None) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"scope": str(scope)}
    facts |= {"symbol": symbol.short} if symbol else {}
    return facts | ({"until": until} if until else {})
