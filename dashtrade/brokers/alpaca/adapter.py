"""Alpaca, paper and live, through alpaca-py: orders, the account, and the prices it trades at.

The library is loaded by the first account that needs it (it costs 120 MB), never by importing this module. It
returns raw answers only, because its models raise on an unknown status although the order was placed. Its
retries are off, because they repeat POSTs, and time-outs are set, because it has none.

REST is the truth. The stream of trade updates (`listen`) only delivers news sooner: it may drop, and nothing
is lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.alpaca import answers, order_body, wire
from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.connection import AlpacaConnection, Timeouts
from dashtrade.brokers.alpaca.lookup import AlpacaLookup
from dashtrade.brokers.alpaca.market import AlpacaMarket
from dashtrade.brokers.alpaca.sdk import error_without_response, own_server, response_of
from dashtrade.brokers.alpaca.stream import OnReport, TradeUpdates
from dashtrade.domain.ports import (
    AccountState,
    BrokerError,
    BrokerPosition,
    Candle,
    Clock,
    FoundOrder,
    NotHeld,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Quote,
    Rejected,
    RetryLater,
    Rules,
    SystemClock,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, Malformed, floor_to, plain

MODES = ("paper", "live")
# a crypto fee is taken out of the coin: a holding this much smaller than bought is still the whole position
FEE_SHARE = Decimal("0.01")


class AlpacaBroker:
    """One account, as `Broker` and as `Feed`. Safe to use from several threads."""

    demo = False

    def __init__(
        self,
        key: str,
        secret: str,
        mode: str,
        *,
        api_url: str | None = None,
        data_url: str | None = None,
        stream_url: str | None = None,
        clock: Clock | None = None,
        on_report: OnReport | None = None,
        timeouts: Timeouts | None = None,
        settle: timedelta | None = None,
        feed: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise Malformed(f"an Alpaca account cannot be {mode[:20]!r}", where="mode", hint="paper or live.")
        self.capabilities = CAPABILITIES if settle is None else replace(CAPABILITIES, settle=settle)
        data_url, stream_url = own_server(api_url, data_url, stream_url)
        self._api = AlpacaConnection(
            key,
            secret,
            mode,
            api_url=api_url,
            data_url=data_url,
            clock=clock or SystemClock(),
            timeouts=timeouts or Timeouts(),
        )
        self._lookup, self._market = AlpacaLookup(self._api), AlpacaMarket(self._api, feed)
        self._updates = TradeUpdates(key, secret, mode == "paper", stream_url)
        self.offers = Offers(prices=self, listing=self, stream=self, clock_skew=self.clock_skew)
        if on_report is not None:
            self.listen(on_report)

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        order_body.check(request)
        try:
            body = self._prepare_body(request)
        except Rejected as refusal:
            return self._existing_report_or_raise(request, refusal)
        try:
            answer = self._api.orders.post("/orders", body)
        except Exception as error:  # whatever the error: the order may exist
            return self._handle_submit_error(error, request)
        try:
            report = wire.report_of(answer, request.client_order_id)
        except (ValueError, TypeError, KeyError) as error:
            raise answers.unconfirmed("its answer cannot be read") from error
        return (
            report if report.legs or not order_body.has_exits(request) else self._report_with_exits(request)
        )

    def _report_with_exits(self, request: OrderRequest) -> OrderReport:
        """The order was placed, but the answer lacks its exits."""
        try:
            found = self._lookup.raw_order(request.client_order_id)
            if found is not None:
                return self._lookup.report(found, legs=True)
        except BrokerError as error:
            raise answers.unconfirmed(
                f"it has the order, and its exits could not be read: {error.message}"
            ) from error
        raise answers.unconfirmed("it has the order and does not show it yet")

    def find(self, order: OrderRef) -> OrderReport | None:
        return self._lookup.find(order)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        return self._lookup.poll(orders)

    def orders_since(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        return self._lookup.orders_since(since)

    def cancel(self, order: OrderRef) -> None:
        """An order that was replaced at Alpaca continues under another id: cancel that one."""
        found = self._lookup.raw_order(order.client_order_id)
        if found is None:
            raise Unavailable(
                "Alpaca does not list this order yet, so the order was not cancelled. DashTrade retries."
            )
        report, last = self._lookup.follow_replacements(found)
        if report.status is not VenueStatus.WORKING:
            return
        try:
            self._api.orders.delete(f"/orders/{last['id']}")
        except Exception as error:
            # these mean that it has ended meanwhile
            if (answer := response_of(error)) is None or answer.status not in (404, 422):
                raise self._api.read_error(error) from error

    def _prepare_body(self, request: OrderRequest) -> dict[str, Any]:
        """The body to send. Missing data is no refusal: nothing was sent, so the order may be retried."""
        try:
            rules = self._market.rules(request.symbol)
            if request.reduces:
                request = self._limit_to_position(request, rules)
        except Unavailable as error:
            raise RetryLater(f"Nothing was sent. {error.message}") from error
        return order_body.wire_order(request, rules)

    def _limit_to_position(self, request: OrderRequest, rules: Rules) -> OrderRequest:
        """Alpaca treats a sale of more than the account holds as a short, so a closing order is limited to
        the position. A crypto position is smaller than bought by the fee, so the actual holding is sold."""
        streamed = self._updates.position_of(request.symbol.base) if not request.symbol.is_crypto else None
        if streamed is not None and not _exceeds_holding(request, streamed):
            return request
        name, held = request.symbol.short, self._read_position(request.symbol)
        # the fill that opened the position may have been a moment ago
        if _exceeds_holding(request, held.get("qty", ZERO)):
            time.sleep(self._api.timeouts.second_look)
            held = self._read_position(request.symbol)
        if _exceeds_holding(request, held.get("qty", ZERO)):
            has, due = plain(held.get("qty", ZERO)), request.account_holds
            books = (
                f"{has} {name}, but your bots and your outside holdings add up to {plain(due)}"
                if due is not None
                else f"no {name} to {request.side}"
            )
            raise NotHeld(
                f"the account at Alpaca holds {books}: this order would open a position instead of "
                "closing one. Nothing was sent. Check whether the position was closed manually, and "
                "resolve the position mismatch."
            )
        free = held.get("qty_available", ZERO)
        if (
            request.symbol.is_crypto
            and request.quantity is not None
            and 0 < request.quantity - free <= request.quantity * FEE_SHARE
        ):
            return replace(request, quantity=floor_to(free, rules.quantity_step))
        return request

    def _read_position(self, symbol: Symbol) -> dict[str, Decimal]:
        body = self._api.read(
            lambda: self._api.orders.get(f"/positions/{order_body.name_in_path(symbol)}"), dict, absent=True
        )
        if body is None:
            return {}
        return self._api.parse(
            lambda: {name: wire.number(body.get(name), name) for name in ("qty", "qty_available")}
        )

    def _handle_submit_error(self, error: Exception, request: OrderRequest) -> OrderReport:
        answer = response_of(error)
        if answer is None:
            raise error_without_response(error) from error
        if answers.is_duplicate(answer):
            return self._existing_report(request)
        broker_error = answers.submit_error(answer, request, self._api.clock.now())
        if isinstance(broker_error, Rejected):
            return self._existing_report_or_raise(request, broker_error)
        raise broker_error from error

    def _existing_report_or_raise(self, request: OrderRequest, refusal: Rejected) -> OrderReport:
        """A refusal means that no order exists. On a second attempt, though, the first may have used the very
        money or position that is missing now, and Alpaca may check these before the id: so the id is looked
        up."""
        doubt = "it refused this try, and an earlier one could not be looked up"
        earlier = self._earlier(request, doubt)
        if earlier is None:
            raise refusal
        return earlier

    def _existing_report(self, request: OrderRequest) -> OrderReport:
        """The id is derived from our decision, so an order with this id is an earlier attempt of the same
        order."""
        earlier = self._earlier(request, "it has an order of this name, which could not be read")
        if earlier is None:
            raise answers.unconfirmed("it has an order of this name and does not show it yet")
        return earlier

    def _earlier(self, request: OrderRequest, doubt: str) -> OrderReport | None:
        """The order with this id, where Alpaca shows one."""
        try:
            found = self._lookup.raw_order(request.client_order_id)
            if found is None:
                return None
            return self._lookup.report(found, legs=order_body.has_exits(request))
        except BrokerError as error:
            raise answers.unconfirmed(f"{doubt}: {error.message}") from error

    # --- the account ---

    def account(self) -> AccountState:
        body = self._api.read(lambda: self._api.orders.get("/account"), dict)
        return self._api.parse(lambda: wire.account_of(body))

    def positions(self) -> Sequence[BrokerPosition]:
        found = self._api.read(lambda: self._api.orders.get("/positions"), list)
        return self._api.parse(
            lambda: [position for body in found if (position := wire.position_of(body)) is not None]
        )

    def rules(self, symbol: Symbol) -> Rules:
        return self._market.rules(symbol)

    def market_open(self, symbol: Symbol) -> bool:
        return self._market.market_open(symbol)

    def opens_at(self, symbol: Symbol) -> datetime | None:
        return self._market.opens_at(symbol)

    def clock_skew(self) -> timedelta:
        return self._market.clock_skew()

    # --- prices ---

    def quote(self, symbol: Symbol) -> Quote:
        return self._market.quote(symbol)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return self._market.candles(symbol, timeframe, end=end, count=count)

    # --- news ---

    def listen(self, on_report: OnReport) -> None:
        """Report order updates as they happen, from a separate thread, as long as the broker is open."""
        self._updates.start(on_report)

    def stop_listening(self) -> None:
        self._updates.stop()

    @property
    def streaming(self) -> bool:
        return self._updates.is_connected

    def close(self) -> None:
        self.stop_listening()
        self._api.close()


def _exceeds_holding(request: OrderRequest, held: Decimal) -> bool:
    """Does the account hold less than our books say? Beside opposite bots, an exit may open a position
    there."""
    sign = request.side.sign
    if request.account_holds is None:
        return sign * held >= 0
    return sign * held > sign * request.account_holds
