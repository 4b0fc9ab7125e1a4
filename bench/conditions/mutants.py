"""Deliberate faults, each of which a run has to find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from dashtrade.domain.record import replace
from dashtrade.market.indicators import elementwise, executor, recurrences
from dashtrade.market.indicators.operations import OPERATIONS


def _operation(name: str, **changes: Any) -> Any:
    return patch.dict(OPERATIONS, {name: replace(OPERATIONS[name], **changes)})


def _lag_is_one_short() -> Any:
    run = OPERATIONS["lag"].run

    def shorter(state: Any, inputs: Any, settings: Any, fast: bool) -> Any:
        return run(state, inputs, (max(settings[0] - 1, 0),), fast) if settings[0] else inputs[0]

    return _operation("lag", run=shorter)


def _peeks_at_the_next_candle() -> Any:
    run = OPERATIONS["ema"].run

    def peeking(state: Any, inputs: Any, settings: Any, fast: bool) -> Any:
        found = run(state, inputs, settings, fast)
        return np.append(found[1:], found[-1:])

    return _operation("ema", run=peeking)


def _averages_begin_with_the_process() -> Any:
    """As if the first candle read were the first of all: the usual seed, which depends on the start."""
    return _operation("ema", start=lambda from_first: recurrences.smoothing_state(True))


def _forgets_sooner() -> Any:
    return _operation("rma", reach=lambda settings: 3 * int(settings[0]))


def _windows_lose_what_they_carry() -> Any:
    run = OPERATIONS["total"].run
    return _operation("total", run=lambda state, inputs, settings, fast: run([], inputs, settings, fast))


def _running_sums() -> Any:
    """Quicker, and with the rounding of everything before."""
    run = OPERATIONS["total"].run

    def running(state: Any, inputs: Any, settings: Any, fast: bool) -> Any:
        (values,), n = inputs, int(settings[0])
        sums = np.concatenate((np.zeros(n), np.cumsum(np.nan_to_num(values))))
        return np.where(np.isnan(run(state, inputs, settings, fast)), np.nan, sums[n:] - sums[:-n])

    return _operation("total", run=running)


def _reads_the_open_candle() -> Any:
    """The longer candle that contains the own one, before it has closed."""
    look = executor._LastClosed.look

    def early(self: Any, closed_at: Any) -> None:
        look(self, closed_at)
        self._places = np.minimum(self._places + 1, len(self._closed_at) - 1)

    return patch.object(executor._LastClosed, "look", early)


def _unknown_counts_as_false() -> Any:
    negated = OPERATIONS["not"].run

    def forgetful(state: Any, inputs: Any, settings: Any, fast: bool) -> Any:
        return negated(state, [np.where(inputs[0] == 1, 0, inputs[0]).astype(np.int8)], settings, fast)

    return _operation("not", run=forgetful)


def _division_by_zero_is_zero() -> Any:
    def divided(state: Any, inputs: Any, settings: Any, fast: bool) -> Any:
        return np.where(inputs[1] == 0, 0.0, elementwise.divide(*inputs))

    return _operation("divide", run=divided)


def _one_bar_less_in_a_row() -> Any:
    run = OPERATIONS["always"].run
    return _operation(
        "always",
        run=lambda state, inputs, settings, fast: run(state, inputs, (max(settings[0] - 1, 1),), fast),
    )


def _gaps_are_bridged() -> Any:
    return patch.object(executor, "_stretches", lambda columns: iter([(columns, False)]))


def _every_place_is_in_utc() -> Any:
    run = OPERATIONS["between"].run
    return _operation(
        "between", run=lambda state, inputs, settings, fast: run(state, inputs, (*settings[:2], "UTC"), fast)
    )


MUTANTS: dict[str, Callable[[], Any]] = {
    "lag_is_one_short": _lag_is_one_short,
    "peeks_at_the_next_candle": _peeks_at_the_next_candle,
    "averages_begin_with_the_process": _averages_begin_with_the_process,
    "forgets_sooner": _forgets_sooner,
    "windows_lose_what_they_carry": _windows_lose_what_they_carry,
    "running_sums": _running_sums,
    "reads_the_open_candle": _reads_the_open_candle,
    "unknown_counts_as_false": _unknown_counts_as_false,
    "division_by_zero_is_zero": _division_by_zero_is_zero,
    "one_bar_less_in_a_row": _one_bar_less_in_a_row,
    "gaps_are_bridged": _gaps_are_bridged,
    "every_place_is_in_utc": _every_place_is_in_utc,
}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    with MUTANTS[name]():
        yield
