"""POST -> fill booked, on the paper broker, with every promise kept; against a floor in the same run: bare
Flask under waitress with one durable SQLite commit a POST.

    python -m bench.orders [--rounds 3] [--seconds 6] [--history 0] [--clients 1,16] [--database sqlite]

Each client has a symbol of its own and alternates buy and close, waiting for each to be booked (`?wait=2.5`).
Four clients are one user, as no more may wait for one; an order that is not answered as booked is counted.
DashTrade and the floor take turns, and each ratio is of the medians of the rounds. The CPU is that of the
receiver and the worker (of a PostgreSQL server it is not in it). `--history` puts that many orders with their
signals, fills and trades behind it first (SQLite)."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bench.load import run
from bench.rig import STOCKS, Rig, alternating, rig, show
from bench.webhook import floor
from bench.webhook import measure as measure_floor

WAIT_FOR_ONE_USER = 4  # `limits.ReceiverLimits`
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(one: Rig) -> float:
    """Of the receiver and the worker so far."""
    total = 0
    for process in (one.process, one.worker):
        assert process is not None
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def measure(users: list[Rig], clients: int, seconds: float, start: int) -> dict[str, Any]:
    job = {
        "port": users[0].port,
        "paths": [f"/webhook?token={users[n // WAIT_FOR_ONE_USER].webhook}&wait=2.5" for n in range(clients)],
        "seconds": seconds,
        "statuses": True,
        "bodies": [
            alternating(symbol, int(seconds * 2500 / clients) + 2, start) for symbol in STOCKS[:clients]
        ],
    }
    before = cpu_seconds(users[0])
    result = run(job)
    spent = cpu_seconds(users[0]) - before
    return result | {"cpu_us": round(spent / max(result["per_second"] * seconds, 1) * 1e6)}


def middle(rounds: list[dict[str, Any]], *names: str) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in names}


@contextlib.contextmanager
def database(kind: str) -> Iterator[dict[str, str]]:
    """The settings of an installation on it; a PostgreSQL that keeps its promises too."""
    if kind == "sqlite":
        yield {}
        return
    from tests.support.databases import postgres

    with postgres(durable=True) as server:
        yield {"DATABASE_URL": server.empty()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--clients", default="1,16")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    with database(given.database) as settings, floor() as bare, rig(**settings) as one:
        counts = [int(clients) for clients in given.clients.split(",")]
        users = [one]
        while len(users) * WAIT_FOR_ONE_USER < max(counts):
            users.append(replace(one, access="", webhook=""))
            users[-1].join(f"bench{len(users)}@example.com")
        for user in users:
            user.add_bots(STOCKS)
        if given.history:
            from bench.history import fill

            one.stop()
            fill(one.home / "dashtrade.db", given.history)
            one.start()
            users = [replace(user, process=one.process, worker=one.worker) for user in users]
        start = 0
        for clients in counts:
            rounds, floors = [], []
            for _ in range(given.rounds):  # by turns, so that both see the same machine
                floors.append(measure_floor(bare, "/webhook", clients, given.seconds, start))
                rounds.append(measure(users, clients, given.seconds, start))
                start += 1_000_000
            own = middle(rounds, "per_second", "p50_ms", "p95_ms", "p99_ms", "cpu_us")
            base = middle(floors, "per_second", "p50_ms", "p95_ms")
            ratios = {f"{name}_ratio": round(own[name] / base[name], 2) for name in base}
            show(
                {"bench": "orders", "clients": clients, "history": given.history, "database": given.database}
                | ratios
                | own
                | {"floor": base, "rounds": rounds}
            )


if __name__ == "__main__":
    main()
