"""Deterministic simulation: the real engine, in one thread on books in memory, under seeded schedules.

    python -m bench.simulate --schedules 10000 --seed 1 [--processes 2] [--mutant NAME] [--store database]
    python -m bench.simulate --replay SEED [--mutant NAME]

A schedule is made of one number: alerts and repeats, fills late, in parts, doubled and out of order, a
venue's faults, lost leases, pauses from another process, clocks that jump, and crashes before and after any
commit and call. The schedules of one run have the numbers from `--seed` on; one that fails prints its number,
and `--replay` tells its story step by step. A mutant is a deliberate fault, which the run has to find."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from bench.simulate.mutants import MUTANTS
from bench.simulate.run import Outcome, Simulation

BATCH = 25


Found = list[tuple[int, list[tuple[str, str]]]]  # the schedules that failed, with what was found

_simulation: Simulation


def _begin(mutant: str | None, store: str) -> None:
    global _simulation
    _simulation = Simulation(mutant, store)


def _run(seeds: range) -> tuple[int, Counter[str], Found]:
    counts, found = Counter[str](), []
    for seed in seeds:
        outcome = _simulation.run(seed)
        counts += outcome.counts
        if outcome.findings:
            found.append((seed, outcome.findings))
    return len(seeds), counts, found


def _shares(given: argparse.Namespace, batches: list[range]) -> Iterator[tuple[int, Counter[str], Found]]:
    """In this process, or in several; in order either way."""
    if given.processes == 1:
        _begin(given.mutant, given.store)
        yield from map(_run, batches)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(given.processes, _begin, (given.mutant, given.store)) as pool:
        yield from pool.imap(_run, batches)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate")
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="the number of the first schedule")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="a deliberate fault, to be found")
    parser.add_argument("--store", choices=("memory", "database"), default="memory")
    parser.add_argument("--replay", type=int, metavar="SEED", help="tell the story of one schedule")
    given = parser.parse_args()
    if given.replay is not None:
        return replay(Simulation(given.mutant, given.store).run(given.replay, traced=True))
    return many(given)


def replay(outcome: Outcome) -> int:
    print("\n".join(outcome.lines))
    for kind, what in outcome.findings:
        print(f"{kind}: {what}")
    return 1 if outcome.findings else 0


def many(given: argparse.Namespace) -> int:
    began, began_cpu = time.monotonic(), _cpu()
    counts, kinds, done, first = Counter[str](), Counter[str](), 0, None
    end = given.seed + given.schedules
    batches = [range(a, min(a + BATCH, end)) for a in range(given.seed, end, BATCH)]
    for number, seen, failed in _shares(given, batches):
        done, counts = done + number, counts + seen
        for seed, findings in failed:
            kinds.update(kind for kind, _ in findings)
            first = first if first is not None else seed - given.seed + 1
            tell(seed, findings, given)
        if first is not None and given.mutant:
            break
    seconds = time.monotonic() - began
    faults = {
        name.removeprefix("fault "): n for name, n in sorted(counts.items()) if name.startswith("fault ")
    }
    line = {
        "bench": "simulate",
        "schedules": done,
        "seed": given.seed,
        "store": given.store,
        "mutant": given.mutant,
        **{name: n for name, n in sorted(counts.items()) if not name.startswith("fault ")},
        "faults": faults,
        "findings": dict(kinds),
        "first_found": first,
        "seconds": round(seconds, 1),
        "schedules_per_second": round(done / seconds, 1),
        "per_cpu_second": round(done / (_cpu() - began_cpu), 1),
    }
    print(json.dumps(line), flush=True)
    return 1 if kinds else 0


def _cpu() -> float:
    """Seconds of this process and of those that it has awaited."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def tell(seed: int, findings: list[tuple[str, str]], given: argparse.Namespace) -> None:
    again = f"python -m bench.simulate --store {given.store} --replay {seed}"
    again += f" --mutant {given.mutant}" if given.mutant else ""
    print(f"schedule {seed} failed; its story: {again}", file=sys.stderr)
    for kind, what in findings[:5]:
        print(f"  {kind}: {what}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
