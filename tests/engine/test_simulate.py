"""The short set of simulated schedules; `python -m bench.simulate` makes the long one, and tells the story of
a schedule that failed here.

Each runs in a process of its own: a simulation takes over the ids and the clock of the whole process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.simulate.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]
QUICK = "resend-without-a-look"


def simulate(*options: str, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.simulate", *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("store", "count"), [("memory", 300), ("database", 30)])
def test_whatever_the_schedule_nothing_is_lost_doubled_or_stuck(store: str, count: int):
    done = simulate("--schedules", str(count), "--seed", "1000", "--store", store)
    assert done.returncode == 0, done.stderr[-5000:]
    told = found(done)
    assert told["schedules"] == count and not told["findings"]
    assert told["crashes"] > count / 2 and told["orders"] > count, "too little happens"
    assert len(told["faults"]) >= 12, "the venue behaves too well"


@pytest.mark.parametrize("store", ["memory", "database"])
def test_a_schedule_is_the_same_each_time_step_by_step(store: str):
    one, other = (simulate("--store", store, "--replay", "61", hash_seed=seed) for seed in (1, 2))
    assert one.returncode == 0, one.stderr[-5000:]
    assert "CRASH" in one.stdout and "submit" in one.stdout
    assert one.stdout == other.stdout


@pytest.mark.parametrize(
    "mutant", [name if name == QUICK else pytest.param(name, marks=pytest.mark.slow) for name in MUTANTS]
)
def test_a_deliberate_fault_is_found(mutant: str):
    done = simulate("--schedules", "2000", "--mutant", mutant)
    told = found(done)
    assert done.returncode == 1 and told["first_found"] is not None
    replay = f"python -m bench.simulate --store memory --replay {told['first_found']} --mutant {mutant}"
    assert replay in done.stderr
