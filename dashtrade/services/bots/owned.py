"""A user's own bots, for pages and REST."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from dashtrade.context import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyScope
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.accounts.prices import BotHolding, holding
from dashtrade.services.trading.scope import covered
from dashtrade.tables import bots as table
from dashtrade.tables import decisions as decision_table

MAX_BOTS = 10_000
MAX_STOPPED = 20


def bots_of(
    app: App, user: User, *, after: int = 0, limit: int = MAX_BOTS, account_id: int | None = None
) -> list[Bot]:
    with app.db.read() as conn:
        return table.list_page(conn, user.id, after=after, limit=limit, account_id=account_id)


def find_bots(app: App, user: User, bot_ids: Iterable[int]) -> list[Bot]:
    """Unknown ids are left out."""
    with app.db.read() as conn:
        found = [table.get(conn, user.id, bot_id) for bot_id in sorted(bot_ids)]
    return [bot for bot in found if bot is not None]


def holding_bots(app: App, user: User) -> list[Bot]:
    """Bots with a position."""
    with app.db.read() as conn:
        return table.owning(conn, user.id)


def stopped_bots(app: App, user: User) -> list[Bot]:
    """Bots stopped by anything other than their user."""
    with app.db.read() as conn:
        return table.stopped(conn, user.id, limit=MAX_STOPPED)


def any_engaged(app: App, user: User) -> bool:
    with app.db.read() as conn:
        return bool(table.engaged(conn, user.id))


def engaged(app: App, user: User) -> list[BotHolding]:
    """Bots that closing everything affects: those with a position or an open order."""
    by_id = {account.id: account for account in accounts_of(app, user)}
    with app.db.read() as conn:
        found = table.engaged(conn, user.id)
    return [holding(app, bot, by_id.get(bot.account_id)) for bot in found]


def bot_names(app: App, user: User, scope: MoneyScope | None = None) -> dict[int, str]:
    """Bots with the same name get their number appended: a select box identifies entries by their text."""
    with app.db.read() as conn:
        rows = table.all_with_names(conn, user.id)
    if scope is not None:
        ids = {account.id for account in covered(scope, accounts_of(app, user))}
        rows = [row for row in rows if row.account_id in ids]
    often = Counter(row.name for row in rows)
    return {row.id: row.name if often[row.name] == 1 else f"{row.name} (#{row.id})" for row in rows}


def last_outcomes(app: App, user: User, bot_ids: list[int]) -> dict[int, str]:
    """The status of each bot's newest signal."""
    with app.db.read() as conn:
        return decision_table.last_outcomes(conn, user.id, bot_ids)
