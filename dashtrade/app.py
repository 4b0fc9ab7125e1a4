"""The composition root: `build_app(settings)` puts everything together, and is the one place that knows every
adapter.

An adapter is loaded when it is first needed: nobody pays for a broker they do not use. Tests hand in their
own `brokers`, `feed` and `clock` here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bot_database import Database, DatabaseAway
from dashtrade.context import App, BrokerKind, PaperTables, assembled, demo_feed
from dashtrade.domain.accounts import Account
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import Broker, Clock, Feed, SystemClock
from dashtrade.services.accounts.nonces import SharedNonces
from dashtrade.services.operations import keys
from dashtrade.settings import BadSetting, Settings
from dashtrade.tables import accounts as account_table
from dashtrade.tables import installation_settings
from dashtrade.tables import orders as order_table
from encryption import BadKey, Vault, WrongKey, load_or_create_key


class CannotStart(Exception):
    """Something only a person can mend; the words say what and how."""


def _make_paper(app: App, account: Account, credentials: dict[str, str]) -> Broker:
    from dashtrade.brokers.paper.adapter import PaperBroker

    return PaperBroker(
        PaperTables(app.db, account.id), app.feed, app.clock, PaperSettings.from_options(account.options)
    )


def _check_paper(credentials: dict[str, str], options: dict[str, Any]) -> None:
    PaperSettings.from_options({name: value for name, value in options.items() if name != "mode"})


def _make_alpaca(app: App, account: Account, credentials: dict[str, str]) -> Broker:
    from dashtrade.brokers.alpaca.adapter import AlpacaBroker

    urls = app.settings.broker_urls
    return AlpacaBroker(
        credentials["key"],
        credentials["secret"],
        account.mode,
        clock=app.clock,
        api_url=urls.get("ALPACA_API_URL"),
        data_url=urls.get("ALPACA_DATA_URL"),
        stream_url=urls.get("ALPACA_STREAM_URL"),
        feed=account.options.get("feed"),
    )


def _check_alpaca(credentials: dict[str, str], options: dict[str, Any]) -> None:
    from dashtrade.brokers.alpaca.credentials import check

    check(credentials, {name: value for name, value in options.items() if name != "mode"})


def _make_crypto(app: App, account: Account, credentials: dict[str, str]) -> Broker:
    from dashtrade.brokers.crypto.adapter import CryptoBroker
    from dashtrade.brokers.crypto.venues import exchange_of

    name = exchange_of(account.options.get("exchange")).id
    return CryptoBroker(
        name,
        credentials["key"],
        credentials["secret"],
        credentials.get("passphrase"),
        account.mode,
        clock=app.clock,
        url=app.settings.broker_urls.get(f"CCXT_URL_{name.upper()}"),
        quote=account.options.get("quote"),
        quotes=account.options.get("quotes"),
        markets_cache=app.settings.home / "markets" / f"{name}-{account.mode}.json",
        nonces=SharedNonces(app.db, name, credentials["key"]),
    )


def _check_crypto(credentials: dict[str, str], options: dict[str, Any]) -> None:
    from dashtrade.brokers.crypto.credentials import check

    check(credentials, options)


def _make_schwab(app: App, account: Account, credentials: dict[str, str]) -> Broker:
    from dashtrade.brokers.schwab.adapter import SchwabBroker

    def load() -> str:
        """As any process renewed it last."""
        with app.db.read() as conn:
            session = account_table.load(conn, account.id).session
        return app.vault.decrypt(session) if session else credentials.get("token", "")

    def save(token: str) -> None:
        sealed = app.vault.encrypt(token)
        app.db.write(lambda conn: account_table.put_session(conn, account.id, None, sealed))

    def owner_of(number: str) -> str | None:
        since = app.clock.now() - timedelta(days=7)
        with app.db.read() as conn:
            return order_table.by_venue_number(conn, account.user_id, account.id, number, since=since)

    return SchwabBroker(
        credentials["key"],
        credentials["secret"],
        load,
        save,
        clock=app.clock,
        owner_of=owner_of,
        alone=lambda: app.db.alone(f"schwab-{account.id}"),
        url=app.settings.broker_urls.get("SCHWAB_URL"),
        account=account.options.get("account"),
    )


def _check_schwab(credentials: dict[str, str], options: dict[str, Any]) -> None:
    from dashtrade.brokers.schwab.credentials import check

    check(credentials, {name: value for name, value in options.items() if name != "mode"})


BROKERS: Mapping[str, BrokerKind] = {
    "paper": BrokerKind(
        name="Paper",
        modes=("paper",),
        check=_check_paper,
        make=_make_paper,
        starting_cash=lambda options: PaperSettings.from_options(options).starting_cash,
    ),
    "crypto": BrokerKind(
        name="Crypto exchange", modes=("paper", "live"), check=_check_crypto, make=_make_crypto
    ),
    "schwab": BrokerKind(
        name="Schwab",
        modes=("live",),
        check=_check_schwab,
        make=_make_schwab,
        lacks=lambda credentials: (
            "" if credentials.get("token") else "nobody has signed in at Schwab for it yet."
        ),
    ),
    "alpaca": BrokerKind(
        name="Alpaca", modes=("paper", "live"), check=_check_alpaca, make=_make_alpaca, streams=True
    ),
}


def build_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    feed: Feed | None = None,
    brokers: Mapping[str, BrokerKind] | None = None,
) -> App:
    """Open everything; raises CannotStart with words for the user. Migrates the database if it has to."""
    clock = clock or SystemClock()
    db = _open_database(settings)
    vault = _open_vault(settings, db)
    app = assembled(
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
            "The encryption key does not fit this database: its secrets were sealed with another one, and "
            "nothing was changed.\n"
            "  Put the right key into ENCRYPTION_KEY or into the key file (several may be given, separated "
            "by commas)."
        ) from error
    return app


def _open_database(settings: Settings) -> Database:
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        db = Database(settings.database_url)
        db.migrate()
        return db
    except (DatabaseAway, OSError) as error:
        raise CannotStart(
            f"The database {settings.database_label} cannot be reached: {error}\n  Check DATABASE_URL, and "
            "that it is running."
        ) from error


def _open_vault(settings: Settings, db: Database) -> Vault:
    """A key is only made up for a database that has nothing sealed yet."""
    try:
        if settings.encryption_keys:
            return Vault(settings.encryption_keys)
        with db.read() as conn:
            sealed = installation_settings.setting(conn, keys.CHECK) is not None
        if sealed and not settings.key_file.exists():
            raise CannotStart(
                f"The encryption key is missing: {settings.key_file} is gone, and the database holds "
                "secrets sealed with it.\n"
                "  Put the file back, or set ENCRYPTION_KEY. Without it the stored broker credentials "
                "cannot be read."
            )
        return Vault([load_or_create_key(settings.key_file)])
    except (BadKey, BadSetting) as error:
        raise CannotStart(str(error)) from error
