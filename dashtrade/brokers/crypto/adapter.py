"""Crypto exchanges through ccxt: one spot account, its orders, its coins and its prices.

An exchange has no positions: what it holds of a coin is the position, in the quote currency the account is
counted in. The exchanges' differences are in `venues`, the connection and the meaning of its failures
in `wire` and `errors`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, TypeVar

from dashtrade.brokers.crypto import candles, listing, lookups, market_data, reports
from dashtrade.brokers.crypto.credentials import no_sandbox
from dashtrade.brokers.crypto.errors import reading, sending
from dashtrade.brokers.crypto.exchange import COLLAR, Exchange
from dashtrade.brokers.crypto.keys import KEY_INFO, nothing_told
from dashtrade.brokers.crypto.venues import capabilities_of, exchange_of
from dashtrade.brokers.crypto.wire import Nonces, Wire
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
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce, floor_to, given, plain, round_to

T = TypeVar("T")
log = logging.getLogger("dashtrade.crypto")
QUOTE_IS_FRESH = timedelta(seconds=5)  # for valuing, never for deciding
KEY_IS_FRESH = timedelta(minutes=5)
RULES_ARE_FRESH = timedelta(hours=1)
_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


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
        self._key, self._live, self._clock, self._trades_lag = (
            key,
            mode == "live",
            clock or SystemClock(),
            trades_lag,
        )
        keys = {
            "key": key.strip(),
            "secret": secret.strip().replace("\\n", "\n"),
            "passphrase": passphrase or "",
        }
        self._wire = Wire(
            self.venue,
            keys,
            sandbox=mode == "paper",
            url=url,
            cache=markets_cache,
            timeout=timeout,
            patience=patience,
            paced=paced,
            clock=self._clock,
            nonces=nonces,
        )
        self._seen: dict[Symbol, Quote] = {}
        # orders without all executions yet, by when they were first seen ended
        self._ended: dict[str, datetime] = {}
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}
        self._key_told: tuple[datetime, tuple[str, tuple[str, ...], bool | None]] | None = None

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        try:
            self._check(request)
            rules = self.rules(request.symbol)
            arguments = self._arguments(request, rules)
        except Unavailable as error:  # a reading before the order: nothing was sent
            raise RetryLater(f"The order waits: {error.message}") from error
        with self._wire.lent() as client:
            order = self._create(client, request, arguments)
            if isinstance(order, OrderReport):
                return order
            return self._first_report(client, _ref(request, order["id"], self._clock.now()), order)

    def find(self, order: OrderRef) -> OrderReport | None:
        return self._ask(lambda client: self._find(client, order))

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        found = self._ask(lambda client: [self._find(client, order) for order in orders]) if orders else []
        return [report for report in found if report is not None]

    def cancel(self, order: OrderRef) -> None:
        with self._wire.lent() as client:
            try:
                self._cancel(client, order)
            except Exception as error:
                trouble = reading(self._wire, client, error)
                if not isinstance(trouble, Unavailable) or not self._has_ended(client, order):
                    raise trouble from error

    def ours(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        return self._ask(
            lambda client: listing.ours(
                client, self.venue, since, [s for s in symbols if s.short in client.markets]
            )
        )

    # --- the account ---

    def account(self) -> AccountState:
        total, free = self._balances()
        coins = [coin for coin in total if coin != self._quote]
        prices = self._ask(lambda client: market_data.prices(client, coins, self._quote))
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
        total, _ = self._balances()
        return [
            BrokerPosition(symbol=self._symbol_of(coin), quantity=quantity)
            for coin, quantity in sorted(total.items())
            if coin != self._quote
        ]

    def rules(self, symbol: Symbol) -> Rules:
        known, now = self._rules.get(symbol), self._clock.now()
        if known is None or now - known[0] > RULES_ARE_FRESH:
            known = (
                now,
                market_data.rules_of(self._ask(lambda client: self._market(client, symbol, anew=True))),
            )
            self._rules[symbol] = known
        return known[1]

    def market_open(self, symbol: Symbol) -> bool:
        return self.rules(symbol).tradable

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """A halted market says not when it goes on."""
        return None

    def clock_skew(self) -> timedelta | None:
        """How far the exchange's clock is ahead of ours, where it tells."""

        def ask(client: Any) -> timedelta | None:
            if not client.has.get("fetchTime"):
                return None
            before = self._clock.now()
            there = datetime.fromtimestamp(int(client.fetch_time()) / 1000, UTC)
            return there - (before + (self._clock.now() - before) / 2)

        return self._ask(ask)

    def close(self) -> None:
        self._wire.close()

    # --- prices ---

    def quote(self, symbol: Symbol) -> Quote:
        ticker = self._ask(lambda client: market_data.ticker(client, self._market(client, symbol)["symbol"]))
        bid, ask, note = market_data.number(ticker.get("bid")), market_data.number(ticker.get("ask")), ""
        if "bid" not in ticker and "ask" not in ticker:
            bid = ask = market_data.number(ticker.get("last"))
            note = "no quote is told: the last price stands in for it"
        if not bid or not ask:
            raise Unavailable(
                f"{self.venue.name} shows no bid and ask for {symbol.short} now. Nothing is decided "
                "without a price."
            )
        found = Quote(symbol=symbol, bid=bid, ask=ask, at=self._clock.now(), note=note)
        self._seen[symbol] = found
        return found

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        return self._ask(
            lambda client: candles.candles(
                client, self.venue, self._market(client, symbol)["symbol"], timeframe, end, count
            )
        )

    # --- placing ---

    def _check(self, request: OrderRequest) -> None:
        """What can be said of a request without asking anybody."""
        can, kind = self.capabilities, request.type
        problem = ""
        if request.notional is not None or request.quantity is None:
            problem = "it takes quantities, not amounts of money: size the bot by quantity"
        elif not request.quantity > 0:
            problem = f"the quantity must be above zero, it is {plain(request.quantity)}"
        elif kind not in can.order_types:
            problem = f"it has no {kind.replace('_', '-')} orders that DashTrade can place"
        elif kind is not OrderType.MARKET and request.time_in_force not in can.times_in_force:
            problem = (
                f"it has no time in force {request.time_in_force}; use "
                f"{' or '.join(sorted(can.times_in_force))}"
            )
        elif kind in _STOPPED and request.time_in_force is not TimeInForce.GTC:
            problem = f"a stop waits for its price, so it cannot be {request.time_in_force}; use gtc"
        elif kind in _LIMITED and not (request.limit_price and request.limit_price > 0):
            problem = f"a {kind.replace('_', '-')} order needs a limit price above zero"
        elif kind in _STOPPED and not (request.stop_price and request.stop_price > 0):
            problem = f"a {kind.replace('_', '-')} order needs a stop price above zero"
        elif request.extended_hours:
            problem = "coins trade at all hours, there are no extended ones: leave them off"
        elif request.take_profit or request.stop_loss or request.stop_loss_limit:
            problem = "it holds no exits together with an order: DashTrade keeps them instead"
        if problem:
            raise Rejected(f"{self.venue.name} would refuse this order: {problem}. Nothing was placed.")

    def _arguments(self, request: OrderRequest, rules: Rules) -> tuple[Any, ...]:
        """What ccxt is called with, rounded to the exchange's steps: quantities down, prices to the
        nearest."""
        quantity = floor_to(given(request.quantity, "quantity"), rules.quantity_step)
        step = rules.price_step
        limit = (
            round_to(given(request.limit_price, "limit price"), step) if request.type in _LIMITED else None
        )
        stop = round_to(given(request.stop_price, "stop price"), step) if request.type in _STOPPED else None
        price = limit or stop or self._price_now(request)
        self._check_size(request, quantity, price, rules)
        params: dict[str, Any] = {self.venue.client_id: request.client_order_id, **self.venue.create_params}
        if stop is not None:
            params[self.venue.stop_param] = plain(stop)
        if limit is not None and (stop is None or self.venue.stop_says_time):
            params["timeInForce"] = request.time_in_force.upper()
        kind, sent = ("limit" if limit is not None else "market"), limit
        if request.type is OrderType.MARKET and request.side in self.venue.collared:
            near = given(price, "price")
            sent = self._affordable(request, quantity, near, _collared(request.side, near, rules), rules)
            kind, params["timeInForce"] = "limit", TimeInForce.IOC.upper()
        if (
            request.type is OrderType.MARKET
            and self.venue.spends_on_market_buy
            and request.side is OrderSide.BUY
        ):
            sent = price
        return kind, str(request.side), plain(quantity), plain(sent) if sent is not None else None, params

    def _affordable(
        self, request: OrderRequest, quantity: Decimal, price: Decimal, limit: Decimal, rules: Rules
    ) -> Decimal:
        """A limit that the free money covers: the exchange sets limit x quantity and a fee aside, although it
        costs less. Where not even the price is covered the order goes at it, and the exchange says no in its
        own words."""
        if request.side is not OrderSide.BUY or not self.venue.reserved_fee:
            return limit
        try:
            free = self._balances()[1].get(request.symbol.quote, ZERO)
            told = self._ask(lambda client: market_data.taker_fee(self._market(client, request.symbol)))
            fee = told or self.venue.reserved_fee
        except (Unavailable, RetryLater):
            return limit
        most = floor_to(free / (quantity * (1 + fee)), rules.price_step)
        return min(limit, max(most, round_to(price, rules.price_step)))

    def _price_now(self, request: OrderRequest) -> Decimal | None:
        """An order that needs no price is not held up by a ticker that fails: it may be an exit."""
        needed = request.side in self.venue.collared or self.venue.spends_on_market_buy
        try:
            return self._near_quote(request.symbol).price_for(request.side)
        except (Unavailable, RetryLater):
            if needed:
                raise
            return None

    def _check_size(
        self, request: OrderRequest, quantity: Decimal, price: Decimal | None, rules: Rules
    ) -> None:
        coin, money = request.symbol.base, request.symbol.quote
        least, what = max(rules.min_quantity, rules.quantity_step), ""
        if quantity < least:
            what = (
                f"{plain(given(request.quantity, 'quantity'))} {coin} is less than the smallest order, "
                f"{plain(least)} {coin}"
            )
        elif price is not None and quantity * price < rules.min_notional:
            what = (
                f"{plain(quantity)} {coin} is worth {plain(round_to(quantity * price, rules.price_step))} "
                f"{money}, less than the smallest order, {plain(rules.min_notional)} {money}"
            )
        if what and request.reduces:
            raise Rejected(
                f"{what}: it is dust that {self.venue.name} does not sell by itself. It stays; buy more "
                "first, or convert it there."
            )
        if what:
            raise Rejected(f"{what} at {self.venue.name}. Nothing was placed; make the bot's size larger.")
        if not rules.tradable:
            raise Rejected(
                f"{request.symbol.short} is not traded at {self.venue.name} now. Nothing was placed."
            )

    def _create(self, client: Any, request: OrderRequest, arguments: tuple[Any, ...]) -> Any:
        """The order as the exchange answered it; a report, where it turned out that it had it before."""
        try:
            order = client.create_order(self._market(client, request.symbol)["symbol"], *arguments)
        except Exception as error:
            if client.heard.status is not None and self.venue.says("ours", client.heard.body):
                return self._adopt(client, request)
            raise sending(self._wire, client, error) from error
        if not order.get("id"):
            raise Unknown(
                f"{self.venue.name} answered without an order's number. The order may exist: it is being "
                "looked up, and not sent again on doubt."
            )
        return order

    def _adopt(self, client: Any, request: OrderRequest) -> OrderReport:
        """An order of this name exists: an earlier sending of ours arrived after all."""
        try:
            found = self._find(client, _ref(request, None, self._clock.now()))
        except Exception as error:
            raise Unknown(
                f"{self.venue.name} has an order of this name but did not show it; it is being looked up."
            ) from error
        if found is None:
            raise Unknown(
                f"{self.venue.name} says it has an order of this name, and does not show it yet; it is "
                "being looked up."
            )
        return found

    def _first_report(self, client: Any, ref: OrderRef, order: Any) -> OrderReport:
        """The order exists from here on, so that no failure may say otherwise."""
        working = OrderReport(
            client_order_id=ref.client_order_id,
            broker_order_id=ref.broker_order_id,
            status=VenueStatus.WORKING,
        )
        try:
            if self.venue.create_tells and order.get("status"):
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
            symbol = self._market(client, ref.symbol)["symbol"]
        except Rejected as error:  # no longer listed: of its orders nothing is known
            raise Unavailable(error.message) from error
        try:
            order = lookups.LOOKUPS[self.venue.lookup](client, self.venue, symbol, ref)
        except Exception as error:
            if lookups.says_absent(client, self.venue, error):
                return None
            raise
        # ccxt makes an order without a number out of an answer that it cannot read
        if order and not order.get("id"):
            raise Unavailable(
                f"{self.venue.name}'s answer makes no sense. Nothing is known from it now; it is asked again."
            )
        return self._report(client, ref, order) if order else None

    def _report(self, client: Any, ref: OrderRef, order: Any) -> OrderReport:
        now = self._clock.now()
        found = reports.report(
            client,
            self.venue,
            ref,
            order,
            reports.Money(
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
        """What a third coin, in which a fee was taken, costs in the quote currency; None if nobody says."""
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
        client.cancel_order(number, self._market(client, order.symbol)["symbol"])

    def _has_ended(self, client: Any, order: OrderRef) -> bool:
        """An exchange refuses to cancel what has ended: that is no error."""
        if client.heard.answer is None:
            return False
        try:
            found = self._find(client, order)
        except Exception as error:
            raise reading(self._wire, client, error) from error
        return found is None or found.status is not VenueStatus.WORKING

    # --- reading ---

    def _ask(self, work: Callable[[Any], T]) -> T:
        with self._wire.lent() as client:
            try:
                return work(client)
            except Exception as error:
                raise reading(self._wire, client, error) from error

    def _market(self, client: Any, symbol: Symbol, *, anew: bool = False) -> Any:
        name = f"{symbol.base}/{symbol.quote}"
        market = client.markets.get(name) if symbol.is_crypto else None
        if market is None or not market.get("spot", True):
            others = sorted(
                each["quote"]
                for each in client.markets.values()
                if each["base"] == symbol.base and each.get("spot")
            )
            hint = (
                f" It trades {symbol.base} against {', '.join(others[:6])}."
                if symbol.is_crypto and others
                else ""
            )
            raise Rejected(
                f"{self.venue.name} does not trade {symbol.short}.{hint} Nothing was placed; choose "
                "another symbol."
            )
        lacks = anew or market["precision"].get("amount") is None
        return market_data.detail(client, market) if lacks and self.venue.details_on_demand else market

    def _balances(self) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        return self._ask(lambda client: market_data.balances(client, self.venue))

    def _symbol_of(self, coin: str) -> Symbol:
        return Symbol(market="CRYPTO", base=coin, quote=self._quotes_by_coin.get(coin, self._quote))

    def _near_quote(self, symbol: Symbol) -> Quote:
        seen = self._seen.get(symbol)
        return seen if seen and abs(self._clock.now() - seen.at) < QUOTE_IS_FRESH else self.quote(symbol)

    def _key_info(self) -> tuple[str, tuple[str, ...], bool | None]:
        """The account's number and what the key may do, as far as the exchange tells; never a reason to
        fail."""
        now = self._clock.now()
        if self._key_told and now - self._key_told[0] < KEY_IS_FRESH:
            return self._key_told[1]
        try:
            with self._wire.lent() as client:
                told = KEY_INFO.get(self.venue.id, nothing_told)(client, self._live)
        except Exception as error:
            log.info("%s does not tell what the key may do: %s", self.venue.name, type(error).__name__)
            told = ("", (), None)
        told = (told[0] or f"key {self._key[-4:]}", *told[1:])
        self._key_told = (now, told)
        return told


def _collared(side: OrderSide, price: Decimal, rules: Rules) -> Decimal:
    through = price * (1 + side.sign * COLLAR)
    toward = ROUND_FLOOR if side is OrderSide.BUY else ROUND_CEILING
    return (through / rules.price_step).to_integral_value(toward) * rules.price_step


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
