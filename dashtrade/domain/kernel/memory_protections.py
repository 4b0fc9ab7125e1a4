"""What protections look at, from rows in memory, by the rules of `tables/protections.py`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.memory_rows import KeptLock, MemoryRows
from dashtrade.domain.kernel.source import Resets
from dashtrade.domain.orders import Effect, Order
from dashtrade.domain.protections import ActiveLock, BotRestrictions, OtherHolding, PastExit, Scope, SentEntry
from dashtrade.domain.signals import ExitCause, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, OrderType

MAX_ROWS = 5000  # newest exits or orders considered, as in the tables
_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


class MemoryProtections:
    """A `ProtectionSource`."""

    def __init__(self, rows: MemoryRows) -> None:
        self.rows = rows

    def restrictions(self, bot: Bot, now: datetime) -> BotRestrictions:
        return BotRestrictions(
            switches=tuple(
                switch
                for switch in self.rows.switches.values()
                if switch.scope == "all" or _covers(switch.scope, switch.scope_id, bot)
            ),
            locks=tuple(_active(kept) for kept in self.rows.locks.values() if _stands(kept, bot, now)),
            protections=tuple(
                one.active
                for one in self.rows.protections
                if one.user_id == bot.user_id and _covers(one.active.scope, one.active.scope_id, bot)
            ),
        )

    def lock_protections(self, user_id: int) -> None:
        """Nobody else writes."""

    def past_exits(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[PastExit]:
        found = [
            trade
            for trade in self.rows.trades.values()
            if trade.at > since and trade.order.effect.reduces and _in_scope(trade.order, bot, scope)
        ]
        found.sort(key=lambda trade: trade.at)  # those of one time by their numbers, as before
        return [
            PastExit(
                bot_id=trade.order.bot_id,
                account_id=trade.order.account_id,
                symbol=trade.order.symbol,
                at=trade.at,
                profit=trade.realized - trade.fee,
                stopped=self._was_stopped(trade.order),
            )
            for trade in found[-MAX_ROWS:]
        ]

    def _was_stopped(self, order: Order) -> bool:
        new = self.rows.signals[order.signal_id].new
        return order.type in _STOPS or new.origin is Origin.RISK or new.exit_cause is ExitCause.STOP_LOSS

    def sent_entries(self, bot: Bot, scope: Scope, since: datetime) -> Sequence[SentEntry]:
        found = [
            order
            for order in self.rows.orders.values()
            if order.created_at > since and order.parent_id is None and _in_scope(order, bot, scope)
        ]
        found.sort(key=lambda order: order.created_at, reverse=True)
        return [
            SentEntry(bot_id=order.bot_id, account_id=order.account_id, at=order.created_at)
            for order in found[:MAX_ROWS]
        ]

    def other_holdings(self, bot: Bot, scope: Scope) -> Sequence[OtherHolding]:
        entering: dict[int, Decimal] = {}
        for order in self._open_of(bot, scope):
            if order.effect in (Effect.OPEN, Effect.ADD):
                left = order.quantity - order.filled_quantity
                entering[order.bot_id] = entering.get(order.bot_id, ZERO) + left
        others = [
            (other, abs(other.position.quantity) + entering.get(other.id, ZERO))
            for other in self.rows.bots.values()
            if other.user_id == bot.user_id
            and other.id != bot.id
            and other.status != "READY"
            and (scope is Scope.USER or other.account_id == bot.account_id)
        ]
        return [
            OtherHolding(bot_id=other.id, account_id=other.account_id, symbol=other.symbol, quantity=quantity)
            for other, quantity in others
            if quantity
        ]

    def _open_of(self, bot: Bot, scope: Scope) -> Iterable[Order]:
        for account_id, orders in self.rows.open_orders.items():
            if scope is Scope.USER or account_id == bot.account_id:
                yield from (order for order in orders if order.user_id == bot.user_id)

    def resets(self, protection_ids: Sequence[int]) -> Resets:
        found: dict[tuple[int, str, int, Symbol | None], datetime] = {}
        for kept in self.rows.locks.values():
            lock, at = kept.lock, kept.unlocked_at
            if at is not None and lock.protection_id in protection_ids:
                key = (lock.protection_id, str(lock.scope), lock.scope_id, lock.symbol)
                found[key] = max(at, found.get(key, at))
        return found


def _covers(scope: str, scope_id: int, bot: Bot) -> bool:
    return {"user": bot.user_id, "account": bot.account_id, "bot": bot.id}.get(scope) == scope_id


def _in_scope(row: Any, bot: Bot, scope: Scope) -> bool:
    if row.user_id != bot.user_id:
        return False
    if scope is Scope.ACCOUNT:
        return bool(row.account_id == bot.account_id)
    return scope is not Scope.BOT or row.bot_id == bot.id


def _stands(kept: KeptLock, bot: Bot, now: datetime) -> bool:
    lock = kept.lock
    return (
        kept.unlocked_at is None
        and lock.user_id == bot.user_id
        and (lock.until is None or lock.until > now)
        and lock.symbol in (None, bot.symbol)
        and _covers(lock.scope, lock.scope_id, bot)
    )


def _active(kept: KeptLock) -> ActiveLock:
    lock = kept.lock
    return ActiveLock(
        id=kept.id,
        protection_id=lock.protection_id,
        kind=lock.kind,
        scope=lock.scope,
        symbol=lock.symbol,
        reason=lock.reason,
        until=lock.until,
    )
