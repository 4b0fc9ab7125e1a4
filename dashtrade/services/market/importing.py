"""A user's own candles from a file: looked through, imported, removed. Only that user reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from dashtrade.context import App
from dashtrade.domain.people import User
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.market.calendar import calendar_of
from dashtrade.market.series import Adjustment, Series
from dashtrade.services.refusals import Refusal
from dashtrade.tables import candles, people
from dashtrade.tables.candles import StoredSeries, Written

if TYPE_CHECKING:
    from dashtrade.market.importing import Reading

OWN = "own:"  # an import's source: no source over the network has such a name
MOST_BARS = 20_000_000  # of one user's imports; some 200 MB
MOST_BYTES = 64 * 1024 * 1024
_NAME = re.compile(r"[\w][\w .\-]{0,39}")


def source_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Malformed(
            f"{name[:40]!r} is no name for candles",
            where="name",
            hint="Up to 40 letters, digits, spaces, dots and dashes.",
        )
    return OWN + name


def contents(file: Path) -> bytes:
    try:
        _check_size(file.stat().st_size)
        return file.read_bytes()
    except OSError as error:
        raise Malformed(f"{file} cannot be read", where="file", hint=str(error.strerror)) from error


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise Malformed(f"the file is larger than {MOST_BYTES >> 20} MB", where="file", hint="Split it.")


def look_through(
    app: App,
    data: bytes,
    *,
    symbol: Symbol,
    timeframe: Timeframe | None = None,
    columns: Mapping[str, str] | None = None,
    zone: ZoneInfo | None = None,
) -> Reading:
    """The dry run: what the file holds, and what is wrong in which row. Nothing is stored."""
    from dashtrade.market import importing

    _check_size(len(data))
    calendar = calendar_of(symbol)
    sessions = None if calendar is None else app.trading_days.sessions(calendar) or None
    return importing.read(
        data, timeframe=timeframe, now=app.clock.now(), sessions=sessions, columns=columns, zone=zone
    )


def store(
    app: App,
    user: User,
    reading: Reading,
    *,
    name: str,
    symbol: Symbol,
    adjustment: Adjustment = Adjustment.RAW,
) -> Written:
    """Store what was looked through; candles that are there already are replaced where they differ."""
    if not reading.is_good:
        raise Refusal(
            f"{reading.problem_count} things are wrong in the file: nothing was imported.",
            "Correct those rows, then import it again.",
        )
    series = Series(
        source=source_name(name), symbol=symbol, timeframe=reading.timeframe, adjustment=adjustment
    )
    with app.db.read() as conn:
        stored = candles.own_bars(conn, user.id)
    if stored + len(reading.bars) > MOST_BARS:
        raise Refusal(
            f"You have imported {stored:,} candles, and {MOST_BARS:,} is the most.",
            "Remove some of them first.",
        )
    now = app.clock.now()
    return app.db.write(lambda conn: candles.write_own(conn, user.id, series, reading.bars, now))


def user_named(app: App, email: str) -> User:
    with app.db.read() as conn:
        found = people.by_email(conn, email.strip().lower())
    if found is None:
        raise Malformed(f"there is no user {email[:60]}", where="user", hint="Write the email address.")
    return found[0]


def imports(app: App, user: User) -> list[StoredSeries]:
    with app.db.read() as conn:
        return [one for one in candles.list_series(conn, user.id) if one.user_id == user.id]


def remove(app: App, user: User, series: Series) -> int:
    """Returns the number of candles removed."""
    return app.db.write(lambda conn: candles.remove_own(conn, user.id, series))
