"""Prepares an order for an exchange: checks, steps and sizes, and a price where required."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from dashtrade.brokers.crypto import market_data
from dashtrade.brokers.crypto.exchange import COLLAR_SHARE
from dashtrade.brokers.crypto.market import CryptoMarket
from dashtrade.domain.ports import Capabilities, OrderRequest, Rejected, RetryLater, Rules, Unavailable
from dashtrade.domain.values import ZERO, OrderSide, OrderType, TimeInForce, floor_to, given, plain, round_to

_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


class OrderPreparer:
    """The arguments to ccxt for an order, or why the order cannot be placed."""

    def __init__(self, market: CryptoMarket, capabilities: Capabilities) -> None:
        self.venue, self.capabilities, self._market = market.venue, capabilities, market

    def check(self, request: OrderRequest) -> None:
        """Checks that need no request."""
        can, kind = self.capabilities, request.type
        problem = ""
        if request.notional is not None or request.quantity is None:
            problem = "orders need a quantity, not an amount of money: size the bot by quantity"
        elif not request.quantity > 0:
            problem = f"the quantity must be above zero, and is {plain(request.quantity)}"
        elif kind not in can.order_types:
            problem = f"DashTrade places no {kind.replace('_', '-')} orders there"
        elif kind is not OrderType.MARKET and request.time_in_force not in can.times_in_force:
            problem = (
                f"there is no time in force {request.time_in_force}; use "
                f"{' or '.join(sorted(can.times_in_force))}"
            )
        elif kind in _STOPPED and request.time_in_force is not TimeInForce.GTC:
            problem = f"a stop waits for its price and cannot be {request.time_in_force}; use gtc"
        elif kind in _LIMITED and not (request.limit_price and request.limit_price > 0):
            problem = f"a {kind.replace('_', '-')} order needs a limit price above zero"
        elif kind in _STOPPED and not (request.stop_price and request.stop_price > 0):
            problem = f"a {kind.replace('_', '-')} order needs a stop price above zero"
        elif request.extended_hours:
            problem = "coins trade around the clock; switch extended hours off"
        elif request.take_profit or request.stop_loss or request.stop_loss_limit:
            problem = "orders cannot carry exits there: DashTrade manages exits"
        if problem:
            raise Rejected(f"{self.venue.name} would refuse this order: {problem}. No order was placed.")

    def arguments(self, request: OrderRequest, rules: Rules) -> tuple[Any, ...]:
        """The arguments to ccxt, rounded to the exchange's steps: quantities down, prices to the nearest."""
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
        if limit is not None and (stop is None or self.venue.stop_takes_time_in_force):
            params["timeInForce"] = request.time_in_force.upper()
        kind, sent = ("limit" if limit is not None else "market"), limit
        if request.type is OrderType.MARKET and request.side in self.venue.collared_sides:
            current_price = given(price, "price")
            sent = self._affordable(
                request, quantity, current_price, _collar_limit(request.side, current_price, rules), rules
            )
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
        """A limit that the free balance covers: the exchange reserves limit x quantity and a fee, although
        the order costs less. If the balance does not even cover the price, the price is the limit, and
        the exchange refuses the order in its own words."""
        if request.side is not OrderSide.BUY or not self.venue.reserved_fee:
            return limit
        try:
            free = self._market.balances()[1].get(request.symbol.quote, ZERO)
            account_rate = self._market.ask(
                lambda client: market_data.taker_fee(self._market.listed(client, request.symbol))
            )
            fee = account_rate or self.venue.reserved_fee
        except (Unavailable, RetryLater):
            return limit
        highest = floor_to(free / (quantity * (1 + fee)), rules.price_step)
        return min(limit, max(highest, round_to(price, rules.price_step)))

    def _price_now(self, request: OrderRequest) -> Decimal | None:
        """An order that needs no price is not delayed by a failing ticker: the order may be an exit."""
        price_required = request.side in self.venue.collared_sides or self.venue.spends_on_market_buy
        try:
            return self._market.recent_quote(request.symbol).price_for(request.side)
        except (Unavailable, RetryLater):
            if price_required:
                raise
            return None

    def _check_size(
        self, request: OrderRequest, quantity: Decimal, price: Decimal | None, rules: Rules
    ) -> None:
        coin, money = request.symbol.base, request.symbol.quote
        minimum, problem = max(rules.min_quantity, rules.quantity_step), ""
        if quantity < minimum:
            problem = (
                f"{plain(given(request.quantity, 'quantity'))} {coin} is below the minimum order, "
                f"{plain(minimum)} {coin}"
            )
        elif price is not None and quantity * price < rules.min_notional:
            problem = (
                f"{plain(quantity)} {coin} is worth {plain(round_to(quantity * price, rules.price_step))} "
                f"{money}, below the minimum order, {plain(rules.min_notional)} {money}"
            )
        if problem and request.reduces:
            raise Rejected(
                f"{problem}: a remainder this small cannot be sold at {self.venue.name}. Buy more first, or "
                "convert the remainder there."
            )
        if problem:
            raise Rejected(f"{problem} at {self.venue.name}. No order was placed; use a larger order size.")
        if not rules.tradable:
            raise Rejected(
                f"{request.symbol.short} is not traded at {self.venue.name} now. No order was placed."
            )


def _collar_limit(side: OrderSide, price: Decimal, rules: Rules) -> Decimal:
    limit = price * (1 + side.sign * COLLAR_SHARE)
    rounding = ROUND_FLOOR if side is OrderSide.BUY else ROUND_CEILING
    return (limit / rules.price_step).to_integral_value(rounding) * rules.price_step
