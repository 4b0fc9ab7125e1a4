"""Schwab's answers in our types: orders and their executions, positions, candles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.domain.candles import by_span, merged_candle
from dashtrade.domain.ports import (
    BrokerFill,
    BrokerPosition,
    Candle,
    OrderRef,
    OrderReport,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, Malformed, TimeInForce, finite

TIMES_IN_FORCE = {TimeInForce.DAY: "DAY", TimeInForce.GTC: "GOOD_TILL_CANCEL"}
_STATUS = {
    "FILLED": VenueStatus.FILLED,
    "CANCELED": VenueStatus.CANCELED,
    "REPLACED": VenueStatus.CANCELED,
    "REJECTED": VenueStatus.REJECTED,
    "EXPIRED": VenueStatus.EXPIRED,
}
_MINUTES = (30, 15, 10, 5, 1)
_PERIODS = {86_400: ("year", "daily"), 604_800: ("year", "weekly"), 2_592_000: ("year", "monthly")}


def schwab_name(symbol: Symbol) -> str:
    """Schwab writes a class of shares as BRK/B."""
    return symbol.base.replace(".", "/")


def symbol_of(name: str) -> Symbol | None:
    try:
        return Symbol.parse(name.replace("/", "."))
    except Malformed:
        return None


def moment(written: object) -> datetime:
    return datetime.fromisoformat(str(written).replace("+0000", "+00:00")).astimezone(UTC)


# --- orders -------------------------------------------------------------------------------------------------


def entered_at(order: Any) -> datetime:
    try:
        return moment(order["enteredTime"])
    except (KeyError, ValueError):
        return datetime.max.replace(tzinfo=UTC)  # it cannot be ruled out


def matches(order: Any, ref: OrderRef) -> bool:
    """Does it match in symbol, side, type and quantity?"""
    legs: list[Any] = order.get("orderLegCollection") or []
    if len(legs) != 1 or order.get("orderStrategyType", "SINGLE") != "SINGLE":
        return False
    leg = legs[0]
    return (
        leg.get("instrument", {}).get("symbol") == schwab_name(ref.symbol)
        and leg.get("instruction") == ref.side.upper()
        and finite(leg.get("quantity")) == ref.quantity
        and order.get("orderType") == ref.type.upper()
    )


def order_report(ref: OrderRef, order: Any) -> OrderReport:
    """An unknown status counts as a working order. So does an ended order with executions missing: a total
    booked before them would be booked twice."""
    status = _STATUS.get(str(order.get("status")), VenueStatus.WORKING)
    fills = tuple(_fills(ref, order))
    filled = sum((fill.quantity for fill in fills), ZERO)
    reason = str(order.get("statusDescription") or "") if status is not VenueStatus.FILLED else ""
    if filled < (finite(order.get("filledQuantity")) or ZERO) and status is not VenueStatus.WORKING:
        status, reason = VenueStatus.WORKING, "the order has ended; its executions are still missing"
    return OrderReport(
        client_order_id=ref.client_order_id,
        broker_order_id=str(order["orderId"]),
        status=status,
        filled_quantity=filled,
        average_price=sum(fill.quantity * fill.price for fill in fills) / filled if filled else None,
        fills=fills,
        reason=reason,
    )


def _fills(ref: OrderRef, order: Any) -> Iterable[BrokerFill]:
    counts: dict[str, int] = {}
    for activity in order.get("orderActivityCollection") or ():
        if activity.get("activityType") != "EXECUTION" or activity.get("executionType") != "FILL":
            continue  # a cancellation is listed as an execution, too
        for leg in activity.get("executionLegs") or ():
            price, quantity = finite(leg.get("price")), finite(leg.get("quantity"))
            if not price or not quantity:
                continue
            name = f"{order['orderId']}:{activity.get('activityId') or leg.get('time')}"
            counts[name] = counts.get(name, 0) + 1
            yield BrokerFill(
                id=f"{name}:{counts[name]}",
                client_order_id=ref.client_order_id,
                quantity=quantity,
                price=price,
                at=moment(leg.get("time") or order["enteredTime"]),
            )


def fees_of(transactions: Iterable[Any], broker_number: str) -> Decimal | None:
    """The fees of an order from the account's transactions; None while they are missing."""
    matching = [each for each in transactions if str(each.get("orderId")) == broker_number]
    items = [item for each in matching for item in each.get("transferItems") or () if item.get("feeType")]
    return -sum((finite(item.get("cost")) or ZERO for item in items), ZERO) if matching else None


def cash_of(balances: Any) -> Decimal:
    """Where cash is swept into a fund or a bank overnight, `cashBalance` is 0 and other fields hold the
    amount."""
    swept = (finite(balances.get("moneyMarketFund")) or ZERO) + (finite(balances.get("savings")) or ZERO)
    cash_fields = (finite(balances.get(name)) or ZERO for name in ("cashBalance", "totalCash"))
    available = finite(balances.get("cashAvailableForTrading")) or ZERO
    return next((cash for cash in (*cash_fields, swept) if cash), available)


def positions_of(listed: Iterable[Any]) -> list[BrokerPosition]:
    found = []
    for each in listed:
        quantity = (finite(each.get("longQuantity")) or ZERO) - (finite(each.get("shortQuantity")) or ZERO)
        symbol = symbol_of(str(each.get("instrument", {}).get("symbol", ""))) if quantity else None
        if symbol is None or each["instrument"].get("assetType") not in ("EQUITY", "COLLECTIVE_INVESTMENT"):
            continue
        market_value = finite(each.get("marketValue"))
        found.append(
            BrokerPosition(
                symbol=symbol,
                quantity=quantity,
                average_price=finite(each.get("averagePrice")),
                mark=abs(market_value / quantity) if market_value else None,
            )
        )
    return found


# --- candles ------------------------------------------------------------------------------------------------


def candles_of(
    request: Callable[[dict[str, str]], Any], symbol: Symbol, timeframe: Timeframe, end: datetime, count: int
) -> Sequence[Candle]:
    """Schwab has minutes up to 30, days, weeks and months; hours are built from half hours. Nights, weekends
    and holidays have no candles, so more than the span is requested."""
    seconds, params = (
        timeframe.seconds,
        {"symbol": schwab_name(symbol), "needExtendedHoursData": "false", "needPreviousClose": "false"},
    )
    unit = (
        next((each for each in _MINUTES if seconds % (each * 60) == 0), 0) * 60
        if seconds < 86_400
        else seconds
    )
    if seconds in _PERIODS:
        params |= dict(zip(("periodType", "frequencyType"), _PERIODS[seconds], strict=True)) | {
            "frequency": "1"
        }
    elif 0 < unit <= 1800:
        params |= {"periodType": "day", "frequencyType": "minute", "frequency": str(unit // 60)}
    else:
        raise Unavailable(
            f"Schwab has no candles of {timeframe.shown}. Use 1, 5, 10, 15 or 30 minutes, hours, days, "
            "weeks or months."
        )
    first = end - timeframe.span * count * (2 if seconds in _PERIODS else 6) - timedelta(days=5)
    answer = request(
        params
        | {"startDate": str(int(first.timestamp() * 1000)), "endDate": str(int(end.timestamp() * 1000))}
    )
    rows = sorted((_candle(row) for row in answer.get("candles") or ()), key=lambda candle: candle.at)
    if unit != seconds:
        rows = [merged_candle(parts[0].at, parts) for _, parts in by_span(rows, seconds)]
    return [candle for candle in rows if candle.at < end][-count:]


def _candle(row: Any) -> Candle:
    opening, high, low, closing, volume = (
        finite(row.get(name)) or ZERO for name in ("open", "high", "low", "close", "volume")
    )
    return Candle(
        at=datetime.fromtimestamp(int(row["datetime"]) / 1000, UTC),
        open=opening,
        high=high,
        low=low,
        close=closing,
        volume=volume,
    )
