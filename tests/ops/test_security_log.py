"""The security log says what the audit log says, once it is durable; others' text is mere text in it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot_database import Database, savepoint
from dashtrade import cli, security_log
from dashtrade.context import App
from dashtrade.database.group_commit import GroupWriter
from dashtrade.domain.access import Role, TokenScope
from dashtrade.domain.audit import AuditAction, AuditTopic
from dashtrade.security_log import LINES_OF_ONE, SharedFile
from dashtrade.services.people import sessions, users
from dashtrade.settings import ROOT
from dashtrade.tables import messages
from tests.support.databases import SqliteFiles
from tests.support.installation import Installation
from tests.support.ui_harness import DashboardHarness

NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def events(folder: Path) -> list[dict[str, Any]]:
    """Of all files, the oldest first. A line that does not look like one of ours breaks this."""
    older = sorted(folder.glob("security.log.*"), key=lambda file: -int(file.suffix[1:]))
    files = [*older, folder / "security.log"]
    found = []
    for line in "".join(file.read_text() for file in files).splitlines():
        at, level, name, text = line.split(" ", 3)
        assert (at[:2], level, name) == ("20", "INFO", "security")
        found.append(json.loads(text))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    security_log.set_folder(tmp_path / "logs")
    yield tmp_path / "logs"
    logger = logging.getLogger("dashtrade.security.file")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)


def record(conn: sa.Connection, action: AuditAction = AuditAction.ROLE_GIVEN, **more: Any) -> None:
    messages.record(conn, actor=7, action=action, now=NOW, subject=8, **more)


# --- what stands there ------------------------------------------------------------------------------------


def test_a_deed_is_a_line_with_time_user_deed_and_address(folder: Path, database_url: str):
    Database(database_url).write(lambda conn: record(conn, detail={"role": "admin"}, address="10.0.0.9"))
    line = (folder / "security.log").read_text()
    assert line.startswith("2026-11-30T09:30:00.000 INFO security {")
    assert events(folder) == [
        {"action": "role given", "user": 7, "subject": 8, "address": "10.0.0.9", "detail": {"role": "admin"}}
    ]


def test_what_was_undone_stands_nowhere(folder: Path, database_url: str):
    db = Database(database_url)

    def fails(conn: sa.Connection) -> None:
        record(conn)
        raise ValueError("no")

    def fails_in_part(conn: sa.Connection) -> None:
        record(conn, AuditAction.USER_ADDED)
        try:
            with savepoint(conn):
                record(conn)
                raise ValueError("no")
        except ValueError:
            record(conn, AuditAction.USER_DELETED)

    with pytest.raises(ValueError, match="no"):
        db.write(fails)
    db.write(fails_in_part)
    db.write(lambda conn: None)
    assert [event["action"] for event in events(folder)] == ["user added", "user deleted"]


def test_a_commit_that_failed_tells_of_nothing(
    folder: Path, tmp_path: Path, sqlite_files: SqliteFiles, monkeypatch: pytest.MonkeyPatch
):
    db = Database(sqlite_files.fresh(tmp_path / "dashtrade.db"))
    with monkeypatch.context() as once:
        once.setattr(
            GroupWriter, "commit", staticmethod(lambda raw: (_ for _ in ()).throw(OSError("no disk")))
        )
        with pytest.raises(Exception, match="no disk"):
            db.write(record)
    db.write(lambda conn: record(conn, AuditAction.USER_ADDED))
    assert [event["action"] for event in events(folder)] == ["user added"]


def test_ways_in_and_out_stand_there_and_trading_does_not(folder: Path, app: App):
    installation = Installation(app)
    trader = installation.join("ann@example.com", Role.ADMIN)
    token = sessions.begin(app, trader.user.id, device="", address="203.0.113.9", remember=False)
    sessions.end(app, token, "203.0.113.9")
    sessions.end(app, token, "203.0.113.9")
    trader.call("POST", "/auth/login", {"email": "ann@example.com", "password": "wrong"})
    trader.call("GET", "/admin/system")
    trader.call("POST", "/webhook-token/rotate")
    for action in AuditAction:
        if action.topic in (AuditTopic.BOT, AuditTopic.TRADING):
            app.db.write(partial(record, action=action))
    app.notes.flush()
    actions = [event["action"] for event in events(folder)]
    assert actions.count("signed in") == actions.count("signed out") == 1
    assert {"sign-in failed", "webhook token rotated"} <= set(actions)
    assert {AuditAction(action).topic for action in actions} <= {AuditTopic.PEOPLE, AuditTopic.ACCOUNT}


def test_making_and_revoking_a_token_stand_there_and_in_the_audit_log(
    folder: Path, app: App, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(users, "check_own_password", lambda *given, **more: None)
    trader = Installation(app).join("ann@example.com")
    given: dict[str, Any] = {"name": "script", "days": 7, "scopes": [TokenScope.READ], "address": "10.0.0.9"}
    sessions.add_api_token(app, trader.user, password="x", **given)
    number = trader.get("/tokens")["items"][0]["id"]
    trader.call("DELETE", f"/tokens/{number}")
    trader.call("DELETE", f"/tokens/{number}")
    with app.db.read() as conn:
        recorded = [row.action for row in messages.everything_recorded(conn, before=None, limit=200)]
    for actions in (recorded, [event["action"] for event in events(folder)]):
        assert actions.count("api token added") == actions.count("api token revoked") == 1


def test_users_are_numbers_and_only_unknown_names_are_spelled_out(folder: Path, database_url: str):
    def work(conn: sa.Connection) -> None:
        record(conn, AuditAction.EMAIL_CHANGED, detail={"from": "ann@example.com", "to": "bea@example.com"})
        messages.record(
            conn, actor=7, action=AuditAction.INVITED, now=NOW, detail={"email": "cleo@example.com"}
        )

    Database(database_url).write(work)
    text = (folder / "security.log").read_text()
    assert "ann@" not in text and "bea@" not in text and "cleo@example.com" in text


def test_a_users_text_is_no_line_of_its_own_and_secrets_are_left_out(folder: Path, database_url: str):
    forged = "x\n2026-11-30T09:30:00.000 INFO security {}\r\u2028\x1b[2J\x7f\x85 usr_abcdefghijklmnop"
    Database(database_url).write(lambda conn: record(conn, detail={"name": forged}))
    raw = (folder / "security.log").read_bytes()
    assert raw.count(b"\n") == 1 and not any(byte < 32 or byte == 127 for byte in raw[:-1])
    assert len(raw.decode().splitlines()) == 1
    assert b"abcdefghijklmnop" not in raw
    assert events(folder)[0]["detail"]["name"].startswith("x\n2026")


# --- the file ---------------------------------------------------------------------------------------------


def test_the_same_deed_of_one_over_and_over_is_counted(folder: Path, database_url: str):
    db = Database(database_url)
    for _ in range(LINES_OF_ONE + 20):
        db.write(lambda conn: record(conn, AuditAction.WEBHOOK_TOKEN_ROTATED))
    db.write(lambda conn: record(conn, AuditAction.USER_ADDED))
    security_log.set_folder(folder)  # closes the one before
    told = events(folder)
    more = ["user added", "webhook token rotated"]
    assert [event["action"] for event in told] == ["webhook token rotated"] * LINES_OF_ONE + more
    assert told[-1]["more_in_60_s"] == 20


WRITER = """
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from dashtrade import security_log
file = security_log.SharedFile(Path(sys.argv[1]) / "security.log", most_bytes=8000, files=60)
security_log._logger.addHandler(file)
sys.stdin.readline()
for number in range(300):
    about = {"user": number, "subject": None, "address": sys.argv[2], "detail": None}
    security_log.write_event(action="signed in", at=datetime.now(UTC), **about)
"""


def test_several_processes_write_and_rotate_one_file_and_no_line_is_lost(tmp_path: Path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    options: dict[str, Any] = {"cwd": ROOT, "stdin": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, f"10.0.0.{n}"], **options) for n in range(4)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.wait(120) for writer in writers] == [0] * 4
    told = [(event["address"], event["user"]) for event in events(tmp_path)]
    assert sorted(told) == sorted((f"10.0.0.{n}", number) for n in range(4) for number in range(300))
    files = list(tmp_path.glob("security.log*"))
    assert len(files) > 5 and max(file.stat().st_size for file in files) <= 8000


def test_only_so_many_files_are_kept_for_their_owner_alone(tmp_path: Path):
    file = SharedFile(tmp_path / "security.log", most_bytes=400, files=3)
    for number in range(50):
        event = {"action": f"deed {number}"}
        file.emit(logging.makeLogRecord({"event": event, "at": NOW}))
    kept = sorted(tmp_path.iterdir())
    assert [one.name for one in kept] == ["security.lock", "security.log", "security.log.1", "security.log.2"]
    assert {one.stat().st_mode & 0o077 for one in kept} == {0}
    assert events(tmp_path)[-1]["action"] == "deed 49"


@pytest.mark.usefixtures("folder")
def test_an_unwritable_security_log_does_not_stop_writes(
    tmp_path: Path, database_url: str, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("no folder")
    security_log.set_folder(tmp_path / "file")
    Database(database_url).write(record)
    assert "the security log cannot be written" in caplog.text


# --- who writes it ----------------------------------------------------------------------------------------


def test_the_dashboard_writes_it(harness: DashboardHarness):
    harness.sign_in(harness.person())
    assert "signed in" in [event["action"] for event in events(harness.app.settings.logs)]


def test_commands_write_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setenv("DASHTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cli, "_read_password", lambda: "three green owls")
    assert cli.main(["user", "add", "ann@example.com"]) == 0
    assert "user added" in [event["action"] for event in events(tmp_path / "home" / "logs")]
