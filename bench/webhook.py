"""POST -> 202 (durable), against a floor in the same run: bare Flask under waitress with one durable SQLite
commit a POST.

    python -m bench.webhook [--rounds 3] [--seconds 4] [--clients 1,16,64]

DashTrade and the floor take turns, and each ratio is of the medians of the rounds. The floor serves 16
clients unfairly, so its p50 is low and its p95 high; look at the mean too. The third part is DashTrade
again with every commit held up by 2 ms, as on a slow disk.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench.load import run
from bench.rig import ROOT, STOCKS, alternating, free_port, rig, show


@contextlib.contextmanager
def floor() -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="dashtrade-floor-") as folder:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.floor", str(port), f"{folder}/floor.db"], cwd=ROOT
        )
        try:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def measure(port: int, path: str, clients: int, seconds: float, start: int) -> dict[str, Any]:
    count = int(seconds * 4000 / clients) + 2
    return run(
        {
            "port": port,
            "path": path,
            "seconds": seconds,
            "bodies": [
                alternating(STOCKS[n % len(STOCKS)], count, start + n * 10_000_000) for n in range(clients)
            ],
        }
    )


def middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("per_second", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")
    codes: dict[str, int] = {}
    for one in rounds:
        for code, count in one["codes"].items():
            codes[code] = codes.get(code, 0) + count
    return {name: round(statistics.median(r[name] for r in rounds), 3) for name in names} | {"codes": codes}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--clients", default="1,16,64")
    given = parser.parse_args()
    clients = [int(text) for text in given.clients.split(",")]
    with floor() as bare, rig() as one:
        one.add_bots(STOCKS)
        path, start = f"/webhook?token={one.webhook}", 0
        for count in clients:
            own_runs, floor_runs = [], []
            for _ in range(given.rounds):  # by turns, so that both see the same machine
                floor_runs.append(measure(bare, "/webhook", count, given.seconds, start))
                own_runs.append(measure(one.port, path, count, given.seconds, start))
                start += 1_000_000_000
            own, base = middle(own_runs), middle(floor_runs)
            show(
                {
                    "bench": "webhook",
                    "clients": count,
                    **{
                        f"{name.removesuffix('_ms')}_ratio": round(own[name] / base[name], 2)
                        for name in ("p50_ms", "p95_ms", "mean_ms", "per_second")
                    },
                    "dashtrade": own,
                    "floor": base,
                }
            )
    with rig(slow_commit_ms=2) as slow:
        slow.add_bots(STOCKS)
        for count in clients:
            result = measure(slow.port, f"/webhook?token={slow.webhook}", count, given.seconds, start + count)
            show({"bench": "webhook, every commit 2 ms slower", "clients": count, **middle([result])})
            start += 1_000_000_000


if __name__ == "__main__":
    main()
