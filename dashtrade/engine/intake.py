"""From an alert to a stored signal: exactly one, however often the alert is sent."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.as_json import from_json, to_json
from dashtrade.domain.decisions.decide import ENTRIES
from dashtrade.domain.reasons import NO_REASON, Code, Reason, quoted, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action, ExitCause, Origin, Signal
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import new_id, sha256
from dashtrade.domain.wording import words
from dashtrade.failpoints import failpoint
from dashtrade.tables import bots as bot_table
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import lanes as lane_table
from dashtrade.tables import signals as table
from dashtrade.tables import storage

RESEND_WINDOW = timedelta(seconds=30)  # TradingView repeats at 5, 10 and 15 s, each with a 3 s time-out


@record
class Receipt:
    """The signal is stored and will be decided once for each of these bots."""

    signal_id: str
    duplicate: bool
    lanes: tuple[lane_table.Lane, ...] = ()


@record
class NoBot:
    """No bot matches; recorded so that its user can see it."""

    signal_id: str
    message: str
    bots: tuple[dict[str, Any], ...]


@record
class Conflict:
    """The id was used before with other content."""

    signal_id: str
    message: str


IntakeResult = Receipt | NoBot | Conflict


class StorageFull(Exception):
    """The user's storage quota is used up, and the alert is no exit. Nothing of it is stored."""


@record
class Alert:
    """An alert to store. Its id is fixed beforehand, so that two attempts are one signal."""

    id: str
    owner: int
    signal: Signal
    content: str  # tells a repeat from a new alert
    raw: str
    origin: Origin
    sender: str
    received_at: datetime
    max_age: timedelta | None
    sender_waits: bool  # its sender waits for the outcome
    # bytes that may be stored for its owner; None for DashTrade's own signals and a user's manual ones
    storage_limit_bytes: int | None = None
    exit_cause: ExitCause | None = None  # of DashTrade's own closing signals

    def store(self, conn: sa.Connection) -> IntakeResult:
        return accept(conn, self)


def signal_json(signal: Signal) -> str:
    """DashTrade's own signal as text, in place of an alert's body."""
    return json.dumps(to_json(signal), ensure_ascii=False, sort_keys=True)


def signal_of(stored: Any) -> Signal:
    """As parsed on arrival; records older than that column are parsed again."""
    if stored.reading is not None:
        return from_json(Signal, stored.reading)
    return parse(stored.raw.encode()).signal


def accept(conn: sa.Connection, alert: Alert) -> IntakeResult:
    """One transaction: recognise a repeat, find the bots, store the signal with a pending decision for
    each."""
    owner, signal, now = alert.owner, alert.signal, alert.received_at
    row = _signal_row(alert)
    table.lock_key(conn, f"{owner}|{row['dedupe_key']}")
    before = table.repeat_of(conn, owner, row["dedupe_key"])
    if before is not None and before.id == alert.id:
        return Receipt(signal_id=before.id, duplicate=False)  # our own first attempt, whose answer was lost
    if before is not None and (signal.key is not None or now - before.received_at <= RESEND_WINDOW):
        return _repeated(conn, alert, before, row["body_hash"])
    listeners = listeners_of(conn, owner, signal)
    bots = 0 if isinstance(listeners, Reason) else len(listeners)
    total = storage.add(conn, owner, storage.alert_bytes(alert.raw, bots))
    if (
        alert.storage_limit_bytes is not None
        and total > alert.storage_limit_bytes
        and not count_exits(conn, owner, signal)
    ):
        raise StorageFull
    if isinstance(listeners, Reason):
        row |= {"status": "refused", "reason": listeners, "dedupe_key": None, "ended_at": now}
        table.add(conn, owner, row, [])
        return NoBot(signal_id=alert.id, message=words(listeners), bots=_bot_choices(conn, owner))
    table.add(
        conn,
        owner,
        row,
        listeners,
        due_at=now + signal.delay if signal.delay else None,
        expires_at=expiry(signal, now, alert.max_age),
    )
    failpoint("before_accept_commit")
    return Receipt(
        signal_id=alert.id,
        duplicate=False,
        lanes=tuple(lane_table.Lane(b.account_id, b.symbol) for b in listeners),
    )


def _repeated(conn: sa.Connection, alert: Alert, before: Any, body_hash: str) -> Receipt | Conflict:
    if before.body_hash == body_hash:
        table.count_repeat(conn, alert.owner, before.id, alert.received_at)
        return Receipt(signal_id=before.id, duplicate=True)
    key, symbol = alert.signal.key, alert.signal.symbol
    return Conflict(
        signal_id=before.id, message=f"the id {key!r} was already used for {symbol.short}, with other content"
    )


def _signal_row(alert: Alert) -> dict[str, Any]:
    signal = alert.signal
    return {
        "id": alert.id,
        "received_at": alert.received_at,
        "origin": alert.origin,
        "dialect": signal.dialect,
        "symbol": signal.symbol,
        "written_symbol": signal.written_symbol,
        "timeframe": signal.timeframe.seconds if signal.timeframe else None,
        "action": signal.action,
        "status": "accepted",
        "reason": NO_REASON,
        "dedupe_key": _dedupe_key(signal, alert.content),
        "body_hash": sha256(alert.content),
        "reading": to_json(signal),
        "raw": alert.raw,
        "sender": alert.sender,
        "exit_cause": alert.exit_cause,
    }


def count_exits(conn: sa.Connection, owner: int, signal: Signal) -> int:
    """For how many bots this is an exit: from a position, a working order, or a waiting entry. 0: no exit, or
    nothing to exit. A buy exits a short, a sell a long."""
    listeners = listeners_of(conn, owner, signal)
    engaged = (
        []
        if isinstance(listeners, Reason)
        else decision_table.engaged(conn, owner, [bot.id for bot in listeners])
    )
    if signal.action not in ENTRIES:
        return len(engaged)
    exited_sign = {Action.BUY: -1, Action.SELL: 1}.get(signal.action)
    quantities = [
        bot.position_quantity for bot in engaged if bot.position_quantity and signal.action is not Action.ADD
    ]
    return len([quantity for quantity in quantities if exited_sign is None or quantity * exited_sign > 0])


def record_refusal(
    conn: sa.Connection,
    owner: int,
    *,
    raw: str,
    why: str,
    sender: str,
    now: datetime,
    storage_limit_bytes: int,
) -> str:
    """Store a body that could not be parsed: its sender is a machine, so the user looks for the error
    here."""
    signal_id = new_id(now)
    if storage.add(conn, owner, storage.alert_bytes(raw, 0)) > storage_limit_bytes:
        raise StorageFull
    table.add(
        conn,
        owner,
        {
            "id": signal_id,
            "received_at": now,
            "origin": Origin.WEBHOOK,
            "dialect": "unreadable",
            "symbol": None,
            "written_symbol": "",
            "timeframe": None,
            "action": "",
            "status": "refused",
            "reason": quoted(why),
            "dedupe_key": None,
            "body_hash": sha256(raw),
            "raw": raw,
            "sender": sender,
            "ended_at": now,
        },
        [],
    )
    return signal_id


def _dedupe_key(signal: Signal, content: str) -> str:
    """A sender's id counts per symbol, timeframe and named bot (people send `{{timenow}}`); without an id,
    the content is the key."""
    if signal.key is None:
        return f"body:{sha256(content)}"
    return f"id:{signal.symbol}|{signal.timeframe or ''}|{signal.bot or ''}|{signal.key}"


def expiry(signal: Signal, now: datetime, max_age: timedelta | None) -> datetime | None:
    limits = [limit for limit in (signal.max_age, max_age) if limit is not None]
    return min(signal.sent_at or now, now) + min(limits) if limits else None


def listeners_of(conn: sa.Connection, owner: int, signal: Signal) -> list[Any] | Reason:
    """The bots the signal is for, or why there are none."""
    symbol_text = signal.symbol.short
    if signal.bot is not None:
        return _bots_by_name(bot_table.all_with_names(conn, owner), signal)
    listening = bot_table.listening_on(conn, owner, signal.symbol)
    if not listening:
        return reason(Code.NO_BOT_ON_SYMBOL, symbol=symbol_text)
    if signal.timeframe is None:
        timeframes = {bot.timeframe for bot in listening}
        return listening if len(timeframes) == 1 else reason(Code.SEVERAL_TIMEFRAMES, symbol=symbol_text)
    on_timeframe = [bot for bot in listening if bot.timeframe == signal.timeframe.seconds]
    return on_timeframe or reason(
        Code.NO_BOT_ON_TIMEFRAME, symbol=symbol_text, timeframe=signal.timeframe.shown
    )


def _bots_by_name(bots: list[Any], signal: Signal) -> list[Any] | Reason:
    wanted = (signal.bot or "").strip()
    found = [bot for bot in bots if str(bot.id) == wanted] or [
        bot for bot in bots if bot.name.casefold() == wanted.casefold()
    ]
    if not found:
        return reason(Code.NO_SUCH_BOT, bot=wanted)
    if len(found) > 1:
        return reason(Code.SEVERAL_BOTS_OF_THAT_NAME, bot=wanted)
    bot = found[0]
    if bot.symbol != signal.symbol:
        return reason(
            Code.BOT_TRADES_OTHER_SYMBOL, bot=wanted, trades=bot.symbol.short, symbol=signal.symbol.short
        )
    if signal.timeframe is not None and bot.timeframe != signal.timeframe.seconds:
        works = Timeframe(bot.timeframe).shown
        return reason(Code.BOT_ON_OTHER_TIMEFRAME, bot=wanted, works=works, timeframe=signal.timeframe.shown)
    return found


def _bot_choices(conn: sa.Connection, owner: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"bot_id": bot.id, "symbol": _short_name(bot.symbol), "timeframe": Timeframe(bot.timeframe).shown}
        for bot in bot_table.all_with_names(conn, owner)[:50]
    )


def _short_name(symbol: Symbol) -> str:
    return symbol.short
