"""Round trips, on ledgers small enough to reckon by hand, and on any that Hypothesis makes up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.ledger import Lot, Position, book
from dashtrade.domain.ports import BrokerFill
from dashtrade.domain.round_trips import (
    Change,
    Execution,
    ExitReason,
    RoundTrip,
    exit_reason,
    follow_all,
    tally,
)
from dashtrade.domain.signals import ExitCause
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, OrderType, Side

AAPL = Symbol.parse("AAPL")
START = datetime(2026, 1, 5, 10, tzinfo=UTC)
Told = tuple[str, str, str, str]  # side, quantity, price, fee


def executions(
    told: list[Told], *, completes: set[int] = frozenset(), fee_base: str = "0"
) -> list[Execution]:  # type: ignore[assignment]
    """As the ledger books them one after the other, each with its own signal, an hour apart."""
    position, lots, found = Position(), [], []
    for number, (side, quantity, price, fee) in enumerate(told):
        at = START + timedelta(hours=number)
        fill = BrokerFill(
            id=str(number),
            client_order_id="o",
            quantity=D(quantity),
            price=D(price),
            fee=D(fee),
            fee_base=D(fee_base) if side == "buy" else D(0),
            at=at,
        )
        done = book(position, lots, OrderSide(side), fill)
        found.append(
            Execution(
                user_id=1,
                account_id=1,
                bot_id=1,
                symbol=AAPL,
                signal_id=f"s{number}",
                held=position.quantity,
                side=OrderSide(side),
                quantity=fill.quantity - fill.fee_base,
                price=fill.price,
                realized=done.realized,
                fee=done.fee,
                at=at,
                completes=number in completes,
                reason=ExitReason.ALERT,
                on_paper=False,
            )
        )
        touched = {lot.id: lot for lot in done.closed}
        lots = [lot for old in lots if (lot := touched.get(old.id, old)).remaining]
        if done.opened:
            lots.append(Lot(id=number, remaining=done.opened, price=fill.price, opened_at=at))
        position = done.position
    return found


def trips_of(told: list[Told], **more: Any) -> list[RoundTrip]:
    return [trip for _, trip in follow_all(None, executions(told, **more))]


def test_in_and_out_is_one_round_trip_after_both_fees():
    [trip] = trips_of([("buy", "10", "100", "1"), ("sell", "10", "110", "1")])
    assert (trip.side, trip.entry_quantity, trip.entry_price, trip.exit_price) == (Side.LONG, 10, 100, 110)
    assert (trip.net, trip.percent, trip.held) == (98, D("9.8"), timedelta(hours=1))
    assert (trip.entry_signal_id, trip.exit_signal_id, trip.exit_reason) == ("s0", "s1", ExitReason.ALERT)


def test_partial_exits_and_additions_belong_to_the_trip():
    [trip] = trips_of(
        [
            ("sell", "10", "100", "0"),
            ("sell", "10", "90", "0"),
            ("buy", "5", "80", "0"),
            ("buy", "15", "96", "0"),
        ]
    )
    assert (trip.side, trip.entry_quantity, trip.entry_price, trip.exit_price) == (Side.SHORT, 20, 95, 92)
    assert (trip.net, trip.exit_signal_id) == (60, "s3")


def test_a_flip_ends_one_trip_and_begins_the_next_and_each_bears_its_part_of_the_fee():
    ended, begun = trips_of([("buy", "10", "100", "0"), ("sell", "30", "110", "3")])
    assert (ended.side, ended.exit_quantity, ended.net) == (Side.LONG, 10, 99)
    assert (begun.side, begun.entry_quantity, begun.fees, begun.is_open) == (Side.SHORT, 20, 2, True)
    assert begun.opened_at == ended.closed_at


def test_a_trip_that_is_left_in_part_is_open():
    [trip] = trips_of([("buy", "10", "100", "0"), ("sell", "4", "110", "0")])
    assert trip.is_open and trip.held is None and trip.exit_reason == "" and trip.net == 40


def test_a_rest_too_small_to_be_ordered_does_not_keep_a_trip_open():
    """A fee taken in the bought coin: 0.999 are there, 0.99 can be sold. What becomes of the rest is the
    first trip's."""
    told = [("buy", "1", "100", "0"), ("sell", "0.99", "110", "0"), ("sell", "2", "120", "0")]
    first, second = trips_of(told, completes={1}, fee_base="0.001")
    assert (first.closed_at, first.exit_signal_id) == (START + timedelta(hours=1), "s1")
    assert first.exit_quantity == D("0.999") == first.entry_quantity
    assert (second.side, second.entry_quantity, second.is_open) == (Side.SHORT, D("1.991"), True)


def test_what_comes_after_a_trip_ended_changes_what_it_made_and_whether_it_was_won():
    seen = executions(
        [("buy", "10", "100", "0"), ("sell", "9", "101", "0"), ("sell", "1", "80", "0")], completes={1}
    )
    first = follow_all(None, seen[:2])
    [(before, after)] = follow_all(first[-1][1], seen[2:])
    assert before is not None and (before.net, after.net, after.closed_at) == (9, -11, before.closed_at)
    assert (tally(first).wins, tally([(before, after)]).wins, tally([(before, after)]).losses) == (1, -1, 1)


def test_a_position_without_a_trip_gets_one_when_it_is_left():
    [trip] = [
        trip
        for _, trip in follow_all(
            None, executions([("buy", "10", "100", "0"), ("sell", "10", "105", "0")])[1:]
        )
    ]
    assert (trip.side, trip.entry_price, trip.exit_price, trip.net, trip.is_open) == (
        Side.LONG,
        100,
        105,
        50,
        False,
    )


@pytest.mark.parametrize(
    ("origin", "cause", "more", "reason"),
    [
        ("webhook", None, {}, "alert"),
        ("webhook", None, {"order_type": OrderType.STOP}, "stop_loss"),
        ("exit", ExitCause.STOP_LOSS, {}, "stop_loss"),
        ("exit", ExitCause.TAKE_PROFIT, {}, "take_profit"),
        ("exit", ExitCause.STOP_LOSS, {"trailing": True}, "trailing_stop"),
        ("exit", ExitCause.TIME_LIMIT, {}, "time_limit"),
        ("exit", None, {}, "stop_loss"),
        ("risk", ExitCause.RISK_LIMIT, {}, "risk_limit"),
        ("risk", ExitCause.DAILY_LOSS, {}, "daily_loss"),
        ("user", None, {}, "manual"),
        ("user", ExitCause.FLATTEN, {}, "flatten"),
        ("adjustment", None, {}, "external"),
        ("adopted", None, {}, "recovered"),
        ("webhook", None, {"held_at_broker": True, "order_type": OrderType.LIMIT}, "broker_take_profit"),
        ("webhook", None, {"held_at_broker": True, "order_type": OrderType.STOP}, "broker_stop_loss"),
    ],
)
def test_a_trip_says_why_it_ended(origin: str, cause: ExitCause | None, more: dict[str, Any], reason: str):
    given_ = {"order_type": OrderType.MARKET, "held_at_broker": False, "trailing": False} | more
    assert exit_reason(origin=origin, cause=cause, **given_) == reason


_fill = st.tuples(
    st.sampled_from(["buy", "sell"]),
    st.integers(1, 400).map(lambda n: str(D(n) / 8)),
    st.integers(50, 200).map(str),
    st.sampled_from(["0", "0.35", "1"]),
)


@given(told=st.lists(_fill, min_size=1, max_size=30), cuts=st.sets(st.integers(1, 29)))
def test_one_by_one_or_all_at_once_the_trips_are_the_same_and_add_up_to_the_ledger(
    told: list[Told], cuts: set[int]
):
    seen = executions(told)
    at_once = [trip for _, trip in follow_all(None, seen)]
    latest: RoundTrip | None = None
    kept: list[RoundTrip] = []
    found: list[Change] = []
    for since, until in zip([0, *sorted(cuts)], [*sorted(cuts), 30], strict=True):
        for before, after in follow_all(latest, seen[since:until]):
            kept = [*(kept[:-1] if before is not None else kept), after]
            found.append((before, after))
            latest = after
    assert kept == at_once
    assert sum(trip.net for trip in kept) == sum(one.realized - one.fee for one in seen)
    assert sum(trip.is_open for trip in kept) == bool(seen[-1].held + seen[-1].quantity * seen[-1].side.sign)
    assert all(trip.entry_quantity == trip.exit_quantity for trip in kept if not trip.is_open)
    over = [trip.net for trip in kept if not trip.is_open]
    assert (tally(found).wins, tally(found).losses) == (
        sum(net > 0 for net in over),
        sum(net < 0 for net in over),
    )
