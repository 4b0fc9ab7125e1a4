"""Broker accounts and bots: made, changed, paused, closed, removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import exc

from bot_engine import Accepted, Receipt
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.bots import Bot, OrderDefaults, Sides, Stop, WhenClosed, Window
from dashtrade.domain.exits import exits as exit_rules
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.signals import ExitPlan, Origin, Size, SizeKind
from dashtrade.domain.values import Malformed, OrderType, Symbol, Timeframe, exact, new_id, plain
from dashtrade.services.accounts import venue_check
from dashtrade.services.accounts.venue_check import Warn
from dashtrade.services.bots.history import differences
from dashtrade.services.bots.settings import EXIT_FIELDS, ORDER_FIELDS, check_risk_size, read_settings
from dashtrade.services.operations import quotas
from dashtrade.services.people import second_factor_policy
from dashtrade.services.people.users import read_zone
from dashtrade.services.refusals import NotFound, Refusal
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import orders as order_table
from dashtrade.tables import paper as paper_table
from dashtrade.tables import round_trips as trip_table
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User

if TYPE_CHECKING:
    from dashtrade.app import App

SIZE_KINDS = {
    "dollars": SizeKind.DOLLARS,
    "quantity": SizeKind.QUANTITY,
    "percent_of_equity": SizeKind.EQUITY_PERCENT,
    "equity_percent": SizeKind.EQUITY_PERCENT,
    "risk_dollars": SizeKind.RISK_DOLLARS,
    "risk_percent": SizeKind.RISK_PERCENT,
}
REAL_MONEY = "REAL MONEY"


# --- accounts -----------------------------------------------------------------------------------------------


def add_account(
    app: App,
    user: User,
    *,
    broker: str,
    mode: str,
    label: str,
    credentials: Mapping[str, str],
    options: Mapping[str, Any],
    acknowledge: str = "",
    decline_second_factor: bool = False,
) -> int:
    """`acknowledge` is what a person types for an account that trades with real money; without it the account
    does not trade yet. `decline_second_factor`: they have none, and go on without."""
    kind, confirmed = app.brokers.kind(broker), mode == "live" and bool(acknowledge)
    _check_account(app, broker, mode, credentials, options)
    if confirmed or decline_second_factor:
        confirm(acknowledge)
    if user.demo_until is not None and broker != "paper":
        raise Refusal("a demo trades on paper", "Turn it into a real account first, on the Account page.")
    label = (label or kind.name).strip()[:80]
    sealed = app.vault.encrypt(json.dumps(dict(credentials), sort_keys=True))
    now = app.clock.now()

    def work(conn: sa.Connection) -> int:
        quotas.claim(conn, user, quotas.ACCOUNTS, now)
        declined = (
            second_factor_policy.declined_at(conn, user, declines=decline_second_factor, now=now)
            if confirmed
            else None
        )
        account_id = account_table.add(
            conn,
            user.id,
            broker=broker,
            mode=mode,
            label=label,
            credentials=sealed,
            options=dict(options),
            created_at=now,
            is_active=not kind.lacks(dict(credentials)),
            disabled_reason=kind.lacks(dict(credentials)),
            acknowledged_at=now if confirmed else None,
            second_factor_declined_at=declined,
        )
        if broker == "paper":
            paper_table.open_account(conn, account_id, kind.starting_cash(dict(options)))
        elif mode == "live":  # for simulation mode
            paper_table.open_account(conn, account_id, PaperSettings().starting_cash)
        message_table.record(
            conn,
            actor=user.id,
            action="account added",
            now=now,
            subject=account_id,
            detail={"broker": broker, "mode": mode},
        )
        if declined is not None:
            second_factor_policy.record_decline(conn, user, account_id, label=label, broker=broker, now=now)
        return account_id

    return app.db.write(work)


def _check_account(
    app: App, broker: str, mode: str, credentials: Mapping[str, str], options: Mapping[str, Any]
) -> None:
    kind = app.brokers.kind(broker)
    if mode not in kind.modes:
        raise Malformed(
            f"{broker} has no mode {mode!r}", where="mode", hint=f"One of: {', '.join(kind.modes)}."
        )
    kind.check(dict(credentials), {**options, "mode": mode})


def check_new_account(
    app: App,
    user: User,
    *,
    broker: str,
    mode: str,
    credentials: Mapping[str, str],
    options: Mapping[str, Any],
    acknowledge: str,
    decline_second_factor: bool,
) -> None:
    """What a form can be told before anything is made: a live account from there on is meant to trade."""
    _check_account(app, broker, mode, credentials, options)
    if mode == "live":
        confirm(acknowledge)
        second_factor_policy.check(user, declines=decline_second_factor)


def confirm(word: str) -> bool:
    if word.strip().upper() != REAL_MONEY:
        raise Malformed(
            "this account trades with real money",
            where="acknowledge",
            hint=f'Type or send "{REAL_MONEY}" to say that you mean it.',
        )
    return True


def account_of(app: App, user: User, account_id: int) -> Account:
    with app.db.read() as conn:
        account = account_table.get(conn, user.id, account_id)
    if account is None:
        raise NotFound("account")
    return account


def change_account(app: App, user: User, account_id: int, changes: dict[str, Any]) -> None:
    """A stopped account with new credentials is tested, and usable again if that succeeds; its bots stay
    paused until resumed."""
    account = account_of(app, user, account_id)
    values: dict[str, Any] = {}
    if changes.get("label"):
        values["label"] = changes["label"].strip()[:80]
    if changes.get("options") is not None or changes.get("credentials") is not None:
        options: dict[str, Any] = account.options if changes.get("options") is None else changes["options"]
        credentials = changes.get("credentials") or json.loads(app.vault.decrypt(account.credentials))
        app.brokers.kind(account.broker).check(dict(credentials), {**options, "mode": account.mode})
        values |= {
            "options": options,
            "credentials": app.vault.encrypt(json.dumps(credentials, sort_keys=True)),
        }
        # a refused key was replaced; what it had renewed goes with it
        if changes.get("credentials") is not None:
            values["session"] = None
            if not account.is_active:
                values["disabled_reason"] = "its new key has not passed a test of the connection yet."
    now = app.clock.now()
    declines = bool(changes.get("decline_second_factor"))
    said = changes.get("acknowledge") is not None or declines
    confirmed = said and confirm(changes.get("acknowledge") or "") and account.mode == "live"
    if confirmed:
        values["acknowledged_at"] = account.acknowledged_at or now

    def work(conn: sa.Connection) -> None:
        if confirmed:
            _decline(conn, user, account, values, declines=declines, now=now)
        if values:
            account_table.change(conn, user.id, account_id, **values)
            message_table.record(
                conn,
                actor=user.id,
                action="account changed",
                now=now,
                subject=account_id,
                detail={"fields": sorted(changes)},
            )

    app.db.write(work)
    if "session" in values and not account.is_active:
        from dashtrade.services.accounts import connections  # which needs this module

        connections.test(app, user, account_id)


def _decline(
    conn: sa.Connection,
    user: User,
    account: Account,
    values: dict[str, Any],
    *,
    declines: bool,
    now: datetime,
) -> None:
    """Puts into `values` whether they go without a second factor; what was declined before need not be
    declined again."""
    before = account.second_factor_declined_at
    declined = second_factor_policy.declined_at(conn, user, declines=declines or before is not None, now=now)
    values["second_factor_declined_at"] = declined and (before or declined)
    if declined is not None and before is None:
        label = values.get("label", account.label)
        second_factor_policy.record_decline(
            conn, user, account.id, label=label, broker=account.broker, now=now
        )


def remove_account(app: App, user: User, account_id: int) -> None:
    account_of(app, user, account_id)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        left = table.list_page(conn, user.id, limit=1, account_id=account_id)
        if left:
            raise Refusal(f"the account still has bots, {left[0].name} among them", "Delete its bots first.")
        account_table.change(
            conn, user.id, account_id, deleted_at=now, is_active=False, credentials=app.vault.encrypt("{}")
        )
        message_table.record(conn, actor=user.id, action="account removed", now=now, subject=account_id)

    app.db.write(work)


def reset_paper(app: App, user: User, account_id: int) -> None:
    """Start over with fresh money. Bots must own nothing, so that history and holdings keep agreeing."""
    account = account_of(app, user, account_id)
    if account.broker != "paper":
        raise Refusal("only a paper account can be reset", "Choose a paper account.")
    with app.db.read() as conn:
        holding = [
            bot
            for bot in table.list_page(conn, user.id, limit=10000, account_id=account_id)
            if bot.status != "READY"
        ]
    if holding:
        raise Refusal(
            f"{holding[0].name} still owns something or has an order out",
            "Close its position first; then reset.",
        )
    start_over = app.brokers.of(account).offers.start_over
    if start_over is not None:
        start_over()


# --- bots ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """How one field of a bot is read."""

    read: Any
    required: bool = False


def _percent(value: object, where: str) -> Decimal | None:
    if value is None:
        return None
    number = exact(value, where)
    if not 0 < number <= 100:
        raise Malformed(f"{where} is {plain(number)}", where=where, hint="A percentage above 0, up to 100.")
    return number


def _above_zero(value: object, where: str) -> Decimal | None:
    if value is None:
        return None
    number = exact(value, where)
    if number <= 0:
        raise Malformed(
            f"{where} is {plain(number)}", where=where, hint="A number above 0, or null for no limit."
        )
    return number


def _count(most: int, least: int = 0):
    def read(value: object, where: str) -> int | None:
        if value is None:
            return None
        number = exact(value, where)
        if number != int(number) or not least <= number <= most:
            raise Malformed(
                f"{where} is {plain(number)}", where=where, hint=f"A whole number from {least} to {most}."
            )
        return int(number)

    return read


def _choice(kind: Any):
    def read(value: object, where: str) -> Any:
        try:
            return kind(str(value).strip().lower())
        except ValueError:
            raise Malformed(
                f"{where} cannot be {str(value)[:30]!r}", where=where, hint=f"One of: {', '.join(kind)}."
            ) from None

    return read


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise Malformed(f"{where} is neither true nor false", where=where, hint="Send true or false.")
    return value


def _windows(value: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > 20:
        raise Malformed(
            f"{where} is not a list",
            where=where,
            hint='Send a list such as [{"days": ["mon"], "from": "09:30", "to": "16:00"}].',
        )
    return [Window.parse(window).written() for window in value]


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 100 or any(ord(c) < 32 for c in value):
        raise Malformed(f"{where} cannot be used", where=where, hint="1 to 100 characters.")
    return value.strip()


def _offset(value: object, where: str) -> Decimal:
    number = exact(value, where)
    if not -50 <= number <= 50:
        raise Malformed(
            f"{where} is {plain(number)}",
            where=where,
            hint="From -50 to 50 percent; positive is a better price than the market's.",
        )
    return number


_FIELDS: dict[str, Any] = {
    "name": _name,
    "risk_limit_percent": _percent,
    "daily_loss_limit": _above_zero,
    "max_position_size": _above_zero,
    "sides": _choice(Sides),
    "limit_offset_percent": _offset,
    "cooldown_seconds": _count(7 * 86400),
    "orders_per_day": _count(100000, 1),
    "windows": _windows,
    "time_zone": lambda value, where: read_zone(str(value)),
    "size_override": _flag,
    "when_closed": _choice(WhenClosed),
}
_DEFAULTS: dict[str, Any] = {
    "risk_limit_percent": None,
    "daily_loss_limit": None,
    "max_position_size": None,
    "sides": Sides.BOTH,
    "order_type": OrderType.MARKET,
    "limit_offset_percent": Decimal(0),
    "cooldown_seconds": 0,
    "windows": [],
    "time_zone": "UTC",
    "orders_per_day": None,
    "size_override": False,
    "when_closed": WhenClosed.REFUSE,
}
_PLACE = ("account_id", "symbol", "timeframe")
_SIZE = ("position_size", "position_size_type", "order_type")
_NULLABLE = {"risk_limit_percent", "daily_loss_limit", "max_position_size", "orders_per_day"}
# a change of these is held against what the venue can do
_OF_VENUE = {"sides", "order_type", "size_kind", "size_value", "ordering"}
BOT_FIELDS = (*_PLACE, *_SIZE, *_FIELDS, *EXIT_FIELDS, *ORDER_FIELDS)


def _read_fields(given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    for name in given:
        if name not in known:
            from difflib import get_close_matches

            close = get_close_matches(name, known, 1)
            raise Malformed(
                f"a bot has no field {name[:60]!r}",
                where=name[:60],
                hint=f"Did you mean {close[0]}?" if close else f"It has: {', '.join(known)}.",
            )
    read = {}
    for name, reader in _FIELDS.items():
        if name in given:
            if given[name] is None and name not in _NULLABLE:
                raise Malformed(f"{name} is null", where=name, hint="Leave it out, or give it a value.")
            read[name] = reader(given[name], name)
    if "order_type" in given:
        kind = _choice(OrderType)(given["order_type"], "order_type")
        if kind not in (OrderType.MARKET, OrderType.LIMIT):
            raise Malformed(
                f"a bot's orders cannot be {kind}", where="order_type", hint="One of: market, limit."
            )
        read["order_type"] = kind
    return read | _read_size(given)


def _read_size(given: Mapping[str, Any]) -> dict[str, Any]:
    if "position_size" not in given and "position_size_type" not in given:
        return {}
    if given.get("position_size") is None:
        raise Malformed(
            "position_size is missing",
            where="position_size",
            hint='Send it as "5000", with position_size_type if it is not dollars.',
        )
    written, kind = given["position_size"], given.get("position_size_type", "dollars")
    if isinstance(written, str) and written.strip().endswith("%"):
        written, kind = written.strip()[:-1], "percent_of_equity"
    if not isinstance(kind, str) or kind not in SIZE_KINDS:
        raise Malformed(
            f"position_size_type cannot be {str(kind)[:30]!r}",
            where="position_size_type",
            hint=f"One of: {', '.join(SIZE_KINDS)}.",
        )
    size = Size(kind=SIZE_KINDS[kind], value=_above_zero(written, "position_size") or Decimal(0))
    if size.kind in (SizeKind.EQUITY_PERCENT, SizeKind.RISK_PERCENT):
        _percent(size.value, "position_size")
    return {"size_kind": size.kind, "size_value": size.value}


def add_bot(app: App, user: User, given: Mapping[str, Any], warn: Warn = lambda what: None) -> int:
    """`warn` is told what may go wrong at the venue, or could not be found out."""
    missing = [name for name in (*_PLACE, "position_size") if given.get(name) in (None, "")]
    if missing:
        raise Malformed(
            f"{missing[0]} is missing",
            where=missing[0],
            hint="A bot needs account_id, symbol, timeframe and position_size.",
        )
    values = _DEFAULTS | _read_fields(given, BOT_FIELDS) | read_settings(given, ExitPlan(), OrderDefaults())
    symbol, timeframe = Symbol.parse(given["symbol"]), Timeframe.parse(given["timeframe"])
    account = account_of(app, user, _account_id(given["account_id"]))
    values |= {
        "account_id": account.id,
        "symbol": symbol,
        "written_symbol": str(given["symbol"]).strip(),
        "timeframe": timeframe.seconds,
    }
    values.setdefault("name", f"{symbol.short} {timeframe.shown}")
    if "sides" not in given and not app.brokers.capabilities(account).shorts:
        values["sides"] = Sides.LONG
    venue_check.check(app, account, symbol, values, warn)
    with app.db.read() as conn:
        venue_check.check_beside(
            app,
            account,
            symbol,
            [bot.symbol for bot in table.list_page(conn, user.id, limit=500, account_id=account.id)],
            warn,
        )
    check_risk_size(values["size_kind"], values.get("exit_plan"), values["size_override"])
    now = app.clock.now()
    values |= {"created_at": now, "updated_at": now, "windows": values["windows"]}
    try:
        return app.db.write(lambda conn: _insert(conn, user, values, now))
    except exc.IntegrityError:
        raise Refusal(
            f"the account already has a bot for {symbol.short} on {timeframe.shown}",
            "Change that one, or use another timeframe or account.",
        ) from None


def _insert(conn: sa.Connection, user: User, values: dict[str, Any], now: Any) -> int:
    quotas.claim(conn, user, quotas.BOTS, now)
    bot_id = table.add(conn, user.id, **values)
    message_table.record(
        conn,
        actor=user.id,
        action="bot added",
        now=now,
        subject=bot_id,
        detail={"symbol": values["symbol"].text},
    )
    return bot_id


def _account_id(given: Any) -> int:
    number = exact(given, "account_id")
    if number != int(number) or not 0 < number < 2**62:
        raise NotFound("account")
    return int(number)


def bot_of(app: App, user: User, bot_id: int) -> Bot:
    with app.db.read() as conn:
        bot = table.get(conn, user.id, bot_id)
    if bot is None:
        raise NotFound("bot")
    return bot


def change_bot(
    app: App, user: User, bot_id: int, given: Mapping[str, Any], warn: Warn = lambda what: None
) -> None:
    bot = bot_of(app, user, bot_id)
    for name in _PLACE:
        if name in given:
            raise Refusal(
                f"a bot's {name} cannot be changed, as its history belongs to it",
                "Make another bot, and delete this one.",
            )
    if (
        "position_size" in given
        and "position_size_type" not in given
        and bot.size.kind is not SizeKind.DOLLARS
    ):
        given = {
            **given,
            "position_size_type": next(name for name, kind in SIZE_KINDS.items() if kind is bot.size.kind),
        }
    values = _read_fields(given, BOT_FIELDS) | read_settings(given, bot.exit_plan, bot.ordering)
    if not values.keys().isdisjoint(_OF_VENUE):
        venue_check.check(app, account_of(app, user, bot.account_id), bot.symbol, values, warn, bot)
    check_risk_size(
        values.get("size_kind", bot.size.kind),
        values.get("exit_plan", exit_rules.written(bot.exit_plan)),
        values.get("size_override", bot.size_override),
    )
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        if values:
            table.change(conn, user.id, bot_id, **values, updated_at=now)
            message_table.record(
                conn,
                actor=user.id,
                action="bot changed",
                now=now,
                subject=bot_id,
                detail=differences(bot, values),
            )

    app.db.write(work)


def set_active(app: App, user: User, bot_id: int, active: bool) -> None:
    bot_of(app, user, bot_id)
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        table.change(
            conn,
            user.id,
            bot_id,
            is_active=active,
            paused_reason="" if active else "paused by its user",
            updated_at=now,
        )
        message_table.record(
            conn, actor=user.id, action="bot resumed" if active else "bot paused", now=now, subject=bot_id
        )

    app.db.write(work)


def close_bot(
    app: App, user: User, bot_id: int, *, request_id: str | None = None, part: str | None = None
) -> Accepted:
    """The user's own hand: a signal like any other, named by the form it came from, so that two clicks are
    one. `part` is a quantity, or a share of the position such as "50%"; without it all of it."""
    bot = bot_of(app, user, bot_id)
    return _ask(app, user, bot, "close", request_id, part)


def _ask(
    app: App, user: User, bot: Bot, action: str, request_id: str | None, part: str | None = None
) -> Accepted:
    body = json.dumps(
        {
            "action": action,
            "symbol": bot.symbol.text,
            "timeframe": bot.timeframe.text,
            "bot": str(bot.id),
            "id": request_id or new_id(app.clock.now()),
        }
        | ({"quantity": part} if part else {})
    )
    return app.engine.accept(user.id, parse(body.encode()), raw=body, origin=Origin.USER, sender=user.email)


def delete_bot(app: App, user: User, bot_id: int, *, position: str | None, hand_to: int | None) -> str:
    """Its history stays. While it owns something: closed first (then deleted by asking again), or handed to
    another bot."""
    bot = bot_of(app, user, bot_id)
    now = app.clock.now()
    if bot.position.quantity and position == "close":
        said = close_bot(
            app,
            user,
            bot_id,
            request_id=f"delete-{bot_id}-{plain(bot.position.quantity)}-{plain(bot.position.cost)}",
        )
        if isinstance(said, Receipt):
            app.wait(user.id, said.signal_id, 2.0)

    def work(conn: sa.Connection) -> None:
        current = table.get(conn, user.id, bot_id)
        if current is None:
            raise NotFound("bot")
        if any(order.bot_id == bot_id for order in order_table.open_in_account(conn, current.account_id)):
            raise Refusal(
                "the bot has an order out", "Take it back with a cancel signal, or wait until it has ended."
            )
        if current.position.quantity and position == "hand_over" and hand_to is not None:
            _hand_over(conn, user, current, hand_to, now)
        elif current.position.quantity:
            raise Refusal(
                f"the bot owns {plain(current.position.quantity)} {current.symbol.short}",
                (
                    "Add ?position=close to close it first, or ?position=hand_over&to=BOT_ID to give it to "
                    "another bot."
                ),
            )
        table.change(
            conn,
            user.id,
            bot_id,
            deleted_at=now,
            is_active=False,
            paused_reason="deleted",
            status="READY",
            updated_at=now,
        )
        message_table.record(conn, actor=user.id, action="bot deleted", now=now, subject=bot_id)

    app.db.write(work)
    return "deleted"


def _hand_over(conn: sa.Connection, user: User, bot: Bot, hand_to: int, now: Any) -> None:
    heir = table.get(conn, user.id, hand_to)
    if heir is None or heir.id == bot.id:
        raise NotFound("bot")
    if (heir.account_id, heir.symbol) != (bot.account_id, bot.symbol):
        raise Refusal(
            "the other bot trades something else or elsewhere",
            "Hand it to a bot of the same account and symbol.",
        )
    if heir.position.quantity or heir.status != "READY":
        raise Refusal(
            "the other bot owns something itself or has an order out", "Hand it to a bot that owns nothing."
        )
    order_table.give_lots(conn, user.id, bot.id, heir.id)
    trip_table.hand_over(conn, user.id, bot.id, heir.id)
    table.book(conn, replace(heir, position=bot.position, exits=bot.exits, status="FILLED"), now=now)
    table.book(conn, replace(bot, position=heir.position, exits=None, status="READY"), now=now)
    message_table.record(
        conn, actor=user.id, action="position handed over", now=now, subject=bot.id, detail={"to": heir.id}
    )


# --- switches -----------------------------------------------------------------------------------------------


def put_switch(app: App, user: User, *, scope: str, scope_id: int | None, stop: Stop, reason: str) -> None:
    """Works at once: it is asked at each decision and again at each sending."""
    now = app.clock.now()

    def work(conn: sa.Connection) -> None:
        number = check_scope(conn, user, scope, scope_id)
        owner = 0 if scope == "all" else user.id
        table.put_switch(
            conn, owner, scope=scope, scope_id=number, stop=stop, reason=reason[:200], set_by=user.id, at=now
        )
        message_table.record(
            conn,
            actor=user.id,
            action="switch",
            now=now,
            subject=number,
            detail={"scope": scope, "stop": stop},
        )
        if stop.weight >= Stop.REDUCE_ONLY.weight:
            order_table.cancel_entries(conn, scope=scope, scope_id=number)
        if stop is Stop.HALT:
            table.pause_scope(conn, scope=scope, scope_id=number, reason="halted by a switch", now=now)

    app.db.write(work)


def check_scope(conn: sa.Connection, user: User, scope: str, scope_id: int | None) -> int:
    """The number of what is meant, if it is this user's."""
    match scope:
        case "all":
            return 0
        case "user":
            return user.id
        case "account" if scope_id and account_table.get(conn, user.id, scope_id):
            return scope_id
        case "bot" if scope_id and table.get(conn, user.id, scope_id):
            return scope_id
    if scope_id is None:
        raise Malformed(
            f"the scope {scope} needs an id", where="id", hint=f"Send the id of the {scope} that is meant."
        )
    raise NotFound(scope)
