"""The same alert once more, on paper: to see what it would come to now, with nothing at stake."""

from __future__ import annotations

import json
from typing import Any

from bot_engine import Accepted
from dashtrade.context import App
from dashtrade.domain.alert_retention import kept
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.alerts.payload import bare, open_body
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.signals import Signal, SizeKind
from dashtrade.domain.values import plain
from dashtrade.services.bots.bots import NotFound, Refusal, bot_of
from dashtrade.services.operations import quotas
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import signals as signal_table

# Whose alert it was, when, and which one: said anew, or by the bot that is chosen.
_DROPPED = frozenset(
    [
        "id",
        "signalid",
        "alerttimestamp",
        "alertid",
        "idempotencykey",
        "sentat",
        "timenow",
        "timestamp",
        "time",
        "bot",
        "botid",
        "botuuid",
        "botname",
        "maxlag",
        "maxage",
        "token",
        "secret",
        "passphrase",
        "key",
        "timeframe",
        "interval",
        "tf",
    ]
)


def bots_for(app: App, user: User, signal_id: str) -> list[Bot]:
    """Bots on paper accounts that trade what the alert is about."""
    with app.db.read() as conn:
        row = signal_table.get(conn, user.id, signal_id)
        if row is None:
            raise NotFound("signal")
        if row.symbol is None:
            return []
        paper = {
            account.id
            for account in account_table.list_all(conn, user.id)
            if account.mode == "paper" and account.is_active
        }
        found = [
            bot_table.get(conn, user.id, heard.id)
            for heard in bot_table.hearing(conn, user.id, row.symbol)
            if heard.account_id in paper
        ]
    return [bot for bot in found if bot is not None]


def on_paper(app: App, user: User, signal_id: str, *, bot_id: int, request_id: str) -> Accepted:
    """A new signal like any other; sent twice from one question, it is one."""
    with app.db.read() as conn:
        row = signal_table.get(conn, user.id, signal_id)
    if row is None:
        raise NotFound("signal")
    if not row.raw or row.symbol is None:
        raise Refusal(
            "what was sent is not kept any more, or could not be read", "Send the alert itself again."
        )
    if bot_id not in {bot.id for bot in bots_for(app, user, signal_id)}:
        bot_of(app, user, bot_id)
        raise Refusal(
            "the bot trades something else, or not on paper",
            "Choose a bot of a paper account that trades the alert's symbol.",
        )
    body = _again(row.raw) | {"bot": str(bot_id), "id": f"replay-{signal_id[:16]}-{request_id}"}
    reading = parse(json.dumps(body).encode())
    return quotas.take_in(app, user, reading, raw=kept(body, reading.signal), sender=f"replay of {signal_id}")


def _again(raw: str) -> dict[str, Any]:
    opened = open_body(raw.encode())
    if isinstance(opened, dict):
        return {name: value for name, value in opened.items() if bare(name) not in _DROPPED}
    return _written(parse(raw.encode()).signal)


def _written(signal: Signal) -> dict[str, Any]:
    """A line of words as fields."""
    said: dict[str, Any] = {"action": str(signal.action), "symbol": signal.written_symbol}
    match signal.size:
        case None:
            return said
        case size if size.kind in (SizeKind.EQUITY_PERCENT, SizeKind.POSITION_PERCENT):
            return said | {"quantity": f"{plain(size.value)}%"}
        case size:
            return said | {"quantity": plain(size.value)}
