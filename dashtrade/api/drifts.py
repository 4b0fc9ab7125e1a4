"""Position mismatches, and closing everything."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.http import STOP_SCOPES, endpoint, get_app
from dashtrade.api.reading import PageQuery, number_cursor, page
from dashtrade.domain.access import TokenScope
from dashtrade.domain.people import User
from dashtrade.domain.position_mismatch import Remedy, ratio_words
from dashtrade.domain.values import iso, plain
from dashtrade.domain.wording import sentence, words
from dashtrade.services.accounts import position_mismatch as service
from dashtrade.services.accounts.position_mismatch import Mismatch, Uncompared
from dashtrade.services.trading import flatten as flatten_service
from dashtrade.services.trading.flatten import Flattening

bp = Blueprint("drifts", __name__, url_prefix="/api/v1")
_ID = pydantic.Field(None, ge=1, lt=2**62)
_Number = Annotated[int, pydantic.Field(ge=1, lt=2**62)]


class DriftList(PageQuery):
    account_id: int | None = _ID
    status: str | None = pydantic.Field(None, pattern="^(unresolved|open|frozen|resolved|gone)$")


class Resolution(Body):
    way: Remedy
    bot_id: int | None = _ID
    price: str | None = None


class Flatten(Body):
    scope: str = pydantic.Field(pattern="^(bot|account|user)$")
    id: int | None = _ID
    pause: bool = False
    accounts: list[_Number] | None = pydantic.Field(None, min_length=1, max_length=1000)


@endpoint(bp, "GET", "/drifts", query=DriftList)
def drifts(user: User, query: DriftList) -> dict[str, Any]:
    """Position mismatches: differences between the broker's positions and the bots', newest first; and
    accounts that cannot be compared now."""
    found = service.drifts(
        get_app(),
        user,
        before=number_cursor(query.cursor),
        limit=query.limit + 1,
        account_id=query.account_id,
        status=query.status,
    )
    return page(found, query.limit, lambda one: str(one.drift.id), _mismatch) | {
        "problems": [_problem(one) for one in service.comparison_problems(get_app(), user)]
    }


@endpoint(bp, "GET", "/drifts/<int:drift_id>")
def drift(user: User, drift_id: int) -> dict[str, Any]:
    """One position mismatch, and the bots that the difference can be assigned to."""
    return _mismatch(service.drift(get_app(), user, drift_id))


@endpoint(bp, "POST", "/drifts/<int:drift_id>/resolve", body=Resolution)
def resolve(user: User, given: Resolution, drift_id: int) -> dict[str, Any]:
    """Resolve a position mismatch: assign the difference to a bot (as its trade, or as a split), keep it
    outside, or freeze the symbol."""
    return _mismatch(
        service.resolve(get_app(), user, drift_id, way=given.way, bot_id=given.bot_id, price=given.price)
    )


@endpoint(bp, "POST", "/drifts/<int:drift_id>/unfreeze")
def unfreeze(user: User, drift_id: int) -> dict[str, Any]:
    """Allow entries of a frozen symbol again; the mismatch stays open."""
    return _mismatch(service.unfreeze(get_app(), user, drift_id))


def _mismatch(found: Mismatch) -> dict[str, Any]:
    drift = found.drift
    return {
        "id": drift.id,
        "account_id": drift.account_id,
        "account": found.account,
        "symbol": drift.symbol.text,
        "status": str(drift.status),
        "kind": str(drift.kind),
        "bots_quantity": plain(drift.bots_quantity),
        "outside": plain(drift.outside),
        "broker_quantity": plain(drift.broker_quantity),
        "difference": plain(drift.difference),
        "average_price": _number(drift.average_price),
        "mark": _number(drift.mark),
        "split": ratio_words(drift.ratio) if drift.ratio is not None else None,
        "detail": sentence(drift.detail),
        "way": drift.way or None,
        "bot_id": drift.bot_id,
        "opened_at": iso(drift.opened_at),
        "updated_at": iso(drift.updated_at),
        "resolved_at": iso(drift.resolved_at) if drift.resolved_at else None,
        "bots": [
            {"bot_id": bot.bot_id, "name": bot.name, "quantity": plain(bot.quantity)} for bot in found.bots
        ],
    }


def _number(number: Decimal | None) -> str | None:
    return plain(number) if number is not None else None


def _problem(found: Uncompared) -> dict[str, Any]:
    return {"account_id": found.account_id, "since": iso(found.since), "message": found.message}


@endpoint(bp, "POST", "/flatten", body=Flatten, status=202, scopes=STOP_SCOPES)
def flatten(user: User, given: Flatten) -> dict[str, Any]:
    """Close all positions of a bot, an account or yours, the largest risk first. With `accounts`: only on
    these. With `pause`, entries of the whole scope are paused, and stay paused."""
    app = get_app()
    started = flatten_service.start(
        app, user, scope=given.scope, scope_id=given.id, pause=given.pause, accounts=given.accounts
    )
    return _flattening(flatten_service.view(app, user, started))


@endpoint(bp, "GET", "/flatten/<int:flatten_id>", scopes=[TokenScope.READ, *STOP_SCOPES])
def flattening(user: User, flatten_id: int) -> dict[str, Any]:
    """Progress of closing everything, bot by bot."""
    return _flattening(flatten_service.view(get_app(), user, flatten_id))


def _flattening(found: Flattening) -> dict[str, Any]:
    return {
        "id": found.id,
        "scope": found.scope,
        "scope_id": found.scope_id,
        "status": found.status,
        "created_at": iso(found.created_at),
        "ended_at": iso(found.ended_at) if found.ended_at else None,
        "done": found.done,
        "total": len(found.items),
        "items": [
            {
                "bot_id": item.bot_id,
                "account_id": item.account_id,
                "symbol": item.symbol.text,
                "quantity": plain(item.quantity),
                "status": item.status,
                "reason": words(item.reason),
                "reason_code": str(item.reason.code),
                "tries": item.tries,
                "signal_id": item.signal_id,
            }
            for item in found.items
        ],
    }
