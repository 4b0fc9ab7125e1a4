"""What a protection is shown: an entry, trades that ended, and a day's figures."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from dashtrade.domain import protections as domain
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.orders import Effect
from dashtrade.domain.ports import Quote
from dashtrade.domain.protections import Lock, OtherHolding, PastExit, ProtectionInputs, Scope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType
from tests.support.fakes import MORNING

AAPL, MSFT = Symbol.parse("AAPL"), Symbol.parse("MSFT")

# --- the rules, without anything around them ----------------------------------------------------------------


def entry(
    kind: OrderType = OrderType.MARKET,
    quantity: str = "10",
    price: str = "100",
    effect: Effect = Effect.OPEN,
    **more: Any,
) -> Step:
    return Step(
        side=OrderSide.BUY, effect=effect, quantity=Decimal(quantity), type=kind, price=Decimal(price), **more
    )


def past_exit(
    minutes_ago: float,
    made: str = "-10",
    *,
    bot: int = 1,
    symbol: Symbol = AAPL,
    stopped: bool = True,
    account: int = 1,
) -> PastExit:
    return PastExit(
        bot_id=bot,
        account_id=account,
        symbol=symbol,
        at=MORNING - timedelta(minutes=minutes_ago),
        profit=Decimal(made),
        stopped=stopped,
    )


def inputs(
    *exits: PastExit, bid: str = "100", ask: str = "100", age: float = 0, demo: bool = False, **more: Any
) -> ProtectionInputs:
    quote = Quote(
        symbol=AAPL, bid=Decimal(bid), ask=Decimal(ask), at=MORNING - timedelta(seconds=age), demo=demo
    )
    plain = {"owned": Decimal(0), "equity": Decimal(100_000)}
    return ProtectionInputs(
        now=MORNING,
        bot_id=1,
        symbol=AAPL,
        quote=quote,
        exits=tuple(sorted(exits, key=lambda one: one.at)),
        **plain | more,
    )


def judge(kind: str, view: ProtectionInputs, step: Step | None = None, **settings: Any) -> Lock | None:
    return domain.read(kind, Scope.ACCOUNT, settings).judge(step or entry(), view)


def ends_in(lock: Lock | None) -> float | None:
    """Minutes until the lock ends."""
    assert lock is not None and lock.until is not None
    return (lock.until - MORNING).total_seconds() / 60


def holding(bot: int, symbol: Symbol = AAPL, quantity: str = "10") -> OtherHolding:
    return OtherHolding(bot_id=bot, account_id=1, symbol=symbol, quantity=Decimal(quantity))
