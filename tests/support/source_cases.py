"""The queries on keys of sources as each of two users calls them; see
`tests/api/tenancy/test_tenancy_queries.py`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from dashtrade.tables import source_keys

Query = Callable[[sa.Connection, int, SimpleNamespace], Any]


def _with_key(
    conn: sa.Connection, owner: int, of: SimpleNamespace, query: Callable[[sa.Connection, int], Any]
) -> Any:
    source_keys.put(conn, of.trader, "finnhub", "free", "-", of.now)
    found = query(conn, owner)
    source_keys.drop(conn, of.trader, "finnhub")
    return found


READS_SOURCE_KEYS: dict[str, Query] = {
    "source_keys.list_all": lambda c, o, of: _with_key(c, o, of, source_keys.list_all),
    "source_keys.drop": lambda c, o, of: _with_key(c, o, of, lambda c, o: source_keys.drop(c, o, "finnhub")),
}
MAKES_SOURCE_KEYS: dict[str, Query] = {
    "source_keys.put": lambda c, o, of: source_keys.put(c, o, "massive", "free", "-", of.now)
}
