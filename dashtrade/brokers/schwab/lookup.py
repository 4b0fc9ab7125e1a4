"""Finds an order at Schwab, which keeps no client order id, and reports its fills with fees."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.connection import SchwabConnection
from dashtrade.brokers.schwab.reports import entered, fees_of, fits, order_report, spelled
from dashtrade.domain.ports import OrderRef, OrderReport, RetryLater, Unavailable, VenueStatus
from dashtrade.domain.values import ZERO, OrderSide

log = logging.getLogger("dashtrade.schwab")

SINCE = timedelta(seconds=3)  # order times are in whole seconds, and clocks differ a little
LONGEST = timedelta(days=60)  # Schwab searches no further back
FEES_LAG = timedelta(seconds=5)  # how long to wait for the fees of an ended sale


class SchwabLookup:
    """Finds our orders and reports on them. `owner_of` returns, if known, our order with a Schwab order
    number."""

    def __init__(self, api: SchwabConnection, owner_of: Callable[[str], str | None]) -> None:
        self._api, self._owner_of, self._lock = api, owner_of, threading.Lock()
        # ended sales without fees -> when first seen ended
        self._ended: dict[str, datetime] = {}
        self._numbers: dict[str, str] = {}  # our id -> Schwab's number, as seen by this process

    @wire.readable
    def find(self, order: OrderRef) -> OrderReport | None:
        number_there = self.number_of(order)
        if number_there is None:
            return self._search(order, self._orders_since(order.created_at))
        answer = self._api.ask("GET", f"{self._api.home()}/orders/{number_there}", missing=True)
        return self._report(order, answer) if answer is not None else None

    @wire.readable
    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """One list for all, if there are several."""
        if len(orders) < 2:
            return [report for order in orders if (report := self.find(order))]
        listed = self._orders_since(min(order.created_at for order in orders) - timedelta(minutes=1))
        by_number = {str(each["orderId"]): each for each in listed}
        found = []
        for order in orders:
            number_there = self.number_of(order)
            if number_there is None:
                found.append(self._search(order, listed))
            elif number_there in by_number:
                found.append(self._report(order, by_number[number_there]))
            else:
                found.append(self.find(order))
        return [report for report in found if report]

    def claim(self, client_order_id: str, number_there: str) -> None:
        with self._lock:
            self._numbers[client_order_id] = number_there

    def number_of(self, order: OrderRef) -> str | None:
        if order.broker_order_id:
            self.claim(order.client_order_id, order.broker_order_id)
        return self._numbers.get(order.client_order_id)

    def _search(self, order: OrderRef, listed: Sequence[Any]) -> OrderReport | None:
        """Exactly one matching order that is not otherwise assigned. None of several: a guess could book
        another program's fills."""
        since = order.created_at + self._api.ahead - SINCE
        with self._lock:
            taken = set(self._numbers.values())
            free = [
                each
                for each in listed
                if fits(each, order)
                and entered(each) >= since
                and str(each["orderId"]) not in taken
                and self._owner_of(str(each["orderId"])) in (None, order.client_order_id)
            ]
            if len(free) == 1:
                self._numbers[order.client_order_id] = str(free[0]["orderId"])
        if len(free) > 1:
            log.warning(
                "%s orders at Schwab may be %s: %s",
                len(free),
                order.client_order_id,
                ", ".join(str(each["orderId"]) for each in free),
            )
        return self._report(order, free[0]) if len(free) == 1 else None

    def _report(self, order: OrderRef, said: Any) -> OrderReport:
        """Regulatory fees on a sale appear only in the account's transactions. They are booked with its last
        execution, which waits a few seconds for them."""
        report = order_report(order, said)
        if order.side is not OrderSide.SELL or report.status is VenueStatus.WORKING or not report.fills:
            return report
        number_there, now = str(said["orderId"]), self._api.clock.now()
        fees = self._fees(order, number_there)
        if fees is None and now - self._ended.setdefault(number_there, now) < FEES_LAG:
            return replace(
                report,
                status=VenueStatus.WORKING,
                fills=(),
                filled_quantity=ZERO,
                average_price=None,
                reason="the order has ended; its fees are still missing",
            )
        self._ended.pop(number_there, None)
        last = max(report.fills, key=lambda fill: fill.at)
        with_fees = (replace(fill, fee=fees or ZERO) if fill is last else fill for fill in report.fills)
        return replace(report, fills=tuple(with_fees))

    def _fees(self, order: OrderRef, number_there: str) -> Decimal | None:
        now = self._api.clock.now() + self._api.ahead
        since = max(order.created_at + self._api.ahead - timedelta(minutes=1), now - LONGEST)
        asked = {
            "startDate": _written(since),
            "endDate": _written(now + timedelta(minutes=5)),
            "types": "TRADE",
            "symbol": spelled(order.symbol),
        }
        try:
            told = self._api.ask("GET", f"{self._api.home()}/transactions", params=asked)
        except (Unavailable, RetryLater) as error:
            log.info("Schwab does not tell its transactions now: %s", error.message)
            return None
        return fees_of(told if isinstance(told, list) else (), number_there)

    def _orders_since(self, moment: datetime) -> Sequence[Any]:
        now = self._api.clock.now() + self._api.ahead
        since = max(moment + self._api.ahead - SINCE - timedelta(minutes=1), now - LONGEST)
        asked = {
            "fromEnteredTime": _written(since),
            "toEnteredTime": _written(now + timedelta(minutes=5)),
            "maxResults": "3000",
        }
        listed = self._api.ask("GET", f"{self._api.home()}/orders", params=asked)
        if not isinstance(listed, list):
            raise Unavailable("Schwab's list of orders cannot be read. No current data; DashTrade retries.")
        return listed


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
