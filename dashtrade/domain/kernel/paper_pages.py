"""One paper account's own books, as a step of the kernel sees and changes them."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain.kernel.books import Books
from dashtrade.domain.paper_account import PaperOrder, PaperPosition
from dashtrade.domain.ports import BrokerFill, VenueStatus
from dashtrade.domain.symbols import Symbol


class PaperPages:
    """A `PaperBook` on the books."""

    def __init__(self, books: Books, account_id: int) -> None:
        self._books, self._account = books, account_id
        self._source = books.source
        self._stored_cash = self._source.paper_cash(account_id)

    def cash(self) -> Decimal:
        return self._books.changes.paper_cash.get(self._account, self._stored_cash)

    def set_cash(self, cash: Decimal) -> None:
        self._books.changes.paper_cash[self._account] = cash

    def order(self, client_order_id: str) -> PaperOrder | None:
        changed = self._books.changes.paper_orders.get((self._account, client_order_id))
        return changed or self._source.paper_order(self._account, client_order_id)

    def add_order(self, order: PaperOrder) -> None:
        self._books.changes.new_paper_orders.add((self._account, order.client_order_id))
        self.update_order(order)

    def update_order(self, order: PaperOrder) -> None:
        self._books.changes.paper_orders[self._account, order.client_order_id] = order

    def working(self) -> list[PaperOrder]:
        stored = {order.client_order_id: order for order in self._source.paper_working(self._account)}
        changed = {
            client_order_id: order
            for (account, client_order_id), order in self._books.changes.paper_orders.items()
            if account == self._account
        }
        return [order for order in (stored | changed).values() if order.status is VenueStatus.WORKING]

    def fills(self, client_order_id: str) -> list[BrokerFill]:
        new = [
            fill
            for account, fill in self._books.changes.paper_fills
            if (account, fill.client_order_id) == (self._account, client_order_id)
        ]
        return [*self._source.paper_fills(self._account, client_order_id), *new]

    def add_fill(self, fill: BrokerFill) -> None:
        self._books.changes.paper_fills.append((self._account, fill))

    def position(self, symbol: Symbol) -> PaperPosition | None:
        return next((position for position in self.positions() if position.symbol == symbol), None)

    def positions(self) -> list[PaperPosition]:
        stored = {position.symbol: position for position in self._source.paper_positions(self._account)}
        changed = {
            symbol: position
            for (account, symbol), position in self._books.changes.paper_positions.items()
            if account == self._account
        }
        return [position for position in (stored | changed).values() if position.quantity]

    def set_position(self, position: PaperPosition) -> None:
        self._books.changes.paper_positions[self._account, position.symbol] = position
