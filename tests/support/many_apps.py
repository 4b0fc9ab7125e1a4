"""What makes thousands of applications in one process affordable, where the product builds one.

Half of the time of a short test went into compiling the same addresses and the same statements again, and a
good part of the rest into waiting for the disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from werkzeug.routing import Rule

import bot_database

_compile_builder = Rule._compile_builder
_builders: dict[tuple[str, bool], Callable[..., tuple[str, str]]] = {}
_dialects: dict[str, sa.Dialect] = {}  # the first of each kind that has seen its database
_statements: dict[Any, Any] = {}


def share() -> None:
    """For the whole process."""
    Rule._compile_builder = _known_builder  # type: ignore[method-assign]
    bot_database.sqlite_engine = _unsynced(_sharing(bot_database.sqlite_engine))
    bot_database.postgres_engine = _sharing(bot_database.postgres_engine)


def _known_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """The code that spells a rule's address: it follows from the rule's text, and from defaults where there
    are some."""
    if rule.defaults:
        return _compile_builder(rule, append_unknown)
    key = (rule.rule, append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


def _sharing(make: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    """What was compiled for one database is known to all of its kind; the dialect is part of the key."""

    def made(*given: Any, **named: Any) -> sa.Engine:
        engine = make(*given, **named)
        own = engine.dialect
        engine.dialect = _dialects.get(own.name, own)
        engine.update_execution_options(compiled_cache=_statements)
        sa.event.listen(engine, "connect", lambda *_: _dialects.setdefault(own.name, own))
        return engine

    return made


def _unsynced(make: Callable[..., sa.Engine]) -> Callable[..., sa.Engine]:
    """It forgets on a power cut, as the tests' PostgreSQL does: only our own processes are killed."""

    def made(*given: Any, **named: Any) -> sa.Engine:
        engine = make(*given, **named)
        sa.event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        return engine

    return made
