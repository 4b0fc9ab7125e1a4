"""A user's data as one ZIP file, and trades as CSV, streamed: the file is never whole in memory or on disk.

The reader may be slow or stop reading. So each piece is read with its own connection, which is released
before the piece is sent; the next piece continues after the last key."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Generator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso, plain
from dashtrade.domain.wording import words
from dashtrade.services.bots.bots import Refusal
from dashtrade.tables import admin_queries
from dashtrade.tables import export as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import trades as trade_table
from dashtrade.tables.base import escape_formula

T = TypeVar("T")
PIECE_BYTES = 256 * 1024  # characters in a piece
Pieces = Generator[T, None, None]  # to be closed if not read to the end
Rows = Callable[[sa.Connection, Any], Pieces[tuple[Any, Any]]]  # the rows after a key: (key, cells)


class _Sink:
    """Receives the ZIP writer's output and passes it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def own_data(app: App, user: User, address: str) -> Pieces[bytes]:
    """Recorded first; refused to an admin viewing the user's pages."""
    if user.viewer:
        raise Refusal(
            "you are viewing another user's pages",
            "Exit the view first; only the user can export their own data.",
        )
    now = app.clock.now()
    app.db.write(
        lambda conn: message_table.record(
            conn, actor=user.id, action=AuditAction.DATA_EXPORTED, now=now, subject=user.id, address=address
        )
    )
    return _zipped(app, user)


def _zipped(app: App, user: User) -> Pieces[bytes]:
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        with app.db.read() as conn:
            profile = table.profile(conn, user.id)
        archive.writestr("README.txt", _ABOUT)
        archive.writestr(
            "profile.json", json.dumps({name: _cell_text(value) for name, value in profile.items()}, indent=2)
        )
        for file, name in table.TABLES.items():
            with archive.open(f"{file}.csv", "w", force_zip64=True) as entry:
                for text in csv_pieces(
                    app, tuple(c.name for c in table.columns(name)), partial(_own_rows, user.id, name)
                ):
                    entry.write(text.encode())
                    yield sink.take()
            yield sink.take()
    yield sink.take()


def _own_rows(owner: int, name: str, conn: sa.Connection, after: Any) -> Pieces[tuple[Any, Any]]:
    width = len(table.columns(name))
    with closing(table.rows(conn, owner, name, after)) as found:
        for row in found:
            values = row[:width] if name != "outbox" else _with_words(row, width)
            yield row[width:], [_cell(value) for value in values]


def _with_words(row: Any, width: int) -> list[Any]:
    """A message's title and text are generated when read."""
    said = message_table.words_of(row)
    return [
        said._asdict().get(column, value) for column, value in zip(row._fields, row[:width], strict=False)
    ]


def _cell_text(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case Symbol():
            return value.text
        case Reason():
            return escape_formula(words(value))
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return value


def _cell(value: Any) -> Any:
    """As text. An apostrophe is put before what a spreadsheet would take for a formula; numbers are
    unchanged."""
    return escape_formula(value) if isinstance(value, str) else _cell_text(value)


_ABOUT = (
    "Your data in DashTrade: profile.json, and one CSV file per kind of record, oldest first. Times are "
    "UTC, money is exact.\r\nPasswords, tokens, broker credentials and secrets are left out.\r\n"
)


# --- the user's own trades ----------------------------------------------------------------------------------


def my_trades(app: App, user: User, wanted: dict[str, Any]) -> Pieces[str]:
    def rows(conn: sa.Connection, before: Any) -> Pieces[tuple[Any, Any]]:
        return _trade_rows(
            trade_table.stream_trades(conn, user.id, before=before, **wanted), trade_table.CSV_COLUMNS
        )

    return csv_pieces(app, trade_table.CSV_COLUMNS, rows)


# --- all users' trades, for admins --------------------------------------------------------------------------


def all_trades(app: App, wanted: dict[str, Any]) -> Pieces[str]:
    """The caller checks the permission; the query has already escaped formulas."""

    def rows(conn: sa.Connection, before: Any) -> Pieces[tuple[Any, Any]]:
        return _trade_rows(
            admin_queries.stream_all_trades(conn, before=before, **wanted), admin_queries.ALL_CSV_COLUMNS
        )

    return csv_pieces(app, admin_queries.ALL_CSV_COLUMNS, rows)


def _trade_rows(found: Pieces[Any], names: tuple[str, ...]) -> Pieces[tuple[Any, Any]]:
    place = names.index("id")
    with closing(found):
        for row in found:
            yield int(row[place]), row


def csv_pieces(app: App, names: tuple[str, ...], rows: Rows) -> Pieces[str]:
    """CSV lines from cells whose formulas are already escaped."""
    buffer, key, more = io.StringIO(), None, True
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(names)
    while more:
        with app.db.read() as conn, closing(rows(conn, key)) as found:
            more = False
            for key, cells in found:  # noqa: B007  the next piece begins behind the last row
                writer.writerow(cells)
                if buffer.tell() >= PIECE_BYTES:
                    more = True
                    break
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
