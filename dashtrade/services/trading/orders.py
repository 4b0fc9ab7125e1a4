"""Orders as their user reads them; cancelling one, and resolving one whose status is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.engine.steps import on_books
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as table
from dashtrade.tables import user_orders


def _mine(conn: sa.Connection, user: User, order_id: str) -> Order:
    order = user_orders.get(conn, user.id, order_id)
    if order is None:
        raise NotFound("order")
    return order


def cancel(app: App, user: User, order_id: str) -> Order:
    def work(conn: sa.Connection) -> Order:
        order = _mine(conn, user, order_id)
        if not order.is_open:
            raise Refusal(f"the order is already {order.status}", "There is nothing to cancel.")
        table.request_cancel(conn, [order.id])
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.ORDER_CANCEL_ASKED,
            now=app.clock.now(),
            detail={"order": order.id},
        )
        return table.load(conn, order.id)

    return app.db.write(work)


def orders(
    app: App,
    user: User,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    status: str | None = None,
    bot_id: int | None = None,
    symbol: Symbol | None = None,
) -> list[Order]:
    """Newest first; status "open" selects orders that have not ended."""
    with app.db.read() as conn:
        return user_orders.list_page(
            conn, user.id, before=before, limit=limit, status=status, bot_id=bot_id, symbol=symbol
        )


def order_of(app: App, user: User, order_id: str) -> Order:
    with app.db.read() as conn:
        return _mine(conn, user, order_id)


def open_orders(app: App, user: User, *, bot_id: int | None = None) -> list[Order]:
    """Orders that have not ended, newest first."""
    with app.db.read() as conn:
        found = user_orders.list_open(conn, user.id)
    return [order for order in found if bot_id is None or order.bot_id == bot_id]


def cancel_all(app: App, user: User, order_ids: Sequence[str]) -> int:
    """Cancel those that are still open. One commit, then each lane is notified."""

    def work(conn: sa.Connection) -> list[Order]:
        mine = [
            order
            for order in user_orders.list_open(conn, user.id)
            if order.id in order_ids and not order.cancel_requested
        ]
        if mine:
            table.request_cancel(conn, [order.id for order in mine])
            message_table.record(
                conn,
                actor=user.id,
                action=AuditAction.ORDERS_CANCEL_ASKED,
                now=app.clock.now(),
                detail={"orders": [o.id for o in mine]},
            )
        return mine

    asked = app.db.write(work)
    for order in asked:
        app.engine.host.wake(Lane(order.account_id, order.symbol), order.signal_id)
    return len(asked)


def resolve(app: App, user: User, order_id: str, verdict: str) -> Order:
    """`look_again` queries the broker once more; `not_placed` is the user's confirmation that the broker
    never got the order."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> Order:
        order = _mine(conn, user, order_id)
        account_table.lock_account(conn, order.account_id)
        order = table.load(conn, order.id)
        if order.status is not OrderStatus.ATTENTION:
            raise Refusal(
                f"the order is {order.status} and needs no decision",
                "Only orders that need attention can be resolved.",
            )
        status, said = (
            (OrderStatus.UNKNOWN, Reason(Code.USER_LOOKS_AGAIN))
            if verdict == "look_again"
            else (OrderStatus.CANCELED, Reason(Code.USER_SAYS_NOT_PLACED))
        )
        after = replace(
            order,
            status=status,
            reason=said,
            reserve=order.reserve if status is OrderStatus.UNKNOWN else ZERO,
            due_at=None,
            updated_at=now,
        )
        on_books(conn, lambda books: change_order(books, after, now))
        message_table.record(
            conn,
            actor=user.id,
            action=AuditAction.ORDER_RESOLVED,
            now=now,
            detail={"order": order.id, "verdict": verdict},
        )
        return after

    return app.db.write(work)
