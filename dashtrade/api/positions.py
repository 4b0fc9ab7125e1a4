"""The positions of each account."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.bots import shown_bots
from dashtrade.api.http import SCOPE, endpoint, get_app
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso, plain
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.accounts.prices import KnownAccount
from dashtrade.services.bots.owned import holding_bots
from dashtrade.services.trading import scope

bp = Blueprint("positions", __name__, url_prefix="/api/v1")


class OfScope(Body):
    scope: str | None = SCOPE


@endpoint(bp, "GET", "/positions", query=OfScope)
def positions(user: User, query: OfScope) -> dict[str, Any]:
    """Positions of each account: of bots, outside DashTrade, and as reported by the broker."""
    return positions_view(user, query.scope)


def positions_view(user: User, wanted: str | None) -> dict[str, Any]:
    app = get_app()
    accounts, holding = accounts_of(app, user), holding_bots(app, user)
    if wanted is not None:
        accounts = scope.covered(scope.read(accounts, wanted), accounts)
    views = {view["id"]: view for view in shown_bots(user, holding)}
    items: list[dict[str, Any]] = []
    problems = []
    for account in accounts:
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
    prices.record_page_view(app, user.id)
    return {"items": items, "problems": problems, "next_cursor": None}


def _maybe_iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)


def _position(
    account: Account, symbol: Symbol, bots: list[Any], known: KnownAccount, views: dict[int, Any]
) -> dict[str, Any]:
    """While the broker is unreachable, its last data is shown with its age and not used in calculations."""
    bots_quantity = sum((bot.position.quantity for bot in bots), Decimal(0))
    held = (
        None
        if known.positions is None
        else known.positions[symbol].quantity
        if symbol in known.positions
        else Decimal(0)
    )
    broker_quantity = held if known.fresh else None
    return {
        "last_known_quantity": None if held is None else plain(held),
        "read_at": _maybe_iso(known.read_at),
        "account_id": account.id,
        "money": str(scope.money_of(account)),
        "symbol": symbol.text,
        "currency": symbol.currency,
        "quantity": plain(bots_quantity),
        "broker_quantity": None if broker_quantity is None else plain(broker_quantity),
        "outside": None if broker_quantity is None else plain(broker_quantity - bots_quantity),
        "bots": [{"bot_id": bot.id, "name": bot.name, **views[bot.id]["position"]} for bot in bots],
    }
