"""Hostile requests against a whole installation, and what must not come of them.

    python -m bench.fuzz [--seed 1] [--requests 100000] [--minutes 60] [--clients 2] [--threads 8]
                         [--database sqlite|postgresql] [--rate 1000000]
    python -m bench.fuzz --seed 1 --show 4711

Alerts, headers, framings, the REST API by its own OpenAPI document, the dashboard's pages, forms, files and
WebSockets, at the highest rate that the machine allows. Each request follows from the seed and its number.
Meanwhile another tenant trades each second, and one more does nothing.

Ends with 1 where an answer was a 5xx, was lost, hung, took longer than three seconds, or showed another
tenant's names; where a process was started again or grew without end; where something that was accepted was
not worked off, the tenant's orders were not filled, or anything of the other's had changed; where a traceback
or a token is in the logs. (What was slow, or 503, while other programs used more than a third of the
processors, is told and does not count.)"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from bench.fuzz_client import KINDS, Shots
from bench.fuzz_shots import FuzzFacts
from bench.fuzz_targets import CLOSED, House, made_up
from bench.fuzz_watch import Logs, Machine, Trader, differences, memory_mb, processor_seconds, roles, state_of
from bench.idle import children
from bench.rig import ROOT, Rig, show
from bench.siege import product

EXCHANGES = ("BINANCE", "KRAKEN", "COINBASE", "OKX", "GEMINI")
AWAY = ("ALPACA_API_URL", "SCHWAB_URL", *(f"CCXT_URL_{exchange}" for exchange in EXCHANGES))
ENVIRON = {"DASHTRADE_LOG_LEVEL": "INFO"} | dict.fromkeys(AWAY, CLOSED)
OTHERS_MATTER = 0.33  # of the processors
GROWTH = 1.25  # of memory, from the first fifth to the end
MEASURED_FROM = 20_000  # requests: shorter runs are still warming up
MOST_MB = {"receiver": 600.0, "worker": 600.0, "dashboard": 1000.0}
SAMPLE = 50  # findings that are shown


class Attack:
    """The processes that send, and what they told."""

    def __init__(self, facts: FuzzFacts, given: argparse.Namespace) -> None:
        until = time.time() + given.minutes * 60
        self._clients = [self._start(facts, given, until, place) for place in range(given.clients)]
        self._started = list(self._clients)
        self.pids = [client.pid for client in self._clients]
        self.done, self.told = 0, list[dict[str, Any]]()

    @staticmethod
    def _start(
        facts: FuzzFacts, given: argparse.Namespace, until: float, place: int
    ) -> subprocess.Popen[str]:
        client = subprocess.Popen(
            [sys.executable, "-m", "bench.fuzz_client"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdin is not None
        job = {
            "facts": asdict(facts),
            "seed": given.seed,
            "first": place,
            "step": given.clients,
            "requests": given.requests,
            "threads": given.threads,
            "until": until,
        }
        client.stdin.write(json.dumps(job))
        client.stdin.close()
        return client

    def progress(self) -> Iterator[int]:
        """How many requests were sent, each half second, until all were."""
        while self._clients:
            lines = [(client, self._line(client)) for client in self._clients]
            self._clients = [client for client, line in lines if "findings" not in line]
            self.told += [line for _, line in lines if "findings" in line]
            self.done = sum(line["done"] for _, line in lines) + sum(
                one["done"] for one in self.told if one not in [line for _, line in lines]
            )
            yield self.done

    def stop(self) -> None:
        for client in self._started:
            client.kill()
            client.wait()

    @staticmethod
    def _line(client: subprocess.Popen[str]) -> dict[str, Any]:
        assert client.stdout is not None
        line = client.stdout.readline()
        if not line:
            raise RuntimeError(f"a client of the fuzz broke: exit {client.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


def worked_off(rig: Rig, seconds: float = 120) -> bool:
    """Nothing that was accepted is still waiting."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(RuntimeError, OSError):
            if rig.call("GET", "/health")["waiting"] == 0:
                return True
        time.sleep(0.5)
    return False


def run(given: argparse.Namespace, environ: dict[str, str]) -> dict[str, Any]:
    with product(DASHTRADE_WEBHOOK_RATE=str(given.rate), **ENVIRON, **environ) as (
        superadmin,
        tenant,
        pid,
        ui,
    ):
        installation = House(superadmin, tenant, ui)
        try:
            return measured(given, installation, installation.facts(), pid)
        finally:
            installation.app.close()


def measured(given: argparse.Namespace, installation: House, facts: FuzzFacts, pid: int) -> dict[str, Any]:
    """Attacked, and what was seen meanwhile and afterwards."""
    processes, before = roles(pid), state_of(installation.still)
    lived, mb = set(children(pid)), {"start": memory_mb(processes)}
    logs, trader, attack = (
        Logs(installation.superadmin.home / "logs", installation.secrets),
        Trader(installation.trader),
        Attack(facts, given),
    )
    cpu = {role: processor_seconds(one) for role, one in processes.items()}
    machine = Machine(lambda: [*children(pid), *attack.pids])
    watching, began = (logs, trader, machine), time.monotonic()
    for thread in watching:
        thread.start()
    try:
        for done in attack.progress():
            if "fifth" not in mb and done >= given.requests / 5:
                mb["fifth"] = memory_mb(processes)
    finally:
        attack.stop()
    seconds = time.monotonic() - began
    mb["end"] = memory_mb(processes)
    used = {role: round(processor_seconds(one) - cpu[role], 1) for role, one in processes.items()}
    trader.over.set()
    trader.join(90)
    found = {
        "worked_off": worked_off(installation.superadmin),
        "changed": differences(before, state_of(installation.still)),
        "every_process_lived": lived == set(children(pid)),
    }
    for thread in watching:
        thread.over.set()
        thread.join(10)
    told = summary(attack.told, machine) | found
    told |= {
        "rate": round(attack.done / seconds, 1),
        "seconds": round(seconds),
        "mb": mb,
        "cpu_s": used | {"clients": round(sum(one["cpu_s"] for one in attack.told), 1)},
        "trips": trader.trips,
        "trips_failed": trader.failed[:SAMPLE],
        "tenant_max_ms": round(max(trader.times, default=0) * 1000),
        "log_kb": logs.bytes // 1024,
        "tracebacks": dict(logs.tracebacks.most_common(20)),
        "secrets_in_logs": logs.secrets[:5],
        "tracebacks_in_full": list(logs.first.values())[:5],
    }
    return told


def summary(told: list[dict[str, Any]], machine: Machine) -> dict[str, Any]:
    """Of all clients together."""
    statuses: dict[str, Counter[str]] = {
        kind: sum((Counter(one["statuses"][kind]) for one in told), Counter[str]()) for kind, _ in KINDS
    }
    times: Counter[int] = sum(
        (Counter({int(ms): count for ms, count in one["times"].items()}) for one in told), Counter[int]()
    )
    findings = [
        finding | {"others": machine.others(finding["at"])} for one in told for finding in one["findings"]
    ]
    for finding in findings:
        finding["counts"] = not (
            finding["why"] in ("slow", "503", "hang") and finding["others"] > OTHERS_MATTER
        )
    return {
        "requests": sum(map(Counter.total, statuses.values())),
        "p50_ms": _part(times, 0.5),
        "p99_ms": _part(times, 0.99),
        "p99.9_ms": _part(times, 0.999),
        "max_ms": max(times, default=0),
        "statuses": statuses,
        "others_usually": machine.others(),
        "found": Counter(finding["why"] for finding in findings),
        "findings": findings,
    }


def _part(times: Counter[int], share: float) -> int:
    left = times.total() * share
    for ms in sorted(times):
        left -= times[ms]
        if left <= 0:
            return ms
    return 0


def failed_checks(told: dict[str, Any]) -> list[str]:
    """In words; none: all is well."""
    counted = Counter(finding["why"] for finding in told["findings"] if finding["counts"])
    bad = [f"{why}: {count}" for why, count in counted.items()]
    bad += [f"{name} is not true" for name in ("worked_off", "every_process_lived") if not told[name]]
    bad += [
        f"{name}: {told[name]}"
        for name in ("changed", "trips_failed", "tracebacks", "secrets_in_logs")
        if told[name]
    ]
    if not told["trips"]:
        bad.append("the tenant traded nothing")
    for role, end in told["mb"]["end"].items():
        fifth = told["mb"].get("fifth", {}).get(role, end)  # none: the time was over before
        if end > MOST_MB[role] or (told["requests"] >= MEASURED_FROM and end > fifth * GROWTH):
            bad.append(f"the {role}'s memory grew from {fifth} to {end} MB")
    return bad


@contextlib.contextmanager
def database(kind: str) -> Iterator[dict[str, str]]:
    if kind == "sqlite":
        yield {}
        return
    from tests.support.databases import postgres

    with postgres() as server:
        yield {"DATABASE_URL": server.empty()}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--rate", type=int, default=1_000_000, help="alerts a second of one user")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="print this request and send nothing")
    given = parser.parse_args()
    if given.show is not None:
        print(Shots(made_up(), given.seed).of(given.show))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with all that it has started
    with database(given.database) as environ:
        told = run(given, environ)
    bad = failed_checks(told)
    told["findings"] = sorted(told["findings"], key=lambda one: one["why"] == "slow")[:SAMPLE]
    show({"bench": "fuzz", "seed": given.seed, "database": given.database} | told | {"failed": bad})
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
