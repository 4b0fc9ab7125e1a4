"""A user's own broker accounts."""

from __future__ import annotations

from collections.abc import Sequence

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.services.accounts.prices import real_money
from dashtrade.services.refusals import NotFound
from dashtrade.tables import accounts as account_table


def accounts_of(app: App, user: User) -> list[Account]:
    """Live accounts first."""
    with app.db.read() as conn:
        return live_first(account_table.list_all(conn, user.id))


def live_first(accounts: Sequence[Account]) -> list[Account]:
    return sorted(accounts, key=lambda account: not real_money(account))


def find_account(app: App, user: User, account_id: int) -> Account | None:
    with app.db.read() as conn:
        return account_table.get(conn, user.id, account_id)


def account_of(app: App, user: User, account_id: int) -> Account:
    account = find_account(app, user, account_id)
    if account is None:
        raise NotFound("account")
    return account
