"""Schwab: stocks, market and limit orders, the account and its prices, over plain HTTP.

Schwab keeps no client order id. After a time-out the account's orders are searched for one with the same
symbol, side, type and quantity, entered since: it is ours if there is exactly one that is not otherwise
assigned. Otherwise `find` knows nothing, the engine asks its user, and no second order is sent. There is no
sandbox."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.auth import API_URL, SchwabSession, warning_of
from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.brokers.schwab.connection import SchwabConnection
from dashtrade.brokers.schwab.lookup import SchwabLookup
from dashtrade.brokers.schwab.market import SchwabMarket
from dashtrade.brokers.schwab.order_body import check, order_body
from dashtrade.brokers.schwab.reports import cash_of, positions_of
from dashtrade.domain.ports import (
    AccountState,
    BadCredentials,
    BrokerPosition,
    Candle,
    Clock,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Quote,
    RetryLater,
    Rules,
    SystemClock,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.reasons import Reason, quoted
from dashtrade.domain.record import replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, finite

log = logging.getLogger("dashtrade.schwab")


class SchwabBroker:
    """One account. `load_token` returns the stored token, `save_token` stores it after each renewal, and
    `alone` admits one process at a time; `owner_of` returns, if known, our order with a Schwab order
    number."""

    demo = False

    def __init__(
        self,
        key: str,
        secret: str,
        load_token: Callable[[], str],
        save_token: Callable[[str], None],
        *,
        url: str | None = None,
        account: str | None = None,
        clock: Clock | None = None,
        timeout: float = 10.0,
        settle: timedelta | None = None,
        owner_of: Callable[[str], str | None] = lambda number: None,
        exclusive: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.capabilities = CAPABILITIES if settle is None else replace(CAPABILITIES, settle=settle)
        self.offers = Offers(
            prices=self,
            clock_skew=self.clock_skew,
            sign_in_warning=self.warning,
            sign_in_has_ended=self.has_ended,
        )
        self._clock = clock or SystemClock()
        http = wire.Http((url or API_URL).rstrip("/"), timeout)
        self._sign_in = SchwabSession(
            key.strip(), secret.strip(), load_token, save_token, http.form, self._clock, exclusive
        )
        self._api = SchwabConnection(http, self._sign_in, self._clock, account)
        self._lookup, self._market = SchwabLookup(self._api, owner_of), SchwabMarket(self._api)

    # --- the sign-in ---

    def expires_in(self) -> timedelta:
        return self._sign_in.ends() - self._clock.now()

    def has_ended(self) -> bool:
        """False if no sign-in has taken place yet."""
        try:
            return self.expires_in() <= timedelta(0)
        except BadCredentials:
            return False

    def warning(self) -> Reason:
        """For the user, when the sign-in ends soon, or is missing; else NO_REASON."""
        try:
            return warning_of(self.expires_in())
        except BadCredentials as error:
            return quoted(error.message)

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        try:
            check(request, self.capabilities)
            body = order_body(request, self.rules(request.symbol))
            path = f"{self._api.home()}/orders"
            self._sign_in.access()
        except Unavailable as error:  # a request before the order: nothing was sent
            raise RetryLater(f"The order waits: {error.message}") from error
        sent = self._clock.now()
        answer = self._place(path, body)
        ref = _ref(request, sent)
        if answer.status != 201:
            raise wire.submit_error(answer)
        if answer.location:
            self._lookup.claim(request.client_order_id, answer.location.rstrip("/").rpartition("/")[2])
        return self._first_report(ref, has_number=bool(answer.location))

    def _place(self, path: str, body: dict[str, Any]) -> wire.SchwabResponse:
        try:
            return self._api.authorized("POST", path, json=body)
        except wire.NoAnswer as error:
            if not error.maybe_sent:
                raise RetryLater(
                    (
                        "Schwab cannot be reached: no connection was made, and nothing was sent. "
                        "DashTrade retries."
                    ),
                    timedelta(seconds=2),
                ) from error
            raise wire.unconfirmed(error.message) from error

    def _first_report(self, ref: OrderRef, *, has_number: bool) -> OrderReport:
        """Schwab has the order. If it filled at once, the answer has no number, and the order is searched
        for."""
        try:
            found = self.find(ref)
        except (Unavailable, RetryLater, BadCredentials) as error:
            log.info("Schwab took order %s; its state is read later: %s", ref.client_order_id, error.message)
            found = None
        if found is None and not has_number:
            raise wire.unconfirmed("Schwab sent no order number, and no single order there matches")
        return found or OrderReport(
            client_order_id=ref.client_order_id,
            broker_order_id=self._lookup.number_of(ref),
            status=VenueStatus.WORKING,
        )

    def find(self, order: OrderRef) -> OrderReport | None:
        return self._lookup.find(order)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        return self._lookup.poll(orders)

    def cancel(self, order: OrderRef) -> None:
        found = self.find(order)
        if found is None or found.status is not VenueStatus.WORKING:
            return
        try:
            answer = self._api.authorized("DELETE", f"{self._api.home()}/orders/{found.broker_order_id}")
        except wire.NoAnswer as error:
            raise wire.unreachable(error) from error
        if answer.status not in (200, 201, 204):
            after = (
                self.find(order)
                if 400 <= answer.status < 500 and wire.definite_error(answer) is None
                else found
            )
            if after is not None and after.status is VenueStatus.WORKING:
                raise wire.read_error(answer)

    # --- the account ---

    @wire.read_errors_as_unavailable
    def account(self) -> AccountState:
        securities_account = self._api.ask("GET", self._api.home())["securitiesAccount"]
        balances = securities_account.get("currentBalances") or {}
        return AccountState(
            equity=_first(balances, "liquidationValue", "equity", "accountValue"),
            cash=cash_of(balances),
            number=str(securities_account.get("accountNumber", "")),
            buying_power=_first(balances, "buyingPower", "cashAvailableForTrading", "availableFunds"),
            permissions=(str(securities_account.get("type", "")).lower(),),
            can_withdraw=False,  # the API cannot withdraw
        )

    @wire.read_errors_as_unavailable
    def positions(self) -> Sequence[BrokerPosition]:
        securities_account = self._api.ask("GET", self._api.home(), params={"fields": "positions"})[
            "securitiesAccount"
        ]
        return positions_of(securities_account.get("positions") or ())

    def rules(self, symbol: Symbol) -> Rules:
        return self._market.rules(symbol)

    def market_open(self, symbol: Symbol) -> bool:
        return self._market.market_open(symbol)

    def opens_at(self, symbol: Symbol) -> datetime | None:
        return self._market.opens_at(symbol)

    def clock_skew(self) -> timedelta:
        """To the second, from Schwab's Date header; below two seconds it counts as none."""
        self._api.ask("GET", "/trader/v1/accounts/accountNumbers")
        return self._api.ahead

    def close(self) -> None:
        self._api.close()

    # --- prices ---

    def quote(self, symbol: Symbol) -> Quote:
        return self._market.quote(symbol)

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return self._market.candles(symbol, timeframe, end=end, count=count)


def _first(securities_account: dict[str, Any], *names: str) -> Decimal:
    return next(
        (found for name in names if (found := finite(securities_account.get(name))) is not None), ZERO
    )


def _ref(request: OrderRequest, sent: datetime) -> OrderRef:
    return OrderRef(
        client_order_id=request.client_order_id,
        broker_order_id=None,
        symbol=request.symbol,
        side=request.side,
        quantity=request.quantity,
        type=request.type,
        created_at=sent,
    )
