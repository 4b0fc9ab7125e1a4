"""The steps of a paper order: triggered, filled, ended, reported."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from dashtrade.brokers.paper.requests import WAITS_FOR_PRICE
from dashtrade.domain.paper_account import AVERAGE, PaperLedger, PaperOrder
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import ZERO, OrderSide, OrderType, given


@record
class FillStep:
    """The order after this step, and what it trades now at which price."""

    order: PaperOrder
    quantity: Decimal = ZERO
    price: Decimal = ZERO


def end_order(order: PaperOrder, status: VenueStatus, reason: str, now: datetime) -> PaperOrder:
    return replace(order, status=status, reason=reason, updated_at=now)


def trigger_stop(order: PaperOrder, market_price: Decimal, now: datetime) -> PaperOrder:
    """Unchanged orders are returned as the same object. `market_price` is what a market order would get."""
    if order.type not in WAITS_FOR_PRICE:
        return order
    stop, is_sell = order.stop_price, order.side is OrderSide.SELL
    if order.type is OrderType.TRAILING_STOP:
        water = (
            market_price
            if order.high_water is None
            else (max if is_sell else min)(order.high_water, market_price)
        )
        trail = (
            order.trail_amount
            if order.trail_amount is not None
            else water * given(order.trail_percent, "trail") / 100
        )
        stop = water - trail if is_sell else water + trail
        order = order if water == order.high_water else replace(order, high_water=water, updated_at=now)
    stop = given(stop, "stop price")
    if market_price > stop if is_sell else market_price < stop:
        return order
    new_type = OrderType.LIMIT if order.type is OrderType.STOP_LIMIT else OrderType.MARKET
    return replace(order, type=new_type, updated_at=now)


def _with_fill(order: PaperOrder, fill: BrokerFill) -> PaperOrder:
    filled = order.filled_quantity + fill.quantity
    cost = order.filled_quantity * (order.average_price or ZERO) + fill.quantity * fill.price
    status = VenueStatus.FILLED if filled == order.quantity else VenueStatus.WORKING
    average = AVERAGE.divide(cost, filled)
    return replace(
        order, status=status, filled_quantity=filled, average_price=average, reason="", updated_at=fill.at
    )


def trade(ledger: PaperLedger, step: FillStep, number: int, now: datetime) -> tuple[PaperOrder, BrokerFill]:
    order = step.order
    fill = BrokerFill(
        id=f"{order.client_order_id}-{number}",
        client_order_id=order.client_order_id,
        quantity=step.quantity,
        price=step.price,
        at=now,
        fee=ledger.fee(order, step.quantity, step.price),
    )
    ledger.book(order, fill)
    return _with_fill(order, fill), fill


def report(order: PaperOrder, fills: Iterable[BrokerFill]) -> OrderReport:
    return OrderReport(
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        status=order.status,
        filled_quantity=order.filled_quantity,
        average_price=order.average_price,
        fills=tuple(fills),
        reason=order.reason,
    )
