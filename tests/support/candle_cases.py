"""The queries on candles as each of two users calls them; see `tests/api/tenancy/test_tenancy_queries.py`."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

from dashtrade.market import blocks
from dashtrade.market.bars import bars_of
from dashtrade.tables import candles
from dashtrade.tables.base import EPOCH
from tests.support.two_tenants import OWN_CANDLES

Query = Callable[[sa.Connection, int, SimpleNamespace], Any]


def _covered(conn: sa.Connection, owner: int, of: SimpleNamespace) -> Any:
    """Of an imported series: there is none by itself, as it has no source to ask."""
    series_id, table = candles.find(conn, of.trader, OWN_CANDLES), candles.coverage_table
    row = {"series_id": series_id, "start_at": 0, "end_at": 60_000, "user_id": of.trader, "asked_at": of.now}
    conn.execute(sa.insert(table).values(**row))
    found = candles.coverage(conn, owner, OWN_CANDLES)
    conn.execute(sa.delete(table).where(table.c.series_id == series_id))
    return found


READS_CANDLES: dict[str, Query] = {
    "candles.list_series": lambda c, o, of: [s for s in candles.list_series(c, o) if s.user_id == of.trader],
    "candles.find": lambda c, o, of: candles.find(c, o, OWN_CANDLES),
    "candles.read": lambda c, o, of: len(candles.read(c, o, OWN_CANDLES, EPOCH, of.now)),
    "candles.fingerprint": lambda c, o, of: (
        candles.fingerprint(c, o, OWN_CANDLES, EPOCH, of.now) != blocks.fingerprint([])
    ),
    "candles.has_before": lambda c, o, of: candles.has_before(c, o, OWN_CANDLES, of.now),
    "candles.own_bars": lambda c, o, of: candles.own_bars(c, o),
    "candles.coverage": lambda c, o, of: _covered(c, o, of),
    "candles.remove_own": lambda c, o, of: candles.remove_own(c, o, OWN_CANDLES),
}
MAKES_CANDLES: dict[str, Query] = {
    "candles.write_own": lambda c, o, of: candles.write_own(
        c, o, OWN_CANDLES, bars_of([(0, 2, 2, 2, 2, 2)]), of.now
    )
}
