"""`python -m dashtrade.worker`: start, signal handlers and shutdown."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from dashtrade.app import CannotStart, build_app
from dashtrade.settings import EX_CONFIG, Settings
from dashtrade.worker.worker import Worker

log = logging.getLogger("dashtrade.worker")


def main() -> int:
    from dashtrade import security_log
    from dashtrade.logs import set_up
    from dashtrade.processes.parent_watchdog import watch_parent

    watch_parent()
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    try:
        settings = Settings.load()
        set_up(settings.log_level)
        security_log.set_folder(settings.logs)
        app = build_app(settings)
        worker = Worker(app)
        worker.start()
    except (CannotStart, ValueError, OSError) as error:
        print(f"DashTrade's worker cannot start. {error}", file=sys.stderr)
        return EX_CONFIG
    log.info("the worker is running")
    ended.wait()
    log.info("stopping")
    worker.stop()
    app.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
