"""Schwab: stocks, market and limit orders, the account and its prices, over plain HTTP.

Schwab keeps no order id of ours. After a time-out the account's orders are searched for one of the same
symbol, side, type and quantity, entered since: exactly one that belongs to nobody else is ours. Otherwise
`find` knows nothing, the engine asks its user, and no second order is sent. There is no sandbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dashtrade.brokers.schwab import wire
from dashtrade.brokers.schwab.auth import URL, SignIn, warning_of
from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.brokers.schwab.order_body import order_body
from dashtrade.brokers.schwab.reports import (
    candles_of,
    cash_of,
    entered,
    fees_of,
    fits,
    number,
    order_report,
    positions_of,
    spelled,
)
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
    Rejected,
    RetryLater,
    Rules,
    SystemClock,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, OrderSide, OrderType, plain

log = logging.getLogger("dashtrade.schwab")

RULES_ARE_FRESH = timedelta(hours=1)

HOURS_ARE_FRESH = timedelta(minutes=1)

DAYS_AHEAD = 6

SINCE = timedelta(seconds=3)  # an order's time is told in whole seconds, and clocks differ a little

LONGEST = timedelta(days=60)  # Schwab searches no further back

FEES_LAG = timedelta(seconds=5)  # how long the fees of a sale that has ended are waited for


class SchwabBroker:
    """One account. `load_token` gives the token's text as it was kept last, `save_token` keeps it whenever it
    was renewed, and `alone` lets one process in at a time; `owner_of` tells, where the app knows it, which
    order of ours carries a number of Schwab's."""

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
        alone: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.capabilities = CAPABILITIES if settle is None else replace(CAPABILITIES, settle=settle)
        self.offers = Offers(prices=self, clock_skew=self.clock_skew, sign_in_warning=self.warning)
        self._clock, self._http = clock or SystemClock(), wire.Http((url or URL).rstrip("/"), timeout)
        self._sign_in = SignIn(
            key.strip(), secret.strip(), load_token, save_token, self._http.form, self._clock, alone
        )
        self._wanted, self._owner_of = account, owner_of
        self._account_of: str | None = None
        # sales without their fees yet, by when they were first seen ended
        self._ended: dict[str, datetime] = {}
        self._numbers: dict[str, str] = {}  # our id -> Schwab's number, as far as this process has seen
        self._ahead, self._lock = timedelta(0), threading.Lock()
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}
        self._hours: tuple[datetime, bool] | None = None
        self._opens: datetime | None = None

    # --- the sign-in ---

    def expires_in(self) -> timedelta:
        return self._sign_in.ends() - self._clock.now()

    def warning(self) -> str:
        """Words for the user when the sign-in ends soon, or is not there; empty otherwise."""
        try:
            return warning_of(self.expires_in())
        except BadCredentials as error:
            return error.message

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        try:
            self._check(request)
            body = order_body(request, self.rules(request.symbol))
            path = f"{self._home()}/orders"
            self._sign_in.access()
        except Unavailable as error:  # a reading before the order: nothing was sent
            raise RetryLater(f"The order waits: {error.message}") from error
        sent = self._clock.now()
        answer = self._place(path, body)
        ref = _ref(request, sent)
        if answer.status != 201:
            raise wire.placing(answer)
        if answer.location:
            self._claim(request.client_order_id, answer.location.rstrip("/").rpartition("/")[2])
        return self._first_report(ref, told=bool(answer.location))

    @wire.readable
    def find(self, order: OrderRef) -> OrderReport | None:
        number_there = self._number_of(order)
        if number_there is None:
            return self._search(order, self._orders_since(order.created_at))
        answer = self._ask("GET", f"{self._home()}/orders/{number_there}", missing=True)
        return self._report(order, answer) if answer is not None else None

    @wire.readable
    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """One list for all, where there are several."""
        if len(orders) < 2:
            return [report for order in orders if (report := self.find(order))]
        listed = self._orders_since(min(order.created_at for order in orders) - timedelta(minutes=1))
        by_number = {str(each["orderId"]): each for each in listed}
        found = []
        for order in orders:
            number_there = self._number_of(order)
            if number_there is None:
                found.append(self._search(order, listed))
            elif number_there in by_number:
                found.append(self._report(order, by_number[number_there]))
            else:
                found.append(self.find(order))
        return [report for report in found if report]

    def cancel(self, order: OrderRef) -> None:
        found = self.find(order)
        if found is None or found.status is not VenueStatus.WORKING:
            return
        try:
            answer = self._authorized("DELETE", f"{self._home()}/orders/{found.broker_order_id}")
        except wire.NoAnswer as error:
            raise wire.unheard(error) from error
        if answer.status not in (200, 201, 204):
            again = self.find(order) if 400 <= answer.status < 500 and wire.certain(answer) is None else found
            if again is not None and again.status is VenueStatus.WORKING:
                raise wire.reading(answer)

    # --- the account ---

    @wire.readable
    def account(self) -> AccountState:
        said = self._ask("GET", self._home())["securitiesAccount"]
        now = said.get("currentBalances") or {}
        return AccountState(
            equity=_first(now, "liquidationValue", "equity", "accountValue"),
            cash=cash_of(now),
            number=str(said.get("accountNumber", "")),
            buying_power=_first(now, "buyingPower", "cashAvailableForTrading", "availableFunds"),
            permissions=(str(said.get("type", "")).lower(),),
            can_withdraw=False,  # the API has no way to move money out
        )

    @wire.readable
    def positions(self) -> Sequence[BrokerPosition]:
        said = self._ask("GET", self._home(), params={"fields": "positions"})["securitiesAccount"]
        return positions_of(said.get("positions") or ())

    def rules(self, symbol: Symbol) -> Rules:
        known, now = self._rules.get(symbol), self._clock.now()
        if known is None or now - known[0] > RULES_ARE_FRESH:
            step = Decimal("0.01") if self.quote(symbol).mid >= 1 else Decimal("0.0001")
            known = (
                now,
                Rules(
                    quantity_step=Decimal(1),
                    price_step=step,
                    min_quantity=Decimal(1),
                    shortable=False,
                    fractionable=False,
                ),
            )
            self._rules[symbol] = known
        return known[1]

    @wire.readable
    def market_open(self, symbol: Symbol) -> bool:
        now = self._clock.now()
        if self._hours is None or now - self._hours[0] > HOURS_ARE_FRESH:
            self._hours = (now, any(start <= now < end for start, end in self._sessions()))
        return self._hours[1]

    @wire.readable
    def opens_at(self, symbol: Symbol) -> datetime | None:
        """Schwab tells the hours of one day at a time: the days ahead are asked for one by one, over a long
        weekend at most."""
        now = self._clock.now()
        if self._opens is None or self._opens <= now:
            days = (now + timedelta(days=ahead) for ahead in range(DAYS_AHEAD))
            self._opens = next(
                (start for day in days for start, _ in self._sessions(day) if start > now), None
            )
        return self._opens

    def _sessions(self, day: datetime | None = None) -> list[tuple[datetime, datetime]]:
        params = {"markets": "equity"} | ({"date": f"{day:%Y-%m-%d}"} if day else {})
        said = self._ask("GET", "/marketdata/v1/markets", params=params).get("equity") or {}
        sessions = [
            each
            for kind in said.values()
            for each in (kind.get("sessionHours") or {}).get("regularMarket") or ()
        ]
        return [(_moment(each["start"]), _moment(each["end"])) for each in sessions]

    def clock_skew(self) -> timedelta:
        """To the second, as Schwab tells it with each answer; below two seconds it counts as none."""
        self._ask("GET", "/trader/v1/accounts/accountNumbers")
        return self._ahead

    def close(self) -> None:
        self._http.close()

    # --- prices ---

    @wire.readable
    def quote(self, symbol: Symbol) -> Quote:
        name = spelled(symbol)
        said = self._ask("GET", "/marketdata/v1/quotes", params={"symbols": name, "fields": "quote"})
        if name not in said:
            raise Rejected(
                f"Schwab does not trade {symbol.short}. Nothing was placed; choose another symbol."
            )
        quote, now = said[name].get("quote", {}), self._clock.now()
        bid, ask = (number(quote.get(field)) for field in ("bidPrice", "askPrice"))
        if not bid or not ask:
            raise Unavailable(
                f"Schwab shows no bid and ask for {symbol.short} now. Nothing is decided without a price."
            )
        # without the right to real-time prices Schwab tells those of a quarter of an hour ago
        told = quote.get("quoteTime")
        at = datetime.fromtimestamp(int(told) / 1000, UTC) - self._ahead if told else now
        return Quote(symbol=symbol, bid=bid, ask=ask, at=min(at, now))

    @wire.readable
    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return candles_of(
            lambda asked: self._ask("GET", "/marketdata/v1/pricehistory", params=asked),
            symbol,
            timeframe,
            end,
            count,
        )

    # --- placing ---

    def _check(self, request: OrderRequest) -> None:
        can, problem = self.capabilities, ""
        if request.symbol.is_crypto or request.symbol.market != "NYSE":
            problem = f"{request.symbol.short} is no stock of the US market"
        elif request.notional is not None or request.quantity is None:
            problem = "it takes numbers of shares, not amounts of money: size the bot by quantity"
        elif request.quantity <= 0 or request.quantity % 1:
            problem = f"it trades whole shares, at least one, and not {plain(request.quantity)}"
        elif request.type not in can.order_types:
            problem = (
                f"DashTrade places market and limit orders there, and no {request.type.replace('_', '-')} "
                "ones"
            )
        elif request.time_in_force not in can.times_in_force:
            problem = f"it has no time in force {request.time_in_force} here; use day or gtc"
        elif request.type is OrderType.LIMIT and not (request.limit_price and request.limit_price > 0):
            problem = "a limit order needs a limit price above zero"
        elif request.extended_hours:
            problem = "orders outside the regular hours are not placed there: leave extended hours off"
        elif request.take_profit or request.stop_loss or request.stop_loss_limit:
            problem = "it holds no exits together with an order: DashTrade keeps them instead"
        if problem:
            raise Rejected(f"Schwab would refuse this order: {problem}. Nothing was placed.")

    def _place(self, path: str, body: dict[str, Any]) -> wire.Answer:
        try:
            return self._authorized("POST", path, json=body)
        except wire.NoAnswer as error:
            if not error.left:
                raise RetryLater(
                    (
                        "Schwab cannot be reached: no connection was made, and nothing was sent. It is tried "
                        "again."
                    ),
                    timedelta(seconds=2),
                ) from error
            raise wire.in_doubt(error.words) from error

    def _first_report(self, ref: OrderRef, *, told: bool) -> OrderReport:
        """Schwab has the order. Where it filled at once, no number came with the answer, and it is searched
        for."""
        try:
            found = self.find(ref)
        except (Unavailable, RetryLater, BadCredentials) as error:
            log.info("Schwab took order %s; its state is read later: %s", ref.client_order_id, error.message)
            found = None
        if found is None and not told:
            raise wire.in_doubt("it gave no number, and no single order there fits")
        return found or OrderReport(
            client_order_id=ref.client_order_id,
            broker_order_id=self._numbers[ref.client_order_id],
            status=VenueStatus.WORKING,
        )

    # --- whose order is it ---

    def _claim(self, client_order_id: str, number_there: str) -> None:
        with self._lock:
            self._numbers[client_order_id] = number_there

    def _number_of(self, order: OrderRef) -> str | None:
        if order.broker_order_id:
            self._claim(order.client_order_id, order.broker_order_id)
        return self._numbers.get(order.client_order_id)

    def _search(self, order: OrderRef, listed: Sequence[Any]) -> OrderReport | None:
        """Exactly one order that fits and is nobody else's. Of several, none: a guess could book a stranger's
        fills."""
        since = order.created_at + self._ahead - SINCE
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
        """Of a sale the authorities take fees, which are told with the account's transactions alone. Its last
        execution carries them. That they come late holds it up for a moment, and no longer."""
        report = order_report(order, said)
        if order.side is not OrderSide.SELL or report.status is VenueStatus.WORKING or not report.fills:
            return report
        number_there, now = str(said["orderId"]), self._clock.now()
        fees = self._fees(order, number_there)
        if fees is None and now - self._ended.setdefault(number_there, now) < FEES_LAG:
            return replace(
                report,
                status=VenueStatus.WORKING,
                fills=(),
                filled_quantity=ZERO,
                average_price=None,
                reason="it has ended; its fees are still to come",
            )
        self._ended.pop(number_there, None)
        last = max(report.fills, key=lambda fill: fill.at)
        with_fees = (replace(fill, fee=fees or ZERO) if fill is last else fill for fill in report.fills)
        return replace(report, fills=tuple(with_fees))

    def _fees(self, order: OrderRef, number_there: str) -> Decimal | None:
        now = self._clock.now() + self._ahead
        since = max(order.created_at + self._ahead - timedelta(minutes=1), now - LONGEST)
        asked = {
            "startDate": _written(since),
            "endDate": _written(now + timedelta(minutes=5)),
            "types": "TRADE",
            "symbol": spelled(order.symbol),
        }
        try:
            told = self._ask("GET", f"{self._home()}/transactions", params=asked)
        except (Unavailable, RetryLater) as error:
            log.info("Schwab does not tell its transactions now: %s", error.message)
            return None
        return fees_of(told if isinstance(told, list) else (), number_there)

    def _orders_since(self, moment: datetime) -> Sequence[Any]:
        now = self._clock.now() + self._ahead
        since = max(moment + self._ahead - SINCE - timedelta(minutes=1), now - LONGEST)
        asked = {
            "fromEnteredTime": _written(since),
            "toEnteredTime": _written(now + timedelta(minutes=5)),
            "maxResults": "3000",
        }
        listed = self._ask("GET", f"{self._home()}/orders", params=asked)
        if not isinstance(listed, list):
            raise Unavailable(
                "Schwab's list of orders makes no sense. Nothing is known from it now; it is asked again."
            )
        return listed

    # --- asking ---

    @wire.readable
    def _home(self) -> str:
        """The account's path: Schwab names accounts by a hash."""
        if self._account_of is None:
            known = {
                str(each["accountNumber"]): each["hashValue"]
                for each in self._ask("GET", "/trader/v1/accounts/accountNumbers")
            }
            if self._wanted is None and len(known) > 1:
                ends = ", ".join(f"…{each[-4:]}" for each in known)
                raise BadCredentials(
                    f"This sign-in has several accounts at Schwab ({ends}). Nothing was placed. Say under "
                    "Setup which one is meant."
                )
            if not known or (self._wanted is not None and self._wanted not in known):
                raise BadCredentials(
                    "Schwab does not show this account to the key. Nothing was placed. Sign in again, and "
                    "allow it this account."
                )
            self._account_of = known[self._wanted or next(iter(known))]
        return f"/trader/v1/accounts/{self._account_of}"

    def _ask(self, method: str, path: str, *, missing: bool = False, **given: Any) -> Any:
        """JSON; None for a 404 in Schwab's own words, where that may be."""
        try:
            answer = self._authorized(method, path, **given)
        except wire.NoAnswer as error:
            raise wire.unheard(error) from error
        if missing and answer.status == 404 and answer.json is not None:
            return None
        if answer.status != 200 or answer.json is None:
            raise wire.reading(answer)
        return answer.json

    def _authorized(self, method: str, path: str, **given: Any) -> wire.Answer:
        """A 401 took nothing: the token is renewed and the request goes again, once."""
        token = self._sign_in.access()
        answer = self._http.ask(method, path, headers=_bearer(token), **given)
        if answer.status == 401:
            try:
                token = self._sign_in.access(refused=token)
            except Unavailable as error:
                raise RetryLater(
                    f"Schwab wants a new sign-in token, which cannot be had now: {error.message}"
                ) from error
            answer = self._http.ask(method, path, headers=_bearer(token), **given)
        if answer.date is not None:
            drift = answer.date - self._clock.now()
            self._ahead = drift if abs(drift) > timedelta(seconds=2) else timedelta(0)
        return answer


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _first(said: dict[str, Any], *names: str) -> Decimal:
    return next((found for name in names if (found := number(said.get(name))) is not None), ZERO)


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written).astimezone(UTC)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


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
