"""Orders: list, show, cancel, and resolve those with unknown status."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pydantic
from flask import Blueprint

from bot_engine import Lane
from dashtrade.api.answers import ApiError, Body
from dashtrade.api.http import endpoint, get_app
from dashtrade.api.reading import PageQuery, page, read_moment
from dashtrade.api.signal_fields import order_fields
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.services.trading import orders as order_service

bp = Blueprint("orders", __name__, url_prefix="/api/v1")

ID = pydantic.Field(None, ge=1, lt=2**62)

# --- orders -------------------------------------------------------------------------------------------------


class OrderList(PageQuery):
    status: OrderStatus | Literal["open"] | None = None
    symbol: str | None = pydantic.Field(None, max_length=60)
    bot_id: int | None = ID


class Verdict(Body):
    outcome: str = pydantic.Field(pattern="^(look_again|not_placed)$")


@endpoint(bp, "GET", "/orders", query=OrderList)
def orders(user: User, query: OrderList) -> dict[str, Any]:
    """Orders, newest first; with status=open those that have not ended."""
    rows = order_service.orders(
        get_app(),
        user,
        before=_order_cursor(query.cursor),
        limit=query.limit + 1,
        status=query.status,
        bot_id=query.bot_id,
        symbol=Symbol.parse(query.symbol) if query.symbol else None,
    )
    return page(rows, query.limit, lambda order: f"{order.created_at.isoformat()}~{order.id}", order_fields)


def _order_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    if not cursor:
        return None
    at, found, last = cursor.partition("~")
    moment = read_moment(at, "cursor")
    if not found or moment is None:
        raise ApiError(
            400,
            "bad_request",
            "The cursor is invalid.",
            "Use next_cursor from the previous page.",
            field="cursor",
        )
    return moment, last


@endpoint(bp, "GET", "/orders/<order_id>")
def order(user: User, order_id: str) -> dict[str, Any]:
    """One order."""
    return order_fields(order_service.order_of(get_app(), user, order_id))


@endpoint(bp, "POST", "/orders/<order_id>/resolve", body=Verdict)
def resolve(user: User, given: Verdict, order_id: str) -> dict[str, Any]:
    """Resolve an order that needs attention: look it up again, or confirm that the broker does not have
    it."""
    after = order_service.resolve(get_app(), user, order_id, given.outcome)
    get_app().engine.host.wake(Lane(after.account_id, after.symbol), after.signal_id)
    return order_fields(after)


@endpoint(bp, "POST", "/orders/<order_id>/cancel", status=202)
def cancel(user: User, order_id: str) -> dict[str, Any]:
    """Request cancellation of an order."""
    after = order_service.cancel(get_app(), user, order_id)
    get_app().engine.host.wake(Lane(after.account_id, after.symbol), after.signal_id)
    return order_fields(after)
