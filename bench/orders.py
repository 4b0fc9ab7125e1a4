"""POST -> fill booked, on the paper broker: orders a second, p50 and p95, with every promise kept.

    python -m bench.orders [--rounds 3] [--seconds 6] [--history 0] [--clients 1,16]

Each client has a symbol of its own and alternates buy and close, waiting for each to be booked (`?wait=2.5`).
Four clients are one user, as no more may wait for one; an order that is not answered as booked is counted.
`--history` puts that many orders with their signals, fills and trades behind it first."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

from bench.load import run
from bench.rig import STOCKS, Rig, alternating, rig, show

WAIT_FOR_ONE_USER = 4  # `limits.ReceiverLimits`


def measure(users: list[Rig], clients: int, seconds: float, start: int) -> dict[str, object]:
    job = {
        "port": users[0].port,
        "paths": [f"/webhook?token={users[n // WAIT_FOR_ONE_USER].webhook}&wait=2.5" for n in range(clients)],
        "seconds": seconds,
        "statuses": True,
        "bodies": [
            alternating(symbol, int(seconds * 2500 / clients) + 2, start) for symbol in STOCKS[:clients]
        ],
    }
    return run(job)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--clients", default="1,16")
    given = parser.parse_args()
    with rig() as one:
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
        start = 0
        for clients in counts:
            rounds = []
            for _ in range(given.rounds):
                rounds.append(measure(users, clients, given.seconds, start))
                start += 1_000_000
            middle = {
                k: round(statistics.median(r[k] for r in rounds), 3)
                for k in ("per_second", "p50_ms", "p95_ms", "p99_ms")
            }
            show(
                {"bench": "orders", "clients": clients, "history": given.history, **middle, "rounds": rounds}
            )


if __name__ == "__main__":
    main()
