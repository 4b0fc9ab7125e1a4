"""A user's figures: equity, the day's result, open profit, drawdown, and use of the daily loss limit.

Each figure is of one scope and one currency: live money is never added to paper money, nor dollars to
euros."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import ClosedTrade, win_rate
from dashtrade.domain.ports import AccountState, BrokerError
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts.prices import BotHolding, holding, state_of
from dashtrade.services.trading.scope import covered, money_of
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import trades as trade_table

RECENT = 30  # days
MAX_BOTS = 10_000
MAX_TRIPS = 1_000_000  # simulated round trips of one user
HUNDRED = Decimal(100)
DEFAULT_CURRENCY = "USD"  # the default currency where there is no data
_ADDED = ("realized", "fees", "volume", "trades", "wins", "losses")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotDay:
    """One bot's result on one day, in the quote currency of its symbol."""

    bot_id: int
    account_id: int
    day: date
    symbol: Symbol
    realized: Decimal
    fees: Decimal
    volume: Decimal
    trades: int
    wins: int
    losses: int

    @property
    def net(self) -> Decimal:
        return self.realized - self.fees

    @property
    def currency(self) -> str:
        return self.symbol.currency

    def plus(self, other: BotDay, sign: int = 1) -> BotDay:
        return replace(self, **{name: getattr(self, name) + sign * getattr(other, name) for name in _ADDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The bot that has used most of its daily loss limit."""

    percent: Decimal
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures of one scope in one currency."""

    currency: str
    equity: Decimal | None  # None if no account was reachable
    open_profit: Decimal | None  # None if a position has no price
    positions: int
    today: Decimal  # realised, after fees
    trades_today: int
    wins: int
    losses: int
    days: Sequence[tuple[date, Decimal]]  # (day, net profit) of existing accounts, oldest first
    base: Decimal | None  # equity before the first of the days, if known
    drawdown: Decimal | None  # current drawdown from the high of the last days, in percent; zero or less
    deepest: Decimal | None

    @property
    def win_rate(self) -> Decimal | None:
        return win_rate(self.wins, self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    scope: MoneyScope
    accounts: Sequence[Account]
    away: Sequence[Account]  # unreachable accounts
    by_currency: Sequence[Figures]  # the most active currency first; never empty
    risk: Risk | None

    @property
    def main(self) -> Figures:
        return self.by_currency[0]


def summary(
    app: App, user: User, scope: MoneyScope, held: Sequence[BotHolding] | None = None, *, days: int = RECENT
) -> Summary:
    """Over the last `days`. `held`: the scope's bots, if already loaded."""
    with app.db.read() as conn:
        accounts = covered(scope, account_table.list_all(conn, user.id))
    held = holdings(app, user, scope) if held is None else held
    states = {account.id: state_of(app, account) for account in accounts}
    today = app.clock.now().date()
    rows = bot_days(app, user, scope, since=today - timedelta(days=days - 1))
    away = [account for account in accounts if isinstance(states[account.id], BrokerError)]
    known = [state for state in states.values() if not isinstance(state, BrokerError)]
    found = [
        _figures(
            currency,
            [state for state in known if state.currency == currency],
            held,
            rows,
            today,
            account_ids=set() if away else set(states),
        )
        for currency in currencies(held, rows, known)
    ]
    return Summary(scope=scope, accounts=accounts, away=away, by_currency=found, risk=risk_used(held, today))


def holdings(
    app: App, user: User, scope: MoneyScope | None = None, *, open_only: bool = False
) -> list[BotHolding]:
    """The scope's bots with their holdings and values; without a scope all bots, live ones first."""
    with app.db.read() as conn:
        accounts = {account.id: account for account in account_table.list_all(conn, user.id)}
        bots = (
            bot_table.owning(conn, user.id)
            if open_only
            else bot_table.list_page(conn, user.id, limit=MAX_BOTS)
        )
    money = {account_id: money_of(account) for account_id, account in accounts.items()}
    if scope is not None:
        bots = [
            bot for bot in bots if scope.covers(bot.account_id, money.get(bot.account_id, MoneyKind.PAPER))
        ]
    bots.sort(key=lambda bot: money.get(bot.account_id) is not MoneyKind.LIVE)
    return [holding(app, bot, accounts.get(bot.account_id)) for bot in bots]


def bot_days(
    app: App,
    user: User,
    scope: MoneyScope | None,
    *,
    since: date | None = None,
    until: date | None = None,
    bot_id: int | None = None,
) -> list[BotDay]:
    """Results of the scope's bots, oldest day first. Simulated trades of a live account count as paper;
    without a scope, simulated and live results are not separated."""
    live = None if scope is None else scope.money is MoneyKind.LIVE
    account_id = None if scope is None else scope.account_id
    with app.db.read() as conn:
        found = {
            (row.bot_id, row.day): BotDay(
                bot_id=row.bot_id,
                account_id=row.account_id,
                day=row.day,
                symbol=row.symbol,
                **{name: getattr(row, name) for name in _ADDED},
            )
            for row in day_table.days(
                conn, user.id, bot_id=bot_id, since=since, until=until, live=live, account_id=account_id
            )
        }
        start = None if since is None else datetime.combine(since, time(), tzinfo=UTC)
        simulated = (
            []
            if scope is None
            else trade_table.simulated_days(conn, user.id, bot_id=bot_id, since=start, account_id=account_id)
        )
        ids = sorted({trade.account_id for trade in simulated})
        over = (
            trip_table.ended(
                conn, user.id, limit=MAX_TRIPS, since=start, bot_id=bot_id, account_ids=ids, on_paper=True
            )
            if ids
            else []
        )
    for day in [*map(_as_day, simulated), *map(_as_ended, over)]:
        if until is None or day.day <= until:
            key, sign = (day.bot_id, day.day), -1 if live else 1
            nothing: dict[str, Any] = dict.fromkeys(_ADDED, 0) | dict.fromkeys(_ADDED[:3], ZERO)
            before = found.get(key) or replace(day, **nothing)
            found[key] = before.plus(day, sign)
    return sorted(
        (day for day in found.values() if any(getattr(day, name) for name in _ADDED)),
        key=lambda day: (day.day, day.bot_id),
    )


def _as_day(trade: Any) -> BotDay:
    return BotDay(
        bot_id=trade.bot_id,
        account_id=trade.account_id,
        day=trade.at.date(),
        symbol=trade.symbol,
        realized=trade.realized_pnl,
        fees=trade.fee,
        volume=trade.notional,
        trades=1,
        wins=0,
        losses=0,
    )


def _as_ended(trip: ClosedTrade) -> BotDay:
    """A win or a loss only: the money is in the trades of the round trip."""
    return BotDay(
        bot_id=trip.bot_id,
        account_id=trip.account_id,
        day=trip.at.date(),
        symbol=trip.symbol,
        realized=ZERO,
        fees=ZERO,
        volume=ZERO,
        trades=0,
        wins=int(trip.net > 0),
        losses=int(trip.net < 0),
    )


def currencies(
    held: Sequence[BotHolding], rows: Sequence[BotDay], states: Iterable[AccountState] = ()
) -> list[str]:
    """All currencies in use, the most active first."""
    seen = Counter(state.currency for state in states)
    seen.update(h.currency for h in held if h.bot.position.quantity or h.bot.total_trades)
    seen.update({row.currency for row in rows})
    return [currency for currency, _ in sorted(seen.items(), key=lambda one: (-one[1], one[0]))] or [
        DEFAULT_CURRENCY
    ]


def _figures(
    currency: str,
    states: Sequence[AccountState],
    held: Sequence[BotHolding],
    rows: Sequence[BotDay],
    today: date,
    *,
    account_ids: set[int],
) -> Figures:
    """`account_ids`: the accounts whose equity is in the states, all or none of them."""
    held, rows = (
        [h for h in held if h.currency == currency],
        [row for row in rows if row.currency == currency],
    )
    days, opened = (
        net_by_day(row for row in rows if row.account_id in account_ids),
        open_profit(held).get(currency, ZERO),
    )
    equity = sum((state.equity for state in states), ZERO) if states else None
    base = None
    if account_ids and equity is not None and opened is not None:
        base = equity - opened - sum((net for _, net in days), ZERO)
    drawdown, deepest = drawdowns(base, days)
    of_today = [row for row in rows if row.day == today]
    return Figures(
        currency=currency,
        equity=equity,
        open_profit=opened,
        positions=sum(bool(h.bot.position.quantity) for h in held),
        today=sum((row.net for row in of_today), ZERO),
        trades_today=sum(row.trades for row in of_today),
        wins=sum(row.wins for row in rows),
        losses=sum(row.losses for row in rows),
        days=days,
        base=base,
        drawdown=drawdown,
        deepest=deepest,
    )


def net_by_day(rows: Iterable[BotDay]) -> list[tuple[date, Decimal]]:
    """The caller filters by currency."""
    totals: dict[date, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        totals[row.day] += row.net
    return sorted(totals.items())


def days_by_bot(rows: Iterable[BotDay]) -> dict[int, list[BotDay]]:
    found: dict[int, list[BotDay]] = defaultdict(list)
    for row in rows:
        found[row.bot_id].append(row)
    return found


def equity_by_currency(states: Iterable[AccountState | BrokerError]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for state in states:
        if not isinstance(state, BrokerError):
            found[state.currency] += state.equity
    return dict(found)


def open_profit(held: Sequence[BotHolding]) -> dict[str, Decimal | None]:
    """By currency. None if one of its positions has no price, as the sum would be wrong."""
    found: dict[str, Decimal | None] = {}
    for h in held:
        if h.bot.position.quantity:
            before = found.get(h.currency, ZERO)
            found[h.currency] = None if before is None or h.unrealized is None else before + h.unrealized
    return found


def worth(held: Sequence[BotHolding]) -> dict[str, Decimal]:
    """The value of the positions with a price, by currency."""
    found: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for h in held:
        if h.value is not None:
            found[h.currency] += abs(h.value)
    return dict(found)


def drawdowns(
    base: Decimal | None, days: Sequence[tuple[date, Decimal]]
) -> tuple[Decimal | None, Decimal | None]:
    """(current, maximum) drawdown in percent."""
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


def risk_used(held: Sequence[BotHolding], today: date) -> Risk | None:
    """By each bot's own day, open positions included, as the risk watch counts it."""
    found: list[Risk] = []
    for h in held:
        limit = h.bot.daily_loss_limit
        if limit and h.bot.is_active:
            day = h.bot.day(today)
            loss = max(-(day.realized - day.fees + (h.unrealized or ZERO)), ZERO)
            found.append(Risk(percent=loss / limit * HUNDRED, name=h.bot.name))
    return max(found, key=lambda risk: risk.percent, default=None)
