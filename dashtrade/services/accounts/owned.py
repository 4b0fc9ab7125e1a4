"""A user's own broker account."""

from __future__ import annotations

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.services.refusals import NotFound
from dashtrade.tables import accounts as account_table


def account_of(app: App, user: User, account_id: int) -> Account:
    with app.db.read() as conn:
        account = account_table.get(conn, user.id, account_id)
    if account is None:
        raise NotFound("account")
    return account
