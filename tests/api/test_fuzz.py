"""A short fuzz; `python -m bench.fuzz` makes the long one, and with `--seed S --show N` shows one request."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import fuzz, fuzz_shots
from bench.fuzz_client import KINDS, Shots
from bench.fuzz_targets import made_up
from dashtrade.domain.alert_retention import text_to_store
from dashtrade.domain.alerts.dialects import open_body, parse, read
from dashtrade.domain.values import Malformed

ROOT = Path(__file__).resolve().parents[2]
SEED, REQUESTS = 7, 3000


@pytest.fixture(scope="module")
def shots() -> Shots:
    return Shots(made_up(), SEED)


def test_a_request_follows_from_seed_and_number(shots: Shots) -> None:
    again, other = Shots(made_up(), SEED), Shots(made_up(), SEED + 1)
    forwards = [shots.of(number) for number in range(6000)]
    backwards = [again.of(number) for number in reversed(range(6000))]
    assert forwards == backwards[::-1], "the order changes nothing"
    assert sum(shots.of(number) == other.of(number) for number in range(300)) < 30


def test_every_kind_and_every_route_and_method_of_the_document_is_sent(shots: Shots) -> None:
    facts, sent = made_up(), [shots.of(number) for number in range(20_000)]
    assert {shot.kind for shot in sent} == {name for name, _ in KINDS}
    lines = Counter(
        (shot.data.split(b" ")[0].decode(), _shape(shot.data.split(b" ")[1]))
        for shot in sent
        if shot.kind == "rest"
    )
    missing = {(one["method"], _shape(one["path"].encode())) for one in facts.operations} - set(lines)
    assert not missing


def _shape(path: bytes) -> tuple[int, tuple[bytes, ...]]:
    """A route without what is filled in."""
    parts = path.partition(b"?")[0].split(b"/")
    return len(parts), tuple(part for part in parts[:4] if not part.startswith(b"{"))[:4]


def test_what_is_kept_of_an_alert_is_read_as_it_was_when_it_came() -> None:
    """The worker reads it again after a restart, and where many wait."""
    for number in range(12_000):
        body = fuzz_shots.alert_body(random.Random(number), number)
        try:
            opened = open_body(body)
            signal = read(opened).signal
            text = text_to_store(opened, signal)
        except Malformed:
            continue
        assert parse(text.encode()).signal == signal, (body, text)


@pytest.mark.parametrize("number", ["1e22", "-0.0", "1.50", "1e-20", "12345678901234567890", "1E5"])
def test_a_number_that_is_an_alerts_id_stays_the_same_id(number: str) -> None:
    opened = open_body(f'{{"action": "buy", "symbol": "AAPL", "id": {number}}}'.encode())
    signal = read(opened).signal
    assert parse(text_to_store(opened, signal).encode()).signal == signal


def test_a_number_too_long_for_an_id_is_refused_when_it_comes() -> None:
    with pytest.raises(Malformed, match="too long"):
        parse(b'{"action": "buy", "symbol": "AAPL", "id": 1e308}')


@pytest.mark.slow
def test_beside_hostile_requests_nothing_breaks_and_trading_goes_on() -> None:
    """How long answers took is not judged here: other programs may be using the machine."""
    command = [sys.executable, "-m", "bench.fuzz", "--seed", str(SEED), "--requests", str(REQUESTS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.startswith("{"), done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["requests"] == REQUESTS and told["trips"] and not told["trips_failed"], told
    assert [one for one in told["findings"] if one["why"] not in ("slow", "503", "hang")] == []
    assert told["worked_off"] and told["every_process_lived"]
    assert told["changed"] == [] == told["secrets_in_logs"] and told["tracebacks"] == {}
    _reached_the_code(told["statuses"])


def _reached_the_code(statuses: dict[str, dict[str, int]]) -> None:
    """Not all is turned away at the first look."""
    assert statuses["alerts"]["202"] > 100 and statuses["alerts"]["400"] > 300
    assert all(statuses["rest"].get(one, 0) > 10 for one in ("200", "400", "401", "403", "404"))
    assert (
        statuses["dashboard"]["200"] > 10
        and statuses["sockets"]["101"] > 5
        and statuses["framings"]["400"] > 20
    )


GOOD: dict[str, Any] = {
    "findings": [],
    "worked_off": True,
    "every_process_lived": True,
    "changed": [],
    "trips_failed": [],
    "tracebacks": {},
    "secrets_in_logs": [],
    "trips": 5,
    "requests": 50_000,
    "mb": {"fifth": {"worker": 80.0}, "end": {"worker": 90.0}},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"findings": [{"why": "5xx", "counts": True}]},
        {"worked_off": False},
        {"every_process_lived": False},
        {"changed": ["bots"]},
        {"trips_failed": ["buy 1: refused"]},
        {"tracebacks": {"x": 1}},
        {"secrets_in_logs": ["x"]},
        {"trips": 0},
        {"mb": {"fifth": {"worker": 80.0}, "end": {"worker": 101.0}}},
        {"mb": {"fifth": {"worker": 800.0}, "end": {"worker": 800.0}}},
    ],
)
def test_each_thing_that_must_not_happen_fails_the_run(wrong: dict[str, Any]) -> None:
    assert fuzz.failed_checks(GOOD) == []
    assert len(fuzz.failed_checks(GOOD | wrong)) == 1


def test_slowness_on_a_busy_machine_is_reported_and_does_not_count() -> None:
    busy = {"why": "slow", "counts": False}
    assert fuzz.failed_checks(GOOD | {"findings": [busy]}) == []
