"""Closing all positions of a bot, an account or a user: requested once, carried on by the worker until
everything is flat or the reason why not is known.

Each position is closed by an ordinary signal, the largest risk first; the signal also cancels working
orders. Its key is made of the item and the attempt, so a crash in between repeats nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bot_engine import Lane, Receipt
from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.bots import Bot, Stop
from dashtrade.domain.notices.trading import FlattenDone, FlattenIncomplete, PositionLeft
from dashtrade.domain.orders import OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code, Reason, quoted, reason
from dashtrade.domain.signals import ExitCause, Origin
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed
from dashtrade.engine.exits import close_signal
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.bots.bots import NotFound
from dashtrade.services.records import records
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bot_positions
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import flattens as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import switches as switch_table

log = logging.getLogger("dashtrade.flatten")
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = (
    2,
    60,
)  # seconds between two attempts: doubled each time, up to the longest
# at the venue; and refusals by DashTrade itself, which are unlikely to change
MAX_FAILURES, MAX_REFUSALS = 12, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenItem:
    """A position to close."""

    bot_id: int
    account_id: int
    symbol: Symbol
    quantity: Decimal
    status: str
    reason: Reason
    tries: int
    signal_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flattening:
    """A request to close everything, and its progress."""

    id: int
    scope: str
    scope_id: int
    status: str
    created_at: datetime
    ended_at: datetime | None  # None while running
    items: tuple[FlattenItem, ...]

    @property
    def done(self) -> int:
        return sum(item.status == "done" for item in self.items)


def start(
    app: App,
    user: User,
    *,
    scope: str,
    scope_id: int | None,
    pause: bool = False,
    accounts: Sequence[int] | None = None,
) -> int:
    """One commit, carried out afterwards. `pause` also switches off entries in the scope until switched on
    again. `accounts` limits the closing to these accounts. Positions already being closed are not closed
    twice: a request with nothing new returns the id of the running one."""
    with app.db.read() as conn:
        number, _ = _scope(conn, user, scope, scope_id, accounts)  # before any switch is set
        switches = switch_table.list_switches(conn, user.id)
    stopped = any(
        (row.scope, row.scope_id) == (scope, number) and Stop(row.stop) is not Stop.NONE for row in switches
    )
    if pause and not stopped:  # keep a switch that is as strong or stronger
        switch_service.put_switch(
            app,
            user,
            scope=scope,
            scope_id=scope_id,
            stop=Stop.PAUSE_ENTRIES,
            reason="everything is being closed",
        )
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        number, bots = _scope(conn, user, scope, scope_id, accounts)
        under_way = table.under_way(conn, user.id)
        holding = [bot for bot in bots if bot.position.quantity or bot.status != "READY"]
        fresh = [bot for bot in holding if bot.id not in under_way]
        if holding and not fresh:
            return under_way[holding[0].id]
        fresh.sort(key=lambda bot: -abs(bot.position.cost))
        flatten_id = table.add(
            conn, user.id, scope=scope, scope_id=number, asked_by=user.email, now=now, bots=fresh
        )
        detail = {"scope": scope, "bots": len(fresh), "paused": pause}
        if accounts is not None:
            detail["accounts"] = sorted(accounts)
        message_table.record(
            conn, actor=user.id, action=AuditAction.FLATTEN, now=now, subject=number, detail=detail
        )
        return flatten_id

    return app.db.write(work)


def _scope(
    conn: sa.Connection, user: User, scope: str, scope_id: int | None, accounts: Sequence[int] | None
) -> tuple[int, list[Bot]]:
    if accounts is not None and scope != "user":
        raise Malformed(
            "accounts goes with the scope user",
            where="accounts",
            hint='Send {"scope": "user", "accounts": [1, 2]}.',
        )
    if not all(account_table.get(conn, user.id, number) for number in accounts or ()):
        raise NotFound("account")
    match scope:
        case "user":
            bots = bot_table.list_page(conn, user.id, limit=100_000)
            return user.id, [bot for bot in bots if accounts is None or bot.account_id in accounts]
        case "account" if scope_id and account_table.get(conn, user.id, scope_id):
            return scope_id, bot_table.list_page(conn, user.id, limit=100_000, account_id=scope_id)
        case "bot" if scope_id and (bot := bot_table.get(conn, user.id, scope_id)):
            return scope_id, [bot]
    raise NotFound(scope if scope in ("account", "bot") else "scope")


def view(app: App, user: User, flatten_id: int) -> Flattening:
    with app.db.read() as conn:
        row = table.get(conn, user.id, flatten_id)
        if row is None:
            raise NotFound("flatten")
        return _view(conn, user, row)


def latest(app: App, user: User, limit: int = 10) -> list[Flattening]:
    """Newest first."""
    with app.db.read() as conn:
        return [_view(conn, user, row) for row in table.latest(conn, user.id, limit=limit)]


def _view(conn: sa.Connection, user: User, row: Any) -> Flattening:
    return Flattening(
        id=row.id,
        scope=row.scope,
        scope_id=row.scope_id,
        status=row.status,
        created_at=row.created_at,
        ended_at=row.ended_at,
        items=tuple(records(FlattenItem, table.items_of_owner(conn, user.id, row.id))),
    )


# --- for the worker -----------------------------------------------------------------------------------------


def advance(app: App) -> list[Lane]:
    """Carry on all running requests. Returns the lanes that have work now."""
    with app.db.read() as conn:
        running = table.running(conn)
        items = {row.id: table.items_of(conn, row.id) for row in running}
    lanes: list[Lane] = []
    for row in running:
        for item in items[row.id]:
            if item.status not in ("done", "stuck"):
                lanes += _advance_item(app, row, item)
        _end(app, row)
    return lanes


def _advance_item(app: App, row: Any, item: Any) -> list[Lane]:
    now = app.clock.now()
    with app.db.read() as conn:
        bot = bot_positions.load(conn, item.bot_id)
        orders = [
            order
            for order in order_table.open_in_account(conn, item.account_id)
            if order.bot_id == item.bot_id
        ]
        asked = (
            next((d for d in decision_table.bot_outcomes(conn, item.user_id, item.signal_id)), None)
            if item.signal_id
            else None
        )
    doubt = next((order for order in orders if order.status is OrderStatus.ATTENTION), None)
    if not bot.position.quantity and not orders:
        _update_item(app, item, status="done", reason=Reason(Code.FLAT))
    elif doubt is not None:
        _update_item(app, item, status="stuck", reason=reason(Code.ORDER_UNCONFIRMED, because=doubt.reason))
    elif asked is not None and asked.status in ("waiting", "sending"):
        if asked.reason != item.reason:
            _update_item(app, item, reason=asked.reason)
    elif item.status == "closing" and asked is not None:
        _after(app, item, asked, now)
    elif item.next_at is None or item.next_at <= now:
        return _send_close(app, row, item, bot)
    return []


def _update_item(app: App, item: Any, **values: Any) -> None:
    app.db.write(lambda conn: table.put_item(conn, item, **values))


def _after(app: App, item: Any, asked: Any, now: Any) -> None:
    """An attempt has ended and the bot is not flat."""
    refused = asked.status == "refused"
    # a fee taken in coins leaves dust, which cannot be sold
    if refused and asked.reason.code is Code.DUST:
        _update_item(app, item, status="done", reason=asked.reason)
        return
    if item.tries >= (MAX_REFUSALS if refused else MAX_FAILURES):
        _update_item(app, item, status="stuck", reason=asked.reason)
        return
    wait = (
        timedelta(0)
        if asked.status == "filled" and item.tries < 3
        else timedelta(seconds=min(FIRST_RETRY_SECONDS * 2 ** (item.tries - 1), LONGEST_RETRY_SECONDS))
    )
    _update_item(app, item, status="waiting", reason=asked.reason, next_at=now + wait)


def _send_close(app: App, row: Any, item: Any, bot: Bot) -> list[Lane]:
    signal = close_signal(bot, f"flatten-{item.id}-{item.tries + 1}")
    accepted = app.engine.accept(
        item.user_id, signal, origin=Origin.USER, sender=row.asked_by, exit_cause=ExitCause.FLATTEN
    )
    if not isinstance(accepted, Receipt):
        _update_item(app, item, status="stuck", reason=quoted(accepted.message))
        return []
    log.info("flatten %s bot %s: signal %s, try %s", row.id, bot.id, accepted.signal_id, item.tries + 1)
    _update_item(app, item, status="closing", tries=item.tries + 1, signal_id=accepted.signal_id)
    return [Lane(bot.account_id, bot.symbol)]


def _end(app: App, row: Any) -> None:
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        items = table.items_of(conn, row.id)
        left = [item for item in items if item.status != "done"]
        if any(item.status != "stuck" for item in left):
            return
        if not table.end(conn, row.id, status="incomplete" if left else "done", now=now) or not items:
            return
        if left:
            message_table.notify(
                conn,
                row.user_id,
                FlattenIncomplete(
                    positions=len(items),
                    left=tuple(
                        PositionLeft(bot_id=item.bot_id, symbol=item.symbol.text, reason=item.reason)
                        for item in left
                    ),
                ),
                now=now,
            )
        else:
            message_table.notify(conn, row.user_id, FlattenDone(positions=len(items)), now=now)

    with app.db.read() as conn:
        ended = all(item.status in ("done", "stuck") for item in table.items_of(conn, row.id))
    if ended:
        app.db.write(work)
