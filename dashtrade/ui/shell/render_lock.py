"""Pages run one after the other, not all at once.

Python runs one thread at a time, and a page hands over at every row it reads. Six pages at once were seen to
take 750 ms each, most of it spent in handing over with the processor idle; in turn, each took 37 ms. What
takes long, such as a page that asks a slow broker, loses its turn and goes on beside the others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

LONGEST = 0.2  # seconds


class RenderLock:
    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self._free = threading.Condition()
        self._holder: int | None = None
        self._since = 0.0

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """A part of a page that already has its turn takes no second one."""
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
turn = _pages.turn
