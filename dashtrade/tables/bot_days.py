"""Each bot's results per day (`bot_performance`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.domain.bots import Bot
from dashtrade.tables.accounts import accounts
from dashtrade.tables.base import BigId, decimal_column, int_column, metadata, owner_column
from dashtrade.tables.bots import bots
from dashtrade.tables.compiled_sql import run_many

performance = sa.Table(
    "bot_performance",
    metadata,
    sa.Column("bot_id", BigId, sa.ForeignKey("user_bot_configs.id"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    owner_column(),
    decimal_column("realized"),
    decimal_column("fees"),
    decimal_column("volume"),
    int_column("trades"),
    int_column("wins"),
    int_column("losses"),
    sa.Index("ix_bot_performance_user_day", "user_id", "day"),
)

_DAY_RESULT = ("realized", "fees", "volume", "trades", "wins", "losses")


SYSTEM = {"put_days"}


def _put_day(insert: Any) -> Any:
    made = insert(performance)
    return made.on_conflict_do_update(
        index_elements=["bot_id", "day"], set_={name: made.excluded[name] for name in _DAY_RESULT}
    )


_PUT_DAY = {"sqlite": _put_day(sqlite.insert), "postgresql": _put_day(postgresql.insert)}


def put_days(conn: sa.Connection, booked: Iterable[Bot]) -> None:
    """Write the day's row of each bot's performance, in step with the bot."""
    run_many(conn, _PUT_DAY[conn.dialect.name], [_values(bot) for bot in booked])


def _values(bot: Bot) -> dict[str, Any]:
    day = bot.last_day
    values = {name: getattr(day, name) for name in _DAY_RESULT}
    return {"bot_id": bot.id, "day": day.date, "user_id": bot.user_id} | values


# --- performance, risk events, switches ---------------------------------------------------------------------


def days(
    conn: sa.Connection,
    owner: int,
    *,
    bot_id: int | None,
    since: date | None,
    until: date | None,
    live: bool | None = None,
    account_id: int | None = None,
) -> list[Any]:
    """Bots' results by day, each with its account and symbol. `live`: those on live accounts, in simulation
    mode too; or the others."""
    query = (
        sa.select(performance, bots.c.account_id, bots.c.symbol)
        .join(bots, bots.c.id == performance.c.bot_id)
        .where(performance.c.user_id == owner)
    )
    if account_id is not None:
        query = query.where(bots.c.account_id == account_id)
    if live is not None:
        on_live = sa.select(accounts.c.id).where(accounts.c.user_id == owner, accounts.c.mode == "live")
        query = query.where(bots.c.account_id.in_(on_live) if live else bots.c.account_id.not_in(on_live))
    if bot_id is not None:
        query = query.where(performance.c.bot_id == bot_id)
    if since is not None:
        query = query.where(performance.c.day >= since)
    if until is not None:
        query = query.where(performance.c.day <= until)
    return list(conn.execute(query.order_by(performance.c.day, performance.c.bot_id)))
