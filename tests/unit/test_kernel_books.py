"""Steps of the kernel on books in memory: nothing is read twice, and each row is changed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal as D
from itertools import count

import pytest

from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.exits.state import ExitKind, ExitState, StopLevel
from dashtrade.domain.kernel import lane, watching
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.order_states import change_order
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.reporting import apply_report
from dashtrade.domain.kernel.settlement import refuse
from dashtrade.domain.kernel.source import NewRow, TripInputs
from dashtrade.domain.ledger import Fees, Lot, Position
from dashtrade.domain.notices.trading import OrderFilled, OrderRefused
from dashtrade.domain.orders import Effect, Order, OrderStatus
from dashtrade.domain.ports import BrokerFill, OrderReport, Quote, VenueStatus
from dashtrade.domain.reasons import NO_REASON, Code, Reason
from dashtrade.domain.values import ZERO, OrderSide, OrderType
from tests.support.fakes import MORNING
from tests.support.records import AAPL, make_bot, make_order


@dataclass
class Shelf:
    """A source that counts what is read."""

    bots: list[Bot] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    held: list[Lot] = field(default_factory=list)
    decisions: dict[int, Outcome] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    ids: Iterator[int] = field(default_factory=lambda: count(1000))

    def order(self, order_id: str) -> Order:
        self.reads[order_id] += 1
        return next(order for order in self.orders if order.id == order_id)

    def orders_of_signal(self, signal_id: str, bot_id: int) -> list[Order]:
        self.reads[signal_id] += 1
        return [one for one in self.orders if (one.signal_id, one.bot_id) == (signal_id, bot_id)]

    def bot(self, bot_id: int) -> Bot:
        self.reads[f"bot {bot_id}"] += 1
        return next(bot for bot in self.bots if bot.id == bot_id)

    def lots(self, bot_id: int) -> list[Lot]:
        self.reads[f"lots {bot_id}"] += 1
        return self.held

    def booked_fills(self, order_id: str) -> Mapping[str, Fees]:
        return {}

    def trip_inputs(self, order: Order) -> TripInputs:
        return TripInputs(trip=None, origin="webhook", cause=None)

    def new_id(self, row: NewRow) -> int:
        return next(self.ids)

    def outcomes(self, signal_id: str) -> Mapping[int, Outcome]:
        return self.decisions


def report_of(order: Order, quantity: str, price: str = "100", *, number: int = 1) -> OrderReport:
    fill = BrokerFill(
        id=f"{order.id}-{number}",
        client_order_id=order.id,
        quantity=D(quantity),
        price=D(price),
        at=MORNING,
        fee=ZERO,
    )
    return OrderReport(
        client_order_id=order.id,
        broker_order_id="B-1",
        status=VenueStatus.FILLED if D(quantity) == order.quantity else VenueStatus.WORKING,
        filled_quantity=D(quantity),
        average_price=D(price),
        fills=(fill,),
    )


def test_a_reversal_in_one_transaction_writes_each_row_once():
    held = replace(make_bot(), position=Position(quantity=D(10), cost=D(900)), status="FILLED")
    close = replace(make_order(OrderSide.SELL, D(10)), effect=Effect.CLOSE, final=False)
    opening = replace(make_order(OrderSide.SELL, D(4), number=2), step=close.step + 2)
    shelf = Shelf([held], [close, opening], [Lot(id=7, remaining=D(10), price=D(90), opened_at=MORNING)])
    books = Books(shelf)
    for order in (close, opening):
        assert apply_report(books, order.id, report_of(order, str(order.quantity)), MORNING).changed
    bot, changes = books.bot(held.id), books.changes
    assert (bot.position.quantity, bot.realized_pnl, bot.status) == (D(-4), D(100), "FILLED")
    assert list(changes.bots) == [held.id] and changes.booked_bots == {held.id}
    assert {order.status for order in changes.orders.values()} == {OrderStatus.FILLED}
    assert changes.lots[7].remaining == 0 and changes.lots[changes.fills[1].lot_id].remaining == D(-4)
    assert [trip.is_open for trip in changes.trips.values()] == [False, True]
    assert (
        changes.decisions[opening.decision_id].status == changes.signals[opening.signal_id].status == "filled"
    )
    assert [type(message.notice) for message in changes.messages] == [OrderFilled, OrderFilled]
    assert set(shelf.reads.values()) == {1}


def test_the_same_report_twice_in_one_transaction_is_booked_once():
    order = make_order(OrderSide.BUY, D(10))
    books = Books(Shelf([make_bot()], [order]))
    part = report_of(order, "4")
    assert apply_report(books, order.id, part, MORNING).changed
    assert not apply_report(books, order.id, part, MORNING).changed
    assert books.bot(1).position.quantity == 4 and len(books.changes.fills) == 1


def test_what_is_taken_back_leaves_no_trace():
    order = make_order(OrderSide.BUY, D(10))
    books = Books(Shelf([make_bot()], [order]))
    before = books.changes.copied()
    apply_report(books, order.id, report_of(order, "10"), MORNING)
    books.changes = before
    assert books.bot(1).position.quantity == 0 and not books.changes.fills
    change_order(
        books, replace(order, status=OrderStatus.REJECTED, reason=Reason(Code.PAPER_FAILED)), MORNING
    )
    assert books.bot(1).status == "READY"
    assert [type(message.notice) for message in books.changes.messages] == [OrderRefused]


def test_a_signal_for_two_bots_ends_with_the_last_of_them():
    shelf = Shelf(decisions={1: Outcome("waiting", NO_REASON), 2: Outcome("waiting", NO_REASON)})
    books, why = Books(shelf), Reason(Code.NOTHING_TO_CLOSE)
    refuse(books, 1, "s", why, sole_recipient=False, now=MORNING)
    assert (books.changes.signals["s"].status, books.changes.signals["s"].ended_at) == ("accepted", None)
    refuse(books, 2, "s", why, sole_recipient=False, now=MORNING)
    assert (books.changes.signals["s"].status, books.changes.signals["s"].ended_at) == ("refused", MORNING)


# --- what a lane does next ----------------------------------------------------------------------------------


def a_task(**changes: object) -> PendingDecision:
    known = {
        "id": 9,
        "user_id": 1,
        "signal_id": "s9",
        "bot_id": 1,
        "account_id": 1,
        "symbol": AAPL,
        "status": "waiting",
        "reason": NO_REASON,
        "sole_recipient": True,
        "cancelled_count": 0,
        "received_at": MORNING,
        "due_at": None,
        "held_until": None,
        "expires_at": None,
    }
    return PendingDecision(**(known | changes))  # type: ignore[arg-type]


def with_status(status: OrderStatus, **changes: object) -> Order:
    return replace(make_order(OrderSide.BUY, D(1)), status=status, created_at=MORNING, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (with_status(OrderStatus.SUBMITTING), [lane.LookUp]),
        (with_status(OrderStatus.UNKNOWN), [lane.LookUp]),
        (with_status(OrderStatus.UNKNOWN, due_at=MORNING + timedelta(seconds=1)), []),
        (with_status(OrderStatus.CREATED), [lane.Send]),
        (with_status(OrderStatus.WORKING, cancel_requested=True), [lane.Cancel]),
        (with_status(OrderStatus.ATTENTION), []),
        (with_status(OrderStatus.WORKING), []),
        (with_status(OrderStatus.WORKING, type=OrderType.LIMIT, limit_price=D(9)), [lane.Decide]),
    ],
)
def test_a_decision_waits_for_what_is_unconfirmed_or_about_to_fill(order: Order, expected: list[type]):
    assert [type(one) for one in lane.actions([order], [a_task()], MORNING)] == expected


def test_a_market_order_that_never_fills_blocks_the_lane_for_a_while_only():
    later = MORNING + lane.MARKET_ORDER_FILLS_WITHIN
    found = list(lane.actions([with_status(OrderStatus.WORKING)], [a_task(), a_task(id=10)], later))
    assert found == [lane.Decide(a_task(), more=True)]


def test_a_later_step_waits_for_the_earlier_one():
    first = with_status(OrderStatus.WORKING, type=OrderType.LIMIT, limit_price=D(9))
    second = replace(
        make_order(OrderSide.BUY, D(1), number=2), status=OrderStatus.CREATED, step=first.step + 2
    )
    second = replace(second, decision_id=first.decision_id)
    assert list(lane.actions([first, second], [], MORNING)) == []
    assert list(lane.actions([second], [], MORNING)) == [lane.Send(second)]


# --- what a price means -------------------------------------------------------------------------------------


def quote(price: str) -> Quote:
    return Quote(symbol=AAPL, bid=D(price), ask=D(price), at=MORNING)


def test_a_breached_limit_comes_before_an_exit():
    exits = ExitState(stop=StopLevel(price=D(95)))
    bot = replace(make_bot(), position=Position(quantity=D(10), cost=D(1000)), exits=exits)
    limited = replace(bot, daily_loss_limit=D(50))
    assert watching.examine(bot, quote("100"), MORNING) is None
    hit = watching.examine(bot, quote("94"), MORNING)
    assert isinstance(hit, watching.ExitTriggered) and hit.trigger.kind is ExitKind.STOP_LOSS
    breach = watching.examine(limited, quote("94"), MORNING)
    assert isinstance(breach, watching.LimitBreach) and (breach.actual, breach.threshold) == (D(60), D(50))


def test_a_trailing_stop_moves_only_in_the_positions_favour():
    exits = ExitState(stop=StopLevel(price=D(95), trail=D(5), best=D(100)))
    bot = replace(make_bot(), position=Position(quantity=D(10), cost=D(1000)), exits=exits)
    moves = watching.examine(bot, quote("110"), MORNING)
    assert isinstance(moves, watching.StopMoves) and moves.exits.stop is not None
    assert moves.exits.stop.price == 105
    assert watching.examine(replace(bot, exits=moves.exits), quote("107"), MORNING) is None
