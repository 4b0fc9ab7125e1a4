"""A value is the same whether candles come one by one or all at once, wherever the history begins, compiled
or not; a longer timeframe is read at its last closed candle; nothing is known across a gap."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from dashtrade.market.indicators import compiled
from dashtrade.market.indicators.columns import Array, Columns
from dashtrade.market.indicators.executor import Executor, run_whole
from dashtrade.market.indicators.graph import OWN, Frame, Graph, Market, constant
from dashtrade.market.indicators.registry import INDICATORS
from tests.support.candles import walk


def all_indicators() -> tuple[Graph, list[int]]:
    graph = Graph()
    market, wanted = Market(graph), []
    for kind in INDICATORS.values():
        source = market.line(kind.source or "close")
        made = kind.build(market, source, *(setting.default for setting in kind.settings))
        wanted += [line.number for line in made.values()]
    return graph, wanted


def same(left: dict[int, Array], right: dict[int, Array]) -> bool:
    return all(np.array_equal(left[number], right[number], equal_nan=True) for number in left)


def in_chunks(graph: Graph, wanted: list[int], candles: Columns, random: Random) -> dict[int, Array]:
    executor, parts, start = Executor(graph, wanted), [], 0
    while start < len(candles):
        end = start + random.choice([1, 1, 1, 2, 7, 40])
        parts.append(executor.advance({OWN: candles[start:end]}))
        start = end
    return {number: np.concatenate([part[number] for part in parts]) for number in parts[0]}


@pytest.mark.parametrize("from_first", [False, True])
def test_one_by_one_is_the_same_as_all_at_once(from_first: bool) -> None:
    graph, wanted = all_indicators()
    candles = walk(1500, seed=3, from_first=from_first)
    assert same(in_chunks(graph, wanted, candles, Random(4)), run_whole(graph, wanted, {OWN: candles}))


def test_compiled_is_the_same_as_plain() -> None:
    pytest.importorskip("numba", reason='numba is not installed (the extra "fast")')
    graph, wanted = all_indicators()
    for candles in (walk(3000, seed=5), walk(3000, seed=5, from_first=True)):
        plain = Executor(graph, wanted, fast=False).advance({OWN: candles})
        assert same(plain, Executor(graph, wanted, fast=True).advance({OWN: candles}))


def test_compiled_code_is_not_loaded_for_a_live_candle() -> None:
    assert not compiled.is_worth_it(10_000)


def line_of(name: str, graph: Graph, *settings: float, frame: Frame = OWN) -> int:
    market = Market(graph, frame)
    return INDICATORS[name].build(market, market.line("close"), *settings)[""].number


def test_nothing_is_known_across_a_gap() -> None:
    graph, candles = Graph(), walk(200, seed=6)
    average = line_of("SMA", graph, 10)
    gaps = np.zeros(200, bool)
    gaps[100] = True
    (values,) = run_whole(graph, [average], {OWN: replace(candles, after_gap=gaps)}).values()
    (after,) = run_whole(graph, [average], {OWN: candles[100:]}).values()
    assert np.isnan(values[:9]).all() and np.isnan(values[100:109]).all() and not np.isnan(values[109])
    assert np.array_equal(values[100:], after, equal_nan=True)


def test_an_average_after_a_gap_does_not_count_as_the_first_candles() -> None:
    graph, candles = Graph(), walk(400, seed=6, from_first=True)
    average = line_of("EMA", graph, 5)
    gaps = np.zeros(400, bool)
    gaps[100] = True
    (values,) = run_whole(graph, [average], {OWN: replace(candles, after_gap=gaps)}).values()
    assert not np.isnan(values[4]) and np.isnan(values[104]) and not np.isnan(values[-1])


def hourly_of(candles: Columns) -> Columns:
    """Sixty minutes each."""
    count = len(candles) // 60
    shaped = {
        name: getattr(candles, name)[: count * 60].reshape(count, 60)
        for name in ("open", "high", "low", "close")
    }
    return Columns(
        closed_at=candles.closed_at[59::60],
        open=shaped["open"][:, 0],
        high=shaped["high"].max(axis=1),
        low=shaped["low"].min(axis=1),
        close=shaped["close"][:, -1],
        volume=np.ones(count),
    )


def read_hourly(graph: Graph) -> int:
    close = Market(graph, Frame("", "1h")).line("close").number
    return graph.add("from_frame", close)


def test_a_longer_timeframe_is_its_last_closed_candle() -> None:
    minutes, graph = walk(300, seed=7, seconds=60), Graph()
    read = read_hourly(graph)
    (values,) = run_whole(graph, [read], {OWN: minutes, Frame("", "1h"): hourly_of(minutes)}).values()
    assert np.isnan(values[:59]).all(), "none has closed"
    assert (values[59:119] == minutes.close[59]).all(), "from its close until the next one's"
    assert values[119] == minutes.close[119]


def test_a_longer_timeframe_live_is_what_it_is_over_arrays() -> None:
    minutes, graph, hour = walk(400, seed=8, seconds=60), Graph(), Frame("", "1h")
    read = read_hourly(graph)
    hours = hourly_of(minutes)
    (whole,) = run_whole(graph, [read], {OWN: minutes, hour: hours}).values()
    live, found, given = Executor(graph, [read]), [], 0
    for place in range(len(minutes)):
        closed = int(np.searchsorted(hours.closed_at, minutes.closed_at[place], side="right"))
        chunks = {OWN: minutes[place : place + 1], hour: hours[given:closed]}
        found.append(live.advance(chunks)[read][0])
        given = closed
    assert np.array_equal(np.array(found), whole, equal_nan=True)


def test_a_session_has_its_own_mean_price() -> None:
    graph, candles = Graph(), walk(60, seed=9)
    vwap = line_of("VWAP", graph)
    (values,) = run_whole(graph, [vwap], {OWN: candles}).values()
    assert np.isnan(values[:24]).all(), "the first day was not seen from its beginning"
    typical = (candles.high + candles.low + candles.close) / 3
    day = slice(24, 48)
    expected = np.cumsum((typical * candles.volume)[day]) / np.cumsum(candles.volume[day])
    assert np.allclose(values[day], expected, rtol=1e-12)


def test_what_is_not_finite_is_not_known() -> None:
    graph, candles = Graph(), walk(5, seed=1)
    close = Market(graph).line("close")
    cases = [close / 0.0, (close - close) / (close - close), close * 1e308 * 1e308, -1.0 * close / 0.0]
    values = run_whole(graph, [case.number for case in cases], {OWN: candles})
    assert all(np.isnan(found).all() for found in values.values())


def test_the_same_value_is_computed_once() -> None:
    graph = Graph()
    assert line_of("RSI", graph, 14) == line_of("RSI", graph, 14) != line_of("RSI", graph, 15)
    assert constant(graph, 5) == constant(graph, 5.0)


def test_a_chunk_without_candles_changes_nothing() -> None:
    graph, wanted = all_indicators()
    candles, executor = walk(60, seed=2), Executor(graph, wanted)
    first = executor.advance({OWN: candles[:40]})
    assert all(len(values) == 0 for values in executor.advance({OWN: candles[40:40]}).values())
    last = executor.advance({OWN: candles[40:]})
    joined = {number: np.concatenate((first[number], last[number])) for number in wanted}
    assert same(joined, run_whole(graph, wanted, {OWN: candles}))
    assert all(len(values) == 0 for values in run_whole(graph, wanted, {OWN: candles[:0]}).values())


def test_a_quiet_beginning_is_no_measure_of_what_came_before() -> None:
    """Rounding noise for a while, as of a constant that was computed, and then numbers of the usual size."""
    graph = Graph()
    average = Market(graph).line("close").made("rma", settings=[10]).number
    busy, quiet = walk(2000, seed=3).close, np.where(np.arange(60) % 2, 1e-14, 0.0)
    columns = replace(walk(2060, seed=3), close=np.concatenate((busy[:1000], quiet, busy[1000:])))
    (whole,) = run_whole(graph, [average], {OWN: columns}).values()
    (late,) = run_whole(graph, [average], {OWN: columns[1000:]}).values()
    known = ~np.isnan(late)
    assert np.array_equal(late[known], whole[1000:][known]) and known[-300:].all()
