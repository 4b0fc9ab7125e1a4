"""Finds an order at Schwab, which keeps no client order id, and reports its fills with fees."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.connection import SchwabConnection
from dashtrade.brokers.schwab.reports import entered_at, fees_of, matches, order_report, schwab_name
from dashtrade.domain.ports import OrderRef, OrderReport, RetryLater, Unavailable, VenueStatus
from dashtrade.domain.record import replace
from dashtrade.domain.values import ZERO, OrderSide

log = logging.getLogger("dashtrade.schwab")

CLOCK_TOLERANCE = timedelta(seconds=3)  # order times are in whole seconds, and clocks differ a little
MAX_SEARCH_SPAN = timedelta(days=60)  # Schwab searches no further back
FEES_WAIT = timedelta(seconds=5)  # how long to wait for the fees of an ended sale


class SchwabLookup:
    """Finds our orders and reports on them. `owner_of` returns, if known, our order with a Schwab order
    number."""

    def __init__(self, api: SchwabConnection, owner_of: Callable[[str], str | None]) -> None:
        self._api, self._owner_of, self._lock = api, owner_of, threading.Lock()
        # ended sales without fees -> when first seen ended
        self._ended: dict[str, datetime] = {}
        self._numbers: dict[str, str] = {}  # our id -> Schwab's number, as seen by this process

    @wire.read_errors_as_unavailable
    def find(self, order: OrderRef) -> OrderReport | None:
        broker_number = self.number_of(order)
        if broker_number is None:
            return self._search(order, self._orders_since(order.created_at))
        answer = self._api.ask("GET", f"{self._api.home()}/orders/{broker_number}", missing=True)
        return self._report(order, answer) if answer is not None else None

    @wire.read_errors_as_unavailable
    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """One list for all, if there are several."""
        if len(orders) < 2:
            return [report for order in orders if (report := self.find(order))]
        listed = self._orders_since(min(order.created_at for order in orders) - timedelta(minutes=1))
        by_number = {str(each["orderId"]): each for each in listed}
        found = []
        for order in orders:
            broker_number = self.number_of(order)
            if broker_number is None:
                found.append(self._search(order, listed))
            elif broker_number in by_number:
                found.append(self._report(order, by_number[broker_number]))
            else:
                found.append(self.find(order))
        return [report for report in found if report]

    def claim(self, client_order_id: str, broker_number: str) -> None:
        with self._lock:
            self._numbers[client_order_id] = broker_number

    def number_of(self, order: OrderRef) -> str | None:
        if order.broker_order_id:
            self.claim(order.client_order_id, order.broker_order_id)
        return self._numbers.get(order.client_order_id)

    def _search(self, order: OrderRef, listed: Sequence[Any]) -> OrderReport | None:
        """Exactly one matching order that is not otherwise assigned. None of several: a guess could book
        another program's fills."""
        since = order.created_at + self._api.ahead - CLOCK_TOLERANCE
        with self._lock:
            taken = set(self._numbers.values())
            candidates = [
                each
                for each in listed
                if matches(each, order)
                and entered_at(each) >= since
                and str(each["orderId"]) not in taken
                and self._owner_of(str(each["orderId"])) in (None, order.client_order_id)
            ]
            if len(candidates) == 1:
                self._numbers[order.client_order_id] = str(candidates[0]["orderId"])
        if len(candidates) > 1:
            log.warning(
                "%s orders at Schwab may be %s: %s",
                len(candidates),
                order.client_order_id,
                ", ".join(str(each["orderId"]) for each in candidates),
            )
        return self._report(order, candidates[0]) if len(candidates) == 1 else None

    def _report(self, order: OrderRef, raw_order: Any) -> OrderReport:
        """Regulatory fees on a sale appear only in the account's transactions. They are booked with its last
        execution, which waits a few seconds for them."""
        report = order_report(order, raw_order)
        if order.side is not OrderSide.SELL or report.status is VenueStatus.WORKING or not report.fills:
            return report
        broker_number, now = str(raw_order["orderId"]), self._api.clock.now()
        fees = self._fees(order, broker_number)
        if fees is None and now - self._ended.setdefault(broker_number, now) < FEES_WAIT:
            return replace(
                report,
                status=VenueStatus.WORKING,
                fills=(),
                filled_quantity=ZERO,
                average_price=None,
                reason="the order has ended; its fees are still missing",
            )
        self._ended.pop(broker_number, None)
        last = max(report.fills, key=lambda fill: fill.at)
        with_fees = (replace(fill, fee=fees or ZERO) if fill is last else fill for fill in report.fills)
        return replace(report, fills=tuple(with_fees))

    def _fees(self, order: OrderRef, broker_number: str) -> Decimal | None:
        now = self._api.clock.now() + self._api.ahead
        since = max(order.created_at + self._api.ahead - timedelta(minutes=1), now - MAX_SEARCH_SPAN)
        params = {
            "startDate": _time_text(since),
            "endDate": _time_text(now + timedelta(minutes=5)),
            "types": "TRADE",
            "symbol": schwab_name(order.symbol),
        }
        try:
            transactions = self._api.ask("GET", f"{self._api.home()}/transactions", params=params)
        except (Unavailable, RetryLater) as error:
            log.info("Schwab does not tell its transactions now: %s", error.message)
            return None
        return fees_of(transactions if isinstance(transactions, list) else (), broker_number)

    def _orders_since(self, moment: datetime) -> Sequence[Any]:
        now = self._api.clock.now() + self._api.ahead
        since = max(moment + self._api.ahead - CLOCK_TOLERANCE - timedelta(minutes=1), now - MAX_SEARCH_SPAN)
        params = {
            "fromEnteredTime": _time_text(since),
            "toEnteredTime": _time_text(now + timedelta(minutes=5)),
            "maxResults": "3000",
        }
        listed = self._api.ask("GET", f"{self._api.home()}/orders", params=params)
        if not isinstance(listed, list):
            raise Unavailable("Schwab's list of orders cannot be read. No current data; DashTrade retries.")
        return listed


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
