"""External settings: read once, from the environment and a .env file, into one frozen record.

Standard library only: the supervising process reads them, and must stay small."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
EX_CONFIG = 78
"""The exit code, from sysexits.h, of a process only a person can help: a restart would change nothing."""


class BadSetting(ValueError):
    """An unusable setting. `str()` of it says what is wrong and what to do."""

    def __init__(self, name: str, message: str, hint: str):
        super().__init__(f"{name}: {message}\n  {hint}")
        self.name, self.message, self.hint = name, message, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the table of settings, as docs/operations.md shows it."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force. Secrets are excluded from its repr, so that no log line contains them."""

    home: Path
    database_url: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    ui_port: int
    webhook_port: int
    host: str
    public_url: str
    dashboard_url: str
    signup: str
    proxy_hops: int
    retention_days: int
    webhook_rate: int
    user_mb: int
    log_level: str
    # of other services, by setting name; a broker's descriptor names those it uses
    addresses: Mapping[str, str] = field(repr=False)

    TABLE: ClassVar[tuple[Setting, ...]] = tuple(
        Setting(name=name, default=default, meaning=meaning)
        for name, default, meaning in (
            ("DASHTRADE_HOME", "./data", "folder of the database, the key and the logs"),
            (
                "DATABASE_URL",
                "SQLite in the home",
                (
                    "`postgresql://user:password@host/name` for PostgreSQL 15 or newer; to other machines "
                    "with TLS"
                ),
            ),
            (
                "ENCRYPTION_KEY",
                "a file in the home",
                "key for stored broker credentials; several by comma, newest first",
            ),
            ("DASHTRADE_UI_PORT", "5000", "port of the dashboard"),
            ("DASHTRADE_WEBHOOK_PORT", "8080", "port of webhooks and the REST API"),
            ("DASHTRADE_HOST", "127.0.0.1", "address that both listen on; `0.0.0.0` for all"),
            ("DASHTRADE_PUBLIC_URL", "http://host:webhook port", "public address of the webhooks"),
            (
                "DASHTRADE_DASHBOARD_URL",
                "http://host:dashboard port",
                "public address of the dashboard, which answers to this name",
            ),
            ("DASHTRADE_SIGNUP", "invite", "who can create an account: `open`, `invite` or `closed`"),
            (
                "DASHTRADE_PROXY_HOPS",
                "0",
                "`1` behind a reverse proxy that sets X-Forwarded-For and X-Forwarded-Proto",
            ),
            ("DASHTRADE_RETENTION_DAYS", "90", "days for which raw alerts and logs are kept"),
            (
                "DASHTRADE_WEBHOOK_RATE",
                "20",
                ("alerts per second of one user, on average; bursts of 25 seconds' worth; exits always pass"),
            ),
            ("DASHTRADE_USER_MB", "1024", "megabytes of storage for one user's alerts and their results"),
            ("DASHTRADE_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"),
        )
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, cwd: Path = ROOT) -> Settings:
        """Reads `environ` and `cwd/.env`; the environment takes precedence; relative paths start at `cwd`."""
        given = _Given(values={**read_env_file(cwd / ".env"), **environ})
        given.refuse_near_misses(cls.TABLE)
        home = Path(os.path.abspath(cwd / Path(given.text("DASHTRADE_HOME", "data")).expanduser()))
        ui_port = given.number("DASHTRADE_UI_PORT", 5000, 1, 65535)
        webhook_port = given.number("DASHTRADE_WEBHOOK_PORT", 8080, 1, 65535)
        if ui_port == webhook_port:
            raise BadSetting(
                "DASHTRADE_WEBHOOK_PORT", f"both ports are set to {ui_port}.", "Set two different ports."
            )
        host = _host(given.text("DASHTRADE_HOST", "127.0.0.1"))
        return cls(
            home=home,
            database_url=_database_url(
                given.text("DATABASE_URL", f"sqlite:///{home / 'dashtrade.db'}"),
                cwd,
                tls_chosen=bool(given.text("PGSSLMODE", "")),
            ),
            encryption_keys=tuple(
                k.strip() for k in given.text("ENCRYPTION_KEY", "").split(",") if k.strip()
            ),
            ui_port=ui_port,
            webhook_port=webhook_port,
            host=host,
            public_url=_web_address(
                "DASHTRADE_PUBLIC_URL", given.text("DASHTRADE_PUBLIC_URL", address(host, webhook_port))
            ),
            dashboard_url=_dashboard_url(given.text("DASHTRADE_DASHBOARD_URL", address(host, ui_port))),
            signup=given.choice("DASHTRADE_SIGNUP", "invite", ("open", "invite", "closed")),
            proxy_hops=given.number("DASHTRADE_PROXY_HOPS", 0, 0, 1),
            retention_days=given.number("DASHTRADE_RETENTION_DAYS", 90, 1, 36500),
            webhook_rate=given.number("DASHTRADE_WEBHOOK_RATE", 20, 1, 1_000_000),
            user_mb=given.number("DASHTRADE_USER_MB", 1024, 1, 1_000_000),
            log_level=given.choice("DASHTRADE_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
            addresses=given.addresses(cls.TABLE),
        )

    @property
    def key_file(self) -> Path:
        """The key's file, if ENCRYPTION_KEY does not hold the key."""
        return self.home / "encryption.key"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def webhook_url(self) -> str:
        """The receiver's URL from this machine; `public_url` is the one for others."""
        return address(self.host, self.webhook_port)

    @property
    def links_stay_here(self) -> bool:
        """Do links to the dashboard work only on this machine?"""
        return on_this_machine(urlsplit(self.dashboard_url).hostname or "")

    @property
    def unencrypted(self) -> str:
        """A warning if other machines may reach it and HTTPS is not configured; else empty."""
        if on_this_machine(self.host) or self.proxy_hops or self.dashboard_url.startswith("https://"):
            return ""
        return (
            f"Passwords and tokens travel unencrypted: DashTrade listens on {self.host}, and no HTTPS "
            "address is set. Put a reverse proxy with HTTPS in front and set DASHTRADE_DASHBOARD_URL, "
            "DASHTRADE_PUBLIC_URL and DASHTRADE_PROXY_HOPS=1, or set DASHTRADE_HOST=127.0.0.1."
        )

    @property
    def database_label(self) -> str:
        """The database's address without its password, for display."""
        parts = urlsplit(self.database_url)
        if not parts.password:
            return self.database_url
        user_and_host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{user_and_host[2]}"))


def reachable(host: str) -> str:
    """The address at which this machine reaches a service that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def on_this_machine(host: str) -> bool:
    """Reachable from this machine only?"""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int) -> str:
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines; quotes around a value and comments are removed; nothing is expanded."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(
            ".env", f"the file cannot be read ({error}).", f"Correct or remove {path}."
        ) from None
    values = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().replace("_", "").isalnum():
            raise BadSetting(
                ".env", f"line {number} is not of the form NAME=value.", f"Correct it in {path}."
            )
        values[name.strip()] = _unquote(value.strip(), f"line {number}", path)
    return values


def _unquote(value: str, where: str, path: Path) -> str:
    if value[:1] not in ("'", '"'):
        return "" if value.startswith("#") else value.split(" #", 1)[0].rstrip()
    text, quote, rest = value[1:].partition(value[0])
    if not quote or (rest.strip() and not rest.strip().startswith("#")):
        raise BadSetting(
            ".env", f"{where} has a quote that does not end, or text after it.", f"Correct it in {path}."
        )
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """The given settings, by name; an empty value counts as not given."""

    values: Mapping[str, str] = field(repr=False)

    def text(self, name: str, default: str) -> str:
        return self.values.get(name, "").strip() or default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise BadSetting(
                name,
                f"{text!r} is not a whole number from {low} to {high}.",
                f"For example: {name}={default}",
            )
        return int(text)

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        text = self.text(name, default)
        for choice in choices:
            if text.lower() == choice.lower():
                return choice
        raise BadSetting(
            name, f"{text!r} is not one of {', '.join(choices)}.", f"For example: {name}={default}"
        )

    def addresses(self, table: tuple[Setting, ...]) -> Mapping[str, str]:
        """Settings named like an address that are not settings of this program."""
        own = {row.name for row in table}
        return {
            name: text.strip()
            for name, text in self.values.items()
            if re.fullmatch(r"[A-Z0-9_]+_URL(_[A-Z0-9]+)?", name) and name not in own and text.strip()
        }

    def refuse_near_misses(self, table: tuple[Setting, ...]) -> None:
        """A misspelt name would otherwise be ignored silently."""
        known = [row.name for row in table]
        for name in self.values:
            if name.startswith("DASHTRADE_") and name not in known:
                from difflib import get_close_matches  # costs memory, and is needed only here

                for meant in get_close_matches(name, known, n=1, cutoff=0.85):
                    raise BadSetting(name, "there is no such setting.", f"Did you mean {meant}?")


def _host(text: str) -> str:
    host = text.strip("[]")
    if not host or any(c in host for c in " /@") or (":" in host and host.count(":") < 2):
        hint = "Give an address alone, without http:// and without a port: DASHTRADE_HOST=127.0.0.1"
        raise BadSetting("DASHTRADE_HOST", f"{text!r} is not an address to listen on.", hint)
    return host


def _web_address(name: str, text: str) -> str:
    hint = f"Give it with http:// or https://, and without a user or a query: {name}=https://name.example.com"
    try:
        parts = urlsplit(text)
        there = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # invalid port or brackets
        there = False
    if not there or parts.query or parts.fragment or parts.username is not None:
        raise BadSetting(name, "this is not the address of a web server.", hint)
    return text.rstrip("/")


def _dashboard_url(text: str) -> str:
    found = _web_address("DASHTRADE_DASHBOARD_URL", text)
    if urlsplit(found).path:
        hint = "Give it a name or a port of its own: DASHTRADE_DASHBOARD_URL=https://dash.example.com"
        raise BadSetting(
            "DASHTRADE_DASHBOARD_URL", "the dashboard cannot stand below another page's address.", hint
        )
    return found


def _over_tls(rest: str) -> str:
    """Connections to another machine must use TLS: by default PostgreSQL's library falls back to plain
    text."""
    place, _, path = rest.rpartition("@")[2].partition("/")
    asked = parse_qs(path.partition("?")[2])
    named = place.partition("]")[0].strip("[") if place.startswith("[") else place.partition(":")[0]
    hosts = [named, *(host.partition(":")[0] for host in asked.get("host", ()))]
    away = any(host and not host.startswith("/") and not on_this_machine(host) for host in hosts)
    return f"{rest}{'&' if asked else '?'}sslmode=require" if away and "sslmode" not in asked else rest


def _database_url(text: str, cwd: Path, *, tls_chosen: bool) -> str:
    scheme, _, rest = text.partition("://")
    if (
        scheme in ("postgres", "postgresql", "postgresql+psycopg2")
        and rest.partition("/")[2].partition("?")[0]
    ):
        return f"postgresql+psycopg2://{rest if tls_chosen else _over_tls(rest)}"
    if scheme == "sqlite" and rest.startswith("/") and rest[1:] not in ("", ":memory:"):
        return f"sqlite:///{os.path.abspath(cwd / Path(rest[1:]).expanduser())}"
    if scheme == "sqlite":
        what = "the two processes can share a SQLite database only as a file."
    elif scheme.startswith("postgres"):
        what = "it names no database, or a driver other than psycopg2."
    else:
        what = "it is not the address of a PostgreSQL or SQLite database."
    # Without the value, which may hold a password, as this message may end up in a log.
    hint = (
        "Use postgresql://user:password@host:5432/name or sqlite:////folder/file.db, or leave it unset for "
        "SQLite."
    )
    raise BadSetting("DATABASE_URL", what, hint)
