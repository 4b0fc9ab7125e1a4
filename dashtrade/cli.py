"""The `dashtrade` command. Each command imports what it needs when it runs: `up` must not load the
application."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dashtrade import security_log
from dashtrade.settings import EX_CONFIG, Settings


class CommandRefused(Exception):
    """A valid command that was refused. `str()` says why, and what to do."""


def up(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.processes import supervisor

    return supervisor.run_services(settings)


def migrate(settings: Settings, given: argparse.Namespace) -> int:
    from bot_database import Database

    _make_home(settings)
    Database(settings.database_url).migrate()
    print(f"The database is up to date: {settings.database_label}")
    return 0


def doctor(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.doctor import examine

    findings = list(examine(settings))
    for finding in findings:
        print(f"{'ok     ' if finding.ok else 'PROBLEM'}  {finding.what}")
        if finding.hint:
            print(f"         {finding.hint}")
    problems = sum(not finding.ok for finding in findings)
    print(f"\n{problems} problem{'s' * (problems != 1)} found." if problems else "\nNo problems found.")
    return 1 if problems else 0


def brokers(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.brokers import guide

    if given.markdown:
        print(guide.as_markdown(), end="")
        return 0
    for broker, choice in guide.choices():
        name = f"{broker} {choice.exchange or ''}".strip()
        unproven = "" if choice.proven else " (unproven)"
        print(f"{name:<16} {choice.can.name}, {' and '.join(choice.modes)}{unproven}: {choice.guide}")
    return 0


def source_list(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.feeds import guide

    print(guide.as_markdown(), end="")
    return 0


def source_key(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.market.sources import fields_of, put_operator_key

    fields = fields_of(given.source)
    credentials = {field.name: _read_secret(field.label) for field in fields}
    put_operator_key(build_app(settings), given.source, given.plan, credentials)
    print(f"The key of {given.source} is stored, sealed. All users of this installation can use it.")
    return 0


def source_forget(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.market.sources import drop_operator_key

    if not drop_operator_key(build_app(settings), given.source):
        raise CommandRefused(f"There is no key of {given.source}.")
    print(f"The key of {given.source} is deleted.")
    return 0


def candles_import(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.market import import_report, importing

    app = build_app(settings)
    user, symbol = importing.user_named(app, given.user), importing.Symbol.parse(given.symbol)
    reading = importing.look_through(app, importing.contents(given.file), symbol=symbol)
    print(*import_report.summary(reading), sep="\n")
    if reading.is_good and not given.dry_run:
        written = importing.store(app, user, reading, name=given.name, symbol=symbol)
        print(f"Imported: {written.added:,} new, {written.changed:,} changed.")
    return 0 if reading.is_good else 1


def user_add(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.domain.access import Role
    from dashtrade.services.people import users as people

    password = _read_password()
    name = given.name or given.email.partition("@")[0]
    people.add_user(
        build_app(settings), email=given.email, name=name, password=password, role=Role(given.role)
    )
    print(f"{given.email} can now sign in at {settings.dashboard_url} (role: {given.role}).")
    return 0


def user_rescue(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.bots.bots import NotFound, Refusal
    from dashtrade.services.people import credentials

    try:
        link = credentials.rescue(build_app(settings), given.email)
    except (NotFound, Refusal) as refused:
        raise CommandRefused(f"Not done: {refused.message}.\n  {refused.hint}") from None
    print(
        f"{link}\nThe link works once and expires after a day. Two-factor authentication of {given.email} "
        "is off."
    )
    return 0


def backup(settings: Settings, given: argparse.Namespace) -> int:
    from bot_database import Database

    if given.file.exists():
        raise CommandRefused(
            f"{given.file} already exists, and a backup overwrites no file.\n  Choose another name."
        )
    Database(settings.database_url).backup(given.file)
    print(f"The database is saved to {given.file}.\n{_about_the_key(settings)}")
    return 0


def restore(settings: Settings, given: argparse.Namespace) -> int:
    from bot_database import Database
    from dashtrade.domain.ports import SystemClock
    from dashtrade.services.operations import restored

    if not given.file.is_file():
        raise CommandRefused(
            f"There is no file {given.file}.\n  Give the file that `dashtrade backup` wrote."
        )
    _require_stopped(settings)
    _confirm(
        (
            f"This replaces everything in {settings.database_label} with the backup {given.file}; the "
            "present database is kept beside it."
        ),
        given.yes,
    )
    _make_home(settings)
    done: list[restored.Restored] = []
    now = SystemClock().now()
    previous = Database(settings.database_url).restore(
        given.file, lambda incoming, replaced: done.append(restored.make_safe(incoming, replaced, now))
    )
    before = f"; the previous database is kept in {previous}" if previous else ""
    print(f"Restored from {given.file}{before}.\n{restored.in_words(done[0])}\nStart DashTrade with ./start")
    return 0


def key_new(settings: Settings, given: argparse.Namespace) -> int:
    from encryption import new_key

    print(new_key())
    return 0


def key_rotate(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.operations import keys
    from encryption import add_key, new_key

    if settings.encryption_keys:
        count = keys.rotate_all(build_app(settings))
        print(
            f"{count} secrets are now encrypted with the first key of ENCRYPTION_KEY. Only older backups "
            "need the other keys."
        )
        return 0
    # A running process knows only the old key, and could not decrypt what the new one encrypted.
    _require_stopped(settings)
    _make_home(settings)
    add_key(settings.key_file, new_key())
    count = keys.rotate_all(build_app(settings))
    print(
        f"{count} secrets are now encrypted with a new key, the first in {settings.key_file}. Only older "
        "backups need the other keys."
    )
    return 0


def setup_link(settings: Settings, given: argparse.Namespace) -> int:
    from dashtrade.app import build_app
    from dashtrade.services.people import users as people

    link = people.setup_link(build_app(settings))
    if link:
        print(link)
    return 0


def _make_home(settings: Settings) -> None:
    from dashtrade.processes.supervisor import HomeUnusable, make_home

    try:
        make_home(settings)
    except HomeUnusable as problem:
        raise CommandRefused(str(problem)) from None


def _require_stopped(settings: Settings) -> None:
    from dashtrade.processes.ports import BusyPort, require_free

    try:
        require_free(settings.host, settings.webhook_port, "DASHTRADE_WEBHOOK_PORT")
        require_free(settings.host, settings.ui_port, "DASHTRADE_UI_PORT")
    except BusyPort as problem:
        first_line = str(problem).splitlines()[0]
        raise CommandRefused(
            f"DashTrade seems to be running: {first_line}\n  Stop it, then run this again."
        ) from None


def _confirm(consequence: str, yes: bool) -> None:
    """Asks on a terminal; a script runs without confirmation."""
    if (
        not yes
        and sys.stdin.isatty()
        and input(f"{consequence}\nContinue? [y/N] ").strip().lower() not in ("y", "yes")
    ):
        raise CommandRefused("Nothing was changed.")


def _read_password() -> str:
    if not sys.stdin.isatty():
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        from getpass import getpass

        password = getpass("Password: ")
        if password and getpass("Repeat password: ") != password:
            raise CommandRefused("The two passwords differ.\n  Nothing was changed; run the command again.")
    if not password:
        raise CommandRefused(
            "No password was given.\n  Type a password when asked, or pass it on standard input."
        )
    return password


def _read_secret(name: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    from getpass import getpass

    return getpass(f"{name}: ").strip()


def _about_the_key(settings: Settings) -> str:
    where = "ENCRYPTION_KEY" if settings.encryption_keys else str(settings.key_file)
    return (
        f"Also keep the encryption key ({where}), in another place: without this key the broker "
        "credentials cannot be read."
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="dashtrade", description="DashTrade: exactly one order for each alert."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "up", up, "Run the receiver and the dashboard until stopped.")
    _command(commands, "migrate", migrate, "Bring the database to the newest schema (./start does it too).")
    _command(
        commands, "doctor", doctor, "Check for problems that keep DashTrade from working, with what to do."
    )
    table = _command(
        commands, "brokers", brokers, "What each broker can and cannot do, and how to connect it."
    )
    table.add_argument("--markdown", action="store_true", help="as the table of docs/brokers.md")
    _source_commands(_group(commands, "source", "Manage sources of market data."))
    _candles_commands(_group(commands, "candles", "Manage candles of one's own."))
    _user_commands(_group(commands, "user", "Manage accounts."))
    save = _command(commands, "backup", backup, "Save the database to a file; DashTrade may be running.")
    save.add_argument("file", metavar="FILE", type=Path)
    back = _command(
        commands, "restore", restore, "Replace the database with a backup; DashTrade must be stopped."
    )
    back.add_argument("file", metavar="FILE", type=Path)
    back.add_argument("--yes", action="store_true", help="do not ask")
    _key_commands(_group(commands, "key", "Manage the encryption key."))
    _command(
        commands,
        "setup-link",
        setup_link,
        "Print the link that creates the first account, while there is none.",
    )
    return top


def _source_commands(sources: Any) -> None:
    _command(sources, "list", source_list, "What each source has, as docs/market-data.md shows it.")
    key = _command(
        sources,
        "key",
        source_key,
        "Store a key for all users; it is asked for, or read from standard input, a line for each part.",
    )
    key.add_argument("source", metavar="SOURCE")
    key.add_argument("plan", metavar="PLAN")
    forget = _command(sources, "forget", source_forget, "Delete the key of a source.")
    forget.add_argument("source", metavar="SOURCE")


def _candles_commands(candles: Any) -> None:
    add = _command(candles, "import", candles_import, "Import candles from a CSV or Parquet file.")
    add.add_argument("file", metavar="FILE", type=Path)
    for name in ("user", "symbol", "name"):
        add.add_argument(f"--{name}", required=True)
    add.add_argument("--dry-run", action="store_true", help="say what is wrong, and store nothing")


def _user_commands(users: Any) -> None:
    add = _command(
        users, "add", user_add, "Create an account; the password is asked for, or read from standard input."
    )
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--name", help="the name shown (default: the part before the @)")
    add.add_argument("--role", choices=("standard", "admin", "superadmin"), default="standard")
    rescue = _command(
        users,
        "rescue",
        user_rescue,
        "Print a link that sets a new password, and remove two-factor authentication.",
    )
    rescue.add_argument("email", metavar="EMAIL")


def _key_commands(keys: Any) -> None:
    _command(keys, "new", key_new, "Print a new key.")
    _command(
        keys,
        "rotate",
        key_rotate,
        "Re-encrypt all stored secrets with a new key, or with the first of ENCRYPTION_KEY.",
    )


def _group(commands: Any, name: str, about: str) -> Any:
    return commands.add_parser(name, help=about).add_subparsers(required=True, metavar="COMMAND")


def _command(
    where: Any, name: str, run: Callable[[Settings, argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = where.add_parser(name, help=about, description=about)
    made.set_defaults(run=run)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    os.umask(0o077)  # files in the home are readable by their owner only, whatever the folder allows
    try:
        settings = Settings.load()
        security_log.set_folder(settings.logs)
        return given.run(settings, given)
    except KeyboardInterrupt:
        return 130
    except Exception as problem:
        if not isinstance(problem, (CommandRefused, ValueError, *_errors_with_a_message())):
            raise
        print(problem, file=sys.stderr)
        hint = getattr(problem, "hint", "")
        if hint and hint not in str(problem):
            print(f"  {hint}", file=sys.stderr)
        return EX_CONFIG if type(problem).__name__ in ("BadSetting", "BadKey", "WrongKey") else 1


def _errors_with_a_message() -> tuple[type[Exception], ...]:
    """Errors whose message is meant for users. Evaluated only when an error is raised, so that nothing is
    loaded before."""
    database = sys.modules.get("bot_database")
    return (database.DatabaseUnavailable, database.PostgresBackupUnsupported) if database else ()


if __name__ == "__main__":
    sys.exit(main())
