"""The short set of crash runs; `python -m bench.crash` makes the long one, and repeats a run that failed
here."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.crash_checks import orders_agree
from bench.crash_world import plan
from dashtrade.failpoints import NAMES

ROOT = Path(__file__).resolve().parents[2]
SEED = 20


def crash(database: str, runs: int, broker: str = "default") -> dict[str, object]:
    command = [
        sys.executable,
        "-m",
        "bench.crash",
        "--runs",
        str(runs),
        "--seed",
        str(SEED),
        "--database",
        database,
        "--broker",
        broker,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-5000:] + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_the_short_set_names_every_failpoint_and_both_kinds_of_venue():
    plans = [plan(SEED, number) for number in range(25)]
    assert {name for of in plans for name, _ in of.crashes} >= set(NAMES)
    assert {of.manner.refuses_repeats for of in plans} == {True, False}


def _books(**crossed: str | None) -> tuple[SimpleNamespace, SimpleNamespace]:
    """Two filled orders here, each with its fill; none of them at the venue."""
    ten, price = Decimal(10), Decimal(100)
    orders = {
        name: SimpleNamespace(
            id=name,
            side=side,
            crossed_with=crossed.get(name),
            status="filled",
            quantity=ten,
            filled_quantity=ten,
            filled_notional=ten * price,
        )
        for name, side in (("one", "buy"), ("other", "sell"))
    }
    fills = [
        SimpleNamespace(
            order_id=name, broker_fill_id=name, quantity=ten, price=price, fee=Decimal(0), fee_base=Decimal(0)
        )
        for name in orders
    ]
    facts = SimpleNamespace(
        orders=orders,
        fills=fills,
        fills_of=lambda order_id: [fill for fill in fills if fill.order_id == order_id],
    )
    return facts, SimpleNamespace(orders=[], totals_only=False)


def test_what_two_bots_settled_between_them_is_not_missed_at_the_venue():
    assert list(orders_agree(*_books(one="other", other="one"))) == []


def test_fills_that_the_venue_does_not_have_are_found():
    found = list(orders_agree(*_books()))
    assert [kind for kind, _ in found] == ["mismatch"] * 3
    assert "2 only here" in found[-1][1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "runs"), [("sqlite", 60), pytest.param("postgresql", 25, marks=pytest.mark.postgres)]
)
def test_crashes_lose_nothing_double_nothing_and_leave_books_that_agree_with_the_venue(
    database: str, runs: int
):
    told = crash(database, runs)
    assert (told["lost"], told["double"], told["stuck"], told["mismatch"]) == (0, 0, 0, 0)
    assert told["crashes"] >= runs // 2, "the failpoints are not reached any more"
    assert len(told["faults"]) >= 10, "the venue behaves too well"


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["alpaca", "binance"])
@pytest.mark.parametrize(
    ("database", "runs"), [("sqlite", 12), pytest.param("postgresql", 5, marks=pytest.mark.postgres)]
)
def test_so_they_do_through_the_real_libraries(database: str, runs: int, broker: str):
    told = crash(database, runs, broker)
    assert (told["lost"], told["double"], told["stuck"], told["mismatch"]) == (0, 0, 0, 0)
    # How many there are depends on when the kills come: these are enough to be of use.
    assert told["crashes"] >= runs // 4
    assert told["orders"] >= runs // 4
    assert len(told["faults"]) >= 5, "the venue behaves too well"
