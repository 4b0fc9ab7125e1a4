"""Simulation mode for all users: while on, every live account trades on the built-in paper broker.

The setting is a database row that is read together with each account, so a switch takes effect at once in
every process. It is refused while a bot on a live account has a position or an open order: real and
simulated positions must not mix."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Permission
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.people import User
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.people.permission import require
from dashtrade.tables import accounts as account_table
from dashtrade.tables import admin_queries, installation_settings
from dashtrade.tables import messages as message_table
from dashtrade.tables import paper as paper_table

MAX_NAMED = 5  # blocking bots shown


def is_on(app: App) -> bool:
    with app.db.read() as conn:
        return installation_settings.setting(conn, account_table.SIMULATION) == "on"


def blocking_bots(app: App) -> list[Any]:
    """Bots on live accounts with a position or an open order: (id, name, symbol, quantity, email)."""
    with app.db.read() as conn:
        return admin_queries.busy_on_live(conn)


def switch(app: App, actor: User, on: bool) -> None:
    require(actor, Permission.MANAGE_SYSTEM)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        account_table.lock_live_accounts(conn)
        if (installation_settings.setting(conn, account_table.SIMULATION) == "on") is on:
            return
        busy = admin_queries.busy_on_live(conn)
        if busy:
            named = ", ".join(f"{bot.name} ({bot.email})" for bot in busy[:MAX_NAMED])
            more = f" and {len(busy) - MAX_NAMED} more" if len(busy) > MAX_NAMED else ""
            raise Refusal(
                f"bots on live accounts still have a position or an open order: {named}{more}",
                (
                    "Close their positions and cancel their orders first: real and simulated positions must "
                    "not mix."
                ),
            )
        paper_table.open_for_live(conn, PaperSettings().starting_cash)
        installation_settings.put_setting(conn, account_table.SIMULATION, "on" if on else "off")
        message_table.record(
            conn,
            actor=actor.id,
            action=AuditAction.SIMULATION_MODE_SWITCHED_ON
            if on
            else AuditAction.SIMULATION_MODE_SWITCHED_OFF,
            now=now,
        )

    app.db.write(work)
