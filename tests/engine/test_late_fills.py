"""Fills that come when an order has ended, or are told twice in two ways: each is booked once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.ledger import new_fills
from dashtrade.domain.ports import BrokerFill, OrderReport, VenueStatus
from dashtrade.engine.workflow import run_sync
from dashtrade.tables import orders as order_table
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader

D = Decimal


@pytest.fixture
def venue() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def installation(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker
) -> Iterator[Installation]:
    yield Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))


@pytest.fixture
def resting(installation: Installation, trader: Trader, venue: ScriptedBroker) -> str:
    """A limit order for 10 that works at the venue."""
    trader.bot(account=trader.account("venue"), position_size="10", position_size_type="quantity")
    venue.plan.append("work")
    trader.trades("buy", order_type="limit", limit_price="100")
    return venue.sent[-1].client_order_id


def cancelled(installation: Installation, trader: Trader, name: str) -> None:
    trader.request("POST", f"/orders/{name}/cancel")
    installation.work()
    assert trader.get(f"/orders/{name}")["status"] == "canceled"


@pytest.mark.parametrize("part", [4, 10])
def test_a_fill_that_comes_after_the_cancellation_is_booked_once(
    installation: Installation,
    trader: Trader,
    venue: ScriptedBroker,
    clock: ManualClock,
    resting: str,
    part: int,
):
    cancelled(installation, trader, resting)
    venue.report(resting, VenueStatus.CANCELED, venue.execution(resting, part))
    account = trader.get("/orders")["items"][0]["account_id"]
    for _ in range(3):
        clock.forward(5)
        installation.app.engine.collect(account)
    order = trader.get(f"/orders/{resting}")
    assert (order["filled_quantity"], order["status"]) == (str(part), "filled" if part == 10 else "canceled")
    assert trader.holds(1) == part and len(trader.get("/trades")["items"]) == 1
    assert trader.get("/signals")["items"][0]["status"] == "filled"


def test_an_order_that_ended_is_not_asked_after_for_ever(
    installation: Installation, trader: Trader, venue: ScriptedBroker, clock: ManualClock, resting: str
):
    cancelled(installation, trader, resting)
    assert [order.id for order in installation.app.engine.sender.recently_ended()] == [resting]
    clock.forward(61)
    assert installation.app.engine.sender.recently_ended() == []


def test_executions_listed_after_their_total_are_not_booked_again(
    installation: Installation, trader: Trader, venue: ScriptedBroker, resting: str
):
    def report_fills(*fills: BrokerFill, total: int, status: VenueStatus = VenueStatus.WORKING) -> None:
        with installation.app.db.read() as conn:
            order = order_table.load(conn, resting)
        report = replace(
            venue.reports[resting],
            status=status,
            fills=fills,
            filled_quantity=D(total),
            average_price=D(100) if total else None,
        )
        run_sync(installation.app.db, installation.app.engine.sender.book(order, report))

    first, second, third = (
        venue.execution(resting, quantity, number=number) for number, quantity in enumerate((2, 3, 5), 1)
    )
    report_fills(total=5)
    report_fills(first, second, total=5)
    assert trader.holds(1) == 5
    report_fills(first, second, third, total=10, status=VenueStatus.FILLED)
    report_fills(first, second, third, total=10, status=VenueStatus.FILLED)
    assert trader.holds(1) == 10 and trader.get("/bots/1")["position"]["average_price"] == "100"
    assert trader.get(f"/orders/{resting}")["status"] == "filled"


AT = datetime(2026, 1, 5, 15, tzinfo=UTC)
EXECUTIONS = tuple(
    BrokerFill(id=f"e{n}", client_order_id="o", quantity=D(quantity), price=D(price), at=AT)
    for n, (quantity, price) in enumerate(((2, 100), (3, 101), (5, 99)))
)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_however_totals_and_executions_are_mixed_the_sums_are_the_venues(news: list[tuple[int, bool]]):
    """Each piece of news tells the first executions of three, one by one or as a total; the last tells
    all."""
    booked: dict[str, BrokerFill] = {}
    for count, singly in [*news, (3, True)]:
        report_fills: Any = EXECUTIONS[:count]
        quantity = sum((fill.quantity for fill in report_fills), D(0))
        notional = sum((fill.quantity * fill.price for fill in report_fills), D(0))
        report = OrderReport(
            client_order_id="o",
            broker_order_id="v",
            status=VenueStatus.WORKING,
            filled_quantity=quantity,
            average_price=notional / quantity if quantity else None,
            fills=report_fills if singly else (),
        )
        have, worth = (
            sum((part(fill) for fill in booked.values()), D(0))
            for part in (lambda f: f.quantity, lambda f: f.quantity * f.price)
        )
        if report.fills or report.filled_quantity > have:
            booked |= {fill.id: fill for fill in new_fills(report, booked.keys(), have, worth, AT)}
    assert sum(fill.quantity for fill in booked.values()) == 10
    assert abs(sum(fill.quantity * fill.price for fill in booked.values()) - 998) < D("1e-20")


# --- fees of totals --------------------------------------------------------------------------


def total(quantity: int, fee: str, fee_base: str = "0") -> OrderReport:
    return OrderReport(
        client_order_id="o",
        broker_order_id="v",
        status=VenueStatus.FILLED,
        filled_quantity=D(quantity),
        average_price=D(100),
        total_fee=D(fee),
        total_fee_base=D(fee_base),
    )


def test_a_total_is_booked_with_what_of_its_fees_is_not_booked_yet():
    (first,) = new_fills(total(4, "0.4", "0.01"), set(), D(0), D(0), AT)
    assert (first.fee, first.fee_base) == (D("0.4"), D("0.01"))
    (second,) = new_fills(total(10, "1", "0.03"), {first.id}, D(4), D(400), AT, (first.fee, first.fee_base))
    assert (second.quantity, second.fee, second.fee_base) == (6, D("0.6"), D("0.02"))


def test_a_total_without_fees_takes_none_back():
    (fill,) = new_fills(total(10, "0"), {"e0"}, D(4), D(400), AT, (D("0.4"), D(0)))
    assert fill.fee == 0


def test_executions_listed_after_their_total_add_only_new_fees():
    report_fills = tuple(
        BrokerFill(id=f"e{n}", client_order_id="o", quantity=D(5), price=D(100), at=AT, fee=D("0.5"))
        for n in range(2)
    )
    report = replace(total(10, "0"), fills=report_fills)
    (fill,) = new_fills(report, {"o@5"}, D(5), D(500), AT, (D("0.5"), D(0)))
    assert (fill.quantity, fill.fee) == (5, D("0.5"))


def test_the_fees_of_a_total_reach_the_books(
    installation: Installation, trader: Trader, venue: ScriptedBroker, resting: str
):
    with installation.app.db.read() as conn:
        order = order_table.load(conn, resting)
    filled = {
        "status": VenueStatus.FILLED,
        "filled_quantity": D(10),
        "average_price": D(100),
        "total_fee": D("1.5"),
    }
    report = replace(venue.reports[resting], **filled)
    run_sync(installation.app.db, installation.app.engine.sender.book(order, report))
    assert trader.get("/trades")["items"][0]["fee"] == "1.5"
