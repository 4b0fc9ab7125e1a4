"""No orphans: a child of the supervisor ends itself when the supervisor is gone, however that came about.

A supervisor that is killed outright cannot stop its children. They would go on trading unwatched, and hold
the ports that the next start needs; so each child calls `watch_parent()` first thing in its main function.
"""

from __future__ import annotations

import os
import signal
import threading
import time

PARENT = "DASHTRADE_PARENT_PID"
INTERVAL = 1.0
GRACE = 20.0


def watch_parent(interval: float = INTERVAL, grace: float = GRACE) -> bool:
    """Starts the watch; says whether there is a supervisor to watch at all."""
    # Taken away, so that a process which this one starts does not take the supervisor for its own parent.
    parent = os.environ.pop(PARENT, "")
    if not parent.isdigit():
        return False
    threading.Thread(
        target=_watch, args=(int(parent), interval, grace), name="parent watchdog", daemon=True
    ).start()
    return True


def _watch(parent: int, interval: float, grace: float) -> None:
    while os.getppid() == parent:
        time.sleep(interval)
    # The way a stop asked for by a person goes too, so work in hand is finished; but only for so long.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
