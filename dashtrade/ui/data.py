"""What pages read, each with its owner. Prices and what brokers say are remembered for moments, under the account they are of."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.app import App
from dashtrade.domain.bots import Bot, Stop
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.ports import AccountState, BrokerError
from dashtrade.domain.values import ZERO
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User

QUOTE_LIFE, STATE_LIFE = 1.5, 15.0  # seconds
MOST_BOTS = 10_000
STOPS = {
    Stop.PAUSE_ENTRIES: ("Entries paused", "warn"), Stop.REDUCE_ONLY: ("Reduce only", "warn"), Stop.HALT: ("Halted", "down"),
}


class Brief:
    """Remembers an answer for a moment, errors too: a venue that is away must not hold up every tick of every tab."""

    def __init__(self, life: float, most: int = 2000) -> None:
        self._life, self._most = life, most
        self._known: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, ask: Callable[[], Any]) -> Any:
        with self._lock:
            found = self._known.get(key)
        if found is None or time.monotonic() - found[0] > self._life:
            try:
                answer = ask()
            except BrokerError as error:
                answer = error
            with self._lock:
                found = self._known[key] = (time.monotonic(), answer)
                self._known.move_to_end(key)
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        return found[1]


_quotes, _states = Brief(QUOTE_LIFE), Brief(STATE_LIFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    accounts: Sequence[Account]
    demo: bool
    stop: Stop
    said: str
    tone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A bot and what its position is worth now; `mark` is None where no price is to be had."""

    bot: Bot
    account: Account | None
    mark: Decimal | None

    @property
    def unrealized(self) -> Decimal | None:
        if not self.bot.position.quantity:
            return ZERO
        return self.bot.position.unrealized(self.mark) if self.mark is not None else None

    @property
    def percent(self) -> Decimal | None:
        cost = abs(self.bot.position.cost)
        return None if self.unrealized is None or not cost else self.unrealized / cost * 100


def trading_state(app: App, user: User) -> TradingState:
    with app.db.read() as conn:
        accounts = account_table.list_all(conn, user.id)
        switches = bot_table.list_switches(conn, user.id)
    general = [row for row in switches if row.scope in ("all", "user")]
    worst = max((Stop(row.stop) for row in general), key=lambda stop: stop.weight, default=Stop.NONE)
    said, tone = STOPS.get(worst, ("Automatic trading on", "up"))
    if any(row.scope == "all" and Stop(row.stop) is worst for row in general) and worst is not Stop.NONE:
        said += " for everybody"
    return TradingState(accounts=accounts, demo=all(a.broker == "paper" for a in accounts), stop=worst, said=said, tone=tone)


def accounts(app: App, user: User) -> list[Account]:
    with app.db.read() as conn:
        return account_table.list_all(conn, user.id)


def bots(app: App, user: User) -> list[Bot]:
    with app.db.read() as conn:
        return bot_table.list_page(conn, user.id, limit=MOST_BOTS)


def bot_names(app: App, user: User) -> dict[int, str]:
    with app.db.read() as conn:
        return {row.id: row.name for row in bot_table.named(conn, user.id)}


def holdings(app: App, user: User, *, open_only: bool = False) -> list[Holding]:
    by_id = {account.id: account for account in accounts(app, user)}
    found = [bot for bot in bots(app, user) if bot.position.quantity or not open_only]
    return [holding(app, bot, by_id.get(bot.account_id)) for bot in found]


def holding(app: App, bot: Bot, account: Account | None) -> Holding:
    mark = price_of(app, account, bot) if account is not None and bot.position.quantity else None
    return Holding(bot=bot, account=account, mark=mark)


def price_of(app: App, account: Account, bot: Bot) -> Decimal | None:
    def ask() -> Decimal:
        return app.brokers.feed(account).quote(bot.symbol).mid

    answer = _quotes.get((account.user_id, account.id, bot.symbol.text), ask)
    return None if isinstance(answer, BrokerError) else answer


def state_of(app: App, account: Account) -> AccountState | BrokerError:
    """Money in the account, as the venue says. Our own paper account is asked each time: it costs nothing."""
    if account.broker == "paper":
        try:
            return app.brokers.of(account).account()
        except BrokerError as error:
            return error
    return _states.get((account.user_id, account.id, account.credentials), lambda: app.brokers.of(account).account())


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The overview's numbers. `equity` is None where no account could be asked."""

    equity: Decimal | None
    away: int  # accounts that could not be asked
    today: Decimal
    trades_today: int
    open_profit: Decimal | None
    positions: int
    wins: int
    losses: int
    days: Sequence[tuple[datetime, Decimal]]  # (day, net profit), oldest first

    @property
    def win_rate(self) -> Decimal | None:
        ended = self.wins + self.losses
        return Decimal(100 * self.wins) / ended if ended else None


def figures(app: App, user: User, held: Sequence[Holding]) -> Figures:
    states = [state_of(app, account) for account in accounts(app, user)]
    known = [state.equity for state in states if not isinstance(state, BrokerError)]
    now = app.clock.now()
    rows = days(app, user)
    recent = [row for row in rows if row.day > (now - timedelta(days=30)).date()]
    today = [row for row in rows if row.day == now.date()]
    unrealized = [h.unrealized for h in held if h.bot.position.quantity]
    return Figures(
        equity=sum(known, ZERO) if known else None, away=len(states) - len(known),
        today=sum((row.realized - row.fees for row in today), ZERO), trades_today=sum(row.trades for row in today),
        open_profit=None if None in unrealized else sum(unrealized, ZERO), positions=len(unrealized),
        wins=sum(row.wins for row in recent), losses=sum(row.losses for row in recent), days=net_by_day(rows),
    )


def days(app: App, user: User, *, bot_id: int | None = None, since: Any = None) -> list[Any]:
    with app.db.read() as conn:
        return bot_table.days(conn, user.id, bot_id=bot_id, since=since, until=None)


def net_by_day(rows: Sequence[Any]) -> list[tuple[Any, Decimal]]:
    totals: dict[Any, Decimal] = {}
    for row in rows:
        totals[row.day] = totals.get(row.day, ZERO) + row.realized - row.fees
    return sorted(totals.items())


def running(days_: Sequence[tuple[Any, Decimal]]) -> list[Decimal]:
    """The sum so far, day by day."""
    total, found = ZERO, []
    for _, net in days_:
        total += net
        found.append(total)
    return found


def signals(app: App, user: User, *, limit: int, before: str | None = None, status: str | None = None, symbol: Any = None,
            bot_id: int | None = None) -> list[Any]:
    with app.db.read() as conn:
        return signal_table.list_page(conn, user.id, before=before, limit=limit, status=status, symbol=symbol, bot_id=bot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worry:
    """Something that wants a person: what it is, what it means, and the page where it is mended."""

    tone: str
    title: str
    detail: str
    at: datetime | None
    page: str


def worries(app: App, user: User) -> list[Worry]:
    """ATTENTION orders, disabled accounts, bots that were stopped, alerts refused in the last day: worst first."""
    now = app.clock.now()
    found: list[Worry] = []
    with app.db.read() as conn:
        stuck = order_table.list_page(conn, user.id, before=None, limit=20, status=OrderStatus.ATTENTION)
        refused = signal_table.list_page(conn, user.id, before=None, limit=20, status="refused")
    for order in stuck:
        found.append(Worry(
            tone="down", title=f"{order.side.upper()} {order.symbol.short}: what became of this order is not known",
            detail=order.reason or "Look at your broker, then say what happened.", at=order.updated_at, page="pages/signals.py",
        ))
    for account in accounts(app, user):
        if not account.is_active:
            found.append(Worry(tone="down", title=f"{account.label} is disabled", detail=account.disabled_reason, at=None, page="pages/setup.py"))
    for bot in bots(app, user):
        if not bot.is_active and bot.paused_reason not in ("", "paused by its user"):
            found.append(Worry(tone="warn", title=f"{bot.name} is stopped", detail=bot.paused_reason, at=bot.updated_at, page="pages/bots.py"))
    recent = [row for row in refused if now - row.received_at < timedelta(days=1)]
    for row in recent[:3]:
        what = f"{row.action.capitalize()} {row.symbol.short}" if row.symbol is not None else "An alert that could not be read"
        found.append(Worry(tone="warn", title=f"{what} was refused", detail=row.reason, at=row.received_at, page="pages/signals.py"))
    return found
