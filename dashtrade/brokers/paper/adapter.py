"""The built-in paper broker: an account with simulated money, filled at the feed's prices.

It behaves like a real broker: it nets positions over all bots, refuses a client order id it has seen, refuses
what exceeds the buying power, and fills in parts when configured. Markets are deep: an order never moves the
price and never queues. State lives behind `PaperStore`; no price is fetched inside a transaction.

Hours "exchange" are those of New York: 09:30 to 16:00 on its trading days, to 13:00 on half days; 04:00 to
20:00, or 17:00, for orders marked `extended_hours`. Crypto trades at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from typing import TypeVar

from dashtrade.brokers.paper.capabilities import capabilities_of
from dashtrade.brokers.paper.fills import FillStep, end_order, report, trade, trigger_stop
from dashtrade.brokers.paper.hours import Hours
from dashtrade.brokers.paper.requests import AT_ONCE, WAITS_FOR_PRICE, check, new_order, quantity_step_of
from dashtrade.domain.paper_account import (
    NeedsQuotes,
    PaperBook,
    PaperLedger,
    PaperOrder,
    PaperSettings,
    PaperStore,
    buying_power,
)
from dashtrade.domain.ports import (
    AccountState,
    BrokerPosition,
    Clock,
    Feed,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Quote,
    Rejected,
    RetryLater,
    Rules,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.record import replace
from dashtrade.domain.sessions import Sessions
from dashtrade.domain.symbols import Symbol, usual_price_step
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce, floor_to, given

T = TypeVar("T")

# for the account's valuation; orders fill at current prices
MARK_MAX_AGE = timedelta(seconds=1)

_PRECISION_DIGITS = 60  # of precision: enough for every product to be exact


class _OpenBook:
    """The store of a transaction that is under way."""

    def __init__(self, book: PaperBook) -> None:
        self._book = book

    def write(self, work: Callable[[PaperBook], T]) -> T:
        return work(self._book)

    read = write


class PaperBroker:
    """One paper account. Call `tick` every few seconds: working orders only move on then."""

    def __init__(
        self,
        store: PaperStore,
        feed: Feed,
        clock: Clock,
        settings: PaperSettings,
        sessions: Callable[[], Sessions],
    ) -> None:
        """`sessions`: the trading days of New York, asked for when a stock needs them."""
        self._store, self._feed, self._clock, self._settings = store, feed, clock, settings
        self._hours = Hours(sessions)
        self._marks: dict[Symbol, tuple[datetime, Decimal]] = {}
        # Generated prices need no network: the engine may use this broker inside a transaction.
        local = self._on if feed.demo else None
        self.offers = Offers(on_paper=True, local=local, start_over=self.reset)
        self.capabilities = capabilities_of(settings)

    def _on(self, book: PaperBook) -> PaperBroker:
        broker = copy(self)
        broker._store = _OpenBook(book)
        return broker

    def submit(self, request: OrderRequest) -> OrderReport:
        check(request, self.capabilities)
        now = self._clock.now()
        try:
            quote = self._feed.quote(request.symbol)
            order = new_order(request, quote, now)
            step = self._next_step(order, quote, now, arriving=True)
            return self._write(
                lambda book, quotes: self._place(book, quotes, step, now), {request.symbol: quote}
            )
        except Unavailable as error:
            raise RetryLater(
                f"no order was placed, as there is no price of {request.symbol.short}: {error}"
            ) from error

    def find(self, order: OrderRef) -> OrderReport | None:
        return next(iter(self.poll([order])), None)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """Update the working orders first: nothing else does."""
        self.tick()

        def look_up(book: PaperBook) -> list[OrderReport]:
            found = [order for ref in orders if (order := book.order(ref.client_order_id))]
            return [
                report(order, book.fills(order.client_order_id) if order.filled_quantity else ())
                for order in found
            ]

        return self._store.read(look_up)

    def cancel(self, order: OrderRef) -> None:
        now = self._clock.now()

        def cancel_order(book: PaperBook) -> None:
            found = book.order(order.client_order_id)
            if found and found.status is VenueStatus.WORKING:
                book.update_order(end_order(found, VenueStatus.CANCELED, "canceled on request", now))

        self._store.write(cancel_order)

    def tick(self) -> list[OrderReport]:
        """Update the working orders at current prices; returns what changed. Nothing is written without a
        change."""
        now, working = self._clock.now(), self._store.read(lambda book: book.working())
        quotes = self._quotes({order.symbol for order in working if self._is_tradable(order, now)})
        steps = [(order, self._next_step(order, quotes.get(order.symbol), now)) for order in working]
        if all(step.order is order and not step.quantity for order, step in steps):
            return []
        return self._write(lambda book, quotes: self._advance(book, quotes, now), quotes)

    def _mark(self, symbol: Symbol, now: datetime) -> Decimal:
        """The price of one unit, cached for a second: an account of many positions is valued at every
        order."""
        at, mid = self._marks.get(symbol, (None, ZERO))
        if at is None or not timedelta(0) <= now - at < MARK_MAX_AGE:
            mid = self._feed.quote(symbol).mid
            self._marks[symbol] = (now, mid)
        return mid

    def account(self) -> AccountState:
        cash, held = self._store.read(lambda book: (book.cash(), book.positions()))
        now = self._clock.now()
        values = [position.quantity * self._mark(position.symbol, now) for position in held]
        equity = cash + sum(values)
        power = buying_power(cash, values, self._settings)
        return AccountState(equity=equity, cash=cash, buying_power=power, number="PAPER", can_withdraw=False)

    def positions(self) -> Sequence[BrokerPosition]:
        held = self._store.read(lambda book: book.positions())
        quotes = self._quotes({position.symbol for position in held})
        marks = {symbol: quote.mid for symbol, quote in quotes.items()}
        return [
            BrokerPosition(
                symbol=position.symbol,
                quantity=position.quantity,
                average_price=position.average_price,
                mark=marks.get(position.symbol),
            )
            for position in held
        ]

    def rules(self, symbol: Symbol) -> Rules:
        step, price_step = quantity_step_of(symbol), usual_price_step(symbol, self._feed.quote(symbol).mid)
        return Rules(
            quantity_step=step, price_step=price_step, min_quantity=step, shortable=self._settings.shorting
        )

    def market_open(self, symbol: Symbol) -> bool:
        return self._always_open(symbol) or self._hours.in_session(self._clock.now(), extended=False)

    def opens_at(self, symbol: Symbol) -> datetime | None:
        return self._hours.session_start(self._clock.now())

    def close(self) -> None:
        """Nothing to release."""

    def reset(self) -> None:
        """Restart with the starting cash: no positions, no open orders. Past orders and fills stay."""
        now = self._clock.now()

        def reset_book(book: PaperBook) -> None:
            for order in book.working():
                book.update_order(end_order(order, VenueStatus.CANCELED, "the paper account was reset", now))
            for position in book.positions():
                book.set_position(replace(position, quantity=ZERO))
            book.set_cash(self._settings.starting_cash)

        self._store.write(reset_book)

    # --- inside a transaction ---

    def _write(self, work: Callable[[PaperBook, dict[Symbol, Quote]], T], quotes: dict[Symbol, Quote]) -> T:
        def run(book: PaperBook) -> T:
            with localcontext(
                prec=_PRECISION_DIGITS
            ):  # set here, as the store may run this in another thread
                return work(book, quotes)

        while True:
            try:
                return self._store.write(run)
            except NeedsQuotes as missing:
                quotes = quotes | {symbol: self._feed.quote(symbol) for symbol in missing.symbols}

    def _place(
        self, book: PaperBook, quotes: dict[Symbol, Quote], step: FillStep, now: datetime
    ) -> OrderReport:
        order, fills = step.order, []
        if book.order(order.client_order_id):
            raise Rejected(
                f"client order id must be unique: {order.client_order_id} was used before; look that order up"
            )
        ledger = PaperLedger(book, self._settings, quotes)
        price = (
            step.price or order.limit_price or order.stop_price or quotes[order.symbol].price_for(order.side)
        )
        refusal = ledger.refusal(order, order.quantity, price)
        if refusal:
            raise Rejected(refusal)
        if step.quantity:
            order, fill = trade(ledger, step, 1, now)
            fills.append(fill)
        if order.status is VenueStatus.WORKING and order.time_in_force in AT_ONCE:
            order = end_order(
                order, VenueStatus.EXPIRED, order.reason or "the order could not fill at once", now
            )
        book.add_order(order)
        for fill in fills:
            book.add_fill(fill)
        ledger.save()
        return report(order, fills)

    def _advance(self, book: PaperBook, quotes: dict[Symbol, Quote], now: datetime) -> list[OrderReport]:
        ledger, reports = PaperLedger(book, self._settings, quotes), []
        for order_before in book.working():
            step = self._next_step(order_before, quotes.get(order_before.symbol), now)
            order, fills = step.order, []
            if order is order_before and not step.quantity:
                continue
            if order_before.filled_quantity:
                fills = list(book.fills(order_before.client_order_id))
            if step.quantity and (refusal := ledger.refusal(order, step.quantity, step.price)):
                order = end_order(order, VenueStatus.CANCELED, refusal, now)
            elif step.quantity:
                order, fill = trade(ledger, step, len(fills) + 1, now)
                book.add_fill(fill)
                fills.append(fill)
            book.update_order(order)
            if step.quantity or order.status is not order_before.status:
                reports.append(report(order, fills))
        ledger.save()
        return reports

    # --- pure decisions ---

    def _next_step(
        self, order: PaperOrder, quote: Quote | None, now: datetime, *, arriving: bool = False
    ) -> FillStep:
        """Check an order against the market: has its day ended, was its stop touched, does it trade? Changes
        nothing."""
        if order.time_in_force is TimeInForce.DAY and now >= self._day_ends_at(order):
            return FillStep(
                order=end_order(order, VenueStatus.EXPIRED, "the day ended before the order filled", now)
            )
        if not self._is_tradable(order, now):
            reason = (
                "the market is closed" if order.time_in_force in AT_ONCE else "waits for the market to open"
            )
            return FillStep(order=replace(order, reason=reason) if arriving else order)
        if quote is None:
            return FillStep(order=order)
        was_closed = not self._is_tradable(order, order.updated_at)  # the market was closed until now
        order_now = trigger_stop(
            replace(order, reason="", updated_at=now) if was_closed else order,
            quote.price_for(order.side),
            now,
        )
        price = self._fill_price(
            order_now, quote, resting=order.type is OrderType.LIMIT and not (arriving or was_closed)
        )
        return (
            FillStep(order=order_now, quantity=self._fill_quantity(order_now), price=price)
            if price
            else FillStep(order=order_now)
        )

    def _fill_price(self, order: PaperOrder, quote: Quote, *, resting: bool) -> Decimal | None:
        """The order's fill price now. On arrival a limit order gets the market's price, later its own
        limit."""
        if order.type in WAITS_FOR_PRICE:
            return None
        market_price, buys = quote.price_for(order.side), order.side is OrderSide.BUY
        slipped = self._with_slippage(order, market_price)
        if order.type is OrderType.MARKET:
            return slipped
        limit = given(order.limit_price, "limit price")
        if market_price > limit if buys else market_price < limit:
            return None
        return limit if resting else (min if buys else max)(slipped, limit)

    def _with_slippage(self, order: PaperOrder, market_price: Decimal) -> Decimal:
        if not self._settings.slippage_percent:
            return market_price
        step, buys = usual_price_step(order.symbol, market_price), order.side is OrderSide.BUY
        moved = market_price * (1 + order.side.sign * self._settings.slippage_percent / 100)
        return max(step, (moved / step).to_integral_value(ROUND_CEILING if buys else ROUND_FLOOR) * step)

    def _fill_quantity(self, order: PaperOrder) -> Decimal:
        """The part that fills now."""
        remaining = order.quantity - order.filled_quantity
        if order.type is not OrderType.MARKET or self._settings.fill_percent == 100:
            return remaining
        share = (
            floor_to(order.quantity * self._settings.fill_percent / 100, quantity_step_of(order.symbol))
            or remaining
        )
        if share < remaining and order.time_in_force is TimeInForce.FOK:
            return ZERO
        return min(share, remaining)

    def _always_open(self, symbol: Symbol) -> bool:
        return symbol.is_crypto or self._settings.hours == "always"

    def _is_tradable(self, order: PaperOrder, moment: datetime) -> bool:
        return self._always_open(order.symbol) or self._hours.in_session(
            moment, extended=order.extended_hours
        )

    def _day_ends_at(self, order: PaperOrder) -> datetime:
        if self._always_open(order.symbol):
            return datetime.combine(order.created_at.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
        return self._hours.session_end(order.created_at, extended=order.extended_hours)

    def _quotes(self, symbols: Iterable[Symbol]) -> dict[Symbol, Quote]:
        """Available quotes; an order on a symbol without a price waits for the next tick."""
        found = {}
        for symbol in symbols:
            try:
                found[symbol] = self._feed.quote(symbol)
            except Unavailable:
                continue
        return found
