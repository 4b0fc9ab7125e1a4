"""Signals, orders, trades, positions, performance, risk events: what happened, and why."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import pydantic
from flask import Blueprint, Response

from bot_engine import Lane
from dashtrade.api.bots import shown_bots
from dashtrade.api.http import (
    SCOPE,
    Answer,
    Body,
    Page,
    csv_file,
    endpoint,
    number_cursor,
    page,
    read_day,
    read_end,
    read_moment,
    the_app,
)
from dashtrade.domain.accounts import Account
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import win_rate
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.values import ZERO, Symbol, iso, plain
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.prices import Known
from dashtrade.services.bots.bots import NotFound
from dashtrade.services.operations import export
from dashtrade.services.trading import orders as order_service
from dashtrade.services.trading import portfolio_summary, scope, signal_story
from dashtrade.services.trading.portfolio_summary import BotDay, Figures
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import risk_events as risk_event_table
from dashtrade.tables import signals as signal_table
from dashtrade.tables import trades as trade_table

bp = Blueprint("history", __name__, url_prefix="/api/v1")
_ID = pydantic.Field(None, ge=1, lt=2**62)


# --- signals ------------------------------------------------------------------------------------------------


class SignalList(Page):
    cursor: str | None = pydantic.Field(None, pattern="^[0-9a-f]{32}$")
    status: str | None = pydantic.Field(None, pattern="^(accepted|working|filled|refused|failed|attention)$")
    symbol: str | None = pydantic.Field(None, max_length=60)
    bot_id: int | None = _ID


@endpoint(bp, "GET", "/signals", query=SignalList)
def signals(user: User, query: SignalList) -> dict[str, Any]:
    """Every alert and what became of it, newest first; refused ones too."""
    with the_app().db.read() as conn:
        rows = signal_table.list_page(
            conn,
            user.id,
            before=query.cursor,
            limit=query.limit + 1,
            status=query.status,
            bot_id=query.bot_id,
            symbol=Symbol.parse(query.symbol) if query.symbol else None,
        )
    return page(rows, query.limit, lambda row: row.id, signal_story.signal_view)


@endpoint(bp, "GET", "/signals/<signal_id>")
def signal(user: User, signal_id: str) -> dict[str, Any]:
    """One signal's whole story."""
    told = signal_story.story(the_app(), user.id, signal_id)
    if told is None:
        raise NotFound("signal")
    return told


# --- orders -------------------------------------------------------------------------------------------------


class OrderList(Page):
    status: OrderStatus | Literal["open"] | None = None
    symbol: str | None = pydantic.Field(None, max_length=60)
    bot_id: int | None = _ID


class Verdict(Body):
    outcome: str = pydantic.Field(pattern="^(look_again|not_placed)$")


@endpoint(bp, "GET", "/orders", query=OrderList)
def orders(user: User, query: OrderList) -> dict[str, Any]:
    """Orders, newest first; with status=open those that have not ended, whatever they wait for."""
    with the_app().db.read() as conn:
        rows = order_table.list_page(
            conn,
            user.id,
            before=_order_cursor(query.cursor),
            limit=query.limit + 1,
            status=query.status,
            bot_id=query.bot_id,
            symbol=Symbol.parse(query.symbol) if query.symbol else None,
        )
    return page(
        rows, query.limit, lambda order: f"{order.created_at.isoformat()}~{order.id}", signal_story.order_view
    )


def _order_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    if not cursor:
        return None
    at, found, last = cursor.partition("~")
    moment = read_moment(at, "cursor")
    if not found or moment is None:
        raise Answer(
            400,
            "bad_request",
            "The cursor is not one of ours.",
            "Take next_cursor from the page before.",
            field="cursor",
        )
    return moment, last


@endpoint(bp, "GET", "/orders/<order_id>")
def order(user: User, order_id: str) -> dict[str, Any]:
    """One order."""
    with the_app().db.read() as conn:
        found = order_table.get(conn, user.id, order_id)
    if found is None:
        raise NotFound("order")
    return signal_story.order_view(found)


@endpoint(bp, "POST", "/orders/<order_id>/resolve", body=Verdict)
def resolve(user: User, given: Verdict, order_id: str) -> dict[str, Any]:
    """Say what became of an order that needs attention: look again, or that the broker never got it."""
    after = order_service.resolve(the_app(), user, order_id, given.outcome)
    the_app().engine.on_work(Lane(after.account_id, after.symbol), after.signal_id)
    return signal_story.order_view(after)


@endpoint(bp, "POST", "/orders/<order_id>/cancel", status=202)
def cancel(user: User, order_id: str) -> dict[str, Any]:
    """Ask for an order to be taken back."""
    after = order_service.cancel(the_app(), user, order_id)
    the_app().engine.on_work(Lane(after.account_id, after.symbol), after.signal_id)
    return signal_story.order_view(after)


# --- trades -------------------------------------------------------------------------------------------------


class TradeFilter(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=100, populate_by_name=True)
    bot_id: int | None = _ID
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
            "scope": scope.of_user(the_app(), user, self.scope) if self.scope is not None else None,
        }


class TradeList(TradeFilter, Page):
    pass


def trade_view(row: Any) -> dict[str, Any]:
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
        "simulated": bool(row.simulated),
        "currency": row.symbol.currency,
        "money": "live" if row.live else "paper",
    }


@endpoint(bp, "GET", "/trades", query=TradeList)
def trades(user: User, query: TradeList) -> dict[str, Any]:
    """Trades, newest first: one per order that was filled, in whole or in part."""
    with the_app().db.read() as conn:
        rows = trade_table.list_trades(
            conn, user.id, before=number_cursor(query.cursor), limit=query.limit + 1, **query.wanted(user)
        )
    return page(rows, query.limit, lambda row: str(row.id), trade_view)


@endpoint(bp, "GET", "/trades.csv", query=TradeFilter)
def trades_csv(user: User, query: TradeFilter) -> Response:
    """The same as a CSV file, all of them, streamed."""
    return csv_file(user, export.my_trades(the_app(), user, query.wanted(user)), "trades.csv")


# --- positions, performance, risk ---------------------------------------------------------------------------


class OfScope(Body):
    scope: str | None = SCOPE


@endpoint(bp, "GET", "/positions", query=OfScope)
def positions(user: User, query: OfScope) -> dict[str, Any]:
    """What each account holds: by bot, outside DashTrade, and what the broker says."""
    return positions_view(user, query.scope)


def positions_view(user: User, wanted: str | None) -> dict[str, Any]:
    app = the_app()
    with app.db.read() as conn:
        accounts = account_table.list_all(conn, user.id)
        holding = [bot for bot in bot_table.list_page(conn, user.id, limit=10000) if bot.position.quantity]
    if wanted is not None:
        accounts = scope.covered(scope.read(accounts, wanted), accounts)
    views = {view["id"]: view for view in shown_bots(user, holding)}
    items: list[dict[str, Any]] = []
    problems = []
    for account in scope.live_first(accounts):
        own = [bot for bot in holding if bot.account_id == account.id]
        known = prices.known_of(app, account, cached=False)
        if not known.fresh:
            problems.append(
                {
                    "account_id": account.id,
                    "message": known.problem.message,
                    "failing_since": _maybe_iso(known.failing_since),
                    "read_at": _maybe_iso(known.read_at),
                }
            )
        symbols = {bot.symbol for bot in own} | set(known.positions or {})
        for symbol in sorted(symbols, key=lambda s: s.text):
            items.append(
                _position(account, symbol, [bot for bot in own if bot.symbol == symbol], known, views)
            )
    prices.somebody_looks(app, user.id)
    return {"items": items, "problems": problems, "next_cursor": None}


def _maybe_iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def _position(
    account: Account, symbol: Symbol, bots: list[Any], known: Known, views: dict[int, Any]
) -> dict[str, Any]:
    """While the broker cannot be asked, what it said last is told as that, and nothing is reckoned from
    it."""
    ours = sum((bot.position.quantity for bot in bots), Decimal(0))
    held = (
        None
        if known.positions is None
        else known.positions[symbol].quantity
        if symbol in known.positions
        else Decimal(0)
    )
    theirs = held if known.fresh else None
    return {
        "last_known_quantity": None if held is None else plain(held),
        "read_at": _maybe_iso(known.read_at),
        "account_id": account.id,
        "money": str(scope.money_of(account)),
        "symbol": symbol.text,
        "currency": symbol.currency,
        "quantity": plain(ours),
        "broker_quantity": None if theirs is None else plain(theirs),
        "outside": None if theirs is None else plain(theirs - ours),
        "bots": [{"bot_id": bot.id, "name": bot.name, **views[bot.id]["position"]} for bot in bots],
    }


class PerformanceQuery(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=100, populate_by_name=True)
    bot_id: int | None = _ID
    since: str | None = pydantic.Field(None, alias="from")
    until: str | None = pydantic.Field(None, alias="to")
    scope: str | None = SCOPE


@endpoint(bp, "GET", "/performance", query=PerformanceQuery)
def performance(user: User, query: PerformanceQuery) -> dict[str, Any]:
    """Realised profit per bot and UTC day, and in total: of one scope, each currency by itself. `wins` count
    round trips, `trades` orders."""
    app, wanted = the_app(), _scope_of(user, query)
    days = portfolio_summary.bot_days(
        app,
        user,
        wanted,
        bot_id=query.bot_id,
        since=read_day(query.since, "from"),
        until=read_day(query.until, "to"),
    )
    items = [
        {
            "bot_id": day.bot_id,
            "day": day.day.isoformat(),
            "currency": day.currency,
            "realized_pnl": plain(day.realized),
            "fees": plain(day.fees),
            "net_pnl": plain(day.net),
            "volume": plain(day.volume),
            "trades": day.trades,
            "wins": day.wins,
            "losses": day.losses,
        }
        for day in days
    ]
    total, *others = [
        _total(name, [day for day in days if day.currency == name])
        for name in portfolio_summary.currencies((), days)
    ]
    return {
        "scope": wanted.text,
        "money": str(wanted.money),
        "items": items,
        "next_cursor": None,
        "total": total,
        "other_currencies": others,
    }


def _scope_of(user: User, query: PerformanceQuery) -> MoneyScope:
    """A bot that is asked for by its number says by itself which account is meant."""
    app = the_app()
    if query.scope is None and query.bot_id is not None:
        with app.db.read() as conn:
            bot = bot_table.get(conn, user.id, query.bot_id)
            account = account_table.get(conn, user.id, bot.account_id) if bot is not None else None
        if account is not None:
            return scope.of_account(account)
    return scope.of_user(app, user, query.scope)


def _total(currency: str, days: list[BotDay]) -> dict[str, Any]:
    realized, fees = sum((day.realized for day in days), ZERO), sum((day.fees for day in days), ZERO)
    wins, losses = sum(day.wins for day in days), sum(day.losses for day in days)
    share = win_rate(wins, losses)
    return {
        "currency": currency,
        "realized_pnl": plain(realized),
        "fees": plain(fees),
        "net_pnl": plain(realized - fees),
        "trades": sum(day.trades for day in days),
        "wins": wins,
        "losses": losses,
        "win_rate": None if share is None else f"{share:.1f}",
    }


@endpoint(bp, "GET", "/summary", query=OfScope)
def summary(user: User, query: OfScope) -> dict[str, Any]:
    """How one stands now, as on the Overview: equity, open and realised profit, drawdown; each currency by
    itself."""
    app = the_app()
    found = portfolio_summary.summary(app, user, scope.of_user(app, user, query.scope))
    return {
        "scope": found.scope.text,
        "money": str(found.scope.money),
        "account_ids": [account.id for account in found.accounts],
        "unreachable_account_ids": [account.id for account in found.away],
        "currencies": [_standing(one) for one in found.by_currency],
        "risk_used": {"percent": f"{found.risk.percent:.2f}", "bot": found.risk.name} if found.risk else None,
    }


def _standing(one: Figures) -> dict[str, Any]:
    return {
        "currency": one.currency,
        "equity": _maybe(one.equity),
        "unrealized_pnl": _maybe(one.open_profit),
        "open_positions": one.positions,
        "today": {"net_pnl": plain(one.today), "trades": one.trades_today},
        "last_30_days": {
            "wins": one.wins,
            "losses": one.losses,
            "win_rate": _rounded(one.win_rate),
            "drawdown_percent": _rounded(one.drawdown),
            "max_drawdown_percent": _rounded(one.deepest),
        },
    }


def _maybe(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def _rounded(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:.2f}"


class RiskEventList(Page):
    bot_id: int | None = _ID


@endpoint(bp, "GET", "/risk-events", query=RiskEventList)
def risk_events(user: User, query: RiskEventList) -> dict[str, Any]:
    """Limits that were passed and what was done, newest first."""
    with the_app().db.read() as conn:
        rows = risk_event_table.list_risk_events(
            conn, user.id, before=number_cursor(query.cursor), limit=query.limit + 1, bot_id=query.bot_id
        )
    return page(
        rows,
        query.limit,
        lambda row: str(row.id),
        lambda row: {
            "id": row.id,
            "at": iso(row.at),
            "bot_id": row.bot_id,
            "account_id": row.account_id,
            "kind": row.kind,
            "threshold": plain(row.threshold),
            "actual": plain(row.actual),
            "action": row.action,
            "detail": row.detail,
            "signal_id": row.signal_id,
        },
    )
