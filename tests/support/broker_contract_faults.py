"""What every broker must do when something goes wrong: the numbered cases 28 to 39 of the contract."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, Unavailable, Unknown
from dashtrade.domain.values import OrderType, client_order_id, new_id
from tests.support.broker_venue import (
    AFTER_PLACING,
    BUY,
    WORKING,
    ContractVenue,
    D,
    filled,
    in_words,
    near,
    resting,
)


class FaultContract:
    # --- faults ---

    @pytest.mark.parametrize("fault", AFTER_PLACING)
    def test_28_an_answer_that_says_nothing_is_unknown_and_one_order_is_found(
        self, venue: ContractVenue, fault: str
    ):
        venue.has(fault)
        request = venue.request(BUY)
        venue.fault(fault)
        with pytest.raises(Unknown) as caught:
            venue.broker.submit(request)
        assert in_words(caught.value), caught.value.message
        assert near(venue.until(request, filled).average_price, 100)
        assert venue.placed() == 1 and near(venue.held(), venue.quantity)

    def test_29_an_order_that_shows_up_late_is_found_later(self, venue: ContractVenue):
        venue.has("late_visibility")
        request = venue.request(BUY)
        venue.fault("late_visibility", seconds=0.25)
        venue.fault("time_out")
        with pytest.raises(Unknown):
            venue.broker.submit(request)
        venue.until(request, filled)
        assert venue.placed() == 1 and venue.can.settle >= timedelta(seconds=1)

    def test_30_an_unknown_status_is_a_working_order(self, venue: ContractVenue):
        venue.has("unknown_status")
        request = venue.request(BUY, OrderType.LIMIT, limit_price="90", time_in_force=resting(venue))
        venue.fault("unknown_status")
        assert venue.broker.submit(request).status is WORKING
        assert venue.broker.find(venue.ref(request)).status is WORKING

    def test_31_a_revoked_key_raises_bad_credentials_in_every_call(self, venue: ContractVenue):
        venue.has("bad_key")
        request = venue.request(BUY)
        venue.fault("bad_key")
        broker, ref = venue.broker, venue.ref(request)
        calls = [
            lambda: broker.submit(request),
            lambda: broker.find(ref),
            lambda: broker.poll([ref]),
            lambda: broker.cancel(ref),
        ]
        for call in (*calls, broker.account, broker.positions):
            with pytest.raises(BadCredentials) as caught:
                call()
            assert in_words(caught.value), caught.value.message
        assert venue.placed() == 0

    def test_32_too_many_requests_mean_later_and_nothing_was_placed(self, venue: ContractVenue):
        venue.has("rate_limited")
        request = venue.request(BUY)
        venue.fault("rate_limited", seconds=7)
        with pytest.raises(RetryLater) as caught:
            venue.broker.submit(request)
        assert timedelta(seconds=5) < caught.value.after <= timedelta(seconds=8) and venue.placed() == 0
        venue.trade(request)
        assert venue.placed() == 1

    def test_33_a_failed_reading_is_neither_nothing_nor_flat(self, venue: ContractVenue):
        venue.has("reading_fails")
        request = venue.request(BUY)
        venue.trade(request)
        venue.fault("reading_fails")
        calls = [
            lambda: venue.broker.find(venue.ref(request)),
            venue.broker.positions,
            venue.broker.account,
            lambda: venue.broker.poll([venue.ref(request)]),
        ]
        for call in calls:
            with pytest.raises((Unavailable, RetryLater)):
                call()

    def test_34_a_refused_connection_means_later_as_nothing_left(self, venue: ContractVenue):
        venue.has("unreachable")
        broker = venue.unreachable_broker()
        with pytest.raises(RetryLater) as caught:
            broker.submit(venue.request(BUY))
        assert in_words(caught.value), caught.value.message
        with pytest.raises((Unavailable, RetryLater)):
            broker.account()
        broker.close()

    # --- once, and only once ---

    def test_35_after_a_restart_a_new_adapter_finds_the_order(self, venue: ContractVenue):
        request = venue.request(BUY)
        if "time_out" in venue.faults:
            venue.fault("time_out")
            with pytest.raises(Unknown):
                venue.broker.submit(request)
        else:
            venue.broker.submit(request)
        fresh = venue.restarted()
        end = venue.until(request, filled, broker=fresh)
        assert end.filled_quantity == venue.quantity and venue.placed() == 1
        fresh.close()

    @pytest.mark.parametrize("ended", [False, True])
    def test_36_the_same_client_id_never_makes_a_second_order(self, venue: ContractVenue, ended: bool):
        if not venue.can.refuses_repeats:
            pytest.skip(
                f"{venue.can.name} does not claim to refuse repeats, so the engine never sends an id twice"
            )
        price = "101" if ended else "90"
        request = venue.request(BUY, OrderType.LIMIT, limit_price=price, time_in_force=resting(venue))
        first = venue.trade(request) if ended else venue.broker.submit(request)
        try:
            again = venue.broker.submit(request)  # adopting it is right
        except Rejected:
            again = venue.broker.find(venue.ref(request))  # refusing it is right, too
        assert again.broker_order_id == first.broker_order_id and venue.placed() == 1

    def test_37_orders_from_several_threads_are_each_placed_once(self, venue: ContractVenue):
        requests = [venue.request(BUY, quantity=1) for _ in range(8)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(venue.broker.submit, requests))
        for request in requests:
            venue.until(request, filled)
        assert venue.placed() == 8 and near(venue.held(), 8)

    def test_38_closing_twice_is_no_error(self, venue: ContractVenue):
        venue.broker.account()
        venue.broker.close()
        venue.broker.close()

    def test_39_orders_that_were_forgotten_are_listed_by_our_ids(self, venue: ContractVenue):
        if not venue.can.lists_orders:
            pytest.skip(f"{venue.can.name} does not list orders by our ids, which its capabilities say")
        started, names = (
            venue.now() - timedelta(minutes=1),
            [client_order_id(new_id(venue.now()), 7, step) for step in (0, 1)],
        )
        venue.trade(venue.request(BUY, client_order_id=names[0]))
        venue.broker.submit(
            venue.request(
                BUY, OrderType.LIMIT, limit_price="90", time_in_force=resting(venue), client_order_id=names[1]
            )
        )
        venue.buy()  # under a name that is none of ours
        found = {
            order.client_order_id: order for order in venue.restarted().orders_since(started, [venue.symbol])
        }
        assert sorted(found) == sorted(names)
        ended, rests = (found[name] for name in names)
        assert (ended.symbol, ended.side, rests.type, rests.limit_price) == (
            venue.symbol,
            BUY,
            OrderType.LIMIT,
            D(90),
        )
        assert (
            near(ended.filled_quantity, venue.quantity)
            and rests.filled_quantity == 0
            and rests.quantity == venue.quantity
        )
        assert venue.broker.find(ended.ref).client_order_id == names[0]
