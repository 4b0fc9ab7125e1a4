"""Performance figures, computed from each trade's and each day's profit. Pure.

Money stays exact; ratios are floats, as they are estimates."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO

DAYS_A_YEAR = 365  # crypto trades every day, and a stock's idle days count as such


@record
class ClosedTrade:
    """A closed round trip: its profit after fees, and how long the position was held."""

    bot_id: int
    account_id: int
    symbol: Symbol
    at: datetime
    net: Decimal
    held: timedelta


def running_totals(days: Iterable[tuple[date, Decimal]]) -> list[Decimal]:
    """The running sum, day by day."""
    return list(accumulate(net for _, net in days))


@record
class TradeStats:
    count: int
    wins: int
    losses: int
    profit_factor: float | None  # gross profit / gross loss
    expectancy: Decimal | None  # average profit of a trade
    average_win: Decimal | None
    average_loss: Decimal | None
    best: ClosedTrade | None
    worst: ClosedTrade | None
    held: timedelta | None  # average holding time


def trade_stats(trades: Sequence[ClosedTrade]) -> TradeStats:
    won = [trade.net for trade in trades if trade.net > 0]
    lost = [-trade.net for trade in trades if trade.net < 0]
    return TradeStats(
        count=len(trades),
        wins=len(won),
        losses=len(lost),
        profit_factor=float(sum(won) / sum(lost)) if lost else None,
        expectancy=sum((trade.net for trade in trades), ZERO) / len(trades) if trades else None,
        average_win=sum(won, ZERO) / len(won) if won else None,
        average_loss=-sum(lost, ZERO) / len(lost) if lost else None,
        best=max(trades, key=lambda trade: trade.net, default=None),
        worst=min(trades, key=lambda trade: trade.net, default=None),
        held=sum((trade.held for trade in trades), timedelta()) / len(trades) if trades else None,
    )


@record
class GroupTotals:
    """Totals of several round trips."""

    net: Decimal = ZERO
    count: int = 0
    wins: int = 0
    losses: int = 0


def group_totals(
    trades: Iterable[ClosedTrade], key: Callable[[ClosedTrade], Hashable]
) -> dict[Hashable, GroupTotals]:
    """Totals per `key`."""
    found: dict[Hashable, GroupTotals] = {}
    for trade in trades:
        old = found.get(key(trade), GroupTotals())
        found[key(trade)] = GroupTotals(
            net=old.net + trade.net,
            count=old.count + 1,
            wins=old.wins + (trade.net > 0),
            losses=old.losses + (trade.net < 0),
        )
    return found


def win_rate(wins: int, losses: int) -> Decimal | None:
    """Percent of the round trips with a profit or loss; break-even ones count as neither."""
    return Decimal(100 * wins) / (wins + losses) if wins + losses else None


def returns(days: Sequence[tuple[date, Decimal]], base: Decimal) -> list[float]:
    """Each day's return on the opening equity, idle days included."""
    if not days or base <= 0:
        return []
    by_day, found, value = dict(days), [], float(base)
    for offset in range((days[-1][0] - days[0][0]).days + 1):
        net = float(by_day.get(days[0][0] + timedelta(days=offset), ZERO))
        if value <= 0:
            break
        found.append(net / value)
        value += net
    return found


def sharpe(daily: Sequence[float]) -> float | None:
    """Annualised, with a risk-free rate of 0."""
    spread = statistics.pstdev(daily) if len(daily) > 4 else 0
    return statistics.fmean(daily) / spread * math.sqrt(DAYS_A_YEAR) if spread else None


def sortino(daily: Sequence[float]) -> float | None:
    """Annualised; only losing days count as risk."""
    below = math.sqrt(statistics.fmean([min(day, 0) ** 2 for day in daily])) if len(daily) > 4 else 0
    return statistics.fmean(daily) / below * math.sqrt(DAYS_A_YEAR) if below else None


def underwater(days: Sequence[tuple[date, Decimal]], base: Decimal) -> list[tuple[date, float]]:
    """Percent below the previous high, day by day."""
    value = high = float(base)
    found = []
    for day, net in days:
        value += float(net)
        high = max(high, value)
        found.append((day, (value - high) / high * 100 if high > 0 else 0.0))
    return found
