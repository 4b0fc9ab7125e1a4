"""Named places where a test may end the process, like a power failure. Only test code arms one.

`arm("after_send", 3)` ends the process the third time it reaches `after_send`."""

from __future__ import annotations

import os

CRASHED = 86  # exit code of a process that was ended at a failpoint

NAMES = (
    "before_accept_commit",
    "after_accept_commit",
    "before_decide_commit",
    "after_decide_commit",
    "before_send",
    "after_send",
    "before_book_commit",
    "in_booking",
    "after_book_commit",
    "before_resend",
)
_armed, _left = "", 0


def arm(name: str, count: int = 1) -> None:
    """For tests and benches only: no setting or environment variable arms a failpoint."""
    global _armed, _left
    if name and name not in NAMES:
        raise ValueError(f"there is no failpoint {name!r}")
    _armed, _left = name, count


def failpoint(name: str) -> None:
    global _left
    if name != _armed:
        return
    _left -= 1
    if _left == 0:
        os._exit(CRASHED)
