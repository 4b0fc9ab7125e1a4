"""`dashtrade doctor`: problems that would keep DashTrade from working here, and their remedies. Changes
nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dashtrade.processes.ports import BusyPort, require_free, responds_ok
from dashtrade.processes.supervisor import services
from dashtrade.settings import ROOT, BadSetting, Settings, on_this_machine, read_env_file

RELEASED_AT = datetime(2026, 11, 1, tzinfo=UTC)
MIN_FREE_BYTES = 1_000_000_000
MIN_OPEN_FILES = 1600  # the dashboard's connections, and a reserve


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    ok: bool
    what: str
    hint: str = ""


def examine(settings: Settings) -> Iterator[CheckResult]:
    """Run every check once; a check that fails is itself a finding."""
    checks: tuple[Callable[[Settings], Iterator[CheckResult]], ...] = (
        check_python,
        check_settings,
        check_addresses,
        check_home,
        check_key,
        check_database,
        check_ports,
        check_files,
        check_disk,
        check_clock,
    )
    for check in checks:
        try:
            yield from check(settings)
        except Exception as error:
            subject = check.__name__.removeprefix("check_")
            yield CheckResult(
                ok=False, what=f"The {subject} check itself failed: {error!r}", hint="Please report this."
            )


def check_python(settings: Settings) -> Iterator[CheckResult]:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    yield CheckResult(ok=ok, what=f"Python {version}", hint="" if ok else "DashTrade needs 3.11 or newer.")


def check_settings(settings: Settings) -> Iterator[CheckResult]:
    names = [row.name for row in Settings.TABLE]
    given = [n for n in names if n in os.environ or n in read_env_file(ROOT / ".env")]
    yield CheckResult(ok=True, what=f"Settings: {', '.join(given) or 'none set'}, defaults for the rest")
    if settings.unencrypted:
        what, _, hint = settings.unencrypted.partition(". ")
        yield CheckResult(ok=True, what=what, hint=hint)
    yield _dashboard_name(settings)


def check_addresses(settings: Settings) -> Iterator[CheckResult]:
    """Addresses of brokers and of sources of market data that differ from the defaults."""
    from dashtrade.brokers.registry import BROKERS
    from dashtrade.context import custom_addresses
    from dashtrade.feeds.registry import SOURCES

    known = [address for kind in BROKERS.values() for address in kind.addresses]
    known += [address for kind in SOURCES.values() for address in kind.addresses]
    try:
        found = custom_addresses(settings, known)
    except BadSetting as error:
        yield CheckResult(ok=False, what=f"{error.name}: {error.message}", hint=error.hint)
        return
    if found:
        yield CheckResult(ok=True, what=f"Address overrides: {', '.join(found)}")


def _dashboard_name(settings: Settings) -> CheckResult:
    reached = bool(settings.proxy_hops) or not on_this_machine(settings.host)
    hint = (
        "Links for other users begin with this address, and other names are refused: set "
        "DASHTRADE_DASHBOARD_URL to the address that users type."
    )
    return CheckResult(
        ok=True,
        what=f"The dashboard's address is {settings.dashboard_url}",
        hint=hint if reached and settings.links_stay_here else "",
    )


def check_home(settings: Settings) -> Iterator[CheckResult]:
    home = settings.home
    if not home.exists():
        yield CheckResult(ok=True, what=f"Home {home}: is created at the first start")
    elif not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        yield CheckResult(
            ok=False,
            what=f"Home {home} is not a writable folder",
            hint="Make the folder writable, or set DASHTRADE_HOME.",
        )
    elif home.stat().st_mode & 0o077:
        hint = f"The folder contains keys and logs; restrict access: chmod 700 {home}"
        yield CheckResult(ok=True, what=f"Home {home} is readable by other users of this machine", hint=hint)
    else:
        yield CheckResult(ok=True, what=f"Home {home}")


def check_key(settings: Settings) -> Iterator[CheckResult]:
    from encryption import BadKey, Vault

    place = "ENCRYPTION_KEY" if settings.encryption_keys else str(settings.key_file)
    if not settings.encryption_keys and not settings.key_file.exists():
        yield _no_key(_sqlite_file(settings))
        return
    try:
        vault = Vault(settings.encryption_keys or settings.key_file.read_text(encoding="utf-8"))
    except (BadKey, OSError, UnicodeDecodeError) as error:
        yield CheckResult(ok=False, what=f"Encryption key in {place}: {error}", hint="Restore the right key.")
    else:
        yield CheckResult(ok=True, what=f"Encryption key in {place}: {vault.fingerprint}")


def _no_key(database: Path | None) -> CheckResult:
    """A new key would make every stored credential of an existing database unreadable."""
    hint = "If the database was in use before, restore its key, or set ENCRYPTION_KEY, before the next start."
    if database is None:
        return CheckResult(ok=True, what="Encryption key: none yet", hint=hint)
    if database.exists():
        return CheckResult(ok=False, what="Encryption key: missing, although there is a database", hint=hint)
    return CheckResult(ok=True, what="Encryption key: is created at the first start")


def check_database(settings: Settings) -> Iterator[CheckResult]:
    from bot_database import Database, DatabaseUnavailable

    file = _sqlite_file(settings)
    if file is not None and not file.exists():
        yield CheckResult(ok=True, what=f"Database {file}: is created at the first start")
        return
    database = Database(settings.database_url)
    try:
        yield _schema(database.version(), settings.database_label)
    except DatabaseUnavailable as error:
        hint = "Check that the server runs, and that address, name and password in DATABASE_URL are right."
        if "SSL" in str(error):
            hint = "Enable TLS on the server; or, on a private network, end DATABASE_URL in ?sslmode=disable."
        if file is not None:
            hint = (
                "Another program may have locked the file, or the disk is full; if the file is damaged: "
                "dashtrade restore FILE"
            )
        yield CheckResult(ok=False, what=f"Database {settings.database_label}: {error}", hint=hint)
    finally:
        database.close()


def _schema(version: str | None, label: str) -> CheckResult:
    from bot_database import newest_migration

    newest = newest_migration()
    if version == newest:
        return CheckResult(ok=True, what=f"Database {label}: reachable, its tables up to date")
    if (version or "") < newest:
        hint = "The next ./start updates them; or update them now: .venv/bin/dashtrade migrate"
        return CheckResult(
            ok=True, what=f"Database {label}: reachable, its tables are older than this DashTrade", hint=hint
        )
    hint = "Update DashTrade to the version that last used it, or restore a backup."
    return CheckResult(
        ok=False, what=f"Database {label}: its tables are of a newer DashTrade ({version})", hint=hint
    )


def check_ports(settings: Settings) -> Iterator[CheckResult]:
    for service in services(settings):
        if responds_ok(settings.host, service.port, service.health):
            yield CheckResult(ok=True, what=f"Port {service.port}: the {service.name} is running there")
            continue
        try:
            require_free(settings.host, service.port, service.setting)
        except BusyPort as problem:
            what, _, hint = str(problem).partition("\n")
            yield CheckResult(ok=False, what=what, hint=hint.strip())
        else:
            yield CheckResult(ok=True, what=f"Port {service.port}: free for the {service.name}")


def check_files(settings: Settings) -> Iterator[CheckResult]:
    """The services raise the soft limit themselves, so only the hard limit matters."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= MIN_OPEN_FILES:
        yield CheckResult(ok=True, what="Open files: the limit is high enough")
        return
    hint = (
        f"Allow {MIN_OPEN_FILES} (ulimit -Hn, LimitNOFILE= of systemd, --ulimit nofile= of Docker): "
        "otherwise fewer connections are accepted."
    )
    yield CheckResult(ok=True, what=f"Open files: a process can open only {hard} at once", hint=hint)


def check_disk(settings: Settings) -> Iterator[CheckResult]:
    free = shutil.disk_usage(_existing(settings.home)).free
    ok = free >= MIN_FREE_BYTES
    hint = (
        ""
        if ok
        else (
            "Free space: with less than 128 MB free only exits are accepted. Lower "
            "DASHTRADE_RETENTION_DAYS to keep less."
        )
    )
    yield CheckResult(ok=ok, what=f"{free / 1e9:.1f} GB free on the disk of the home", hint=hint)


def check_clock(settings: Settings) -> Iterator[CheckResult]:
    """Works offline, so it only detects a clock that is behind known past times."""
    now = time.time()
    newest = max((f.stat().st_mtime for f in _own_files(settings)), default=0.0)
    shown = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    behind = now < RELEASED_AT.timestamp() or newest > now + 120
    hint = (
        "Set the clock (timedatectl set-ntp true): exchanges refuse orders with a wrong time."
        if behind
        else ""
    )
    yield CheckResult(
        ok=not behind,
        what=f"Clock: {shown}" + " is earlier than the newest record in the database" * behind,
        hint=hint,
    )


def _sqlite_file(settings: Settings) -> Path | None:
    found = settings.database_url.removeprefix("sqlite:///")
    return Path(found) if found != settings.database_url else None


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _own_files(settings: Settings) -> Iterator[Path]:
    for folder in (settings.home, settings.logs):
        if folder.is_dir():
            yield from (entry for entry in folder.iterdir() if entry.is_file())
