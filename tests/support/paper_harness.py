"""A paper broker with a clock and prices that are set by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.paper_account import MemoryPaperStore, PaperSettings
from dashtrade.domain.ports import OrderRequest, Quote, Unavailable
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderType
from tests.support.adapter_harness import AAPL
from tests.support.sessions import new_york

MSFT, BTC = Symbol.parse("MSFT"), Symbol.parse("BTC/USDT")
MONDAY_NOON = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)  # 12:00 in New York

SATURDAY = datetime(2026, 3, 7, 16, 0, tzinfo=UTC)


class FixedClock:
    def __init__(self, moment: datetime = MONDAY_NOON) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment


class HandFeed:
    """A market set by hand: bid and ask a cent around the price, so that whatever is paid can be read off."""

    demo = True

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.mids = clock, {AAPL: D(100), MSFT: D(200), BTC: D(50000)}

    def quote(self, symbol: Symbol) -> Quote:
        if symbol not in self.mids:
            raise Unavailable("the feed is down")
        cent = D("0.01")
        return Quote(
            symbol=symbol, bid=self.mids[symbol] - cent, ask=self.mids[symbol] + cent, at=self.clock.now()
        )


class CountingStore(MemoryPaperStore):
    """Notes every call on the book, as each is a round trip to a database."""

    def __init__(self, cash: D = D(100_000)) -> None:
        super().__init__(cash)
        self.calls: list[str] = []
        self.writes = 0

    def _noted(self, work):
        class Noting:
            def __init__(self, book, calls):
                self._book, self._calls = book, calls

            def __getattr__(self, name):
                self._calls.append(name)
                return getattr(self._book, name)

        return lambda book: work(Noting(book, self.calls))

    def write(self, work):
        self.writes += 1
        return super().write(self._noted(work))

    def read(self, work):
        return super().read(self._noted(work))


class PaperHarness:
    """A broker with its clock, feed and store within reach, and short words for orders."""

    def __init__(self, moment: datetime = MONDAY_NOON, **options) -> None:
        self.settings = PaperSettings.from_options(options)
        self.clock = FixedClock(moment)
        self.feed, self.store = HandFeed(self.clock), CountingStore(self.settings.starting_cash)
        self.broker = PaperBroker(self.store, self.feed, self.clock, self.settings, new_york)
        self.sent = 0

    def order(self, side, quantity, kind=OrderType.MARKET, *, symbol=AAPL, name=None, **rest):
        self.sent += 1
        quantity = None if quantity is None else D(quantity)
        rest = {key: D(value) if type(value) in (str, int, float) else value for key, value in rest.items()}
        return self.broker.submit(
            OrderRequest(
                client_order_id=name or f"{self.sent:032x}",
                symbol=symbol,
                side=side,
                type=kind,
                quantity=quantity,
                **rest,
            )
        )

    def tick(self, price=None, *, symbol=AAPL, later=timedelta(seconds=5)):
        if price is not None:
            self.feed.mids[symbol] = D(price)
        self.clock.moment += later
        return self.broker.tick()

    def held(self):
        return {position.symbol: position.quantity for position in self.broker.positions()}

    @property
    def cash(self):
        return self.broker.account().cash
