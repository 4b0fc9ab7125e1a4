"""Stored candles: series, their blocks of 4,096 timeframes, what was corrected, and what was asked for.

Candles are shared by all users, unless a user imported them: then the rows have an owner, and only that user
reads them. Only candles that have ended are stored. One that comes again with other numbers replaces what was
stored, and what it replaces is kept as a revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.domain.timeframes import Timeframe
from dashtrade.market.series import Adjustment, Series
from dashtrade.tables.base import (
    EPOCH,
    BigId,
    Instrument,
    decimal_column,
    id_column,
    int_column,
    metadata,
    text_column,
    time_column,
)

if TYPE_CHECKING:
    from dashtrade.market.bars import Bars
    from dashtrade.market.blocks import Block

_MS = timedelta(milliseconds=1)
_IS_SHARED = sa.text("user_id IS NULL")
_IS_OWN = sa.text("user_id IS NOT NULL")
_KEY = ("source", "symbol", "timeframe", "adjustment")


def _keeper_column() -> sa.Column[int]:
    """Whose candles; NULL: everybody's."""
    return sa.Column("user_id", BigId, sa.ForeignKey("users.id"), nullable=True, index=True)


def _series_column(**options: Any) -> sa.Column[int]:
    return sa.Column("series_id", BigId, sa.ForeignKey("candle_series.id"), nullable=False, **options)


def _packed_columns() -> list[sa.Column[Any]]:
    """Of a block, as `market.blocks` packs it. Times are milliseconds since 1970."""
    return [
        int_column("first_at"),
        int_column("last_at"),
        int_column("bars"),
        decimal_column("price_step"),
        decimal_column("volume_step"),
        text_column("digest"),
        sa.Column("data", sa.LargeBinary, nullable=False),
    ]


series_table = sa.Table(
    "candle_series",
    metadata,
    id_column(),
    _keeper_column(),
    text_column("source"),
    sa.Column("symbol", Instrument, nullable=False),
    int_column("timeframe"),
    text_column("adjustment"),
    time_column("created_at"),
    sa.Index(
        "uq_candle_series_shared", *_KEY, unique=True, sqlite_where=_IS_SHARED, postgresql_where=_IS_SHARED
    ),
    sa.Index(
        "uq_candle_series_own", "user_id", *_KEY, unique=True, sqlite_where=_IS_OWN, postgresql_where=_IS_OWN
    ),
)
blocks_table = sa.Table(
    "candle_blocks",
    metadata,
    _series_column(primary_key=True, autoincrement=False),
    sa.Column("number", BigId, primary_key=True, autoincrement=False),
    _keeper_column(),
    *_packed_columns(),
)
revisions = sa.Table(
    "candle_revisions",
    metadata,
    id_column(),
    _series_column(index=True),
    int_column("number"),
    _keeper_column(),
    time_column("replaced_at"),
    *_packed_columns(),
)
coverage_table = sa.Table(
    "candle_coverage",
    metadata,
    _series_column(primary_key=True, autoincrement=False),
    sa.Column("start_at", BigId, primary_key=True, autoincrement=False),
    int_column("end_at"),
    _keeper_column(),
    time_column("asked_at"),
)
sessions_table = sa.Table(
    "market_sessions",
    metadata,
    sa.Column("market", sa.Text, primary_key=True),
    time_column("computed_at"),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

SYSTEM = {"write_shared", "put_coverage", "sessions", "put_sessions"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    id: int
    user_id: int | None
    series: Series
    bars: int
    first_at: datetime | None = None
    last_at: datetime | None = None  # the open time of the last bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of bars that were given to the store."""

    added: int = 0
    changed: int = 0  # replaced; what was there before is a revision


def _visible(table: sa.Table, owner: int) -> sa.ColumnElement[bool]:
    return sa.or_(table.c.user_id.is_(None), table.c.user_id == owner)


def _is(series: Series) -> sa.ColumnElement[bool]:
    values = _key(series)
    return sa.and_(*(series_table.c[name] == value for name, value in values.items()))


def _key(series: Series) -> dict[str, Any]:
    return {
        "source": series.source,
        "symbol": series.symbol,
        "timeframe": series.timeframe.seconds,
        "adjustment": series.adjustment.value,
    }


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // _MS


# --- reading ------------------------------------------------------------------------------------------------


def list_series(conn: sa.Connection, owner: int) -> list[StoredSeries]:
    """Those this user may read, with what is stored of each."""
    s, b = series_table.c, blocks_table.c
    query = (
        sa.select(
            series_table,
            sa.func.coalesce(sa.func.sum(b.bars), 0).label("bars"),
            sa.func.min(b.first_at).label("first_at"),
            sa.func.max(b.last_at).label("last_at"),
        )
        .select_from(series_table.outerjoin(blocks_table, b.series_id == s.id))
        .where(_visible(series_table, owner))
        .group_by(*series_table.c)
        .order_by(s.source, s.symbol, s.timeframe, s.id)
    )
    return [_stored_series(row) for row in conn.execute(query)]


def _stored_series(row: Any) -> StoredSeries:
    series = Series(
        source=row.source,
        symbol=row.symbol,
        timeframe=Timeframe(row.timeframe),
        adjustment=Adjustment(row.adjustment),
    )
    first, last = (None if at is None else EPOCH + at * _MS for at in (row.first_at, row.last_at))
    return StoredSeries(
        id=row.id, user_id=row.user_id, series=series, bars=int(row.bars), first_at=first, last_at=last
    )


def find(conn: sa.Connection, owner: int, series: Series) -> int | None:
    """The id of the stored series: the user's own import of that name, else the shared one."""
    query = sa.select(series_table.c.id).where(_is(series), _visible(series_table, owner))
    return conn.scalar(query.order_by(series_table.c.user_id.is_(None)).limit(1))


def read(conn: sa.Connection, owner: int, series: Series, start: datetime, end: datetime) -> Bars:
    """What is stored that opens at `start` or later, and before `end`."""
    from dashtrade.market.bars import joined
    from dashtrade.market.blocks import unpack

    found = find(conn, owner, series)
    parts = [] if found is None else [unpack(block) for block in _blocks(conn, owner, found, start, end)]
    return joined(parts).between(start, end)


def fingerprint(conn: sa.Connection, owner: int, series: Series, start: datetime, end: datetime) -> str:
    """Of the same bars: any number of any bar that changes, comes or goes changes it."""
    from dashtrade.market import blocks

    found, digests = find(conn, owner, series), []
    for block in () if found is None else _blocks(conn, owner, found, start, end):
        if _ms(start) <= block.first_at and block.last_at < _ms(end):
            digests.append((block.number, block.digest))
        elif len(part := blocks.unpack(block).between(start, end)):
            digests.append((block.number, blocks.digest_of(part)))
    return blocks.fingerprint(digests)


def _blocks(conn: sa.Connection, owner: int, series_id: int, start: datetime, end: datetime) -> list[Block]:
    b = blocks_table.c
    query = sa.select(blocks_table).where(
        b.series_id == series_id,
        _visible(blocks_table, owner),
        b.last_at >= _ms(start),
        b.first_at < _ms(end),
    )
    return [_block(row) for row in conn.execute(query.order_by(b.number))]


def _block(row: Any) -> Block:
    from dashtrade.market.blocks import Block

    return Block(**{one.name: getattr(row, one.name) for one in fields(Block)})


def has_before(conn: sa.Connection, owner: int, series: Series, moment: datetime) -> bool:
    """Is a bar stored that opens before it?"""
    query = sa.select(sa.func.min(blocks_table.c.first_at)).where(
        blocks_table.c.series_id == find(conn, owner, series), _visible(blocks_table, owner)
    )
    first = conn.scalar(query)
    return first is not None and first < _ms(moment)


def own_bars(conn: sa.Connection, owner: int) -> int:
    """How many this user has imported."""
    total = conn.scalar(sa.select(sa.func.sum(blocks_table.c.bars)).where(blocks_table.c.user_id == owner))
    return int(total or 0)


def coverage(conn: sa.Connection, owner: int, series: Series) -> list[tuple[datetime, datetime]]:
    """Stretches for which the source was asked: what is not stored of them, it does not have."""
    found, c = find(conn, owner, series), coverage_table.c
    query = sa.select(c.start_at, c.end_at).where(c.series_id == found, _visible(coverage_table, owner))
    rows = conn.execute(query.order_by(c.start_at))
    return [(EPOCH + row.start_at * _MS, EPOCH + row.end_at * _MS) for row in rows]


# --- writing ------------------------------------------------------------------------------------------------


def write_shared(conn: sa.Connection, series: Series, bars: Bars, now: datetime) -> Written:
    """Bars of a source, which everybody reads. Those that are stored already are left as they are."""
    return _write(conn, None, series, bars, now)


def write_own(conn: sa.Connection, owner: int, series: Series, bars: Bars, now: datetime) -> Written:
    """Bars that a user imported."""
    return _write(conn, owner, series, bars, now)


def _write(conn: sa.Connection, keeper: int | None, series: Series, bars: Bars, now: datetime) -> Written:
    from dashtrade.market import blocks

    series_id, added, changed = _lock_series(conn, keeper, series, now), 0, 0
    parts = list(blocks.split(bars, series.timeframe))
    stored = _stored_blocks(conn, series_id, [number for number, _ in parts])
    row: dict[str, Any] = {"series_id": series_id, "user_id": keeper}
    new, old = [], []
    for number, part in parts:
        before = blocks.unpack(stored[number]) if number in stored else part[:0]
        merged, replaced = blocks.merge(before, part)
        if len(replaced):
            old.append(row | {"replaced_at": now} | _columns(blocks.pack(number, replaced)))
        if len(replaced) or len(merged) > len(before):
            new.append(row | _columns(blocks.pack(number, merged)))
        added, changed = added + len(merged) - len(before), changed + len(replaced)
    if old:
        conn.execute(_ADD_REVISION, old)
    if new:
        conn.execute(_PUT_BLOCK[conn.dialect.name], new)
    return Written(added=added, changed=changed)


def _stored_blocks(conn: sa.Connection, series_id: int, numbers: Sequence[int]) -> dict[int, Block]:
    if not numbers:
        return {}
    b = blocks_table.c
    query = sa.select(blocks_table).where(b.series_id == series_id, b.number.between(numbers[0], numbers[-1]))
    return {row.number: _block(row) for row in conn.execute(query)}


def _lock_series(conn: sa.Connection, keeper: int | None, series: Series, now: datetime) -> int:
    """The series' row, made if there is none: writers of one series take turns."""
    insert: Any = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(
        insert(series_table).values(user_id=keeper, created_at=now, **_key(series)).on_conflict_do_nothing()
    )
    owned = series_table.c.user_id.is_(None) if keeper is None else series_table.c.user_id == keeper
    query = sa.select(series_table.c.id).where(_is(series), owned).with_for_update()
    return int(conn.execute(query).scalar_one())


def _columns(block: Block) -> dict[str, Any]:
    return dict(zip((one.name for one in fields(block)), astuple(block), strict=True))


def _put_block(insert: Any) -> Any:
    added = insert(blocks_table)
    replaced = {one.name: added.excluded[one.name] for one in blocks_table.c if not one.primary_key}
    return added.on_conflict_do_update(index_elements=["series_id", "number"], set_=replaced)


_PUT_BLOCK = {"sqlite": _put_block(sqlite.insert), "postgresql": _put_block(postgresql.insert)}
_ADD_REVISION = sa.insert(revisions)


def put_coverage(conn: sa.Connection, series: Series, start: datetime, end: datetime, now: datetime) -> None:
    """The source of a shared series has answered for this stretch; what touches it becomes one with it."""
    series_id, c = _lock_series(conn, None, series, now), coverage_table.c
    touching = (c.series_id == series_id) & (c.start_at <= _ms(end)) & (c.end_at >= _ms(start))
    rows = conn.execute(sa.select(c.start_at, c.end_at).where(touching)).all()
    conn.execute(sa.delete(coverage_table).where(touching))
    row = {
        "start_at": min([_ms(start), *(row.start_at for row in rows)]),
        "end_at": max([_ms(end), *(row.end_at for row in rows)]),
    }
    values = {"series_id": series_id, "user_id": None, "asked_at": now, **row}
    conn.execute(sa.insert(coverage_table).values(values))


def remove_own(conn: sa.Connection, owner: int, series: Series) -> int:
    """Delete what this user imported under that name. Returns the number of bars."""
    query = sa.select(series_table.c.id).where(_is(series), series_table.c.user_id == owner)
    found = conn.scalar(query)
    of_series = blocks_table.c.series_id == found
    removed = conn.scalar(sa.select(sa.func.sum(blocks_table.c.bars)).where(of_series)) or 0
    for table in (blocks_table, revisions, coverage_table):
        conn.execute(sa.delete(table).where(table.c.series_id == found, table.c.user_id == owner))
    conn.execute(sa.delete(series_table).where(series_table.c.id == found, series_table.c.user_id == owner))
    return int(removed)


# --- trading sessions ---------------------------------------------------------------------------------------


def sessions(conn: sa.Connection, market: str) -> tuple[datetime, bytes] | None:
    """A market's calendar as it was last computed, and when."""
    row = conn.execute(sa.select(sessions_table).where(sessions_table.c.market == market)).first()
    return None if row is None else (row.computed_at, row.data)


def put_sessions(conn: sa.Connection, market: str, data: bytes, now: datetime) -> None:
    insert: Any = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    added = insert(sessions_table).values(market=market, computed_at=now, data=data)
    replaced = {"computed_at": added.excluded.computed_at, "data": added.excluded.data}
    conn.execute(added.on_conflict_do_update(index_elements=["market"], set_=replaced))
