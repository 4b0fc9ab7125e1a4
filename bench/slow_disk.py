"""The receiver or the worker, with a disk on which every commit takes some milliseconds more.

python -m bench.slow_disk MILLISECONDS webhook_server|dashtrade.worker"""

from __future__ import annotations

import importlib
import sqlite3
import sys
import time

from dashtrade.database.group_commit import GroupWriter


def slow_down(seconds: float) -> None:
    commit = GroupWriter.commit

    def late(raw: sqlite3.Connection) -> None:
        time.sleep(seconds)
        commit(raw)

    GroupWriter.commit = staticmethod(late)  # type: ignore[method-assign]


def main() -> int:
    slow_down(float(sys.argv[1]) / 1000)
    module = importlib.import_module(sys.argv[2])
    if hasattr(module, "__path__"):  # a package is run by its __main__, as with `python -m`
        module = importlib.import_module(f"{sys.argv[2]}.__main__")
    return int(module.main())


if __name__ == "__main__":
    sys.exit(main())
