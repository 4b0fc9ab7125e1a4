"""Settings come from the environment and .env, and a bad one is refused with a way out."""

import dataclasses
from pathlib import Path

import pytest
import sqlalchemy as sa

from dashtrade.settings import BadSetting, Settings


def load(root: Path, env_file: str = "", **environ: str) -> Settings:
    (root / ".env").write_text(env_file)
    return Settings.load(environ, root)


def test_nothing_needs_to_be_set(tmp_path):
    settings = Settings.load({}, tmp_path)
    assert settings.home == tmp_path / "data"
    assert settings.database_url == f"sqlite:///{tmp_path}/data/dashtrade.db"
    assert settings.key_file == tmp_path / "data" / "encryption.key"
    assert (settings.dashboard_url, settings.webhook_url) == (
        "http://127.0.0.1:5000",
        "http://127.0.0.1:8080",
    )
    assert settings.public_url == settings.webhook_url


def test_the_table_names_every_setting_and_its_true_default(tmp_path):
    shown = {row.name: row.default for row in Settings.TABLE}
    settings = Settings.load({}, tmp_path)
    fields = {f.name for f in dataclasses.fields(settings)}
    own = {
        "encryption_keys" if n == "ENCRYPTION_KEY" else n.removeprefix("DASHTRADE_").lower() for n in shown
    }
    assert own | {"addresses"} == fields
    for name, default in shown.items():
        value = getattr(settings, name.removeprefix("DASHTRADE_").lower(), None)
        if isinstance(value, int | str) and name not in (
            "DATABASE_URL",
            "DASHTRADE_PUBLIC_URL",
            "DASHTRADE_DASHBOARD_URL",
        ):
            assert str(value) == default
    assert all(row.meaning for row in Settings.TABLE)


def test_addresses_of_other_programs_are_kept_by_their_names_and_out_of_sight(tmp_path):
    given = {"ALPACA_API_URL": " http://127.0.0.1:9001/", "CCXT_URL_BINANCE": "nowhere", "SCHWAB_URL": " "}
    settings = load(tmp_path, **given, DASHTRADE_PUBLIC_URL="https://hooks.example.com")
    assert settings.addresses == {"ALPACA_API_URL": "http://127.0.0.1:9001/", "CCXT_URL_BINANCE": "nowhere"}
    assert "9001" not in repr(settings)


def test_the_environment_wins_over_the_file(tmp_path):
    file = "DASHTRADE_UI_PORT=6000\nDASHTRADE_SIGNUP=open\n"
    settings = load(tmp_path, file, DASHTRADE_UI_PORT="7000")
    assert (settings.ui_port, settings.signup) == (7000, "open")


def test_the_file_takes_quotes_comments_and_export(tmp_path):
    file = """\ufeff
        # a comment
        export DASHTRADE_HOST=0.0.0.0   # after a value
        DASHTRADE_PUBLIC_URL = "https://hooks.example.com/" # quoted
        DASHTRADE_LOG_LEVEL='debug'
        DASHTRADE_SIGNUP=   # nothing
        OTHER_PROGRAM=a=b#c
    """
    settings = load(tmp_path, file)
    assert settings.host == "0.0.0.0"
    assert settings.webhook_url == "http://127.0.0.1:8080"
    assert settings.public_url == "https://hooks.example.com"
    assert settings.dashboard_url == "http://127.0.0.1:5000"
    assert (settings.log_level, settings.signup) == ("DEBUG", "invite")


@pytest.mark.parametrize("line", ["DASHTRADE_HOST", "= x", "A B=c", "X='open", 'X="a" b'])
def test_a_line_that_cannot_be_read_is_named_by_its_number(tmp_path, line):
    with pytest.raises(BadSetting, match="line 2") as caught:
        load(tmp_path, f"# first\n{line}\n")
    assert str(tmp_path / ".env") in caught.value.hint


def test_relative_paths_start_at_the_project_and_end_absolute(tmp_path):
    settings = load(tmp_path, DASHTRADE_HOME="../elsewhere", DATABASE_URL="sqlite:///my.db")
    assert settings.home == tmp_path.parent / "elsewhere"
    assert settings.database_url == f"sqlite:///{tmp_path}/my.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_postgresql_addresses_of_every_habit_become_one(tmp_path, scheme):
    settings = load(tmp_path, DATABASE_URL=f"{scheme}://u:p%40ss@h:5432/name?sslmode=require")
    assert settings.database_url == "postgresql+psycopg2://u:p%40ss@h:5432/name?sslmode=require"
    assert settings.database_label == "postgresql+psycopg2://u:***@h:5432/name?sslmode=require"


def test_several_keys_come_in_their_order(tmp_path):
    assert load(tmp_path, ENCRYPTION_KEY=" new , old,").encryption_keys == ("new", "old")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DASHTRADE_UI_PORT", "five"),
        ("DASHTRADE_UI_PORT", "0"),
        ("DASHTRADE_UI_PORT", "8080"),
        ("DASHTRADE_WEBHOOK_PORT", "65536"),
        ("DASHTRADE_WEBHOOK_PORT", "-1"),
        ("DASHTRADE_WEBHOOK_PORT", "٨٠"),
        ("DASHTRADE_HOST", "http://localhost"),
        ("DASHTRADE_HOST", "localhost:80"),
        ("DASHTRADE_PUBLIC_URL", "hooks.example.com"),
        ("DASHTRADE_PUBLIC_URL", "ftp://hooks.example.com"),
        ("DASHTRADE_PUBLIC_URL", "https://ann:secret@hooks.example.com"),
        ("DASHTRADE_PUBLIC_URL", "https://hooks.example.com:x"),
        ("DASHTRADE_PUBLIC_URL", "https://[hooks"),
        ("DASHTRADE_DASHBOARD_URL", "dash.example.com"),
        ("DASHTRADE_DASHBOARD_URL", "https://dash.example.com/below"),
        ("DASHTRADE_DASHBOARD_URL", "https://dash.example.com?x=1"),
        ("DASHTRADE_SIGNUP", "everyone"),
        ("DASHTRADE_PROXY_HOPS", "2"),
        ("DASHTRADE_RETENTION_DAYS", "0"),
        ("DASHTRADE_WEBHOOK_RATE", "1.5"),
        ("DASHTRADE_LOG_LEVEL", "loud"),
        ("DATABASE_URL", "mysql://u:secret@h/n"),
        ("DATABASE_URL", "u:secret@h/n"),
        ("DATABASE_URL", "postgresql://u:secret@h/"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
    ],
)
def test_a_bad_value_is_refused_with_a_hint(tmp_path, name, value):
    with pytest.raises(BadSetting) as caught:
        load(tmp_path, **{name: value})
    assert caught.value.message and caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_misspelt_name_is_not_passed_over(tmp_path):
    with pytest.raises(BadSetting, match="Did you mean DASHTRADE_WEBHOOK_PORT"):
        load(tmp_path, "DASHTRADE_WEBHOK_PORT=80")
    load(tmp_path, DASHTRADE_PARENT_PID="1")


def test_secrets_stay_out_of_the_repr(tmp_path):
    shown = repr(load(tmp_path, ENCRYPTION_KEY="hush", DATABASE_URL="postgresql://u:hush@h/n"))
    assert "hush" not in shown and "5000" in shown


@pytest.mark.parametrize(
    ("host", "url"), [("::", "http://[::1]:5000"), ("[::1]", "http://[::1]:5000"), ("box", "http://box:5000")]
)
def test_every_kind_of_address_makes_a_usable_link(tmp_path, host, url):
    assert load(tmp_path, DASHTRADE_HOST=host).dashboard_url == url


@pytest.mark.parametrize(
    ("environ", "warned"),
    [
        ({}, False),
        ({"DASHTRADE_HOST": "localhost"}, False),
        ({"DASHTRADE_HOST": "::1"}, False),
        ({"DASHTRADE_HOST": "127.9.9.9"}, False),
        ({"DASHTRADE_HOST": "0.0.0.0"}, True),
        ({"DASHTRADE_HOST": "::"}, True),
        ({"DASHTRADE_HOST": "box.lan"}, True),
        ({"DASHTRADE_HOST": "0.0.0.0", "DASHTRADE_PROXY_HOPS": "1"}, False),
        ({"DASHTRADE_HOST": "0.0.0.0", "DASHTRADE_DASHBOARD_URL": "https://dash.example.com"}, False),
        ({"DASHTRADE_HOST": "0.0.0.0", "DASHTRADE_DASHBOARD_URL": "http://dash.example.com"}, True),
    ],
)
def test_what_others_reach_unencrypted_is_warned_of(tmp_path, environ, warned):
    answer = load(tmp_path, **environ).unencrypted
    assert bool(answer) is warned
    assert not warned or (environ["DASHTRADE_HOST"] in answer and "DASHTRADE_DASHBOARD_URL" in answer)


@pytest.mark.parametrize(
    ("rest", "asked"),
    [
        ("u:p@db.example.com/name", "require"),
        ("u:p%40ss@10.0.0.5:5432/name", "require"),
        ("u@[2001:db8::1]:5432/name", "require"),
        ("db/name?connect_timeout=3", "require"),
        ("/name?host=db.example.com", "require"),
        ("/name?host=db1:5432&host=db2:5432", "require"),
        ("u:p@db.example.com/name?sslmode=disable", "disable"),
        ("u:p@h/name?sslmode=verify-full&sslrootcert=system", "verify-full"),
        ("u:p@127.0.0.1/name", None),
        ("u@localhost:5432/name", None),
        ("u@[::1]:5432/name", None),
        ("/name", None),
        ("/name?host=/var/run/postgresql", None),
        ("u@/name?host=/tmp/x&port=1", None),
    ],
)
def test_a_database_on_another_machine_is_spoken_to_over_tls(tmp_path, rest, asked):
    """Left alone, PostgreSQL's library would send the password and everything else in the clear when TLS does
    not come about."""
    url = sa.make_url(load(tmp_path, DATABASE_URL=f"postgresql://{rest}").database_url)
    assert url.query.get("sslmode") == asked
    assert url.database == "name"


def test_what_the_environment_says_of_tls_holds(tmp_path):
    assert (
        "sslmode"
        not in load(tmp_path, DATABASE_URL="postgresql://u@db/name", PGSSLMODE="verify-full").database_url
    )
