"""Trades: one per order that was filled, in whole or in part. A user's own, and all users' for admins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.context import App
from dashtrade.domain.access import Permission
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.services.people.permission import require
from dashtrade.tables import admin_queries
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables import trades as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    id: int
    at: datetime
    user_id: int
    account_id: int
    bot_id: int
    signal_id: str
    order_id: str
    broker_order_id: str | None
    symbol: Symbol
    action: str
    effect: str
    quantity: Decimal
    price: Decimal
    notional: Decimal
    fee: Decimal
    realized_pnl: Decimal
    status: str
    crossed: bool  # matched with another bot of the account, not sent to the broker
    simulated: bool  # on paper, for a live account in simulation mode
    live: bool  # with real money


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOfUser(Trade):
    email: str


def _trade(row: Any) -> dict[str, Any]:
    """SQLite returns conditions as 0 or 1."""
    found = {name: getattr(row, name) for name in Trade.__slots__}
    return found | {"simulated": bool(row.simulated), "live": bool(row.live)}


def trades(app: App, user: User, *, limit: int, before: int | None = None, **wanted: Any) -> list[Trade]:
    """Newest first; `wanted`: bot_id, symbol, symbols, action, status, since, until, scope."""
    with app.db.read() as conn:
        found = table.list_trades(conn, user.id, before=before, limit=limit, **wanted)
    return [Trade(**_trade(row)) for row in found]


def any_trade(app: App, user: User) -> bool:
    return bool(trades(app, user, limit=1))


def traded_symbols(app: App, user: User) -> list[Symbol]:
    with app.db.read() as conn:
        return trip_table.traded_symbols(conn, user.id)


def of_all_users(
    app: App, actor: User, *, limit: int, before: int | None = None, **wanted: Any
) -> list[TradeOfUser]:
    """Newest first; `wanted`: user_id, bot_id, symbol, action, since, until."""
    require(actor, Permission.SEE_ALL_TRADES)
    with app.db.read() as conn:
        found = admin_queries.all_trades(conn, before=before, limit=limit, **wanted)
    return [TradeOfUser(**_trade(row), email=row.email) for row in found]
