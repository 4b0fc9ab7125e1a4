"""The scope of figures: live money, paper money, or one account. Live and paper money are never added up."""

from __future__ import annotations

from collections.abc import Sequence

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts.prices import real_money
from dashtrade.tables import accounts as account_table
from dashtrade.tables import people as people_table


def money_of(account: Account | None) -> MoneyKind:
    """The kind of money that the account trades now."""
    return MoneyKind.LIVE if real_money(account) else MoneyKind.PAPER


def default(accounts: Sequence[Account]) -> MoneyScope:
    """Live if any account is."""
    return MoneyScope(money=MoneyKind.LIVE if any(map(real_money, accounts)) else MoneyKind.PAPER)


def of_account(account: Account) -> MoneyScope:
    return MoneyScope(money=money_of(account), account_id=account.id)


def read(accounts: Sequence[Account], written: str | None) -> MoneyScope:
    """From live, paper or an account id; the default if empty."""
    if not written:
        return default(accounts)
    if written in list(MoneyKind):
        return MoneyScope(money=MoneyKind(written))
    account = next((account for account in accounts if str(account.id) == written), None)
    if account is None:
        raise Malformed(
            f"scope {written[:40]!r} is not live, paper or one of your accounts",
            where="scope",
            hint="Send live, paper, or the id of one of your accounts.",
        )
    return of_account(account)


def covered(scope: MoneyScope, accounts: Sequence[Account]) -> list[Account]:
    return [account for account in accounts if scope.covers(account.id, money_of(account))]


def remember(app: App, user: User, scope: MoneyScope) -> None:
    """Stored for the user's next visit on any device."""
    app.db.write(lambda conn: people_table.change(conn, user.id, scope=scope.text))


def of_user(app: App, user: User, written: str | None) -> MoneyScope:
    """The scope in the user's input, read with their accounts."""
    with app.db.read() as conn:
        return read(account_table.list_all(conn, user.id), written)
