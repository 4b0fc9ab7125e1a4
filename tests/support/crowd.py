"""Many at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Each in a thread of its own, all let go together: what each gave, or the exception that it raised."""
    start, said = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int) -> None:
        start.wait(30)
        try:
            said[number] = works[number]()
        except Exception as error:
            said[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return said


def went_well(said: list[Any], refused: type[Exception]) -> list[Any]:
    """Those that were not refused; anything else that was raised is a fault."""
    assert not [one for one in said if isinstance(one, Exception) and not isinstance(one, refused)], said
    return [one for one in said if not isinstance(one, Exception)]
