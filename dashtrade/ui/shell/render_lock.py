"""Renders pages one after the other.

Python runs one thread at a time, and a page switches threads at every row it reads. Six concurrent pages
were measured at 750 ms each, most of it switching with an idle CPU; one after the other, each took 37 ms.
A slow page, such as one waiting for a broker, loses the lock and continues beside the others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

MAX_TURN_SECONDS = 0.2  # seconds


class RenderLock:
    def __init__(self, longest: float = MAX_TURN_SECONDS) -> None:
        self._longest = longest
        self._free = threading.Condition()
        self._holder: int | None = None
        self._since = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Reentrant: a part of a page that holds the lock does not take it again."""
        me = threading.get_ident()
        with self._free:
            nested = self._holder == me
            while (
                not nested
                and self._holder is not None
                and (left := self._since + self._longest - time.monotonic()) > 0
            ):
                self._free.wait(left)
            if not nested:
                self._holder, self._since = me, time.monotonic()
        try:
            yield
        finally:
            with self._free:
                if not nested and self._holder == me:
                    self._holder = None
                    self._free.notify()


_pages = RenderLock()
render_turn = _pages.turn
