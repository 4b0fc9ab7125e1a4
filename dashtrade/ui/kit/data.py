"""What pages read, each with its owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot, Stop
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.signals import Signal
from dashtrade.domain.values import ZERO
from dashtrade.engine.intake import listeners_of
from dashtrade.services.accounts.prices import Holding, holding
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading.portfolio_summary import MOST_BOTS, BotDay
from dashtrade.services.trading.scope import covered, live_first
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import change_token
from dashtrade.tables import signals as signal_table
from dashtrade.tables import switches as switch_table
from dashtrade.tables import trades as trade_table

STOPS = {
    Stop.PAUSE_ENTRIES: ("Entries paused", "warn"),
    Stop.REDUCE_ONLY: ("Reduce only", "warn"),
    Stop.HALT: ("Halted", "down"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingState:
    accounts: Sequence[Account]
    demo: bool
    stop: Stop
    said: str
    tone: str


def trading_state(app: App, user: User) -> TradingState:
    with app.db.read() as conn:
        accounts = account_table.list_all(conn, user.id)
        switches = switch_table.list_switches(conn, user.id)
    general = [row for row in switches if row.scope in ("all", "user")]
    worst = max((Stop(row.stop) for row in general), key=lambda stop: stop.weight, default=Stop.NONE)
    said, tone = STOPS.get(worst, ("Automatic trading on", "up"))
    if any(row.scope == "all" and Stop(row.stop) is worst for row in general) and worst is not Stop.NONE:
        said += " for everybody"
    return TradingState(
        accounts=accounts, demo=all(a.broker == "paper" for a in accounts), stop=worst, said=said, tone=tone
    )


def revision(app: App, user: User) -> str:
    """Another one: something of the user's changed."""
    with app.db.read() as conn:
        return change_token.of(conn, user.id)


def accounts(app: App, user: User) -> list[Account]:
    """Those with real money first."""
    with app.db.read() as conn:
        return live_first(account_table.list_all(conn, user.id))


def bots(app: App, user: User) -> list[Bot]:
    with app.db.read() as conn:
        return bot_table.list_page(conn, user.id, limit=MOST_BOTS)


def owning(app: App, user: User) -> list[Bot]:
    with app.db.read() as conn:
        return bot_table.owning(conn, user.id)


def any_engaged(app: App, user: User) -> bool:
    with app.db.read() as conn:
        return bool(bot_table.engaged(conn, user.id))


def engaged(app: App, user: User) -> list[Holding]:
    """Bots that closing everything is about: with a position or an order out."""
    by_id = {account.id: account for account in accounts(app, user)}
    with app.db.read() as conn:
        found = bot_table.engaged(conn, user.id)
    return [holding(app, bot, by_id.get(bot.account_id)) for bot in found]


def bot_names(app: App, user: User, scope: MoneyScope | None = None) -> dict[int, str]:
    """Two of the same name are told apart by their number: a list of choices knows its entries by their
    words."""
    with app.db.read() as conn:
        rows = bot_table.named(conn, user.id)
    if scope is not None:
        ids = {account.id for account in covered(scope, accounts(app, user))}
        rows = [row for row in rows if row.account_id in ids]
    often = Counter(row.name for row in rows)
    return {row.id: row.name if often[row.name] == 1 else f"{row.name} (no. {row.id})" for row in rows}


def listeners(app: App, user: User, signal: Signal) -> list[str] | str:
    """The names of the bots that would hear it, or why there are none."""
    with app.db.read() as conn:
        found = listeners_of(conn, user.id, signal)
        return (
            found
            if isinstance(found, str)
            else [bot.name for each in found if (bot := bot_table.get(conn, user.id, each.id)) is not None]
        )


def account_by_id(app: App, user: User, account_id: int) -> Account | None:
    with app.db.read() as conn:
        return account_table.get(conn, user.id, account_id)


def holdings(
    app: App, user: User, scope: MoneyScope | None = None, *, open_only: bool = False
) -> list[Holding]:
    """Those that own something come with what it is worth."""
    return portfolio_summary.holdings(app, user, scope, open_only=open_only)


def days(
    app: App, user: User, scope: MoneyScope | None = None, *, bot_id: int | None = None, since: Any = None
) -> list[BotDay]:
    return portfolio_summary.bot_days(app, user, scope, bot_id=bot_id, since=since)


def any_day(app: App, user: User) -> bool:
    """Has anything ever been traded?"""
    with app.db.read() as conn:
        return bool(trade_table.list_trades(conn, user.id, before=None, limit=1))


def running(days_: Sequence[tuple[Any, Decimal]]) -> list[Decimal]:
    """The sum so far, day by day."""
    total, found = ZERO, []
    for _, net in days_:
        total += net
        found.append(total)
    return found


def signals(
    app: App,
    user: User,
    *,
    limit: int,
    before: str | None = None,
    status: str | None = None,
    symbol: Any = None,
    bot_id: int | None = None,
) -> list[Any]:
    with app.db.read() as conn:
        return signal_table.list_page(
            conn, user.id, before=before, limit=limit, status=status, symbol=symbol, bot_id=bot_id
        )


def stopped_bots(app: App, user: User) -> list[Bot]:
    """Those that something other than their user has stopped."""
    with app.db.read() as conn:
        return bot_table.stopped(conn, user.id, limit=20)


def bots_of(app: App, user: User, bot_ids: set[int]) -> list[Bot]:
    with app.db.read() as conn:
        found = [bot_table.get(conn, user.id, bot_id) for bot_id in sorted(bot_ids)]
    return [bot for bot in found if bot is not None]
