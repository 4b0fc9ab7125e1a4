"""No orphans: a child of the supervisor exits when the supervisor is gone, for whatever reason.

A killed supervisor cannot stop its children. They would go on trading unwatched and hold the ports that
the next start needs, so each child calls `watch_parent()` first in its main function."""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT_VARIABLE = "DASHTRADE_PARENT_PID"
CHECK_SECONDS = 1.0
GRACE_SECONDS = 20.0


def watch_parent(interval: float = CHECK_SECONDS, grace: float = GRACE_SECONDS) -> bool:
    """Starts the watch. Returns whether there is a supervisor to watch."""
    # Removed, so that child processes do not take the supervisor for their own parent.
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent.isdigit():
        return False
    threading.Thread(
        target=_watch, args=(int(parent), interval, grace), name="parent watchdog", daemon=True
    ).start()
    return True


def _watch(parent: int, interval: float, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(interval)
    # A regular stop, which finishes work in progress; forced after `grace` seconds.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
