"""The short set of sieges; `python -m bench.siege` makes the long one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ATTACKS = ("drips_1060", "guessers", "bodies_without_token", "waiting", "unread_exports")


@pytest.mark.slow
def test_beside_each_attack_another_tenants_alerts_are_answered_and_every_process_lives() -> None:
    command = [sys.executable, "-m", "bench.siege", "--seconds", "3", "--only", *ATTACKS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["attack"] for one in told] == list(ATTACKS), done.stderr[-3000:]
    for one in told:
        assert one["every_process_lived"] and one["alerts"] and not one["failed"], one
        assert one["filled_p50_ms"] is not None, f"nothing was traded beside {one['attack']}"
