"""Performance of bots, current figures of the user, and risk events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.http import SCOPE, endpoint, get_app
from dashtrade.api.orders import ID
from dashtrade.api.positions import OfScope
from dashtrade.api.reading import PageQuery, number_cursor, page, read_day
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import win_rate
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.values import ZERO, iso, plain
from dashtrade.domain.wording import words
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.bots.owned import find_bots
from dashtrade.services.trading import equity, portfolio_summary, scope
from dashtrade.services.trading import risk_events as risk_event_service
from dashtrade.services.trading.portfolio_summary import BotDay, Figures

bp = Blueprint("performance", __name__, url_prefix="/api/v1")


class PerformanceQuery(Body):
    model_config = pydantic.ConfigDict(extra="forbid", str_max_length=100, populate_by_name=True)
    bot_id: int | None = ID
    since: str | None = pydantic.Field(None, alias="from")
    until: str | None = pydantic.Field(None, alias="to")
    scope: str | None = SCOPE


@endpoint(bp, "GET", "/performance", query=PerformanceQuery)
def performance(user: User, query: PerformanceQuery) -> dict[str, Any]:
    """Realised profit per bot and UTC day, and in total: of one scope, each currency separately. `wins` count
    round trips, `trades` orders."""
    app, wanted = get_app(), _scope_of(user, query)
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
    """A query for one bot implies the scope of the bot's account."""
    app = get_app()
    if query.scope is None and query.bot_id is not None:
        for bot in find_bots(app, user, [query.bot_id]):
            account = find_account(app, user, bot.account_id)
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
    """Current figures, as on the Overview: equity, unrealised and realised P&L, drawdown; each currency
    separately."""
    app = get_app()
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


class EquityQuery(OfScope):
    days: int = pydantic.Field(equity.RECENT, ge=1, le=equity.MAX_DAYS)


@endpoint(bp, "GET", "/performance/equity", query=EquityQuery)
def equity_lines(user: User, query: EquityQuery) -> dict[str, Any]:
    """The equity at the end of each UTC day with profit or loss, worked back from the current equity; each
    currency separately. No points where the equity is unknown."""
    app = get_app()
    found, lines = equity.equity_lines(app, user, scope.of_user(app, user, query.scope), days=query.days)
    return {
        "scope": found.scope.text,
        "money": str(found.scope.money),
        "unreachable_account_ids": [account.id for account in found.away],
        "currencies": [
            {
                "currency": line.currency,
                "points": [{"at": iso(point.at), "equity": plain(point.equity)} for point in line.points],
            }
            for line in lines
        ],
    }


class RiskEventList(PageQuery):
    bot_id: int | None = ID


@endpoint(bp, "GET", "/risk-events", query=RiskEventList)
def risk_events(user: User, query: RiskEventList) -> dict[str, Any]:
    """Limits and exits that were reached and what was done, newest first."""
    rows = risk_event_service.risk_events(
        get_app(), user, before=number_cursor(query.cursor), limit=query.limit + 1, bot_id=query.bot_id
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
            "action": words(row.action),
            "detail": words(row.detail),
            "reason_code": str(row.detail.code),
            "signal_id": row.signal_id,
        },
    )
