"""The composition root: `build_app(settings)` assembles the application.

A broker's adapter is loaded on first use, so an unused broker costs nothing. Tests pass their own `brokers`,
`feed` and `clock` here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from bot_database import Database, DatabaseUnavailable
from dashtrade.brokers.registry import BROKERS
from dashtrade.context import App, assemble, demo_feed
from dashtrade.domain.broker_kinds import BrokerKind
from dashtrade.domain.ports import Clock, Feed, SystemClock
from dashtrade.services.operations import keys
from dashtrade.settings import BadSetting, Settings
from dashtrade.tables import installation_settings
from encryption import BadKey, Vault, WrongKey, load_or_create_key


class CannotStart(Exception):
    """A problem that only a person can fix; the message says what and how."""


def build_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    feed: Feed | None = None,
    brokers: Mapping[str, BrokerKind] | None = None,
) -> App:
    """Open everything; raises CannotStart or BadSetting with a message for the user. Migrates the database if
    necessary."""
    clock = clock or SystemClock()
    db = _open_database(settings)
    vault = _open_vault(settings, db)
    app = assemble(
        settings,
        db,
        clock,
        vault,
        feed or demo_feed(clock),
        BROKERS if brokers is None else {**BROKERS, **brokers},
    )
    try:
        keys.check_key(app)
    except WrongKey as error:
        raise CannotStart(
            "The encryption key does not match this database: its secrets were encrypted with another "
            "key. Nothing was changed.\n  Set the right key in ENCRYPTION_KEY or in the key file "
            "(several may be given, separated by commas)."
        ) from error
    return app


def _open_database(settings: Settings) -> Database:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        db = Database(settings.database_url)
        db.migrate()
        return db
    except (DatabaseUnavailable, OSError) as error:
        raise CannotStart(
            f"The database {settings.database_label} cannot be reached: {error}\n  Check DATABASE_URL, "
            "and that the database server is running."
        ) from error


def _open_vault(settings: Settings, db: Database) -> Vault:
    """A key is generated only for a database without sealed values."""
    try:
        if settings.encryption_keys:
            return Vault(settings.encryption_keys)
        with db.read() as conn:
            sealed = installation_settings.setting(conn, keys.CHECK) is not None
        if sealed and not settings.key_file.exists():
            raise CannotStart(
                f"The encryption key is missing: {settings.key_file} does not exist, and the database "
                "contains secrets encrypted with that key.\n  Restore the file, or set ENCRYPTION_KEY. "
                "Without the key the stored broker credentials cannot be read."
            )
        return Vault([load_or_create_key(settings.key_file)])
    except (BadKey, BadSetting) as error:
        raise CannotStart(str(error)) from error
