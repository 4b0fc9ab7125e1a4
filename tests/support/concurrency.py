"""Many at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def run_together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Each in a thread of its own, all let go together: what each gave, or the exception that it raised."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number: int) -> None:
        start.wait(30)
        try:
            results[number] = calls[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


def accepted_results(results: list[Any], refused: type[Exception]) -> list[Any]:
    """Those that were not refused; anything else that was raised is a fault."""
    assert not [one for one in results if isinstance(one, Exception) and not isinstance(one, refused)], (
        results
    )
    return [one for one in results if not isinstance(one, Exception)]
