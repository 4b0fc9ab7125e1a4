"""A venue that nets positions and refuses what Alpaca refuses, in memory: for stories of several bots on one
account.

Its rules are those of the vendor's documents and of `tests/simulators/alpaca_market.py`: no order takes an
account through zero, two opposite orders of one account are a wash trade, shorts come in whole shares, and
shares held for an order are not sold twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from dashtrade.domain.ports import (
    BrokerPosition,
    Capabilities,
    NotHeld,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Quote,
    Rejected,
    Rules,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.installation import ScriptedBroker

AAPL = Symbol.parse("AAPL")
ZERO = Decimal(0)


class NettingBroker(ScriptedBroker):
    demo = False

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = Capabilities(
            name="Netted",
            order_types=frozenset(OrderType),
            times_in_force=frozenset(TimeInForce),
            shorts=True,
            fractional=True,
            fractions_by_the_day=frozenset(OrderType),
            crosses_zero=False,
            opposite_orders=False,
            refuses_repeats=True,
            settle=timedelta(0),
            stocks=True,
        )
        self.offers = Offers(prices=self)
        self.held = ZERO
        self.working: dict[str, OrderRequest] = {}
        self.refused_exits: list[str] = []

    def quote(self, symbol: Symbol) -> Quote:
        self._read()
        return Quote(symbol=symbol, bid=self.price, ask=self.price, at=self.at.now())

    def positions(self) -> Sequence[BrokerPosition]:
        self._read()
        return [BrokerPosition(symbol=AAPL, quantity=self.held, mark=self.price)] if self.held else []

    def rules(self, symbol: Symbol) -> Rules:
        return Rules(
            quantity_step=Decimal("0.000001"), price_step=Decimal("0.01"), min_quantity=Decimal("0.000001")
        )

    def submit(self, request: OrderRequest) -> OrderReport:
        self.sent.append(request)
        try:
            self._check(request)
        except Rejected as refusal:
            if request.reduces:
                asked = f"{request.side} {request.quantity} with {self.held}"
                self.refused_exits.append(f"{asked}: {refusal.message}")
            raise
        limit = request.limit_price
        if limit is not None and (limit - self.price) * request.side.sign < 0:
            self.working[request.client_order_id] = request
            return self.report(request.client_order_id, VenueStatus.WORKING)
        return self._fills(request)

    def _fills(self, request: OrderRequest) -> OrderReport:
        assert request.quantity is not None
        self.held += request.side.sign * request.quantity
        return self.fill(request.client_order_id, request.quantity)

    def _check(self, request: OrderRequest) -> None:
        if request.client_order_id in self.reports:
            raise Rejected("client order id must be unique")
        sign, quantity = request.side.sign, request.quantity
        assert quantity is not None
        due = request.account_holds
        if request.reduces and due is not None and sign * self.held > sign * due:
            raise NotHeld(f"the account holds {self.held}, the books say {due}")
        if any(other.side is not request.side for other in self.working.values()):
            raise Rejected("potential wash trade detected")
        if self.held * sign < 0:
            kept = sum((other.quantity or ZERO for other in self.working.values()), ZERO)
            if quantity > abs(self.held) - kept:
                raise Rejected(f"insufficient qty available for order: {quantity} of {abs(self.held) - kept}")
        elif sign < 0 and quantity % 1:
            raise Rejected("fractional orders cannot be sold short")

    def set_price(self, price: Decimal) -> None:
        """Resting orders that the price reaches fill, each against what is held by then."""
        self.price = price
        for name, request in list(self.working.items()):
            limit = request.limit_price
            if limit is not None and (limit - price) * request.side.sign >= 0:
                del self.working[name]
                self._fills(request)

    def cancel(self, order: OrderRef) -> None:
        super().cancel(order)
        self.working.pop(order.client_order_id, None)

    def by_hand(self, quantity: Decimal) -> None:
        self.held += quantity
