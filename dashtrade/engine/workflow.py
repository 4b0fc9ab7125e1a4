"""What an engine step asks for while it works on a lane: a step of the kernel, a piece of a transaction, or a
call that may take long.

The engine's steps are generators that yield these and are sent the result (or thrown the error). The driver
decides how: the worker gathers the steps of many lanes into one commit and runs the calls in threads;
`run_sync` does one after another."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from bot_database import Database
from dashtrade.engine.steps import Step

T = TypeVar("T")


@dataclass(slots=True)
class Write:
    """Run it in a durable transaction. It may be run again, so it must only use its connection."""

    run: Callable[[sa.Connection], Any]


@dataclass(slots=True)
class Call:
    """Call `fn` with no transaction open: it may wait for a network."""

    fn: Callable[[], Any]


Effect = Step | Write | Call
Workflow = Generator[Effect, Any, T]


def run_sync(db: Database, steps: Workflow[T]) -> T:
    """Run each effect in turn, in this thread."""
    return run_with(lambda effect: db.write(effect.run), steps)


def run_with(run: Callable[[Step | Write], Any], steps: Workflow[T]) -> T:
    try:
        effect = next(steps)
        while True:
            try:
                result = effect.fn() if isinstance(effect, Call) else run(effect)
            except Exception as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(result)
    except StopIteration as end:
        return end.value
