"""Applies a broker's report to an order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from dashtrade.domain.ledger import Fees, new_fills
from dashtrade.domain.orders import ENDED, FROM_VENUE, TRANSITIONS, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport
from dashtrade.domain.reasons import Code, Reason, quoted, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import ZERO, plain


@record
class Reported:
    """The order after the report, and its unbooked fills."""

    order: Order
    fills: tuple[BrokerFill, ...]
    changed: bool

    @property
    def reason(self) -> Reason:
        """The reason in the order's history."""
        if self.order.reason or not self.fills:
            return self.order.reason
        average = self.order.average_price
        price = plain(average.quantize(Decimal("0.00000001"))) if average is not None else "?"
        return reason(Code.FILLED_SO_FAR, quantity=self.order.filled_quantity, price=price)


def reported(order: Order, report: OrderReport, booked: Mapping[str, Fees], now: datetime) -> Reported:
    """`booked`: the fees of the order's booked executions, by id."""
    fills: tuple[BrokerFill, ...] = ()
    if may_fill(order, report):
        fees = sum((fee for fee, _ in booked.values()), ZERO), sum((fee for _, fee in booked.values()), ZERO)
        fills = new_fills(report, booked.keys(), order.filled_quantity, order.filled_notional, now, fees)
    after = _after(order, report, fills, now)
    return Reported(order=after, fills=fills, changed=bool(fills) or _news(after) != _news(order))


def is_news(order: Order, report: OrderReport, now: datetime) -> bool:
    """Could booking it change the order?"""
    return may_fill(order, report) or _news(_after(order, report, (), now)) != _news(order)


def may_fill(order: Order, report: OrderReport) -> bool:
    return bool(report.fills) or report.filled_quantity > order.filled_quantity


def _news(order: Order) -> tuple[object, ...]:
    """What a report without fills may change."""
    return order.status, order.reason, order.broker_order_id, order.reserve, order.due_at


def _after(order: Order, report: OrderReport, new: tuple[BrokerFill, ...], now: datetime) -> Order:
    filled = order.filled_quantity + sum((fill.quantity for fill in new), ZERO)
    notional = order.filled_notional + sum((fill.quantity * fill.price for fill in new), ZERO)
    status = FROM_VENUE[report.status]
    if filled >= order.quantity:
        status = OrderStatus.FILLED
    elif status in ENDED and not _complete(status, report, filled):
        status = OrderStatus.WORKING  # the broker is done, but its fills are not reported yet
    if status is not order.status and status not in TRANSITIONS[order.status]:
        status = order.status  # an old report must not undo newer knowledge
    ended = status not in (OrderStatus.WORKING, order.status)
    return replace(
        order,
        status=status,
        reason=quoted(report.reason) if ended else order.reason,
        broker_order_id=report.broker_order_id or order.broker_order_id,
        filled_quantity=filled,
        filled_notional=notional,
        reserve=ZERO,
        due_at=order.due_at if status is order.status else None,
        updated_at=now,
    )


def _complete(status: OrderStatus, report: OrderReport, filled: Decimal) -> bool:
    """Filled for less than requested can be right (brokers round); filled, or cancelled half-way, without the
    fills cannot."""
    return filled >= report.filled_quantity and (filled > 0 or status is not OrderStatus.FILLED)
