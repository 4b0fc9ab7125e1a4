"""Fills become lots, lots become positions and profit. First in, first out; exact to the last digit."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime
from decimal import Decimal

from dashtrade.domain.ports import BrokerFill, OrderReport
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import ZERO, OrderSide, Side


@record
class Lot:
    """The part of one fill that is still held. `remaining` is signed like the position."""

    id: int
    remaining: Decimal
    price: Decimal
    opened_at: datetime


@record
class Position:
    """A bot's position. `cost` is quantity x price of its lots, signed like the quantity."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def side(self) -> Side:
        return Side.of(self.quantity)

    @property
    def average_price(self) -> Decimal | None:
        return self.cost / self.quantity if self.quantity else None

    def unrealized(self, mark: Decimal) -> Decimal:
        return self.quantity * mark - self.cost


@record
class Booking:
    """The effect of one fill."""

    closed: tuple[Lot, ...]  # touched lots after the fill; remaining 0: gone
    opened: Decimal  # signed quantity of the new lot, 0 if none
    realized: Decimal  # profit before fees
    fee: Decimal  # in the quote currency
    position: Position


def book(position: Position, lots: Sequence[Lot], side: OrderSide, fill: BrokerFill) -> Booking:
    """Close lots against the fill, oldest first; the rest of the fill opens a new lot.

    A fee taken in the bought coin reduces the received quantity and is counted as a fee at the fill's
    price."""
    left = (fill.quantity - fill.fee_base) * side.sign
    received, realized, closed = left, ZERO, []
    if left * position.quantity < 0:
        for lot in lots:
            if not left:
                break
            taken = -lot.remaining if abs(lot.remaining) <= abs(left) else left
            realized += taken * (lot.price - fill.price)
            closed.append(replace(lot, remaining=lot.remaining + taken))
            left -= taken
    cost = position.cost - sum((taken_cost(lots, now) for now in closed), ZERO) + left * fill.price
    quantity = position.quantity + received
    return Booking(
        closed=tuple(closed),
        opened=left,
        realized=realized,
        fee=fill.fee + fill.fee_base * fill.price,
        # after a split 3:1 a lot's price is a recurring decimal
        position=Position(quantity=quantity, cost=cost if quantity else ZERO),
    )


def taken_cost(before: Sequence[Lot], now: Lot) -> Decimal:
    old = next(lot for lot in before if lot.id == now.id)
    return (old.remaining - now.remaining) * old.price


Fees = tuple[Decimal, Decimal]  # in the quote currency, and in the bought coin


def new_fills(
    report: OrderReport,
    known: Set[str],
    booked_quantity: Decimal,
    booked_notional: Decimal,
    at: datetime,
    booked_fees: Fees = (ZERO, ZERO),
) -> tuple[BrokerFill, ...]:
    """What the report has beyond what is booked, each execution once.

    Once a total was booked (without executions), later executions are a part of it: only what exceeds the
    booked total is new, and is booked as a difference of totals too."""
    if report.fills and any(name.startswith(_total(report)) for name in known):
        told = {fill.id: fill for fill in report.fills}.values()
        quantity = sum((fill.quantity for fill in told), ZERO)
        if quantity >= report.filled_quantity or report.average_price is None:
            average = sum((fill.quantity * fill.price for fill in told), ZERO) / quantity
            report = replace(
                report,
                filled_quantity=quantity,
                average_price=average,
                total_fee=sum((fill.fee for fill in told), ZERO),
                total_fee_base=sum((fill.fee_base for fill in told), ZERO),
            )
        report = replace(report, fills=())
    fills = fills_of(report, booked_quantity, booked_notional, at, booked_fees)
    # a report may contain repeats
    return tuple(fill for fill in {fill.id: fill for fill in fills}.values() if fill.id not in known)


def _total(report: OrderReport) -> str:
    return f"{report.client_order_id}@"


def fills_of(
    report: OrderReport,
    booked_quantity: Decimal,
    booked_notional: Decimal,
    at: datetime,
    booked_fees: Fees = (ZERO, ZERO),
) -> tuple[BrokerFill, ...]:
    """The report's fills; for a broker that reports only totals, the difference to what is booked, as one
    fill named by the total."""
    if report.fills or report.filled_quantity <= booked_quantity or report.average_price is None:
        return report.fills
    quantity = report.filled_quantity - booked_quantity
    notional = report.filled_quantity * report.average_price - booked_notional
    return (
        BrokerFill(
            id=f"{_total(report)}{report.filled_quantity.normalize():f}",
            client_order_id=report.client_order_id,
            quantity=quantity,
            price=notional / quantity,
            at=at,
            fee=report.total_fee - booked_fees[0] if report.total_fee else ZERO,
            fee_base=report.total_fee_base - booked_fees[1] if report.total_fee_base else ZERO,
        ),
    )
