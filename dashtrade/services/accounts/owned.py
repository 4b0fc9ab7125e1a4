"""A user's own broker account."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.services.refusals import NotFound
from dashtrade.tables import accounts as account_table
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User


def account_of(app: App, user: User, account_id: int) -> Account:
    with app.db.read() as conn:
        account = account_table.get(conn, user.id, account_id)
    if account is None:
        raise NotFound("account")
    return account
