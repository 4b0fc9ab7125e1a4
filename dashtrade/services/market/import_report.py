"""What a file of candles holds, in words: for the dry run and after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dashtrade.market.importing import Fault, Problem, Reading

WORDS = {
    Fault.NO_TIME: "cannot be read as a time",
    Fault.NO_NUMBER: "cannot be read as a number",
    Fault.NOT_POSITIVE: "is no price: it has to be above zero",
    Fault.NEGATIVE_VOLUME: "is below zero",
    Fault.HIGH_TOO_LOW: "is below the open, the close or the low",
    Fault.LOW_TOO_HIGH: "is above the open, the close or the high",
    Fault.DUPLICATE: "is there twice",
    Fault.OUT_OF_ORDER: "comes after a later one",
    Fault.OFF_GRID: "lies between the open times of the others",
    Fault.IN_THE_FUTURE: "has not ended yet",
}


def told(problem: Problem) -> str:
    return f"row {problem.row}, {problem.field}: {problem.value!r} {WORDS[problem.fault]}"


def summary(reading: Reading) -> Iterator[str]:
    columns = ", ".join(f"{field} from {name!r}" for field, name in reading.columns.items())
    yield f"{reading.rows:,} rows, candles of {reading.timeframe.shown}: {columns}."
    yield from map(told, reading.problems)
    if reading.problem_count > len(reading.problems):
        yield f"… and {reading.problem_count - len(reading.problems):,} more."
    for start, end, bars in reading.gaps[:10]:
        yield f"gap: {bars:,} missing from {_shown(start)} to {_shown(end)}"
    if reading.gap_count:
        yield f"{reading.missing_bars:,} candles are missing in {reading.gap_count:,} gaps, and stay missing."


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
