"""The equity of a scope by day, and the same money under buy and hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts.prices import BotHolding, daily_candles
from dashtrade.services.trading.portfolio_summary import RECENT, Figures, Summary, summary

MAX_DAYS = 366
MAX_HELD = 8  # symbols in the buy-and-hold comparison
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """Equity at the end of a UTC day; the last point is the current equity."""

    at: datetime
    equity: Decimal

    @property
    def day(self) -> date:
        """The day that ended or is running."""
        return (self.at - timedelta(microseconds=1)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityLine:
    currency: str
    points: tuple[EquityPoint, ...]  # oldest first; empty if the equity is unknown


def equity_lines(
    app: App, user: User, scope: MoneyScope, *, days: int = RECENT
) -> tuple[Summary, list[EquityLine]]:
    """One line per currency over the last `days`, with at most one point a day."""
    found = summary(app, user, scope, days=min(days, MAX_DAYS))
    now = app.clock.now()
    return found, [
        EquityLine(currency=one.currency, points=tuple(equity_line(one, one.days, now)))
        for one in found.by_currency
    ]


def equity_line(found: Figures, days: Sequence[tuple[date, Decimal]], now: datetime) -> list[EquityPoint]:
    """Worked back from the current equity by the bots' profit, as deposits and withdrawals at a broker are
    unknown. One point for each day with profit or loss, and one before the first."""
    if found.base is None or found.equity is None or found.open_profit is None or not days:
        return []
    value = found.equity - found.open_profit - sum((net for _, net in days), ZERO)
    points = [EquityPoint(at=_begin(days[0][0]), equity=value)]
    for day, net in days:
        value += net
        if _begin(day + _DAY) < now:
            points.append(EquityPoint(at=_begin(day + _DAY), equity=value))
    return [*points, EquityPoint(at=now, equity=found.equity)]


def buy_and_hold(
    app: App, held: Sequence[BotHolding], days: Sequence[date], money: Decimal, currency: str
) -> list[tuple[date, Decimal]]:
    """Buy and hold: the same money, spread evenly over the bots' symbols on the first day and left alone."""
    if not days:
        return []
    first, span = days[0], (days[-1] - days[0]).days + 2
    traded: dict[Symbol, BotHolding] = {
        h.bot.symbol: h
        for h in held
        if h.account is not None and h.bot.total_trades and h.currency == currency
    }
    closes: list[dict[date, Decimal]] = []
    for symbol, of in list(traded.items())[:MAX_HELD]:
        candles = daily_candles(app, of.account, symbol, span + 3) if of.account is not None else []
        priced = {candle.at.date(): candle.close for candle in candles if candle.at.date() >= first}
        if priced:
            closes.append(priced)
    return [(day, value) for day in days if (value := _spread(closes, day, money)) is not None]


def _spread(closes: Sequence[dict[date, Decimal]], day: date, money: Decimal) -> Decimal | None:
    """A stock has no candle at weekends: the last close before counts."""
    shares = [
        (priced[max(d for d in priced if d <= day)], priced[min(priced)])
        for priced in closes
        if min(priced) <= day
    ]
    return money * sum((now / start for now, start in shares), ZERO) / len(shares) if shares else None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
