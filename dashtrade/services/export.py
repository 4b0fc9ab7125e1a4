"""A user's own data as one ZIP file, written while it is sent: nothing of it is ever whole in memory or on the disk."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dashtrade.domain.values import Symbol, iso, plain
from dashtrade.services.bots import Refusal
from dashtrade.tables import export as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import overall
from dashtrade.tables.people import User

if TYPE_CHECKING:
    from dashtrade.app import App

BATCH = 2000  # rows between two pieces that are sent
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Sink:
    """Takes what the ZIP writer writes, and hands it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def own_data(app: App, user: User, address: str) -> Iterator[bytes]:
    """Recorded first, and refused to those who only look at somebody's pages."""
    if user.viewer:
        raise Refusal("these are somebody else's pages", "Leave the view first; only they can take their data along.")
    now = app.clock.now()
    app.db.write(lambda conn: message_table.record(conn, actor=user.id, action="data exported", now=now, subject=user.id, address=address))
    return _zipped(app, user)


def _zipped(app: App, user: User) -> Iterator[bytes]:
    sink = _Sink()
    with app.db.read() as conn, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        archive.writestr("README.txt", _ABOUT)
        archive.writestr("profile.json", json.dumps({name: _said(value) for name, value in table.profile(conn, user.id).items()}, indent=2))
        for file, name in table.TABLES.items():
            with archive.open(f"{file}.csv", "w", force_zip64=True) as entry:
                rows = ([_cell(value) for value in row] for row in table.rows(conn, user.id, name))
                for text in csv_text(tuple(c.name for c in table.columns(name)), rows):
                    entry.write(text.encode())
                    yield sink.take()
            yield sink.take()
    yield sink.take()


def _said(value: Any) -> Any:
    match value:
        case Decimal():
            return plain(value)
        case datetime():
            return iso(value)
        case date():
            return value.isoformat()
        case Symbol():
            return value.text
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
    return value


def _cell(value: Any) -> Any:
    """As text; what a spreadsheet would take for a formula gets an apostrophe, numbers are left alone."""
    return harmless(value) if isinstance(value, str) else _said(value)


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


_ABOUT = (
    "Your data in DashTrade: profile.json, and one CSV file per kind of record, oldest first. Times are UTC, money is exact.\r\n"
    "Passwords, tokens, broker credentials and secrets are left out: they open things, and DashTrade itself keeps most of them sealed.\r\n"
)


# --- everybody's trades, for admins --------------------------------------------------------------------------------------------------


def all_trades(app: App, wanted: dict[str, Any]) -> Iterator[str]:
    """As CSV text, a few thousand lines at a time. The caller has checked that they may; the cells come harmless from the query."""
    with app.db.read() as conn:
        yield from csv_text(overall.ALL_CSV_COLUMNS, overall.stream_all_trades(conn, **wanted))


def csv_text(names: tuple[str, ...], rows: Iterator[Any]) -> Iterator[str]:
    """Cells that are harmless already, as lines."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(names)
    for count, row in enumerate(rows, 1):
        writer.writerow(row)
        if count % BATCH == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
