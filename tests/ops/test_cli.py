"""The `dashtrade` command refuses with a reason and a way out, and the doctor names what is wrong."""

import argparse
import io
import os
import socket

import pytest

from dashtrade import cli, doctor
from dashtrade.settings import Settings
from encryption import Vault, new_key
from tests.support.free_port import free_port


@pytest.fixture
def home(tmp_path, monkeypatch):
    for row in Settings.TABLE:
        monkeypatch.delenv(row.name, raising=False)
    monkeypatch.setenv("DASHTRADE_UI_PORT", str(free_port()))
    monkeypatch.setenv("DASHTRADE_WEBHOOK_PORT", str(free_port()))
    monkeypatch.setenv("DASHTRADE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    return tmp_path / "home"


def problems(home) -> str:
    return "\n".join(f"{f.what} {f.hint}" for f in doctor.examine(Settings.load()) if not f.ok)


def commands(parser: argparse.ArgumentParser, before: str = "") -> set[str]:
    below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        return {before}
    return set().union(*(commands(p, f"{before} {name}".strip()) for name, p in below[0].choices.items()))


def test_the_commands_are_these():
    assert commands(cli.parser()) == {
        "up",
        "brokers",
        "migrate",
        "doctor",
        "source list",
        "source key",
        "source forget",
        "candles import",
        "user add",
        "user rescue",
        "backup",
        "restore",
        "key new",
        "key rotate",
        "setup-link",
    }


def test_what_is_made_in_a_home_that_others_may_enter_is_its_owners_alone(home):
    home.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        assert cli.main(["migrate"]) == 0
    finally:
        os.umask(before)
    assert {
        file.name: oct(file.stat().st_mode & 0o077)
        for file in home.iterdir()
        if file.is_file() and file.stat().st_mode & 0o077
    } == {}


def test_a_bad_setting_ends_any_command_with_78(home, monkeypatch, capsys):
    monkeypatch.setenv("DASHTRADE_SIGNUP", "everyone")
    assert cli.main(["up"]) == 78
    assert "DASHTRADE_SIGNUP" in capsys.readouterr().err


def test_a_new_key_is_printed_and_works(home, capsys):
    assert cli.main(["key", "new"]) == 0
    assert Vault(capsys.readouterr().out).encrypt("s")


def test_a_backup_never_overwrites(home, tmp_path, capsys):
    (tmp_path / "there").write_text("precious")
    assert cli.main(["backup", str(tmp_path / "there")]) == 1
    assert "overwrites no file" in capsys.readouterr().err
    assert (tmp_path / "there").read_text() == "precious"


def test_a_restore_asks_a_person_first(home, tmp_path, capsys, monkeypatch):
    (tmp_path / "saved").write_text("")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "n" if "is kept beside it" in question else "y")
    assert cli.main(["restore", str(tmp_path / "saved")]) == 1
    assert "Nothing was changed" in capsys.readouterr().err
    assert not home.exists()


def test_a_script_restores_with_one_command_and_what_was_there_is_kept(home, tmp_path, capsys):
    assert cli.main(["migrate"]) == 0 and cli.main(["backup", str(tmp_path / "saved")]) == 0
    assert cli.main(["restore", str(tmp_path / "saved")]) == 0
    assert "previous database is kept in" in capsys.readouterr().out and list(
        home.glob("dashtrade.db.before-restore-*")
    )
    (home / "dashtrade.db").unlink()
    assert cli.main(["restore", str(tmp_path / "saved")]) == 0
    assert "kept in" not in capsys.readouterr().out
    (tmp_path / "cut").write_bytes((tmp_path / "saved").read_bytes()[:50_000])
    assert cli.main(["restore", str(tmp_path / "cut")]) == 1


def test_a_restore_under_a_running_dashtrade_is_refused(home, tmp_path, capsys):
    (tmp_path / "saved").write_text("")
    with socket.socket() as receiver:
        receiver.bind(("127.0.0.1", Settings.load().webhook_port))
        receiver.listen()
        assert cli.main(["restore", "--yes", str(tmp_path / "saved")]) == 1
    assert "Stop it, then run this again" in capsys.readouterr().err


def test_no_password_appears_in_messages(home, capsys):
    with pytest.raises(cli.CommandRefused, match="No password was given"):
        cli._read_password()


def test_the_doctor_finds_a_new_machine_well_and_leaves_no_trace(home, capsys):
    assert problems(home) == ""
    assert cli.main(["doctor"]) == 0
    assert "No problems found." in capsys.readouterr().out
    assert not home.exists()


def test_the_doctor_finds_a_lost_key(home):
    home.mkdir(mode=0o700)
    (home / "dashtrade.db").touch()
    assert "Encryption key: missing" in problems(home)


def test_the_doctor_finds_a_spoilt_key(home, monkeypatch, capsys):
    monkeypatch.setenv("ENCRYPTION_KEY", new_key()[:-3])
    assert "Encryption key in ENCRYPTION_KEY" in problems(home)
    assert cli.main(["doctor"]) == 1
    assert "PROBLEM" in capsys.readouterr().out


def test_the_doctor_finds_a_busy_port(home):
    with socket.socket() as other:
        other.bind(("127.0.0.1", Settings.load().ui_port))
        other.listen()
        assert f"Port {Settings.load().ui_port} is in use" in problems(home)


def test_the_doctor_finds_a_database_that_cannot_be_reached(home, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/none")
    found = problems(home)
    assert "u:***@127.0.0.1:1/none" in found and "Check that the server runs" in found
    assert "secret" not in found


def test_the_doctor_finds_a_clock_that_is_behind(home):
    home.mkdir(mode=0o700)
    (home / "note").touch()
    os.utime(home / "note", (4e9, 4e9))
    assert "earlier than the newest record" in problems(home)


def test_the_doctor_survives_a_check_that_breaks(home, monkeypatch):
    def check_luck(settings):
        raise RuntimeError("out of it")

    monkeypatch.setattr(doctor, "check_disk", check_luck)
    assert "The luck check itself failed" in problems(home)


def test_a_key_of_a_source_is_read_from_standard_input_and_deleted(home, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("PK123\nsecret-of-it\n"))
    assert cli.main(["source", "key", "alpaca", "iex"]) == 0
    assert "secret-of-it" not in capsys.readouterr().out
    assert cli.main(["source", "forget", "alpaca"]) == 0
    assert cli.main(["source", "forget", "alpaca"]) == 1
    assert "no key of alpaca" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nosuch", "free"], "One of: alpaca, massive, finnhub, alpha_vantage"),
        (["finnhub", "gold"], "One of: free, paid"),
        (["finnhub", "free"], "missing"),
    ],
)
def test_a_key_of_a_source_that_cannot_be_is_refused(home, capsys, given: list[str], said: str):
    assert cli.main(["source", "key", *given]) == 1
    assert said in capsys.readouterr().err


def test_the_list_of_sources_is_that_of_the_manual(home, capsys):
    assert cli.main(["source", "list"]) == 0
    assert "| `finnhub` Finnhub | free |" in capsys.readouterr().out


def test_the_doctor_names_an_address_of_a_source_that_is_none(home, monkeypatch):
    monkeypatch.setenv("FINNHUB_URL", "finnhub.example.com")
    assert "FINNHUB_URL" in problems(home)
