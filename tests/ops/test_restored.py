"""A restore brings nobody back in: what was revoked, rotated or used up since the backup stays so."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashtrade import cli
from dashtrade.app import build_app
from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.services.people import credentials, invitations, sessions, tokens, users
from dashtrade.services.people.users import Denied
from dashtrade.settings import Settings
from dashtrade.tables import people as people_table
from dashtrade.tables import second_factors
from tests.support.free_port import free_port
from tests.support.installation import KEY

PASSWORD, OTHER = "correct horse battery", "four other long words"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for row in Settings.TABLE:
        monkeypatch.delenv(row.name, raising=False)
    for name, value in {
        "DASHTRADE_UI_PORT": str(free_port()),
        "DASHTRADE_WEBHOOK_PORT": str(free_port()),
        "DASHTRADE_HOME": str(tmp_path / "home"),
        "ENCRYPTION_KEY": KEY,
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "home"


@pytest.fixture
def app(home: Path) -> Iterator[App]:
    made = build_app(Settings.load())
    yield made
    made.close()


def user(app: App, email: str, role: Role = Role.STANDARD) -> User:
    user_id = users.add_user(app, email=email, name="", password=PASSWORD, role=role)
    with app.db.read() as conn:
        found = people_table.by_id(conn, user_id)
    assert found is not None
    return found


def back_up(app: App, tmp_path: Path) -> Path:
    app.db.backup(tmp_path / "saved")
    return tmp_path / "saved"


def restored(app: App, file: Path) -> App:
    app.close()
    assert cli.main(["restore", "--yes", str(file)]) == 0
    return build_app(Settings.load())


def trades(app: App, token: str) -> bool:
    return tokens.by_webhook_token(app, token) is not None


def test_no_user_is_signed_in_after_a_restore(app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    trader, superadmin = user(app, "ann@example.com"), user(app, "superadmin@example.com", Role.SUPERADMIN)
    session = sessions.begin(app, trader.id, device="", address="", remember=True)
    signed_in = users.sign_in(app, trader.id).access_token
    link = credentials.make_link(app, superadmin, trader.id).rpartition("=")[2]
    invitation = invitations.invite(app, superadmin, email="", role=Role.SUPERADMIN)
    app = restored(app, back_up(app, tmp_path))
    assert sessions.find(app, session) is None and tokens.by_access_token(app, signed_in) is None
    with pytest.raises(Denied):
        credentials.use_link(app, link, new=OTHER, address="")
    with pytest.raises(Denied):
        users.register(app, email="new@example.com", password=PASSWORD, name="", code=invitation, address="")
    assert users.check_password(app, trader.email, PASSWORD, "").id == trader.id
    assert "sign in again" in capsys.readouterr().out
    app.close()


def test_a_webhook_token_that_was_rotated_away_stays_dead_and_the_newer_one_works(
    app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trader, other_trader, cy = (user(app, f"{name}@example.com") for name in ("ann", "bob", "cy"))
    old, of_bob, of_cy = (tokens.rotate_webhook_token(app, one) for one in (trader, other_trader, cy))
    file = back_up(app, tmp_path)
    new = tokens.rotate_webhook_token(app, trader)
    tokens.revoke_webhook_tokens(app, other_trader)
    app = restored(app, file)
    assert not trades(app, old) and trades(app, new) and not trades(app, of_bob) and trades(app, of_cy)
    found = tokens.webhook_token(app, trader)
    assert found is not None and found.text == new
    answer = capsys.readouterr().out
    assert (
        "ann@example.com: rotated" in answer
        and "bob@example.com: revoked" in answer
        and "cy@example.com" not in answer
    )
    app = restored(app, file)
    assert not trades(app, old) and trades(app, new), "at the next restore as well"
    app.close()


def test_a_used_code_stays_used_and_an_undone_change_is_reported(
    app: App, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trader = user(app, "ann@example.com")
    app.db.write(
        lambda conn: (
            second_factors.put_factor(conn, trader.id, "sealed", 5),
            second_factors.put_codes(conn, trader.id, ["one", "two"]),
        )
    )
    file = back_up(app, tmp_path)
    app.db.write(
        lambda conn: (
            second_factors.use_step(conn, trader.id, 9),
            second_factors.use_code(conn, trader.id, "one", app.clock.now()),
        )
    )
    credentials.change_password(app, trader, old=PASSWORD, new=OTHER, address="", token=None)
    app = restored(app, file)
    with app.db.read() as conn:
        assert second_factors.codes_left(conn, trader.id) == 1
    assert not app.db.write(lambda conn: second_factors.use_step(conn, trader.id, 9))
    assert "ann@example.com: password" in capsys.readouterr().out
    app.close()


def test_who_was_deleted_since_the_backup_has_no_webhook_token(app: App, tmp_path: Path):
    user(app, "bob@example.com")
    trader = user(app, "ann@example.com")
    token = tokens.rotate_webhook_token(app, trader)
    file = back_up(app, tmp_path)
    from dashtrade.services.people import removal

    removal.remove(app, trader.id, actor=None, action=AuditAction.USER_DELETED)
    app = restored(app, file)
    assert not trades(app, token)
    app.close()


@pytest.mark.parametrize("damaged", [False, True])
def test_a_missing_comparison_is_reported(
    app: App, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damaged: bool
):
    """On a new machine, whose database is empty; and where the database is what made the restore
    necessary."""
    token = tokens.rotate_webhook_token(app, user(app, "ann@example.com"))
    file = back_up(app, tmp_path)
    app.close()
    (home / "dashtrade.db").unlink()
    if damaged:
        (home / "dashtrade.db").write_bytes(b"no database " * 999)
    else:
        assert cli.main(["migrate"]) == 0
    app = restored(app, file)
    assert trades(app, token)
    assert "are unknown: webhook tokens" in capsys.readouterr().out
    app.close()


def test_a_restore_that_cannot_be_prepared_changes_nothing(
    app: App, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trader = user(app, "ann@example.com")
    session = sessions.begin(app, trader.id, device="", address="", remember=True)
    file = back_up(app, tmp_path)
    with sqlite3.connect(file) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999_later'")
    newer.close()
    app.close()
    assert cli.main(["restore", "--yes", str(file)]) == 1
    assert "newer" in capsys.readouterr().err
    app = build_app(Settings.load())
    assert (
        sessions.find(app, session) is not None
        and not list(home.glob("*incoming*"))
        and not list(home.glob("*before-restore*"))
    )
    app.close()
