"""What strangers make happen again does not empty the log, and what they write looks like no line of ours."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator

import pytest

from dashtrade.logs import LINES_OF_A_FAILURE, WARNINGS_OF_A_PLACE, Collapsing, Redacting


class Log:
    """A logger over our handler, with a time of its own."""

    def __init__(self, window_seconds: float = 60) -> None:
        self.out, self.now = io.StringIO(), 1_000_000.0
        self.handler = Collapsing(self.out, seconds=window_seconds, remembered=300)
        self.handler.setFormatter(Redacting("%(levelname)s %(name)s %(message)s"))
        self.logger = logging.Logger("dashtrade.x", logging.DEBUG)
        self.logger.addFilter(self._at)
        self.logger.addHandler(self.handler)

    def _at(self, record: logging.LogRecord) -> bool:
        record.created = self.now
        return True

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()

    def fail(self, words: str, saying: str = "a request failed") -> None:
        try:
            raise KeyError(words)
        except KeyError:
            self.logger.exception(saying)


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    made.handler.close()


def test_a_line_that_repeats_is_written_once_and_then_counted(log: Log):
    for _ in range(312):
        log.logger.warning("the database is away")
    log.now += 61
    log.logger.info("something else")
    assert log.lines == [
        "WARNING dashtrade.x the database is away",
        "WARNING dashtrade.x … 311 more of these in 60 s: the database is away",
        "INFO dashtrade.x something else",
    ]


def test_the_next_minute_says_it_again(log: Log):
    for _ in range(3):
        log.logger.warning("the database is away")
        log.logger.warning("the database is away")
        log.now += 61
    assert [line.count("more of these") for line in log.lines] == [0, 1, 0, 1, 0]


def test_counted_repeats_are_logged_at_the_end(log: Log):
    log.logger.info("stopping")
    log.logger.info("stopping")
    log.handler.close()
    assert log.lines[-1] == "INFO dashtrade.x … 1 more of these in 60 s: stopping"


def test_counted_repeats_are_logged_when_idle():
    log = Log(window_seconds=0.05)
    told = threading.Event()
    tell = log.handler.log_summaries

    def noticed(now: float) -> None:
        tell(now)
        if now == float("inf"):
            told.set()

    log.handler.log_summaries = noticed  # type: ignore[method-assign]
    log.logger.info("again")
    log.logger.info("again")
    assert told.wait(20)
    assert log.lines[-1] == "INFO dashtrade.x … 1 more of these in 0.05 s: again"


def test_a_traceback_stands_once_in_a_minute_and_other_words_of_it_in_a_line_each(log: Log):
    for number in range(40):
        log.fail(f"frame {number}")
    log.fail("frame 0")
    text = log.out.getvalue()
    assert text.count("Traceback") == 1
    assert "a request failed (KeyError: 'frame 7')" in text and "frame 39" not in text
    log.now += 61
    log.logger.info("later")
    assert f"… {41 - LINES_OF_A_FAILURE} more of these in 60 s: a request failed" in log.out.getvalue()


def test_a_flood_of_failures_with_words_of_their_own_cannot_roll_the_log_over(log: Log):
    """Half an hour of what was seen to empty four files of 5 MB: 42,860 tracebacks."""
    for number in range(42_860):
        log.now += 1800 / 42_860
        log.fail(f"a word of the stranger's, number {number}", f"request {number} failed")
    assert len(log.out.getvalue()) < 31 * 4_000


def test_warnings_of_one_place_that_differ_are_bounded_and_the_rest_is_counted(log: Log):
    for number in range(WARNINGS_OF_A_PLACE + 50):
        log.logger.warning("a stranger came: %s", number)
    log.now += 61
    log.logger.info("later")
    assert len(log.lines) == WARNINGS_OF_A_PLACE + 2
    assert "… 50 more of these" in log.out.getvalue()


def test_every_change_of_state_keeps_its_line_however_many_there_are(log: Log):
    for number in range(2000):
        log.logger.info("order %s filled", number)
    assert len(log.lines) == 2000


def test_two_kinds_of_failure_are_counted_apart(log: Log):
    log.fail("one")
    try:
        raise ValueError("two")
    except ValueError:
        log.logger.exception("a request failed")
    assert log.out.getvalue().count("Traceback") == 2


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r", "\x1b[2J", "\u2028", "\x85", "\x00"])
def test_a_strangers_text_begins_no_line_and_moves_no_cursor(log: Log, ending: str):
    forged = f"x{ending}2026-11-30T09:30:00.000 INFO dashtrade.people superadmin signed in"
    log.logger.warning("no such symbol: %s", forged)
    log.fail(forged, forged)
    assert ending not in log.out.getvalue().replace("\n", "") or ending == "\n"
    assert [line for line in log.lines if line.startswith("2026")] == []
    assert len([line for line in log.lines if not line.startswith("    ")]) == 2


def test_a_line_costs_microseconds(log: Log):
    """Beside a formatter that does nothing, in one run: not much more than one of Python's own."""

    def cost(handler: logging.Handler) -> float:
        logger = logging.Logger("dashtrade.x", logging.DEBUG)
        logger.addHandler(handler)
        began = time.thread_time()
        for number in range(3000):
            logger.info("order %s of AAPL filled 10 @ 187.25, client id dt-17-2-a1b2c3d4", number)
        return time.thread_time() - began

    plain = logging.StreamHandler(io.StringIO())
    plain.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    ours = Collapsing(io.StringIO())
    ours.setFormatter(Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))
    assert min(cost(ours) for _ in range(3)) < 5 * min(cost(plain) for _ in range(3))
