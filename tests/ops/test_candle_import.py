"""A user's own candles: imported whole or not at all, read by that user alone, and removed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from dashtrade import cli
from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.market.importing import Fault, Problem, Reading
from dashtrade.market.series import Series
from dashtrade.services.market import import_report, importing
from dashtrade.services.people import removal
from dashtrade.services.refusals import Refusal
from dashtrade.tables import candles
from dashtrade.tables.candles import Written
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.user_rows import row_counts

Command: TypeAlias = Callable[..., int]

BTC = Symbol.parse("BTC/USDT")
FILE = Series(source="own:my file", symbol=BTC, timeframe=Timeframe(60))


def text(app: App, count: int, close: str = "100") -> bytes:
    start = app.clock.now() - timedelta(days=1)
    rows = (f"{(start + timedelta(minutes=n)).isoformat()},100,101,99,{close},1" for n in range(count))
    return "\n".join(["time,open,high,low,close,volume", *rows]).encode()


def reading(app: App, count: int = 3, close: str = "100") -> Reading:
    return importing.look_through(app, text(app, count, close), symbol=BTC)


def stored(app: App, trader: Trader) -> list[int]:
    now = app.clock.now()
    with app.db.read() as conn:
        found = candles.read(conn, trader.user.id, FILE, now - timedelta(days=9), now)
    return [int(one.close) for one in found.candles()]


def test_a_look_through_stores_nothing(app: App, trader: Trader):
    assert reading(app).is_good
    assert importing.imports(app, trader.user) == []


def test_what_was_imported_is_there_for_its_user_alone(app: App, trader: Trader, installation: Installation):
    other = installation.join("bob@example.com")
    written = importing.store(app, trader.user, reading(app), name="my file", symbol=BTC)
    assert written == Written(added=3)
    assert stored(app, trader) == [100] * 3 and stored(app, other) == []
    (one,) = importing.imports(app, trader.user)
    assert (one.series, one.bars) == (FILE, 3) and importing.imports(app, other.user) == []
    assert importing.remove(app, other.user, FILE) == 0 and stored(app, trader) == [100] * 3
    assert importing.remove(app, trader.user, FILE) == 3 and importing.imports(app, trader.user) == []


def test_the_same_file_again_changes_what_differs(app: App, trader: Trader):
    importing.store(app, trader.user, reading(app), name="my file", symbol=BTC)
    again = importing.store(app, trader.user, reading(app, 4, "101"), name="my file", symbol=BTC)
    assert again == Written(added=1, changed=3) and stored(app, trader) == [101] * 4


def test_a_file_with_a_wrong_row_is_not_imported_at_all(app: App, trader: Trader):
    wrong = importing.look_through(app, text(app, 3) + b"\nsoon,1,1,1,1,1", symbol=BTC)
    assert [one.row for one in wrong.problems] == [5]
    with pytest.raises(Refusal, match="nothing was imported"):
        importing.store(app, trader.user, wrong, name="my file", symbol=BTC)
    assert importing.imports(app, trader.user) == []


def test_nobody_imports_without_end(app: App, trader: Trader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importing, "MOST_BARS", 5)
    importing.store(app, trader.user, reading(app), name="my file", symbol=BTC)
    with pytest.raises(Refusal, match="is the most"):
        importing.store(app, trader.user, reading(app), name="another", symbol=BTC)
    monkeypatch.setattr(importing, "MOST_BYTES", 10)
    with pytest.raises(Malformed, match="larger"):
        reading(app)


@pytest.mark.parametrize("name", ["", " ", "a" * 41, "../etc", "a:b", "a\nb"])
def test_a_name_is_short_and_plain(app: App, trader: Trader, name: str):
    with pytest.raises(Malformed):
        importing.store(app, trader.user, reading(app), name=name, symbol=BTC)


@pytest.fixture
def command(
    make_app: MakeApp, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """`dashtrade candles import` on the test's installation."""
    app = make_app(clock=clock)
    Installation(app).join()
    monkeypatch.setattr("dashtrade.app.build_app", lambda settings: app)

    def run(data: bytes, *more: str, user: str = "ann@example.com") -> int:
        file = tmp_path / "candles.csv"
        file.write_bytes(data)
        return cli.main(
            [
                "candles",
                "import",
                str(file),
                "--user",
                user,
                "--symbol",
                "BTC/USDT",
                "--name",
                "my file",
                *more,
            ]
        )

    return run


def test_the_command_imports_a_file(command: Command, app: App):
    assert command(text(app, 3), "--dry-run") == 0 and all_stored(app) == []
    assert command(text(app, 3)) == 0 and all_stored(app) == [3]
    assert command(text(app, 3) + b"\nsoon,1,1,1,1,1") == 1 and all_stored(app) == [3]
    assert command(text(app, 3), user="eve@example.com") == 1


def test_a_file_that_is_not_there_is_refused(app: App, tmp_path: Path):
    for file in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(Malformed, match="cannot be read"):
            importing.contents(file)


def all_stored(app: App) -> list[int]:
    with app.db.read() as conn:
        return [one.bars for one in candles.list_series(conn, 1)]


def test_every_fault_has_its_words():
    assert set(import_report.WORDS) == set(Fault)


def test_a_summary_names_rows_and_gaps(app: App):
    lines = text(app, 300).splitlines()
    wrong = [line.replace(b",100,101", b",100,x") if n in (7, 8) else line for n, line in enumerate(lines)]
    told = list(import_report.summary(importing.look_through(app, b"\n".join(wrong), symbol=BTC)))
    assert [line for line in told if line.startswith("row ")] == [
        import_report.told(Problem(row=row, field="high", fault=Fault.NO_NUMBER, value="x")) for row in (8, 9)
    ]
    good = importing.look_through(app, b"\n".join(lines[:50] + lines[60:]), symbol=BTC)
    assert sum(line.startswith("gap") for line in import_report.summary(good)) == 1


def test_imported_candles_go_with_their_user_and_shared_ones_stay(app: App, trader: Trader):
    importing.store(app, trader.user, reading(app), name="my file", symbol=BTC)
    importing.store(app, trader.user, reading(app, close="99.5"), name="my file", symbol=BTC)  # a revision
    shared = Series(source="demo", symbol=BTC, timeframe=Timeframe(60))
    app.db.write(lambda conn: candles.write_shared(conn, shared, reading(app).bars, app.clock.now()))
    assert row_counts(app, trader.user.id)["candle_revisions"] == 1
    removal.remove(app, trader.user.id, actor=None, action=AuditAction.USER_DELETED)
    assert row_counts(app, trader.user.id) == {}
    with app.db.read() as conn:
        assert [one.series for one in candles.list_series(conn, trader.user.id)] == [shared]
