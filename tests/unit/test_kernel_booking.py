"""Booking as a pure function: however a broker tells of the same executions, the books come out the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.bots import Bot
from dashtrade.domain.kernel.booking import BookedFills, BookingInputs, book_fills
from dashtrade.domain.kernel.outcomes import Outcome, most_pressing, outcome_of
from dashtrade.domain.kernel.reports import reported
from dashtrade.domain.ledger import Fees, Lot
from dashtrade.domain.orders import Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.domain.reasons import NO_REASON, Code
from dashtrade.domain.round_trips import RoundTrip
from dashtrade.domain.values import ZERO, OrderSide
from tests.support.fakes import MORNING
from tests.support.records import make_bot, make_order


def a_report(order: Order, fills: list[BrokerFill], status: VenueStatus) -> OrderReport:
    quantity = sum((fill.quantity for fill in fills), ZERO)
    notional = sum((fill.quantity * fill.price for fill in fills), ZERO)
    return OrderReport(
        client_order_id=order.id,
        broker_order_id="B-1",
        status=status,
        filled_quantity=quantity,
        average_price=notional / quantity if quantity else None,
        fills=tuple(fills),
    )


@dataclass
class Memory:
    """A store of one bot, as small as can be."""

    bot: Bot
    lots: dict[int, Lot] = field(default_factory=dict)
    trips: list[RoundTrip] = field(default_factory=list)
    known: dict[str, Fees] = field(default_factory=dict)

    def book(self, order: Order, report: OrderReport) -> Order:
        seen = reported(order, report, self.known, MORNING)
        if seen.fills:
            inputs = BookingInputs(
                bot=self.bot,
                lots=[lot for _, lot in sorted(self.lots.items())],
                trip=self.trips[-1] if self.trips and self.bot.position.quantity else None,
                origin="webhook",
                cause=None,
                exits_held=False,
            )
            self.store(book_fills(order, seen.order, seen.fills, inputs, MORNING))
        return seen.order

    def store(self, booked: BookedFills) -> None:
        self.bot = booked.bot
        for lot in booked.lots:
            self.lots[lot.id] = lot
            if not lot.remaining:
                del self.lots[lot.id]
        for one in booked.fills:
            self.known[one.fill.id] = (one.fill.fee, one.fill.fee_base)
            if one.opened:
                number = max(self.lots, default=0) + 1
                self.lots[number] = Lot(
                    id=number, remaining=one.opened, price=one.fill.price, opened_at=one.fill.at
                )
        for trip in booked.trips:
            if trip.id:
                self.trips[trip.id - 1] = trip
            else:
                self.trips.append(replace(trip, id=len(self.trips) + 1))


amounts = st.decimals(min_value="0.01", max_value="500", places=2)
executions = st.lists(st.tuples(amounts, amounts, st.decimals("0", "2", places=2)), min_size=1, max_size=4)
orders = st.lists(st.tuples(st.sampled_from(OrderSide), executions), min_size=1, max_size=5)


def fills_of(number: int, told: list[tuple[D, D, D]]) -> list[BrokerFill]:
    return [
        BrokerFill(
            id=f"f-{number}-{place}",
            client_order_id=f"o-{number}",
            quantity=quantity,
            price=price,
            at=MORNING + timedelta(seconds=place),
            fee=fee,
            fee_base=ZERO,
        )
        for place, (quantity, price, fee) in enumerate(told)
    ]


def run(story: list[tuple[OrderSide, list[tuple[D, D, D]]]], *, at_once: bool) -> Memory:
    memory = Memory(make_bot())
    for number, (side, told) in enumerate(story, 1):
        fills = fills_of(number, told)
        quantity = sum((fill.quantity for fill in fills), ZERO)
        order = make_order(side, quantity, number=number)
        cuts = [len(fills)] if at_once else range(1, len(fills) + 1)
        for cut in cuts:
            status = VenueStatus.FILLED if cut == len(fills) else VenueStatus.WORKING
            order = memory.book(order, a_report(order, fills[:cut], status))
            order = memory.book(order, a_report(order, fills[:cut], status))  # told twice
        assert order.status is OrderStatus.FILLED
    return memory


@given(orders)
def test_reports_may_come_one_by_one_or_at_once_and_twice(story):
    slowly, at_once = run(story, at_once=False), run(story, at_once=True)
    assert slowly.bot.position == at_once.bot.position
    assert (slowly.bot.realized_pnl, slowly.bot.fees) == (at_once.bot.realized_pnl, at_once.bot.fees)
    assert [lot.remaining for lot in slowly.lots.values()] == [lot.remaining for lot in at_once.lots.values()]
    assert slowly.bot.total_trades == at_once.bot.total_trades == len(story)
    assert (slowly.bot.last_day.wins, slowly.bot.last_day.losses) == (
        at_once.bot.last_day.wins,
        at_once.bot.last_day.losses,
    )


@given(orders)
def test_position_lots_and_round_trips_tell_the_same_story(story):
    memory = run(story, at_once=True)
    position = memory.bot.position
    assert sum((lot.remaining for lot in memory.lots.values()), ZERO) == position.quantity
    assert sum((lot.remaining * lot.price for lot in memory.lots.values()), ZERO) == position.cost
    assert sum((trip.realized for trip in memory.trips), ZERO) == memory.bot.realized_pnl
    assert sum((trip.fees for trip in memory.trips), ZERO) == memory.bot.fees
    assert [trip.is_open for trip in memory.trips[-1:]] == [bool(position.quantity)]
    assert not any(trip.is_open for trip in memory.trips[:-1])


def test_an_old_report_changes_nothing():
    memory = Memory(make_bot())
    order = make_order(OrderSide.BUY, D(10))
    fills = fills_of(1, [(D(4), D(100), ZERO), (D(6), D(101), ZERO)])
    done = memory.book(order, a_report(order, fills, VenueStatus.FILLED))
    seen = reported(done, a_report(order, fills[:1], VenueStatus.WORKING), memory.known, MORNING)
    assert not seen.changed and seen.order.status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("status", "filled", "outcome", "code"),
    [
        (OrderStatus.FILLED, "10", "filled", Code.BOUGHT),
        (OrderStatus.CANCELED, "4", "filled", Code.PARTLY_FILLED),
        (OrderStatus.EXPIRED, "0", "failed", Code.ENDED_UNFILLED),
        (OrderStatus.REJECTED, "0", "failed", Code.ENDED_UNFILLED),
    ],
)
def test_what_an_order_comes_to(status: OrderStatus, filled: str, outcome: str, code: Code):
    order = replace(
        make_order(OrderSide.BUY, D(10)),
        status=status,
        filled_quantity=D(filled),
        filled_notional=D(filled) * 100,
    )
    found = outcome_of(order)
    assert found is not None and (found.status, found.reason.code) == (outcome, code)


def test_a_signal_comes_to_the_most_pressing_of_its_decisions():
    ended = [Outcome("filled", NO_REASON), Outcome("refused", NO_REASON), Outcome("failed", NO_REASON)]
    assert most_pressing(ended).status == "failed"
    assert most_pressing([*ended, Outcome("sending", NO_REASON)]).status == "accepted"
    assert most_pressing([*ended, Outcome("attention", NO_REASON)]).status == "attention"
