"""What every broker must do, as numbered cases: the paper broker, and each adapter against its simulator.

A venue's test file holds a `Venue` (how the suite reaches it) and

    class TestAlpaca(BrokerContract):
        @pytest.fixture
        def venue(self): ...

Nothing is skipped by hand. What a venue cannot do is read from its `Capabilities`: a feature it does not
claim must be refused with `Rejected`, not half done. Which faults its simulator can make is `Venue.faults`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from dashtrade.domain.ports import OrderRequest, Rejected
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType, TimeInForce
from tests.support.broker_contract_faults import FaultContract
from tests.support.broker_venue import (
    AFTER_PLACING,
    BUY,
    CANCELED,
    FAULTS,
    FILLED,
    SELL,
    WORKING,
    ContractVenue,
    D,
    eventually,
    filled,
    in_words,
    near,
    resting,
    seen,
)

__all__ = ["AFTER_PLACING", "FAULTS", "BrokerContract", "ContractVenue"]


def refused(venue: ContractVenue, request: OrderRequest) -> None:
    """Rejected with words, and nothing exists."""
    before = venue.placed()
    with pytest.raises(Rejected) as caught:
        venue.broker.submit(request)
    assert in_words(caught.value), caught.value.message
    assert venue.placed() == before


PRICES: dict[OrderType, dict[str, object]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"limit_price": "110"},
    OrderType.STOP: {"stop_price": "90"},
    OrderType.STOP_LIMIT: {"stop_price": "90", "limit_price": "89"},
    OrderType.TRAILING_STOP: {"trail_amount": "8"},
}
"""Of a sale that rests while the price is 100."""


class BrokerContract(FaultContract):
    @pytest.fixture
    def venue(self) -> ContractVenue:
        raise NotImplementedError("a subclass gives its venue")

    # --- placing ---

    def test_01_a_market_order_fills_and_is_found_by_our_id(self, venue: ContractVenue):
        request = venue.request(BUY)
        report = venue.broker.submit(request)
        assert report.client_order_id == request.client_order_id and report.status in (WORKING, FILLED)
        end = venue.until(request, filled)
        assert end.client_order_id == request.client_order_id and end.broker_order_id
        assert end.filled_quantity == venue.quantity and near(end.average_price, 100)
        assert near(venue.held(), venue.quantity)

    def test_02_a_market_sale_closes_what_was_bought(self, venue: ContractVenue):
        venue.buy()
        end = venue.trade(venue.request(SELL, quantity=venue.held(), reduces=True))
        assert near(end.average_price, 100) and venue.held() == 0

    @pytest.mark.parametrize("kind", OrderType)
    def test_03_each_order_type_is_placed_or_refused_as_the_capabilities_say(
        self, venue: ContractVenue, kind: OrderType
    ):
        venue.buy()
        request = venue.request(
            SELL, kind, venue.held(), reduces=True, time_in_force=resting(venue), **PRICES[kind]
        )
        if kind not in venue.can.order_types:
            return refused(venue, request)
        report = venue.broker.submit(request)
        assert report.status in (WORKING, FILLED)
        found = venue.until(request, filled if kind is OrderType.MARKET else seen)
        assert found.status is (FILLED if kind is OrderType.MARKET else WORKING)

    def test_04_a_limit_order_waits_for_its_price(self, venue: ContractVenue):
        request = venue.request(BUY, OrderType.LIMIT, limit_price="95", time_in_force=resting(venue))
        assert venue.broker.submit(request).status is WORKING
        assert venue.until(request, seen).filled_quantity == 0
        venue.set_price(venue.symbol, D(94))
        end = venue.until(request, filled)
        assert end.average_price <= 95 and near(venue.held(), venue.quantity)

    @pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP])
    def test_05_a_stop_fires_when_its_price_is_touched(self, venue: ContractVenue, kind: OrderType):
        if kind not in venue.can.order_types:
            pytest.skip(f"{venue.can.name} has no {kind}; case 03 shows that it is refused")
        venue.buy()
        prices = {**PRICES[kind], "limit_price": "80"} if kind is OrderType.STOP_LIMIT else PRICES[kind]
        request = venue.request(
            SELL, kind, venue.held(), reduces=True, time_in_force=resting(venue), **prices
        )
        venue.broker.submit(request)
        assert venue.until(request, seen).status is WORKING
        venue.set_price(venue.symbol, D(88))
        assert near(venue.until(request, filled).average_price, 88) and venue.held() == 0

    def test_06_a_working_order_is_cancelled_and_cancelling_again_is_no_error(self, venue: ContractVenue):
        request = venue.request(BUY, OrderType.LIMIT, limit_price="90", time_in_force=resting(venue))
        report = venue.broker.submit(request)
        venue.broker.cancel(venue.ref(request, report))
        end = venue.until(request, lambda report: report and report.status is CANCELED)
        venue.broker.cancel(venue.ref(request, report))
        assert end.filled_quantity == 0 and venue.broker.find(venue.ref(request)).status is CANCELED

    def test_07_an_order_is_cancelled_by_our_id_alone(self, venue: ContractVenue):
        request = venue.request(BUY, OrderType.LIMIT, limit_price="90", time_in_force=resting(venue))
        venue.broker.submit(request)
        venue.broker.cancel(venue.ref(request))
        venue.until(request, lambda report: report and report.status is CANCELED)

    def test_08_cancelling_what_has_filled_changes_nothing(self, venue: ContractVenue):
        request = venue.request(BUY)
        report = venue.trade(request)
        venue.broker.cancel(venue.ref(request, report))
        assert filled(venue.broker.find(venue.ref(request))) and near(venue.held(), venue.quantity)

    def test_09_parts_add_up_and_only_grow(self, venue: ContractVenue):
        venue.fill_in_parts()
        request = venue.request(BUY)
        venue.broker.submit(request)
        part = venue.until(request, lambda report: report and report.filled_quantity)
        assert (
            part.status is WORKING
            and 0 < part.filled_quantity < venue.quantity
            and near(part.average_price, 100)
        )
        venue.finish_filling()
        end = venue.until(request, filled)
        assert end.filled_quantity == venue.quantity
        if end.fills:
            assert sum(fill.quantity for fill in end.fills) == venue.quantity
            assert {fill.id for fill in part.fills} < {fill.id for fill in end.fills}

    def test_10_a_cancelled_order_keeps_what_it_had_filled(self, venue: ContractVenue):
        venue.fill_in_parts()
        request = venue.request(BUY)
        report = venue.broker.submit(request)
        part = venue.until(request, lambda report: report and report.filled_quantity)
        venue.broker.cancel(venue.ref(request, report))
        end = venue.until(request, lambda report: report and report.status is CANCELED)
        assert end.filled_quantity == part.filled_quantity and near(venue.held(), part.filled_quantity)

    # --- looking up ---

    def test_11_an_order_the_venue_never_saw_is_none(self, venue: ContractVenue):
        assert venue.broker.find(venue.ref(venue.request(BUY))) is None

    def test_12_one_poll_tells_of_many_orders_and_leaves_out_the_unknown(self, venue: ContractVenue):
        market, limit = (
            venue.request(BUY),
            venue.request(BUY, OrderType.LIMIT, limit_price="90", time_in_force=resting(venue)),
        )
        venue.trade(market)
        venue.broker.submit(limit)
        venue.until(limit, seen)
        refs = [venue.ref(market), venue.ref(limit), venue.ref(venue.request(SELL))]
        reports = {report.client_order_id: report.status for report in venue.broker.poll(refs)}
        assert reports == {market.client_order_id: FILLED, limit.client_order_id: WORKING}
        assert list(venue.broker.poll([])) == []

    # --- refusals, in the user's words ---

    def test_13_more_than_the_buying_power_is_refused(self, venue: ContractVenue):
        refused(venue, venue.request(BUY, quantity=100_000))

    def test_14_a_symbol_the_venue_does_not_trade_is_refused(self, venue: ContractVenue):
        if not isinstance(venue.feed, type(venue.broker)):
            pytest.skip(f"{venue.can.name} trades whatever its feed has a price for")
        refused(venue, venue.request(BUY, symbol=venue.unknown_symbol))
        with pytest.raises(Rejected):
            venue.broker.rules(venue.unknown_symbol)

    def test_15_selling_what_is_not_held_opens_a_short_or_is_refused(self, venue: ContractVenue):
        request = venue.request(SELL)
        if not venue.can.shorts:
            return refused(venue, request)
        venue.trade(request)
        assert venue.held() == -venue.quantity

    def test_16_a_fraction_is_bought_or_refused(self, venue: ContractVenue):
        request = venue.request(BUY, quantity=venue.fraction)
        if not venue.can.fractional and not venue.symbol.is_crypto:
            return refused(venue, request)
        assert venue.trade(request).filled_quantity == venue.fraction

    def test_17_an_amount_of_money_is_spent_or_refused(self, venue: ContractVenue):
        request = venue.request(BUY, notional=D(50))
        if not venue.can.notional:
            return refused(venue, request)
        end = venue.trade(request)
        assert near(end.filled_quantity * end.average_price, 50)

    @pytest.mark.parametrize("when", TimeInForce)
    def test_18_a_time_in_force_that_is_not_listed_is_refused(self, venue: ContractVenue, when: TimeInForce):
        request = venue.request(BUY, OrderType.LIMIT, limit_price="101", time_in_force=when)
        if when not in venue.can.times_in_force:
            return refused(venue, request)
        if when in (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK):
            venue.trade(request)

    def test_19_extended_hours_are_taken_or_refused(self, venue: ContractVenue):
        request = venue.request(BUY, OrderType.LIMIT, limit_price="90", extended_hours=True)
        if not venue.can.extended_hours:
            return refused(venue, request)
        venue.broker.submit(request)
        assert venue.until(request, seen).status is WORKING

    def test_20_exits_are_held_at_the_venue_or_refused(self, venue: ContractVenue):
        request = venue.request(BUY, take_profit="110", stop_loss="90", time_in_force=TimeInForce.GTC)
        if not venue.can.native_bracket:
            return refused(venue, request)
        venue.trade(request)
        venue.set_price(venue.symbol, D(112))
        eventually(lambda: venue.held() == 0)

    def test_21_a_request_without_sense_is_refused(self, venue: ContractVenue):
        refused(venue, venue.request(BUY, quantity=0))
        refused(venue, venue.request(BUY, quantity=-1))
        refused(venue, venue.request(BUY, OrderType.LIMIT))

    # --- what the account says ---

    def test_22_positions_are_netted_over_orders(self, venue: ContractVenue):
        assert venue.held() == 0
        venue.buy()
        venue.buy()
        held = next(of for of in venue.broker.positions() if of.symbol == venue.symbol)
        assert near(held.quantity, 2 * venue.quantity)
        assert held.average_price is None or near(held.average_price, 100)

    def test_23_buying_turns_cash_into_a_position(self, venue: ContractVenue):
        before = venue.broker.account()
        venue.buy()
        after = venue.broker.account()
        assert before.cash == 100_000 and before.number and before.currency
        assert near(before.cash - after.cash, 100 * venue.quantity, "0.02") and near(
            after.equity, before.equity
        )

    def test_24_a_quote_is_the_market_as_it_is_now(self, venue: ContractVenue):
        venue.set_price(venue.symbol, D(123))
        quote = venue.feed.quote(venue.symbol)
        assert quote.symbol == venue.symbol and 0 < quote.bid <= quote.ask and near(quote.mid, 123, "0.005")
        assert quote.at.tzinfo is not None and abs(quote.at - venue.now()) < timedelta(minutes=2)

    def test_25_candles_come_oldest_first(self, venue: ContractVenue):
        if not venue.candles:
            pytest.skip("its feed has quotes alone")
        candles = venue.feed.candles(venue.symbol, Timeframe.parse("5m"), end=venue.now(), count=20)
        assert 0 < len(candles) <= 20 and [c.at for c in candles] == sorted(c.at for c in candles)
        assert all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in candles)

    def test_26_the_clock_says_whether_the_market_is_open(self, venue: ContractVenue):
        assert venue.broker.market_open(venue.symbol) is True

    def test_27_the_rules_of_a_symbol_have_steps(self, venue: ContractVenue):
        rules = venue.broker.rules(venue.symbol)
        assert rules.quantity_step > 0 and rules.price_step > 0 and rules.tradable and rules.min_quantity >= 0
        assert rules.shortable <= venue.can.shorts
