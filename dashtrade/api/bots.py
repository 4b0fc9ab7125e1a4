"""Broker accounts, bots and switches."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from bot_engine import Conflict, NoBot
from dashtrade.api.http import (
    STOPPING,
    Answer,
    Body,
    Page,
    endpoint,
    number_cursor,
    page,
    require_scope,
    the_app,
)
from dashtrade.domain.access import Permission, TokenScope, may
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot, Stop
from dashtrade.domain.exits import exits as exit_rules
from dashtrade.domain.people import User
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.values import iso, plain
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import connections, prices, schwab_sign_in
from dashtrade.services.accounts import owned as owned_accounts
from dashtrade.services.accounts.prices import Holding
from dashtrade.services.bots import bots as service
from dashtrade.services.bots import switches as switch_service
from dashtrade.services.bots.settings import shown_settings
from dashtrade.services.trading import exits as exit_service
from dashtrade.services.trading import signal_story
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as table
from dashtrade.tables import switches as switch_table

bp = Blueprint("bots", __name__, url_prefix="/api/v1")
Number = str | int | float


# --- accounts -----------------------------------------------------------------------------------------------


DECLINE = pydantic.Field(
    False,
    description="goes with acknowledge, of a user who has no second factor and goes on without: whoever "
    "gets the password can trade the money; recorded, and over once there is a second factor",
)


class NewAccount(Body):
    broker: str = pydantic.Field(max_length=40)
    mode: str = "paper"
    label: str = pydantic.Field("", max_length=80, pattern=r"^[^\x00-\x1f]*$")
    credentials: dict[str, str] = pydantic.Field(default_factory=dict)
    options: dict[str, Any] = pydantic.Field(default_factory=dict)
    acknowledge: str = pydantic.Field(
        "", max_length=40, description='"REAL MONEY": without it a live account does not trade yet'
    )
    decline_second_factor: bool = DECLINE


class SignIn(Body):
    redirected_to: str = pydantic.Field("", max_length=4000)


class AccountChanges(Body):
    label: str | None = pydantic.Field(None, max_length=80, pattern=r"^[^\x00-\x1f]*$")
    credentials: dict[str, str] | None = None
    options: dict[str, Any] | None = None
    acknowledge: str | None = pydantic.Field(
        None, max_length=40, description='"REAL MONEY": a live account may trade from now on'
    )
    decline_second_factor: bool = DECLINE


def account_view(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "broker": account.broker,
        "mode": account.mode,
        "label": account.label,
        "options": account.options,
        "is_active": account.is_active,
        "disabled_reason": account.disabled_reason,
        "created_at": iso(account.created_at),
        "checked_at": iso(account.checked_at) if account.checked_at else None,
        "check_result": account.check_result,
        "acknowledged_at": iso(account.acknowledged_at) if account.acknowledged_at else None,
        "second_factor_declined_at": iso(account.second_factor_declined_at)
        if account.second_factor_declined_at
        else None,
        "problem": account.problem,
    }


@endpoint(bp, "GET", "/accounts")
def list_accounts(user: User) -> dict[str, Any]:
    """One's broker accounts. Credentials are never shown."""
    with the_app().db.read() as conn:
        return {
            "items": [account_view(account) for account in account_table.list_all(conn, user.id)],
            "next_cursor": None,
        }


@endpoint(bp, "POST", "/accounts", body=NewAccount, status=201, scopes=[TokenScope.ADMIN])
def add_account(user: User, given: NewAccount) -> dict[str, Any]:
    """Connect a broker account; its credentials are sealed before they are stored."""
    app = the_app()
    account_id = account_service.add_account(
        app,
        user,
        broker=given.broker,
        mode=given.mode,
        label=given.label,
        credentials=given.credentials,
        options=given.options,
        acknowledge=given.acknowledge,
        decline_second_factor=given.decline_second_factor,
    )
    return account_view(owned_accounts.account_of(app, user, account_id))


@endpoint(bp, "GET", "/accounts/<int:account_id>")
def get_account(user: User, account_id: int) -> dict[str, Any]:
    """One broker account."""
    return account_view(owned_accounts.account_of(the_app(), user, account_id))


@endpoint(bp, "PATCH", "/accounts/<int:account_id>", body=AccountChanges, scopes=[TokenScope.ADMIN])
def change_account(user: User, given: AccountChanges, account_id: int) -> dict[str, Any]:
    """Rename it, change its options, replace its credentials, or say that it may trade with real money."""
    account_service.change_account(the_app(), user, account_id, given.model_dump(exclude_unset=True))
    return account_view(owned_accounts.account_of(the_app(), user, account_id))


@endpoint(bp, "DELETE", "/accounts/<int:account_id>", scopes=[TokenScope.ADMIN])
def remove_account(user: User, account_id: int) -> dict[str, Any]:
    """Forget an account and its credentials; its history stays."""
    account_service.remove_account(the_app(), user, account_id)
    return {"id": account_id, "status": "removed"}


@endpoint(bp, "POST", "/accounts/<int:account_id>/test")
def test_account(user: User, account_id: int) -> dict[str, Any]:
    """Reach the broker with the stored credentials, within ten seconds, and say what it answered."""
    return connections.test(the_app(), user, account_id)


@endpoint(bp, "POST", "/accounts/<int:account_id>/renew", body=SignIn, scopes=[TokenScope.ADMIN])
def renew_sign_in(user: User, given: SignIn, account_id: int) -> dict[str, Any]:
    """Sign in at the broker again, where a person has to: first the address to go to, then with the one that
    it led back to."""
    if not given.redirected_to:
        return {"id": account_id, "url": schwab_sign_in.renew_address(the_app(), user, account_id)}
    return {"id": account_id, **schwab_sign_in.renew(the_app(), user, account_id, given.redirected_to)}


@endpoint(bp, "POST", "/accounts/<int:account_id>/reset")
def reset_account(user: User, account_id: int) -> dict[str, Any]:
    """Fresh money for a paper account; the history stays."""
    account_service.reset_paper(the_app(), user, account_id)
    return {"id": account_id, "status": "reset"}


# --- bots ---------------------------------------------------------------------------------------------------


class BotFields(Body):
    """Every field of a bot, as people write them; the service reads them and says what is wrong."""

    account_id: Number | None = None
    symbol: str | None = None
    timeframe: str | int | None = None
    name: Any = None
    position_size: Any = None
    position_size_type: Any = None
    size_override: Any = None
    risk_limit_percent: Any = None
    daily_loss_limit: Any = None
    max_position_size: Any = None
    sides: Any = None
    order_type: Any = None
    limit_offset_percent: Any = None
    cooldown_seconds: Any = None
    windows: Any = None
    time_zone: Any = None
    orders_per_day: Any = None
    when_closed: Any = None
    take_profit: Any = None
    stop_loss: Any = None
    break_even: Any = None
    close_after_minutes: Any = None
    close_at: Any = None
    time_in_force: Any = None
    extended_hours: Any = None
    delay_seconds: Any = None
    cancel_first: Any = None


class ExitChanges(Body):
    """What is not given stays as it is; null removes it. In the words of an alert: `{"stop_loss":
    {"stopPrice": "95"}}`."""

    stop_loss: Any = None
    take_profit: Any = None
    break_even: Any = None
    until: Any = None


class BotList(Page):
    account_id: int | None = pydantic.Field(None, ge=1, lt=2**62)


class Closing(Body):
    request_id: str | None = pydantic.Field(None, max_length=100, pattern=r"^[\w.-]+$")


class Deletion(Body):
    position: str | None = pydantic.Field(None, pattern="^(close|hand_over)$")
    to: int | None = pydantic.Field(None, ge=1, lt=2**62)


_SIZE_NAMES = {
    SizeKind.DOLLARS: "dollars",
    SizeKind.QUANTITY: "quantity",
    SizeKind.EQUITY_PERCENT: "percent_of_equity",
    SizeKind.RISK_DOLLARS: "risk_dollars",
    SizeKind.RISK_PERCENT: "risk_percent",
}


def bot_view(held: Holding, kind: str) -> dict[str, Any]:
    bot = held.bot
    return {
        "id": bot.id,
        "account_id": bot.account_id,
        "name": bot.name,
        "symbol": bot.symbol.text,
        "written_symbol": bot.written_symbol,
        "timeframe": bot.timeframe.shown,
        "position_size": plain(bot.size.value),
        "position_size_type": _SIZE_NAMES[bot.size.kind],
        "size_override": bot.size_override,
        "risk_limit_percent": _maybe(bot.risk_limit_percent),
        "daily_loss_limit": _maybe(bot.daily_loss_limit),
        "max_position_size": _maybe(bot.max_position_size),
        "sides": str(bot.sides),
        "order_type": str(bot.order_type),
        "limit_offset_percent": plain(bot.limit_offset_percent),
        "cooldown_seconds": bot.cooldown_seconds,
        "windows": [w.written() for w in bot.windows],
        "time_zone": bot.time_zone,
        "orders_per_day": bot.orders_per_day,
        "when_closed": str(bot.when_closed),
        "is_active": bot.is_active,
        "paused_reason": bot.paused_reason,
        "status": bot.status,
        "position": {
            "side": str(bot.position.side),
            "quantity": plain(abs(bot.position.quantity)),
            "average_price": _maybe(bot.position.average_price),
            "unrealized_pnl": _maybe(held.unrealized),
            "mark": _maybe(held.mark),
            "prices": kind,
            "exits": exit_rules.said(bot.exits),
        },
        "exits": exit_rules.shown(bot.exits, bot.time_zone),
        **shown_settings(bot.exit_plan, bot.ordering),
        "realized_pnl": plain(bot.realized_pnl),
        "fees": plain(bot.fees),
        "total_pnl": plain(bot.total_pnl),
        "total_trades": bot.total_trades,
        "last_signal_at": iso(bot.last_signal_at) if bot.last_signal_at else None,
        "created_at": iso(bot.created_at),
        "updated_at": iso(bot.updated_at),
    }


def _maybe(number: Any) -> str | None:
    return plain(number) if number is not None else None


def shown_bots(user: User, bots: list[Bot]) -> list[dict[str, Any]]:
    """With what their positions are worth now; where no price is to be had, that is left open rather than
    made up."""
    app = the_app()
    with app.db.read() as conn:
        accounts = {account.id: account for account in account_table.list_all(conn, user.id)}
    demo = {account.id for account in accounts.values() if app.brokers.feed(account).demo}
    return [
        bot_view(
            prices.holding(app, bot, accounts.get(bot.account_id)),
            "demo" if bot.account_id in demo else "live",
        )
        for bot in bots
    ]


@endpoint(bp, "GET", "/bots", query=BotList)
def list_bots(user: User, query: BotList) -> dict[str, Any]:
    """One's bots with what they own now."""
    with the_app().db.read() as conn:
        found = table.list_page(
            conn,
            user.id,
            after=number_cursor(query.cursor) or 0,
            limit=query.limit + 1,
            account_id=query.account_id,
        )
    views = {view["id"]: view for view in shown_bots(user, found[: query.limit])}
    return page(found, query.limit, lambda bot: str(bot.id), lambda bot: views[bot.id])


@endpoint(bp, "POST", "/bots", body=BotFields, status=201)
def add_bot(user: User, given: BotFields) -> dict[str, Any]:
    """Make a bot: a symbol and a timeframe on one account. `warnings` tells what could not be checked, or may
    go wrong."""
    warnings: list[str] = []
    made = service.add_bot(the_app(), user, given.model_dump(exclude_unset=True), warnings.append)
    return _shown(user, made) | {"warnings": warnings}


def _shown(user: User, bot_id: int) -> dict[str, Any]:
    return shown_bots(user, [service.bot_of(the_app(), user, bot_id)])[0]


@endpoint(bp, "GET", "/bots/<int:bot_id>")
def get_bot(user: User, bot_id: int) -> dict[str, Any]:
    """One bot."""
    return _shown(user, bot_id)


@endpoint(bp, "PATCH", "/bots/<int:bot_id>", body=BotFields)
def change_bot(user: User, given: BotFields, bot_id: int) -> dict[str, Any]:
    """Change how a bot trades. Its account, symbol and timeframe stay: its history belongs to them."""
    warnings: list[str] = []
    service.change_bot(the_app(), user, bot_id, given.model_dump(exclude_unset=True), warnings.append)
    return _shown(user, bot_id) | {"warnings": warnings}


@endpoint(bp, "PATCH", "/bots/<int:bot_id>/exits", body=ExitChanges)
def change_exits(user: User, given: ExitChanges, bot_id: int) -> dict[str, Any]:
    """Move the stop of an open position, set or remove its take-profits, or the moment by which it is
    closed."""
    exit_service.change(the_app(), user, bot_id, given.model_dump(exclude_unset=True))
    return _shown(user, bot_id)


@endpoint(bp, "DELETE", "/bots/<int:bot_id>", query=Deletion)
def delete_bot(user: User, query: Deletion, bot_id: int) -> dict[str, Any]:
    """Delete a bot; its history stays. One that owns something is closed first, or hands it over."""
    return {
        "id": bot_id,
        "status": service.delete_bot(the_app(), user, bot_id, position=query.position, hand_to=query.to),
    }


@endpoint(bp, "POST", "/bots/<int:bot_id>/pause", scopes=STOPPING)
def pause_bot(user: User, bot_id: int) -> dict[str, Any]:
    """Stop a bot's entries at once; it may still close what it owns."""
    service.set_active(the_app(), user, bot_id, False)
    return _shown(user, bot_id)


@endpoint(bp, "POST", "/bots/<int:bot_id>/resume")
def resume_bot(user: User, bot_id: int) -> dict[str, Any]:
    """Let a bot trade again."""
    service.set_active(the_app(), user, bot_id, True)
    return _shown(user, bot_id)


@endpoint(bp, "POST", "/bots/<int:bot_id>/close", body=Closing, status=202, scopes=STOPPING)
def close_bot(user: User, given: Closing, bot_id: int) -> dict[str, Any]:
    """Close what the bot owns, now. With a request_id, asking twice is asking once."""
    app = the_app()
    said = service.close_bot(app, user, bot_id, request_id=given.request_id)
    if isinstance(said, (NoBot, Conflict)):
        raise Answer(409, "conflict", said.message, "Try again.")
    return (signal_story.outcome(app, user.id, said.signal_id) or {}) | {"duplicate": said.duplicate}


# --- switches -----------------------------------------------------------------------------------------------


class SwitchChange(Body):
    scope: str = pydantic.Field("user", pattern="^(all|user|account|bot)$")
    id: int | None = pydantic.Field(None, ge=1, lt=2**62)
    mode: Stop
    reason: str = pydantic.Field("", max_length=200)


@endpoint(bp, "GET", "/switches")
def list_switches(user: User) -> dict[str, Any]:
    """Which switches are on: for all, for oneself, for accounts and bots. What is not listed runs."""
    return _switches_view(user)


def _switches_view(user: User) -> dict[str, Any]:
    with the_app().db.read() as conn:
        rows = switch_table.list_switches(conn, user.id)
    items = [
        {
            "scope": r.scope,
            "id": r.scope_id if r.scope in ("account", "bot") else None,
            "mode": r.stop,
            "reason": r.reason,
            "at": iso(r.at),
        }
        for r in rows
    ]
    return {"items": items, "next_cursor": None}


def _now_stopped(user: User, given: SwitchChange) -> Stop:
    with the_app().db.read() as conn:
        rows = switch_table.list_switches(conn, user.id)
    wanted = (given.scope, given.id if given.scope in ("account", "bot") else None)
    return next(
        (
            Stop(r.stop)
            for r in rows
            if (r.scope, r.scope_id if r.scope in ("account", "bot") else None) == wanted
        ),
        Stop.NONE,
    )


@endpoint(bp, "PUT", "/switches", body=SwitchChange, scopes=STOPPING)
def put_switch(user: User, given: SwitchChange) -> dict[str, Any]:
    """Set a switch: none, pause_entries, reduce_only or halt. It works at once; exits always pass."""
    if given.mode.weight < _now_stopped(user, given).weight:  # to let more pass than now is no stop
        require_scope(user, [TokenScope.TRADE])
    if given.scope == "all" and not may(user.role, Permission.SWITCH_ALL):
        raise Answer(
            403,
            "forbidden",
            "Only a superadmin may switch trading for all.",
            'Use the scope "user" for your own.',
        )
    switch_service.put_switch(
        the_app(), user, scope=given.scope, scope_id=given.id, stop=given.mode, reason=given.reason
    )
    return _switches_view(user)
