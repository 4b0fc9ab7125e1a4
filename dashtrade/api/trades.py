"""Trades: by page, and as a CSV file."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint, Response

from dashtrade.api.answers import Body
from dashtrade.api.http import SCOPE, csv_file, endpoint, get_app
from dashtrade.api.orders import ID
from dashtrade.api.reading import PageQuery, number_cursor, page, read_end, read_moment
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso, plain
from dashtrade.services.operations import export
from dashtrade.services.trading import scope
from dashtrade.services.trading import trades as service
from dashtrade.services.trading.trades import Trade

bp = Blueprint("trades", __name__, url_prefix="/api/v1")


class TradeFilter(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=100, populate_by_name=True)
    bot_id: int | None = ID
    symbol: str | None = None
    action: str | None = pydantic.Field(None, pattern="^(buy|sell)$")
    status: str | None = pydantic.Field(None, pattern="^(filled|partial)$")
    since: str | None = pydantic.Field(None, alias="from")
    until: str | None = pydantic.Field(None, alias="to")
    scope: str | None = SCOPE

    def wanted(self, user: User) -> dict[str, Any]:
        return {
            "bot_id": self.bot_id,
            "symbol": Symbol.parse(self.symbol) if self.symbol else None,
            "action": self.action,
            "status": self.status,
            "since": read_moment(self.since, "from"),
            "until": read_end(self.until, "to"),
            "scope": scope.of_user(get_app(), user, self.scope) if self.scope is not None else None,
        }


class TradeList(TradeFilter, PageQuery):
    pass


def trade_view(row: Trade) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": iso(row.at),
        "bot_id": row.bot_id,
        "account_id": row.account_id,
        "signal_id": row.signal_id,
        "order_id": row.order_id,
        "client_order_id": row.order_id,
        "broker_order_id": row.broker_order_id,
        "crossed": row.crossed,
        "symbol": row.symbol.text,
        "action": row.action,
        "effect": row.effect,
        "quantity": plain(row.quantity),
        "price": plain(row.price),
        "notional": plain(row.notional),
        "fee": plain(row.fee),
        "realized_pnl": plain(row.realized_pnl),
        "status": row.status,
        "simulated": row.simulated,
        "currency": row.symbol.currency,
        "money": "live" if row.live else "paper",
    }


@endpoint(bp, "GET", "/trades", query=TradeList)
def trades(user: User, query: TradeList) -> dict[str, Any]:
    """Trades, newest first: one per order that was filled, in whole or in part."""
    rows = service.trades(
        get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1, **query.wanted(user)
    )
    return page(rows, query.limit, lambda row: str(row.id), trade_view)


@endpoint(bp, "GET", "/trades.csv", query=TradeFilter)
def trades_csv(user: User, query: TradeFilter) -> Response:
    """Trades as a CSV file, all of them, streamed."""
    return csv_file(user, export.my_trades(get_app(), user, query.wanted(user)), "trades.csv")
