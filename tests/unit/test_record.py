"""Records: mypy keeps them from being changed; at run time they are plain, slotted and compared by value."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle
import pkgutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import dashtrade.domain
import dashtrade.engine
from dashtrade.domain.decisions.risk import Approved
from dashtrade.domain.notices.trading import OrderFilled
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Quote
from dashtrade.domain.reasons import Code, Reason
from dashtrade.domain.record import field_names, record, replace
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderSide
from tests.support.fakes import MORNING
from tests.support.records import make_bot

ROOT = Path(__file__).resolve().parents[2]
QUOTE = Quote(symbol=Symbol.parse("AAPL"), bid=Decimal("9.9"), ask=Decimal("10.1"), at=MORNING)
FILLED = OrderFilled("Trend", OrderSide.BUY, Decimal(1), "AAPL", Decimal(10), None)
RECORDS = [make_bot(), QUOTE, FILLED, Symbol.parse("AAPL"), Timeframe(60), Reason(Code.DUST, {"a": 1})]


def every_record() -> list[type]:
    found = []
    for package in (dashtrade.domain, dashtrade.engine):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            loaded = importlib.import_module(module.name)
            found += [one for one in vars(loaded).values() if getattr(one, "__module__", "") == module.name]
    return [one for one in found if isinstance(one, type) and dataclasses.is_dataclass(one)]


@record
class Pair:
    left: int
    right: tuple[int, ...] = ()


# --- the type checker ---------------------------------------------------------------------------------------

WRONG = """
from decimal import Decimal
from dashtrade.domain.orders import Order
from dashtrade.domain.record import replace
from dashtrade.domain.reasons import Reason
def change(order: Order, reason: Reason) -> None:
    order.quantity = Decimal(1)
    reason.facts = {}
    replace(order, quantity=1.5)
    replace(order, amount=Decimal(1))
    Order(id="1")
"""


def test_mypy_refuses_changes_wrong_fields_and_wrong_types(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--config-file=", "--no-error-summary", "--no-incremental"]
    done = subprocess.run(
        [*command, "--follow-imports=silent", str(tmp_path / "wrong.py")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    lines = {int(line.split("wrong.py:")[1].split(":")[0]) for line in done.stdout.splitlines()}
    assert lines == {7, 8, 9, 10, 11}, done.stdout + done.stderr


# --- at run time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", every_record(), ids=lambda kind: kind.__qualname__)
def test_a_record_has_slots_alone_and_is_hashed_by_value(kind: Any) -> None:
    assert kind.__dictoffset__ == 0, "a misspelt field would be kept beside the others"
    if kind.__dataclass_params__.unsafe_hash:
        assert kind.__hash__ is not None and kind.__eq__ is not object.__eq__


@pytest.mark.parametrize("made", RECORDS, ids=lambda made: type(made).__name__)
def test_a_copy_is_equal_and_finds_the_same_key(made: Any) -> None:
    unpickled = pickle.loads(pickle.dumps(made))  # noqa: S301 (its own)
    for same in (copy.copy(made), copy.deepcopy(made), unpickled, replace(made)):
        assert same is not made and same == made and type(same) is type(made)
        if type(made).__name__ != "Bot":  # whose exits and protections hold what has no hash
            assert {made: 1}[same] == 1


@pytest.mark.parametrize("made", RECORDS, ids=lambda made: type(made).__name__)
def test_replace_is_that_of_dataclasses(made: Any) -> None:
    for name in field_names(type(made)):
        old = copy.copy(made)
        mine, theirs = replace(made, **{name: None}), dataclasses.replace(made, **{name: None})
        for field in field_names(type(made)):
            assert getattr(mine, field) is getattr(theirs, field)
        assert made == old


def test_values_decide_equality_and_hash() -> None:
    assert Pair(left=1) == Pair(left=1, right=()) and hash(Pair(left=1)) == hash(Pair(left=1))
    assert Pair(left=1) != Pair(left=2) and Pair(left=1) != replace(Pair(left=1), right=(2,))
    assert len({Pair(left=1), Pair(left=1), Pair(left=2)}) == 2
    assert Timeframe(60) < Timeframe(3600)


@pytest.mark.parametrize("name", ["amount", "is_open", "__class__x"])
def test_replace_refuses_a_name_that_is_no_field(name: str) -> None:
    with pytest.raises(AttributeError):
        replace(QUOTE, **{name: 1})


def test_a_constant_of_the_class_is_no_field() -> None:
    with pytest.raises(AttributeError):
        replace(FILLED, kind="another")


def test_what_is_checked_when_it_is_made_is_not_copied() -> None:
    with pytest.raises(TypeError):
        replace(object.__new__(Approved), steps=())


def test_field_names_are_in_their_order() -> None:
    assert field_names(Pair) == ("left", "right")
    assert field_names(Order) == tuple(each.name for each in dataclasses.fields(Order))
