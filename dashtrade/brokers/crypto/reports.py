"""Exchange answers in our types: orders with their executions and fees, balances, rules, candles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.crypto.errors import not_offered
from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.brokers.crypto.executions import TRADES
from dashtrade.domain.ports import BrokerFill, OrderRef, OrderReport, Rules, VenueStatus
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO, OrderSide, finite, round_to

_STATUS = {
    "open": VenueStatus.WORKING,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
}

_RAW_STATUS = {
    "FAILED": VenueStatus.REJECTED,
    "EXPIRED": VenueStatus.EXPIRED,
    "order_failed": VenueStatus.REJECTED,
}

_REASON_FIELDS = ("reject_message", "cancel_message", "reject_reason", "reason", "cancelSourceReason")

_NO_REASON = "REJECT_REASON_UNSPECIFIED"


@record
class FillContext:
    """What turning executions into fills needs: the symbol's steps, the time, and the price of another
    coin."""

    rules: Rules
    now: datetime
    lag: timedelta  # how long executions may lag behind the end of their order
    # when it was first seen ended; the exchange's times do not serve, as Coinbase only has the time of
    # placing
    ended: Callable[[str], datetime]
    price: Callable[[str], Decimal | None]


def report(client: Any, venue: Exchange, ref: OrderRef, order: Any, context: FillContext) -> OrderReport:
    """Only fills are booked, never totals beside them: a total that precedes its fills would be booked twice.
    So an ended order counts as working until its executions are complete, or can no longer be expected."""
    status, reason = _status(order)
    filled = finite(order.get("filled")) or ZERO
    has_executions, fills, notes = (
        _read_fills(client, venue, ref, order, context) if filled else (True, (), "")
    )
    filled_so_far = sum((fill.quantity for fill in fills), ZERO)
    average = finite(order.get("average"))
    complete, fee, fee_base = filled_so_far > filled - context.rules.quantity_step, ZERO, ZERO
    ended = status is not VenueStatus.WORKING
    if not complete and (
        not has_executions or (ended and context.now - context.ended(str(order["id"])) >= context.lag)
    ):
        fills, filled_so_far = (), filled  # only the totals are available
        fee_notes: list[str] = []
        fee, fee_base = _fees(ref, order, average or ZERO, context, fee_notes)
        notes = " ".join(filter(None, (notes, *fee_notes)))
    elif not complete and status is not VenueStatus.WORKING:
        status, reason = VenueStatus.WORKING, "the order has ended; its executions are still missing"
    if fills:
        average = sum(fill.quantity * fill.price for fill in fills) / filled_so_far
    return OrderReport(
        client_order_id=ref.client_order_id,
        broker_order_id=str(order.get("id") or ref.broker_order_id or "") or None,
        status=status,
        filled_quantity=filled_so_far,
        average_price=average if filled_so_far else None,
        fills=fills,
        total_fee=fee,
        total_fee_base=fee_base,
        reason=" ".join(filter(None, (reason, notes))),
    )


def _status(order: Any) -> tuple[VenueStatus, str]:
    """An unknown status counts as a working order: it may still fill."""
    info = order.get("info") or {}
    raw = str(info.get("status") or info.get("state") or "")
    status = _RAW_STATUS.get(raw) or _STATUS.get(str(order.get("status")), VenueStatus.WORKING)
    reasons = (str(info[name]) for name in _REASON_FIELDS if info.get(name) not in (None, "", _NO_REASON))
    why = next(reasons, "") if status is not VenueStatus.FILLED else ""
    unknown = status is VenueStatus.WORKING and order.get("status") not in ("open", None)
    return status, f"the exchange says {raw or order.get('status')}" if unknown else why


def _read_fills(
    client: Any, venue: Exchange, ref: OrderRef, order: Any, context: FillContext
) -> tuple[bool, tuple[BrokerFill, ...], str]:
    """False if the exchange has no list of executions: then the totals are used."""
    try:
        fills, note = _fills(client, venue, ref, order, context)
    except Exception as error:
        if not_offered(client, error):
            return False, (), "The exchange does not report the executions and fees."
        raise
    return True, fills, note


def _fills(
    client: Any, venue: Exchange, ref: OrderRef, order: Any, context: FillContext
) -> tuple[tuple[BrokerFill, ...], str]:
    trades: Sequence[Any] = [
        trade for trade in order.get("trades") or () if trade.get("amount") and trade.get("id")
    ]
    listed = sum((finite(trade["amount"]) or ZERO for trade in trades), ZERO)
    filled = finite(order.get("filled")) or ZERO
    if listed < filled:
        trades = TRADES[venue.trades](client, order)
    notes: list[str] = []
    fills = {str(trade["id"]): _fill(ref, order, trade, context, notes) for trade in trades}
    return tuple(sorted(fills.values(), key=lambda fill: (fill.at, fill.id))), " ".join(dict.fromkeys(notes))


def _fill(ref: OrderRef, order: Any, trade: Any, context: FillContext, notes: list[str]) -> BrokerFill:
    price, quantity = finite(trade["price"]) or ZERO, finite(trade["amount"]) or ZERO
    rounded = round_to(quantity, context.rules.quantity_step)
    if abs(rounded - quantity) < context.rules.quantity_step / 1000:  # ccxt divided a cost by a price
        quantity = rounded
    fee, fee_base = _fees(ref, trade, price, context, notes)
    return BrokerFill(
        # A trade's number is unique within a symbol at most, and shared by both sides of a self-trade.
        id=f"{order['id']}:{trade['id']}",
        client_order_id=ref.client_order_id,
        quantity=quantity,
        price=price,
        at=datetime.fromtimestamp(int(trade["timestamp"]) / 1000, UTC)
        if trade.get("timestamp")
        else context.now,
        fee=fee,
        fee_base=fee_base,
    )


def _fees(
    ref: OrderRef, trade: Any, price: Decimal, context: FillContext, notes: list[str]
) -> tuple[Decimal, Decimal]:
    """In the quote currency, and in the bought coin; a third coin is valued at its current price, or left out
    with a warning."""
    fee, fee_base = ZERO, ZERO
    for each in trade.get("fees") or [trade.get("fee") or {}]:
        cost, coin = finite(each.get("cost")), each.get("currency")
        if not cost:
            continue
        if coin in (ref.symbol.quote, None):
            fee += cost
        elif coin == ref.symbol.base and ref.side is OrderSide.BUY:
            fee_base += cost
        elif coin == ref.symbol.base:
            fee += cost * price
        elif (coin_price := context.price(coin)) is not None:
            fee += cost * coin_price
        else:
            notes.append(
                f"A fee in {coin} is not included: there is no price of {coin} in {ref.symbol.quote}."
            )
    return fee, fee_base
