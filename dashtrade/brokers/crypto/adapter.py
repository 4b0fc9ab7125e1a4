"""Crypto exchanges through ccxt: one spot account, its orders, its coins and its prices.

An exchange has no positions: its balance of a coin is the position, in the account's quote currency. The
exchanges' differences are in `venues`, the connection and the meaning of its failures in `wire` and
`errors`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from dashtrade.brokers.crypto import listing, lookups, market_data, reports
from dashtrade.brokers.crypto.credentials import no_sandbox
from dashtrade.brokers.crypto.errors import read_error, submit_error
from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.brokers.crypto.keys import KEY_INFO, no_key_info
from dashtrade.brokers.crypto.market import CryptoMarket
from dashtrade.brokers.crypto.placing import OrderPreparer
from dashtrade.brokers.crypto.venues import capabilities_of, exchange_of
from dashtrade.brokers.crypto.wire import Wire
from dashtrade.domain.broker_kinds import Nonces
from dashtrade.domain.ports import (
    AccountState,
    BrokerPosition,
    Candle,
    Capabilities,
    Clock,
    FoundOrder,
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
    Unknown,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO

log = logging.getLogger("dashtrade.crypto")
KEY_INFO_MAX_AGE = timedelta(minutes=5)


class CryptoBroker:
    """One account at one exchange, and the exchange's prices."""

    demo = False

    def __init__(
        self,
        exchange: str,
        key: str,
        secret: str,
        passphrase: str | None = None,
        mode: str = "live",
        *,
        url: str | None = None,
        markets_cache: Path | None = None,
        clock: Clock | None = None,
        quote: str | None = None,
        quotes: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        patience: float = 3.0,
        paced: bool = True,
        settle: timedelta | None = None,
        trades_lag: timedelta = timedelta(seconds=20),
        nonces: Nonces | None = None,
    ) -> None:
        self.venue: Exchange = exchange_of(exchange)
        if mode == "paper" and not self.venue.sandbox:
            raise no_sandbox(self.venue)
        self.capabilities: Capabilities = capabilities_of(exchange, settle=settle)
        listing = self if self.capabilities.lists_orders else None
        self.offers = Offers(prices=self, listing=listing, clock_skew=self.clock_skew)
        self._quote, self._quotes_by_coin = (quote or self.venue.quote).upper(), dict(quotes or {})
        self._key, self._live, self._trades_lag = key, mode == "live", trades_lag
        self._clock = clock or SystemClock()
        secret = secret.strip().replace("\\n", "\n")
        self._wire = Wire(
            self.venue,
            {"key": key.strip(), "secret": secret, "passphrase": passphrase or ""},
            sandbox=mode == "paper",
            url=url,
            cache=markets_cache,
            timeout=timeout,
            patience=patience,
            paced=paced,
            clock=self._clock,
            nonces=nonces,
        )
        # ended orders with executions still missing -> when first seen ended
        self._ended: dict[str, datetime] = {}
        self._cached_key_info: tuple[datetime, tuple[str, tuple[str, ...], bool | None]] | None = None
        self._market = CryptoMarket(self._wire, self._clock)
        self._preparer = OrderPreparer(self._market, self.capabilities)

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        try:
            self._preparer.check(request)
            rules = self._market.rules(request.symbol)
            arguments = self._preparer.arguments(request, rules)
        except Unavailable as error:  # a request before the order: nothing was sent
            raise RetryLater(f"The order waits: {error.message}") from error
        with self._wire.borrow() as client:
            order = self._create(client, request, arguments)
            if isinstance(order, OrderReport):
                return order
            return self._first_report(client, _ref(request, order["id"], self._clock.now()), order)

    def find(self, order: OrderRef) -> OrderReport | None:
        return self._market.ask(lambda client: self._find(client, order))

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        found = (
            self._market.ask(lambda client: [self._find(client, order) for order in orders]) if orders else []
        )
        return [report for report in found if report is not None]

    def cancel(self, order: OrderRef) -> None:
        with self._wire.borrow() as client:
            try:
                self._cancel(client, order)
            except Exception as error:
                broker_error = read_error(self._wire, client, error)
                if not isinstance(broker_error, Unavailable) or not self._has_ended(client, order):
                    raise broker_error from error

    def orders_since(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        return self._market.ask(
            lambda client: listing.orders_since(
                client, self.venue, since, [s for s in symbols if s.short in client.markets]
            )
        )

    # --- the account ---

    def account(self) -> AccountState:
        total, free = self._market.balances()
        coins = [coin for coin in total if coin != self._quote]
        prices = self._market.ask(lambda client: market_data.prices(client, coins, self._quote))
        equity = total.get(self._quote, ZERO) + sum(
            (total[coin] * price for coin, price in prices.items()), ZERO
        )
        number, permissions, can_withdraw = self._key_info()
        return AccountState(
            equity=equity,
            cash=total.get(self._quote, ZERO),
            buying_power=free.get(self._quote, ZERO),
            currency=self._quote,
            number=number,
            permissions=permissions,
            can_withdraw=can_withdraw,
        )

    def positions(self) -> Sequence[BrokerPosition]:
        total, _ = self._market.balances()
        return [
            BrokerPosition(symbol=self._symbol_of(coin), quantity=quantity)
            for coin, quantity in sorted(total.items())
            if coin != self._quote
        ]

    def _symbol_of(self, coin: str) -> Symbol:
        return Symbol(market="CRYPTO", base=coin, quote=self._quotes_by_coin.get(coin, self._quote))

    def rules(self, symbol: Symbol) -> Rules:
        return self._market.rules(symbol)

    def market_open(self, symbol: Symbol) -> bool:
        return self._market.rules(symbol).tradable

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """A halted market does not say when it reopens."""
        return None

    def clock_skew(self) -> timedelta | None:
        return self._market.clock_skew()

    def _key_info(self) -> tuple[str, tuple[str, ...], bool | None]:
        """The account's number and the key's permissions, where the exchange provides them; never a reason to
        fail."""
        now = self._clock.now()
        if self._cached_key_info and now - self._cached_key_info[0] < KEY_INFO_MAX_AGE:
            return self._cached_key_info[1]
        try:
            with self._wire.borrow() as client:
                info = KEY_INFO.get(self.venue.id, no_key_info)(client, self._live)
        except Exception as error:
            log.info("%s does not report the key's permissions: %s", self.venue.name, type(error).__name__)
            info = ("", (), None)
        info = (info[0] or f"key {self._key[-4:]}", *info[1:])
        self._cached_key_info = (now, info)
        return info

    def close(self) -> None:
        self._wire.close()

    # --- prices ---

    def quote(self, symbol: Symbol) -> Quote:
        return self._market.quote(symbol)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return self._market.candles(symbol, timeframe, end=end, count=count)

    # --- placing ---

    def _create(self, client: Any, request: OrderRequest, arguments: tuple[Any, ...]) -> Any:
        """The order as the exchange answered it; a report if the exchange already had the order."""
        try:
            order = client.create_order(self._market.listed(client, request.symbol)["symbol"], *arguments)
        except Exception as error:
            if client.last_response.status is not None and self.venue.matches(
                "duplicate", client.last_response.body
            ):
                return self._existing_report(client, request)
            raise submit_error(self._wire, client, error) from error
        if not order.get("id"):
            raise Unknown(
                f"{self.venue.name} answered without an order's number. The order may exist: DashTrade "
                "looks it up and does not send it again."
            )
        return order

    def _existing_report(self, client: Any, request: OrderRequest) -> OrderReport:
        """An order of this name exists: an earlier attempt arrived."""
        try:
            found = self._find(client, _ref(request, None, self._clock.now()))
        except Exception as error:
            raise Unknown(
                f"{self.venue.name} has an order with this id but did not show it; DashTrade looks it up."
            ) from error
        if found is None:
            raise Unknown(
                f"{self.venue.name} reports an order with this id but does not show it yet; DashTrade "
                "looks it up."
            )
        return found

    def _first_report(self, client: Any, ref: OrderRef, order: Any) -> OrderReport:
        """The order exists from here on, so no failure may claim otherwise."""
        working = OrderReport(
            client_order_id=ref.client_order_id,
            broker_order_id=ref.broker_order_id,
            status=VenueStatus.WORKING,
        )
        try:
            if self.venue.create_returns_state and order.get("status"):
                return self._report(client, ref, order)
            return self._find(client, ref) or working
        except Exception as error:
            log.info(
                "%s took order %s; its state is read later: %s",
                self.venue.name,
                ref.client_order_id,
                type(error).__name__,
            )
            return working

    # --- looking up ---

    def _find(self, client: Any, ref: OrderRef) -> OrderReport | None:
        try:
            symbol = self._market.listed(client, ref.symbol)["symbol"]
        except Rejected as error:  # no longer listed: nothing is known of its orders
            raise Unavailable(error.message) from error
        try:
            order = lookups.LOOKUPS[self.venue.lookup](client, self.venue, symbol, ref)
        except Exception as error:
            if lookups.is_not_found(client, self.venue, error):
                return None
            raise
        # ccxt makes an order without a number out of an answer that it cannot read
        if order and not order.get("id"):
            raise Unavailable(
                f"{self.venue.name}'s answer cannot be read. No current data; DashTrade retries."
            )
        return self._report(client, ref, order) if order else None

    def _report(self, client: Any, ref: OrderRef, order: Any) -> OrderReport:
        now = self._clock.now()
        found = reports.report(
            client,
            self.venue,
            ref,
            order,
            reports.FillContext(
                rules=market_data.rules_of(client.market(order["symbol"] or ref.symbol.short)),
                now=now,
                lag=self._trades_lag,
                ended=lambda number: self._ended.setdefault(number, now),
                price=lambda coin: self._price_in(client, coin, ref.symbol.quote),
            ),
        )
        if found.status is not VenueStatus.WORKING:
            self._ended.pop(str(order["id"]), None)
        return found

    def _price_in(self, client: Any, coin: str, money: str) -> Decimal | None:
        """The price in the quote currency of a third coin, in which a fee was taken; None if unknown."""
        if f"{coin}/{money}" not in client.markets:
            return None
        try:
            return market_data.mid(market_data.ticker(client, f"{coin}/{money}"))
        except Exception as error:
            log.warning(
                "%s: no price of %s to value a fee with: %s", self.venue.name, coin, type(error).__name__
            )
            return None

    def _cancel(self, client: Any, order: OrderRef) -> None:
        number = order.broker_order_id
        if number is None:
            found = self._find(client, order)
            if found is None or found.status is not VenueStatus.WORKING:
                return
            number = found.broker_order_id
        client.cancel_order(number, self._market.listed(client, order.symbol)["symbol"])

    def _has_ended(self, client: Any, order: OrderRef) -> bool:
        """An exchange refuses to cancel an ended order: that is no error."""
        if client.last_response.answer is None:
            return False
        try:
            found = self._find(client, order)
        except Exception as error:
            raise read_error(self._wire, client, error) from error
        return found is None or found.status is not VenueStatus.WORKING


def _ref(request: OrderRequest, number: str | None, now: datetime) -> OrderRef:
    return OrderRef(
        client_order_id=request.client_order_id,
        broker_order_id=number,
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        type=request.type,
        created_at=now.astimezone(UTC),
    )
