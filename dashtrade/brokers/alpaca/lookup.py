"""Finds an order at Alpaca by our id, follows replacements, and lists our orders."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dashtrade.brokers.alpaca import answers, wire
from dashtrade.brokers.alpaca.connection import AlpacaConnection
from dashtrade.domain.ports import FoundOrder, OrderRef, OrderReport
from dashtrade.domain.values import bot_of_order

PAGE_SIZE = 500  # orders in one list, Alpaca's maximum
MAX_PAGES = 20
MAX_SINGLE_LOOKUPS = 20  # individual look-ups in one poll, of 200 requests a minute


class AlpacaLookup:
    """Orders by our id, individually or from a list."""

    def __init__(self, api: AlpacaConnection) -> None:
        self._api, self._lock, self._next_single = api, threading.Lock(), 0

    def find(self, order: OrderRef) -> OrderReport | None:
        found = self.raw_order(order.client_order_id)
        return None if found is None else self.report(found, legs=order.with_legs)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """Up to two orders are looked up by name; more come from one list, and those not on it by name, some
        at each poll."""
        if len(orders) <= 2:
            return [report for order in orders if (report := self.find(order)) is not None]
        listed = self._list_reports(orders)
        missing = [order for order in orders if order.client_order_id not in listed]
        with self._lock:
            first = self._next_single % len(missing) if missing else 0
            self._next_single = first + MAX_SINGLE_LOOKUPS
        single_lookups = (missing[first:] + missing[:first])[:MAX_SINGLE_LOOKUPS]
        return [
            *listed.values(),
            *(report for order in single_lookups if (report := self.find(order)) is not None),
        ]

    def raw_order(self, client_order_id: str) -> dict[str, Any] | None:
        return self._api.read(
            lambda: self._api.orders.get_order_by_client_id(client_order_id), dict, absent=True
        )

    def report(self, order: dict[str, Any], *, legs: bool = False) -> OrderReport:
        """`legs`: include its exits, which Alpaca returns only in a look-up by its own id."""
        if legs and not order.get("legs") and order.get("order_class") in ("bracket", "oto"):
            order = self._api.read(
                lambda: self._api.orders.get(f"/orders/{order['id']}", {"nested": "true"}), dict
            )
        return self.follow_replacements(order)[0]

    def follow_replacements(self, order: dict[str, Any]) -> tuple[OrderReport, dict[str, Any]]:
        """The report, and the order now active: editing an order at Alpaca ends it and creates another, with
        other ids."""
        report = self._api.parse(lambda: wire.report_of(order))
        for _ in range(5):
            if order.get("status") != "replaced" or not order.get("replaced_by"):
                break
            path = f"/orders/{order['replaced_by']}"
            order = self._api.read(partial(self._api.orders.get, path), dict)
            report = self._api.parse(partial(_with_replacement, report, order))
        return report, order

    def _list_reports(self, orders: Sequence[OrderRef]) -> dict[str, OrderReport]:
        # our clock may be ahead of Alpaca's
        oldest = min(order.created_at for order in orders) - timedelta(hours=1)
        found = self._page(oldest, "desc")
        wanted = {order.client_order_id for order in orders}
        matching = self._api.parse(
            lambda: [order for order in found if order.get("client_order_id") in wanted]
        )
        return {order["client_order_id"]: self.report(order) for order in matching}

    def _page(self, after: datetime, direction: str) -> list[Any]:
        query = {
            "status": "all",
            "limit": PAGE_SIZE,
            "after": after.isoformat(),
            "direction": direction,
            "nested": "false",
        }
        return self._api.read(lambda: self._api.orders.get("/orders", query), list)

    def orders_since(self, since: datetime) -> Sequence[FoundOrder]:
        found: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            page = self._page(since, "asc")
            fresh = [order for order in page if order["id"] not in found]
            found |= self._api.parse(lambda: {order["id"]: order for order in fresh})  # noqa: B023
            if len(page) < PAGE_SIZE or not fresh:
                return self._api.parse(
                    lambda: [
                        wire.found_order_of(each)
                        for each in found.values()  # noqa: B023
                        if bot_of_order(str(each.get("client_order_id")))
                    ]
                )
            last = self._api.parse(partial(_created_at, page[-1]))
            since = last - timedelta(microseconds=1)
        raise answers.unreadable("it lists more orders than can be looked through")


def _with_replacement(before: OrderReport, order: Any) -> OrderReport:
    return wire.merge_replacement(before, wire.report_of(order))


def _created_at(order: Any) -> datetime:
    return wire.moment(order["created_at"])
