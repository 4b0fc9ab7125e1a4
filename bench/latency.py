"""Alert on the wire -> order on the broker's wire, at an Alpaca simulator in a process of its own.

    python -m bench.latency [--rounds 3] [--alerts 100] [--seconds 6]

Three lines of JSON. `near`: one client, the broker 0 ms away: from the moment an alert is sent until its
order arrives there, against the floor, alpaca-py called directly. `pauses` is the same with so long between
two alerts that nothing is still warm. `far`: the broker 50 ms away, 16 accounts in parallel: orders a second.
Figures are medians of the rounds."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from bench.load import Client, run
from bench.rig import ROOT, STOCKS, Rig, alternating, rig, show

KEYS = {"key": "PKSIMULATOR", "secret": "simulator-secret"}
ACCOUNTS, AWAY = 16, 0.05
PAUSE = 1.3  # seconds: longer than anything of the market is believed


class SimulatorProcess:
    """`python -m tests.simulators.alpaca`, started for us."""

    def __init__(self, away: float) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.simulators.alpaca",
            "--port",
            "0",
            "--away",
            str(away),
            "--cash",
            "100000000",
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.addresses = dict(self._process.stdout.readline().strip().split("=", 1) for _ in range(3))
        self.url = self.addresses["ALPACA_API_URL"]
        for symbol in STOCKS:
            self.tell("POST", "/_price", {"symbol": symbol, "price": "100"})

    def tell(self, method: str, path: str, body: Any = None) -> Any:
        asked = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode()
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read())

    def arrivals(self) -> list[float]:
        """When the orders came, by the clock that all processes share; then forgotten."""
        found = self.tell("GET", "/_arrivals")
        self.tell("DELETE", "/_arrivals")
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextlib.contextmanager
def simulator(away: float) -> Iterator[SimulatorProcess]:
    one = SimulatorProcess(away)
    try:
        yield one
    finally:
        one.close()


def accounts(one: Rig, count: int, each: int) -> None:
    """So many accounts, each with bots on so many symbols of its own."""
    for number in range(count):
        given = {
            "broker": "alpaca",
            "mode": "paper",
            "label": f"A{number}",
            "credentials": KEYS | {"key": f"{KEYS['key']}-{number}"},
        }
        account = one.call("POST", "/api/v1/accounts", given)["id"]
        for symbol in STOCKS[number * each : (number + 1) * each]:
            one.call(
                "POST",
                "/api/v1/bots",
                {"account_id": account, "symbol": symbol, "timeframe": "15", "position_size": "1000"},
            )
    time.sleep(4)  # until the worker listens to them


def dashtrade_times(
    one: Rig, sim: SimulatorProcess, alerts: int, start: int, pause: float = 0.0
) -> list[float]:
    client, sent = Client(one.port), []
    for body in alternating(STOCKS[0], alerts, start):
        time.sleep(pause)
        sent.append(time.monotonic())
        code, answer = client.post(f"/webhook?token={one.webhook}&wait=2.5", body.encode())
        assert code == 200 and json.loads(answer)["status"] == "filled", answer
    return between(sent, sim)


def floor(sim: SimulatorProcess, alerts: int, pause: float = 0.0) -> list[float]:
    """The same orders by the same library, without anything of ours."""
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import MarketOrderRequest

    client, sent = (TradingClient(api_key=KEYS["key"], secret_key=KEYS["secret"], url_override=sim.url), [])
    client.get_account()  # the connection is there
    for number in range(alerts):
        time.sleep(pause)
        side = OrderSide.SELL if number % 2 else OrderSide.BUY
        sent.append(time.monotonic())
        client.submit_order(
            MarketOrderRequest(symbol=STOCKS[1], qty=10, side=side, time_in_force=TimeInForce.DAY)
        )
    return between(sent, sim)


def between(sent: list[float], sim: SimulatorProcess) -> list[float]:
    """Milliseconds. One order per alert, one after another, so the n-th belongs to the n-th."""
    came = sim.arrivals()
    assert len(came) == len(sent), f"{len(sent)} alerts, {len(came)} orders"
    return [(at - since) * 1000 for since, at in zip(sent, came, strict=True)]


def local_rounds(rounds: int, alerts: int) -> None:
    with simulator(0) as sim, rig(**sim.addresses) as one:
        accounts(one, 1, 1)
        dashtrade_times(one, sim, 20, 9_000_000)
        for name, count, pause in (("near", alerts, 0.0), ("pauses", max(alerts // 20, 2) * 2, PAUSE)):
            made = [
                (
                    dashtrade_times(one, sim, count, n * 10_000 + len(name) * 1_000_000, pause),
                    floor(sim, count, pause),
                )
                for n in range(rounds)
            ]
            p50 = [[round(statistics.median(times), 2) for times in both] for both in made]
            show(
                {
                    "bench": "latency",
                    "what": name,
                    "overhead_p50_ms": round(statistics.median(a - b for a, b in p50), 2),
                    "p50_ms": statistics.median(a for a, _ in p50),
                    "floor_p50_ms": statistics.median(b for _, b in p50),
                    "p95_ms": round(statistics.median(statistics.quantiles(a, n=20)[-1] for a, _ in made), 2),
                    "rounds": p50,
                }
            )


def remote_rounds(rounds: int, seconds: float, each: int) -> None:
    with simulator(AWAY) as sim, rig(**sim.addresses) as one:
        accounts(one, ACCOUNTS, each)
        symbols, rates = STOCKS[: ACCOUNTS * each], []
        for number in range(rounds + 1):  # the first warms up
            close_all(one, symbols, number)
            bodies = [alternating(symbol, int(seconds * 40), number * 10_000) for symbol in symbols]
            job = {
                "port": one.port,
                "path": f"/webhook?token={one.webhook}&wait=2.5",
                "seconds": seconds,
                "statuses": True,
                "bodies": bodies,
            }
            sim.arrivals()
            told = run(job)
            came = sim.arrivals()
            rates.append(
                {
                    "orders_per_second": round(len(came) / (came[-1] - came[0]), 1),
                    "p50_ms": told["p50_ms"],
                    "p95_ms": told["p95_ms"],
                    "statuses": told["statuses"],
                }
            )
        rates = rates[1:]
        show(
            {
                "bench": "latency",
                "what": "far",
                "away_ms": AWAY * 1000,
                "accounts": ACCOUNTS,
                "symbols_each": each,
                "orders_per_second": statistics.median(r["orders_per_second"] for r in rates),
                "rounds": rates,
            }
        )


def close_all(one: Rig, symbols: list[str], number: int) -> None:
    """What the end of a round left open, so that the next one begins with a purchase."""
    client = Client(one.port)
    for symbol in symbols:
        body = json.dumps({"action": "close", "symbol": symbol, "timeframe": "15", "id": f"between-{number}"})
        client.post(f"/webhook?token={one.webhook}&wait=2.5", body.encode())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alerts", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--only", choices=("near", "far"))
    given = parser.parse_args()
    if given.only != "far":
        local_rounds(given.rounds, given.alerts)
    if given.only != "near":
        for each in (1, 4):
            remote_rounds(given.rounds, given.seconds, each)


if __name__ == "__main__":
    main()
