"""How a user stands, in figures: equity, the day, what is open, how deep it fell, how much of the day's risk is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.app import App
from dashtrade.domain.measures import win_rate
from dashtrade.domain.ports import AccountState, BrokerError
from dashtrade.domain.values import ZERO
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.services.prices import Holding, daily_candles, real_money, state_of

RECENT = 30  # days
MOST_HELD = 8  # symbols in the comparison with buy-and-hold
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the accounts hold. Real money and play money are never added up: `equity` is the real one where there is any."""

    equity: Decimal | None  # None where no account could be asked
    live: bool
    play: Decimal  # beside live money
    away: int  # accounts that could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    money: Money
    today: Decimal  # realised, after fees
    trades_today: int
    open_profit: Decimal | None
    positions: int
    wins: int
    losses: int
    days: Sequence[tuple[date, Decimal]]  # (day, net profit), oldest first
    drawdown: Decimal | None  # percent below the highest point of the last days, now zero or less
    deepest: Decimal | None
    risk: Risk | None

    @property
    def win_rate(self) -> Decimal | None:
        return win_rate(self.wins, self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The bot that has used most of its daily loss limit."""

    percent: Decimal
    name: str


def figures(app: App, user: User, held: Sequence[Holding]) -> Figures:
    accounts = data.accounts(app, user)
    wealth = money_in(accounts, [state_of(app, account) for account in accounts])
    today = app.clock.now().date()
    rows = data.days(app, user, since=today - timedelta(days=RECENT - 1))
    days = data.net_by_day(rows)
    opened = open_profit(held)
    base = None if wealth.equity is None or opened is None else wealth.equity - opened - sum((net for _, net in days), ZERO)
    drawdown, deepest = falls(base, days)
    of_today = [row for row in rows if row.day == today]
    return Figures(
        money=wealth, today=sum((row.realized - row.fees for row in of_today), ZERO), trades_today=sum(row.trades for row in of_today),
        open_profit=opened, positions=sum(bool(h.bot.position.quantity) for h in held), wins=sum(row.wins for row in rows),
        losses=sum(row.losses for row in rows), days=days, drawdown=drawdown, deepest=deepest, risk=risk_used(held, today),
    )  # fmt: skip


def money_in(accounts: Sequence[Account], states: Sequence[AccountState | BrokerError]) -> Money:
    known = [(account, state.equity) for account, state in zip(accounts, states, strict=True) if not isinstance(state, BrokerError)]
    real = [equity for account, equity in known if real_money(account)]
    play = [equity for account, equity in known if not real_money(account)]
    shown = real or play
    return Money(
        equity=sum(shown, ZERO) if shown else None, live=bool(real), play=sum(play, ZERO) if real else ZERO, away=len(accounts) - len(known),
    )  # fmt: skip


def open_profit(held: Sequence[Holding]) -> Decimal | None:
    """None where one of the positions has no price: a sum without it would be a lie."""
    unrealized = [h.unrealized for h in held if h.bot.position.quantity]
    return None if None in unrealized else sum(unrealized, ZERO)  # type: ignore[arg-type]


def falls(base: Decimal | None, days: Sequence[tuple[date, Decimal]]) -> tuple[Decimal | None, Decimal | None]:
    """(now, deepest) below the highest point so far, in percent of it."""
    if base is None or base <= 0:
        return None, None
    high = value = base
    now = deepest = ZERO
    for _, net in days:
        value += net
        high = max(high, value)
        now = (value - high) / high * HUNDRED
        deepest = min(deepest, now)
    return now, deepest


def risk_used(held: Sequence[Holding], today: date) -> Risk | None:
    """By each bot's own day, open positions included, as the watch counts it."""
    found: list[Risk] = []
    for h in held:
        limit = h.bot.daily_loss_limit
        if limit and h.bot.is_active:
            day = h.bot.day(today)
            loss = max(-(day.realized - day.fees + (h.unrealized or ZERO)), ZERO)
            found.append(Risk(percent=loss / limit * HUNDRED, name=h.bot.name))
    return max(found, key=lambda risk: risk.percent, default=None)


def equity_line(found: Figures, days: Sequence[tuple[date, Decimal]] | None = None) -> list[tuple[date, float]]:
    """Worked back from today's equity by what the bots made: what was paid in or out at a broker is not known to us."""
    days = found.days if days is None else days
    if found.money.equity is None or found.open_profit is None or not days:
        return []
    value = found.money.equity - found.open_profit - sum((net for _, net in days), ZERO)
    line = [(days[0][0] - timedelta(days=1), float(value))]
    for day, net in days:
        value += net
        line.append((day, float(value)))
    return [*line[:-1], (line[-1][0], float(found.money.equity))]


def held_instead(app: App, user: User, held: Sequence[Holding], line: Sequence[tuple[date, float]]) -> list[tuple[date, float]]:
    """The same money, spread evenly over what the bots trade on the first day, and left alone."""
    if not line:
        return []
    first, span = line[0][0], (line[-1][0] - line[0][0]).days + 2
    traded = {h.bot.symbol: h.account for h in held if h.account is not None and h.bot.total_trades}
    closes: list[dict[date, float]] = []
    for symbol, account in list(traded.items())[:MOST_HELD]:
        candles = daily_candles(app, account, symbol, span + 3)
        priced = {candle.at.date(): float(candle.close) for candle in candles if candle.at.date() >= first}
        if priced:
            closes.append(priced)
    return [(day, value) for day, _ in line if (value := _spread(closes, day, line[0][1])) is not None]


def _spread(closes: Sequence[dict[date, float]], day: date, money: float) -> float | None:
    """Weekends have no candle of a stock: the last one before counts."""
    shares = [(priced[max(d for d in priced if d <= day)], priced[min(priced)]) for priced in closes if min(priced) <= day]
    return money * sum(now / start for now, start in shares) / len(shares) if shares else None


def as_points(line: Sequence[tuple[Any, float]]) -> list[list[float]]:
    from dashtrade.ui.parts import milliseconds

    return [[milliseconds(day), value] for day, value in line]
