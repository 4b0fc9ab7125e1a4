"""The encryption key: checking it, and re-encrypting every secret with a new one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.tables import accounts as account_table
from dashtrade.tables import installation_settings
from dashtrade.tables import second_factors as proof_table
from dashtrade.tables import source_keys as source_key_table
from dashtrade.tables import tokens as token_table
from encryption import WrongKey

CHECK = "key_check"
SOURCE_KEY = "source_key:"  # and the name of a source of market data: the operator's key of it
_PAGE = 200


def check_key(app: App) -> None:
    """At start: a stored secret shows whether the key fits this database. Raises WrongKey."""
    with app.db.read() as conn:
        sealed = installation_settings.setting(conn, CHECK)
    if sealed is None:
        app.db.write(
            lambda conn: installation_settings.put_setting(conn, CHECK, app.vault.encrypt("dashtrade"))
        )
    elif app.vault.decrypt(sealed) != "dashtrade":
        raise WrongKey("The encryption key does not match this database.")


def rotate_all(app: App) -> int:
    """Re-encrypt every secret that the first key did not encrypt. Can be interrupted and run again; a
    secret that its owner changes meanwhile is left alone."""
    moved = _rotate(app, account_table.sealed, account_table.put_sealed, "credentials")
    moved += _rotate(app, account_table.sealed_sessions, account_table.put_session, "session")
    moved += _rotate(app, source_key_table.sealed, source_key_table.put_sealed, "credentials")
    moved += _rotate(app, token_table.webhook_secrets, token_table.put_webhook_secret, "secret")
    moved += _rotate(app, proof_table.sealed_factors, proof_table.put_sealed_factor, "totp_secret")

    def own(conn: sa.Connection) -> int:
        check = installation_settings.setting(conn, CHECK)
        sealed = installation_settings.settings_below(conn, SOURCE_KEY)
        sealed |= {CHECK: check} if check is not None else {}
        stale = [name for name, value in sealed.items() if app.vault.needs_rotation(value)]
        for name in stale:
            installation_settings.put_setting(conn, name, app.vault.rotate(sealed[name]))
        return len(stale)

    return moved + app.db.write(own)


def _put_all(put: Callable[..., bool], fresh: list[tuple[int, str, str]], conn: sa.Connection) -> int:
    return sum(put(conn, row_id, old, new) for row_id, old, new in fresh)


def _rotate(app: App, page_of: Callable[..., list[Any]], put: Callable[..., bool], column: str) -> int:
    moved, after = 0, 0
    while True:
        with app.db.read() as conn:
            page = page_of(conn, after=after, limit=_PAGE)
        if not page:
            return moved
        stale = [
            (row.id, getattr(row, column)) for row in page if app.vault.needs_rotation(getattr(row, column))
        ]
        fresh = [(row_id, old, app.vault.rotate(old)) for row_id, old in stale]
        moved += app.db.write(partial(_put_all, put, fresh))
        after = page[-1].id
