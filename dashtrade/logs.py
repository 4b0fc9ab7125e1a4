"""Log lines: one per change of state, with the ids for further search, and without secrets.

Repeating an event cannot fill the log: repeats within a minute are counted, and the number logged once. Each
record is one line, whatever it contains, and a traceback is indented below it: no foreign text can pass for a
log line of ours."""

from __future__ import annotations

import copy
import logging
import re
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from dashtrade.redaction import redacted

WINDOW_SECONDS = 60.0
MAX_REMEMBERED = 4000  # maximum number of lines and places, each
LINES_OF_A_FAILURE = 10  # per minute, of one kind from one place: the first with its traceback
WARNINGS_OF_A_PLACE = 100  # per minute, where the texts differ
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def on_one_line(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Redacting(logging.Formatter):
    """The final filter: removes tokens and keys from a line or traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = on_one_line(record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        first, *more = redacted(super().format(record)).split("\n")
        return "\n".join([first, *("    " + on_one_line(line) for line in more)])


@dataclass(slots=True, kw_only=True)
class RepeatCount:
    """Number of repeats within a window that started with the first."""

    since: float
    record: logging.LogRecord
    count: int = 0
    hidden: int = 0


class Repeats:
    """Counts equal events, each in a window of its own."""

    def __init__(self, seconds: float, remembered: int) -> None:
        self._seconds, self._remembered = seconds, remembered
        self._seen: OrderedDict[Hashable, RepeatCount] = OrderedDict()  # ordered by start

    def seen(self, key: Hashable, record: logging.LogRecord) -> RepeatCount:
        """Count one more. (Take the `ended` ones first.)"""
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = RepeatCount(since=record.created, record=record)
        found.count += 1
        return found

    def ended(self, now: float) -> list[RepeatCount]:
        """Windows that are over, or evicted, and in which something was hidden."""
        expired = []
        while self._seen:
            oldest = next(iter(self._seen.values()))
            if now - oldest.since < self._seconds and len(self._seen) < self._remembered:
                break
            expired.append(self._seen.popitem(last=False)[1])
        return [one for one in expired if one.hidden]


class Collapsing(logging.StreamHandler):
    """Logs new events and counts repeats. The count is logged after the minute, with the next line or by a
    timer."""

    def __init__(
        self, stream: Any = None, *, seconds: float = WINDOW_SECONDS, remembered: int = MAX_REMEMBERED
    ) -> None:
        super().__init__(stream)
        self._seconds = seconds
        # Places are bounded by the code, texts are not: texts must not evict places.
        self._places, self._texts = Repeats(seconds, remembered), Repeats(seconds, remembered)
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.log_summaries(record.created)
        wanted = self._new(record)
        if wanted is not None:
            super().emit(wanted)
        elif self._timer is None:
            self._timer = threading.Timer(self._seconds, self._on_time)
            self._timer.daemon = True
            self._timer.start()

    def log_summaries(self, now: float) -> None:
        for one in (*self._places.ended(now), *self._texts.ended(now)):
            super().emit(_summary(one, self._seconds))

    def close(self) -> None:
        self.log_summaries(float("inf"))
        super().close()

    def _on_time(self) -> None:
        with self.lock:  # type: ignore[union-attr]
            self._timer = None
            self.log_summaries(float("inf"))

    def _new(self, record: logging.LogRecord) -> logging.LogRecord | None:
        """The record, or the record without its traceback; None: only counted."""
        error = record.exc_info[1] if record.exc_info else None
        place = (record.name, record.levelno, record.pathname, record.lineno, type(error), _raised_at(error))
        words = (record.name, record.levelno, record.getMessage(), str(error) if error is not None else "")
        again = self._texts.seen(words, record)
        if record.levelno < logging.WARNING:
            return _unless(again.count > 1, again, record)
        here = self._places.seen(place, record)
        if error is None:
            return _unless(again.count > 1 or here.count > WARNINGS_OF_A_PLACE, here, record)
        shown = _unless(again.count > 1 or here.count > LINES_OF_A_FAILURE, here, record)
        return _without_traceback(record, error) if shown is not None and here.count > 1 else shown


def _unless(repeated: bool, counted: RepeatCount, record: logging.LogRecord) -> logging.LogRecord | None:
    counted.hidden += repeated
    return None if repeated else record


def _raised_at(error: BaseException | None) -> tuple[str, int]:
    frames = list(traceback.walk_tb(error.__traceback__ if error is not None else None))
    return (frames[-1][0].f_code.co_filename, frames[-1][1]) if frames else ("", 0)


def _without_traceback(record: logging.LogRecord, error: BaseException) -> logging.LogRecord:
    short = copy.copy(record)
    short.msg, short.args = "%s (%s: %s)", (record.getMessage().rstrip(), type(error).__name__, error)
    short.exc_info = short.exc_text = short.stack_info = None
    return short


def _summary(one: RepeatCount, seconds: float) -> logging.LogRecord:
    """Attributed to the place of the events, so that it is found beside them."""
    told = copy.copy(one.record)
    words = one.record.getMessage()[:200].rstrip()
    told.msg, told.args = "… %s more of these in %g s: %s", (one.hidden, seconds, words)
    told.exc_info = told.exc_text = told.stack_info = None
    return told


def set_up(level: str) -> None:
    handler = Collapsing(sys.stderr)
    handler.setFormatter(
        Redacting("%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("apscheduler", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
