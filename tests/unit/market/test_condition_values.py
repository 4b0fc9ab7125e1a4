"""What a condition comes to: Kleene's tables, what is held, what decided it, what it costs and needs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.conditions.checks import Run
from bench.conditions.mutants import MUTANTS, mutated
from dashtrade.market.conditions import wording
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.evaluation import Evaluator, Trace, Truth, evaluate
from dashtrade.market.conditions.plan import plan_for
from dashtrade.market.conditions.reading import parse
from dashtrade.market.indicators.columns import FALSE, TRUE, UNKNOWN, Columns
from dashtrade.market.indicators.graph import OWN, Frame
from tests.support.candles import closes, walk

YES, NO, NOT_KNOWN = "close > 1", "close < 1", "close / 0 > 1"


def candles(close: list[float], seconds: int = 60) -> Columns:
    column = np.array(close, dtype=np.float64)
    return Columns(
        closed_at=closes(len(close), seconds),
        open=column,
        high=column,
        low=column,
        close=column,
        volume=np.ones(len(close)),
    )


def traced(condition: str, columns: Columns, timeframe: str = "1m", **others: Columns) -> Trace:
    plan = plan_for({"rule": parse(condition)}, timeframe)
    return evaluate(plan, {OWN: columns, **{Frame("", name[1:]): each for name, each in others.items()}})


def truths(condition: str, close: list[float]) -> list[int]:
    return traced(condition, candles(close)).truths("rule").tolist()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"{YES} and {NOT_KNOWN}", UNKNOWN),
        (f"{NO} and {NOT_KNOWN}", FALSE),
        (f"{YES} or {NOT_KNOWN}", TRUE),
        (f"{NO} or {NOT_KNOWN}", UNKNOWN),
        (f"not {NOT_KNOWN}", UNKNOWN),
        (f"{NOT_KNOWN} and {NOT_KNOWN}", UNKNOWN),
        ("bid > 1", UNKNOWN),
        ("spread >= 0", UNKNOWN),
        ("profit% > 1", UNKNOWN),
        ("close = close / 0", UNKNOWN),
        ("close != close / 0", UNKNOWN),
    ],
)
def test_not_known_is_a_third_value(condition: str, expected: int) -> None:
    assert truths(condition, [5.0]) == [expected]


def test_what_is_not_known_does_not_fire() -> None:
    trace = traced(NOT_KNOWN, candles([5.0]))
    assert trace.outcome("rule").truth is Truth.UNKNOWN and not trace.outcome("rule").fires


def test_a_crossing_is_true_at_one_candle() -> None:
    assert truths("close crosses above 10", [9, 10, 11, 12, 10, 10, 11]) == [0, 0, 2, 0, 0, 0, 2]
    assert truths("close crosses below 10", [11, 10, 9, 9, 11, 9]) == [0, 0, 2, 0, 0, 2]
    assert truths("close crosses above 10", [11, 12]) == [1, 0], "what came before is not known"


def test_for_and_within_count_the_current_candle() -> None:
    assert truths("close > 10 for 3 bars", [11, 11, 11, 11, 9, 11]) == [1, 1, 2, 2, 0, 0]
    assert truths("close > 10 within 3 bars", [9, 11, 9, 9, 9, 9]) == [1, 2, 2, 2, 0, 0]


def test_an_earlier_value() -> None:
    assert truths("close > close[2]", [1, 2, 3, 1]) == [1, 1, 2, 0]
    assert truths("close = close[0]", [1, 2]) == [2, 2]


def test_a_time_of_day_is_that_of_its_place_and_both_ends_are_in() -> None:
    """New York puts its clocks forward on 2026-03-08: 09:30 is 14:30 UTC before and 13:30 UTC after."""
    friday, monday = (int(np.datetime64(day, "ms").astype(np.int64)) for day in ("2026-03-06", "2026-03-09"))
    minutes = [14 * 60 + 29, 14 * 60 + 30, 20 * 60 + 55, 20 * 60 + 56]
    moments = [friday + m * 60_000 for m in minutes] + [monday + (m - 60) * 60_000 for m in minutes]
    columns = replace(candles([1.0] * 8), closed_at=np.array(moments))
    found = traced("time between 09:30 and 15:55 New York", columns).truths("rule").tolist()
    assert found == [0, 2, 2, 0] * 2


def test_a_time_across_midnight() -> None:
    columns = replace(candles([1.0] * 3), closed_at=closes(3, 8 * 3600))  # 08:00, 16:00, 00:00
    assert traced("time between 22:00 and 08:00", columns).truths("rule").tolist() == [2, 0, 2]


# --- what is held -------------------------------------------------------------------------------------------


def test_what_is_held_is_decided_with_its_value() -> None:
    trace = traced("profit% > 3 or close > 10", candles([9, 11]))
    assert trace.truths("rule").tolist() == [UNKNOWN, TRUE]
    assert trace.candidates("rule").tolist() == [0, 1]
    assert trace.outcome("rule", 0, {"profit%": 3.5}).fires
    assert trace.outcome("rule", 0, {"profit%": 2.5}).truth is Truth.NO
    assert trace.outcome("rule", 0).truth is Truth.UNKNOWN
    assert trace.outcome("rule", 1, {"profit%": 2.5}).fires


def test_what_cannot_be_true_for_any_holding_is_no_candidate() -> None:
    trace = traced("profit% > 3 and close > 10", candles([9, 11, 9]))
    assert trace.candidates("rule").tolist() == [1]


def test_a_stretch_is_decided_at_once_as_its_candles_are() -> None:
    trace = traced("profit% > 3 and close > 10", candles([9, 11, 12, 13]))
    profits = np.array([5.0, 1.0, 4.0])
    found = trace.decided("rule", slice(1, 4), {"profit%": profits}).tolist()
    assert found == [TRUE, FALSE, TRUE]
    assert [trace.outcome("rule", 1 + i, {"profit%": p}).fires for i, p in enumerate(profits)] == [
        True,
        False,
        True,
    ]


# --- what it was decided by ---------------------------------------------------------------------------------


def test_an_outcome_has_the_numbers_it_was_decided_by() -> None:
    columns = walk(400, seed=2, seconds=60)
    trace = traced("RSI(14) < 101 and close crosses above close[1] + 0", columns)
    outcome = trace.outcome("rule")
    assert outcome.closed_at == columns.closed_at[-1]
    crossing = outcome.findings[1]
    assert (crossing.left, crossing.right) == (columns.close[-1], columns.close[-2])
    assert (crossing.left_before, crossing.right_before) == (columns.close[-2], columns.close[-3])


def test_an_outcome_is_told_with_its_numbers_after_it_was_stored() -> None:
    trace = traced("close < 30 and close crosses above 0.29 and close / 0 > 1", candles([0.28, 28.4]))
    stored = json.loads(json.dumps(wording.stored(trace.outcome("rule"))))
    assert wording.read_stored(stored) == trace.outcome("rule")
    assert (
        wording.outcome_words(wording.read_stored(stored))
        == "close 28.4 < 30 ✓, close 28.4 crosses above 0.29 ✓, close / 0 not known > 1 ?"
    )


def test_a_test_on_another_timeframe_has_the_numbers_from_there() -> None:
    minutes, hours = candles([5.0] * 120), candles([7.0, 8.0], 3600)
    trace = traced("(close > 7.5) on 1h", minutes, _1h=hours)
    assert trace.outcome("rule", 118).findings[0].left == 7.0
    assert trace.outcome("rule", 119).findings[0].left == 8.0
    assert [int(trace.truths("rule")[place]) for place in (58, 59, 118, 119)] == [1, 0, 0, 2]


# --- what is known before it runs ---------------------------------------------------------------------------


def test_the_warm_up_is_known_before_it_runs() -> None:
    plan = plan_for({"rule": parse("SMA(20)[3] > close and SMA(10) on 1h > 1 for 5 bars")}, "5m")
    assert plan.warm_up[OWN] == 23
    assert plan.warm_up[Frame("", "1h")] == 10 + 2, "five candles may span one more hour than one, and a half"
    assert plan.frames == (Frame("", "1h"),)


def test_the_own_timeframe_is_not_another_frame() -> None:
    assert plan_for({"rule": parse("close > EMA(9) on 1h")}, "1h").frames == ()


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("close > EMA(9) on 5m", Fault.FINER),
        ("ADX(1000, 1000) > 20", Fault.TOO_FAR_BACK),
        (" and ".join(f"SUPERTREND({n}) > {n}" for n in range(2, 20)), Fault.TOO_COSTLY),
        (" and ".join(f"close of C{n} > 1" for n in "ABCDEFGHI"), Fault.TOO_MANY_FRAMES),
        ("EMA({n}) > 1", Fault.UNKNOWN_PARAMETER),
    ],
)
def test_what_would_cost_too_much_is_refused_before_it_runs(condition: str, code: Fault) -> None:
    with pytest.raises(ConditionError) as raised:
        plan_for({"rule": parse(condition)}, "1h")
    assert raised.value.code is code


def test_rules_share_what_they_compute() -> None:
    one = plan_for({"in": parse("RSI(14) < 30")}, "1h")
    two = plan_for({"in": parse("RSI(14) < 30"), "out": parse("RSI(14) > 70")}, "1h")
    assert len(two.graph.nodes) == len(one.graph.nodes) + 2


def test_live_after_the_warm_up_is_what_the_whole_history_says() -> None:
    plan = plan_for({"rule": parse("RSI(5) < 40 or MACD(3, 6, 3) crosses above signal")}, "1h")
    history = walk(1500, seed=12)
    whole = evaluate(plan, {OWN: history})
    start, needed = 1200, plan.warm_up[OWN]
    live = Evaluator(plan)
    live.advance({OWN: history[start - needed : start]})
    for place in range(start, len(history)):
        found = live.advance({OWN: history[place : place + 1]}).outcome("rule")
        assert found == whole.outcome("rule", place)
        assert found.truth is not Truth.UNKNOWN


# --- at random ----------------------------------------------------------------------------------------------


def test_random_conditions_differ_in_nothing() -> None:
    """`python -m bench.conditions` runs more of them."""
    runs = [Run(seed).run() for seed in range(40)]
    assert [finding for run in runs for finding in run.findings] == []
    assert sum(run.counts["conditions"] for run in runs) > 30
    assert sum(run.counts["settled"] for run in runs) > 10_000


FOUND_AT = {  # runs by which each is found, so that it takes few of them
    "lag_is_one_short": 2,
    "peeks_at_the_next_candle": 1,
    "averages_begin_with_the_process": 1,
    "forgets_sooner": 3,
    "windows_lose_what_they_carry": 7,
    "running_sums": 7,
    "reads_the_open_candle": 1,
    "unknown_counts_as_false": 11,
    "division_by_zero_is_zero": 12,
    "one_bar_less_in_a_row": 25,
    "gaps_are_bridged": 4,
    "every_place_is_in_utc": 11,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_deliberate_fault_is_found(name: str) -> None:
    first = FOUND_AT[name]
    with mutated(name):
        assert any(Run(seed).run().findings for seed in range(first, first + 30))
