"""The exits of a position as a value: how levels are made, moved, reached, stored and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.exits import state as rules
from dashtrade.domain.exits.plan import OrderExits
from dashtrade.domain.exits.state import ExitKind, ExitState, StopLevel, TargetLevel, TriggeredExit
from dashtrade.domain.exits.stored import read_order_exits, read_state, write_order_exits, write_state
from dashtrade.domain.exits.wording import exit_lines, exit_words, holder_words
from dashtrade.domain.ledger import Position
from dashtrade.domain.reasons import NO_REASON, Code, quoted, reason
from dashtrade.domain.signals import ExitPlan, Target
from dashtrade.domain.values import OrderSide

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
CENT = D("0.01")
LONG = Position(quantity=D(30), cost=D("3000.10"))  # at 100.00333…
SHORT = Position(quantity=D(-30), cost=D("-3000.10"))
PERCENT = ExitPlan(take_profits=(Target(percent=D(5)),), stop_loss=Target(percent=D(2)))

numbers = st.decimals(min_value="0.0001", max_value="1000000", places=6)
maybe = st.none() | numbers
reasons = st.sampled_from(
    [
        NO_REASON,
        quoted("cancelled by hand"),
        reason(Code.EXIT_ENDED_AT_BROKER, exit="stop-loss", status="expired"),
    ]
)
moments = st.integers(0, 10**10).map(lambda milliseconds: NOW + timedelta(milliseconds=milliseconds))
states = st.builds(
    ExitState,
    stop=st.none() | st.builds(StopLevel, price=numbers, limit=maybe, trail=maybe, best=maybe),
    take_profits=st.lists(
        st.builds(TargetLevel, price=numbers, share_percent=maybe, quantity=maybe), max_size=3
    ).map(tuple),
    size=maybe,
    break_even=st.booleans(),
    until=st.none() | moments,
    held_by=st.sampled_from([None, "Alpaca"]),
    lost=st.none() | reasons,
    triggered=st.none()
    | st.builds(
        TriggeredExit,
        kind=st.sampled_from(ExitKind),
        price=numbers,
        quantity=maybe,
        limit=maybe,
        signal_id=st.just("s-1"),
        tries=st.integers(1, 9),
        since=moments,
        notified=st.booleans(),
    ),
    price_step=st.sampled_from([D(0), CENT]),
)


def levels(plan: ExitPlan, position: Position, step: D = CENT) -> ExitState:
    return rules.price_exits(plan, position, NOW, "UTC", step)


# --- stored -------------------------------------------------------------------------------------------------


@given(states)
def test_what_was_stored_is_read_as_it_was(state: ExitState):
    assert read_state(json.loads(json.dumps(write_state(state)))) == state


def test_rows_of_an_older_version_are_read():
    """As the versions before this one wrote them: without a price step, what a broker said as a sentence."""
    old = {
        "take_profits": [{"price": "110", "share": "50", "quantity": None}, {"price": "120", "share": None}],
        "size": "30",
        "stop": "95",
        "trail": "5",
        "best": "100",
        "break_even": True,
        "until": "2026-03-02T20:00:00.000000Z",
        "held_by": "Alpaca",
        "lost": "the stop-loss was canceled there",
        "firing": {
            "kind": "take_profit",
            "price": "110",
            "quantity": "15",
            "limit": None,
            "signal": "s-1",
            "tries": 2,
            "since": "2026-03-02T15:00:00.000000Z",
            "told": False,
        },
    }
    state = read_state(old)
    assert state.stop == StopLevel(price=D(95), trail=D(5), best=D(100))
    assert [target.share_percent for target in state.take_profits] == [D(50), None]
    assert state.lost == quoted("the stop-loss was canceled there") and state.held_by == "Alpaca"
    assert state.triggered is not None and state.triggered.tries == 2 and state.triggered.since == NOW
    assert state.until == NOW + timedelta(hours=5) and state.price_step == 0


@pytest.mark.parametrize(
    "exits",
    [
        OrderExits(plan=PERCENT, price_step=CENT),
        OrderExits(plan=PERCENT, held_by="Alpaca", price_step=CENT),
        OrderExits(
            plan=ExitPlan(
                stop_loss=Target(amount=D("1.5"), trailing=True),
                break_even=True,
                close_after=timedelta(hours=2),
                close_at=time(15, 55),
            )
        ),
    ],
)
def test_an_entrys_exits_are_read_as_they_were(exits: OrderExits):
    assert read_order_exits(json.loads(json.dumps(write_order_exits(exits)))) == exits


def test_an_order_of_an_older_version_has_no_price_step():
    old = {"take_profits": [{"price": "110", "trailing": False}], "stop_loss": None, "native": "Alpaca"}
    plan = ExitPlan(take_profits=(Target(price=D(110)),))
    assert read_order_exits(old) == OrderExits(plan=plan, held_by="Alpaca", price_step=D(0))


# --- levels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "stop", "target"),
    [(LONG, "98.00", "105.01"), (SHORT, "102.01", "95.00")],
    ids=["long", "short"],
)
def test_levels_are_rounded_away_from_the_market(position: Position, stop: str, target: str):
    """From 100.00333…: 2 % and 5 % away are 98.00327, 105.00350, 102.00340 and 95.00317."""
    state = levels(PERCENT, position)
    assert state.stop is not None
    assert (str(state.stop.price), str(state.take_profits[0].price)) == (stop, target)


def test_without_a_known_step_levels_stay_as_they_are_computed():
    state = levels(PERCENT, LONG, D(0))
    assert state.stop is not None and state.stop.price == LONG.average_price * D("0.98")  # type: ignore[operator]


def test_a_level_is_never_rounded_to_zero():
    assert rules.round_away(D("0.004"), -1, CENT) == D("0.004")


@given(numbers, st.sampled_from([1, -1]))
def test_rounding_never_brings_a_level_nearer(price: D, direction: int):
    rounded = rules.round_away(price, direction, CENT)
    assert (rounded - price) * direction >= 0 or price < CENT
    assert abs(rounded - price) < CENT


# --- changes ------------------------------------------------------------------------------------------------


def test_break_even_is_the_entry_rounded_away_and_set_once():
    state = rules.at_break_even(levels(PERCENT, LONG), LONG)
    assert state.stop is not None and state.stop.price == D("100.00")
    assert rules.at_break_even(state, LONG) == state
    better = replace(state, stop=replace(state.stop, price=D(101)))
    assert rules.at_break_even(better, LONG) == better


@given(st.lists(numbers, min_size=1, max_size=20), st.sampled_from([LONG, SHORT]))
def test_a_trailing_stop_never_goes_back(marks: list[D], position: Position):
    plan = ExitPlan(stop_loss=Target(amount=D(3), trailing=True))
    state, sign = levels(plan, position), position.side.sign
    for mark in marks:
        moved = rules.advance_trailing_stop(state, mark, sign)
        assert moved.stop is not None and state.stop is not None
        assert (moved.stop.price - state.stop.price) * sign >= 0
        state = moved


@pytest.mark.parametrize("position", [LONG, SHORT], ids=["long", "short"])
def test_a_split_keeps_each_level_as_far_from_the_market(position: Position):
    state = levels(PERCENT, position)
    after = rules.after_split(state, D(4), position.side.sign)
    assert after is not None and after.stop is not None and state.stop is not None
    assert abs(after.stop.price - state.stop.price / 4) < CENT and after.size == 120
    assert rules.after_split(None, D(4), 1) is None


# --- reached ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mark", "kind"), [("98.00", "stop_loss"), ("98.01", None), ("105.00", None), ("105.01", "take_profit")]
)
def test_an_exit_is_reached_at_its_level(mark: str, kind: str | None):
    hit = rules.find_trigger(levels(PERCENT, LONG), D(mark), LONG, NOW)
    assert (hit and hit.kind) == kind


def test_what_the_broker_holds_the_broker_triggers_and_a_time_limit_is_dashtrades():
    held = replace(levels(PERCENT, LONG), held_by="Alpaca", until=NOW)
    assert rules.find_trigger(held, D(1), LONG, NOW - timedelta(seconds=1)) is None
    hit = rules.find_trigger(held, D(1), LONG, NOW)
    assert hit is not None and hit.kind is ExitKind.TIME_LIMIT


def test_steps_close_their_share_of_the_position_as_it_was_entered():
    plan = ExitPlan(
        take_profits=(Target(price=D(110), share_percent=D(40)), Target(price=D(120), share_percent=D(60)))
    )
    first = rules.find_trigger(levels(plan, LONG), D(111), LONG, NOW)
    assert first is not None and first.quantity == 12
    last = rules.find_trigger(first.remaining, D(121), Position(quantity=D(18), cost=D(1800)), NOW)
    assert last is not None and last.quantity is None, "the last step takes what rounding has left"


def test_a_fill_that_reduces_leaves_the_exits_and_a_flat_position_has_none():
    state, asked = levels(PERCENT, LONG), OrderExits(plan=PERCENT)
    same = rules.after_fill(state, asked, LONG, OrderSide.SELL, at=NOW, time_zone="UTC")
    assert same is state
    flat = Position()
    assert rules.after_fill(state, asked, flat, OrderSide.SELL, at=NOW, time_zone="UTC") is None


# --- in words -----------------------------------------------------------------------------------------------


def test_each_exit_is_a_line_with_its_holder():
    state = replace(levels(PERCENT, LONG), held_by="Alpaca", until=NOW)
    lines = list(exit_lines(state))
    assert [exit_words(line, "America/New_York") for line in lines] == [
        "take profit at 105.01",
        "stop at 98",
        "closes at 2026-03-02 10:00 America/New_York",
    ]
    assert [holder_words(line) for line in lines] == [
        "placed at Alpaca",
        "placed at Alpaca",
        "managed by DashTrade while it runs",
    ]
    assert list(exit_lines(ExitState())) == list(exit_lines(None)) == []
