"""From an alert to a stored signal with a decision for each of its bots: exactly one, however often the alert
is sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from dashtrade.domain.alert_retention import alert_bytes
from dashtrade.domain.bots import Bot
from dashtrade.domain.decisions.decide import ENTRIES
from dashtrade.domain.decisions.pending import PendingDecision
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.kernel.outcomes import Outcome
from dashtrade.domain.kernel.records import NewSignal, Repeat
from dashtrade.domain.kernel.source import AlertSource, Listener, NewRow, StoredAlert
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record
from dashtrade.domain.signals import Action, ExitCause, Origin, Signal
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import sha256
from dashtrade.domain.wording import words

RESEND_WINDOW = timedelta(seconds=30)  # TradingView repeats at 5, 10 and 15 s, each with a 3 s time-out


@record
class Receipt:
    """The signal is stored and will be decided once for each of these bots."""

    signal_id: str
    duplicate: bool
    lanes: tuple[Lane, ...] = ()


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


def accept(books: Books, alert: Alert) -> IntakeResult:
    """Recognise a repeat, find the bots, store the signal with a pending decision for each."""
    owner, signal, now = alert.owner, alert.signal, alert.received_at
    key, body_hash = _dedupe_key(signal, alert.content), sha256(alert.content)
    before = books.source.repeat_of(owner, key)
    if before is not None and before.id == alert.id:
        return Receipt(signal_id=before.id, duplicate=False)  # our own first attempt, whose answer was lost
    if before is not None and (signal.key is not None or now - before.received_at <= RESEND_WINDOW):
        return _repeated(books, alert, before, body_hash)
    bots = listeners_of(books.source, owner, signal)
    count = 0 if isinstance(bots, Reason) else len(bots)
    total = books.add_stored_bytes(owner, alert_bytes(alert.raw, count))
    limit = alert.storage_limit_bytes
    if limit is not None and total > limit and not count_exits(books.source, owner, signal):
        raise StorageFull
    books.add_signal(
        NewSignal(
            id=alert.id,
            user_id=owner,
            signal=signal,
            received_at=now,
            origin=alert.origin,
            sender=alert.sender,
            raw=alert.raw,
            dedupe_key=key if count else None,
            body_hash=body_hash,
            exit_cause=alert.exit_cause,
        )
    )
    if isinstance(bots, Reason):
        books.put_signal(alert.id, Outcome("refused", bots), now)
        choices = _bot_choices(books.source, owner)
        return NoBot(signal_id=alert.id, message=words(bots), bots=choices)
    due_at, expires_at = now + signal.delay if signal.delay else None, expiry(signal, now, alert.max_age)
    for bot in bots:
        books.add_decision(
            new_decision(
                books, alert.id, bot, now, sole_recipient=len(bots) == 1, due_at=due_at, expires_at=expires_at
            )
        )
    lanes = tuple(Lane(bot.account_id, bot.symbol) for bot in bots)
    return Receipt(signal_id=alert.id, duplicate=False, lanes=lanes)


def new_decision(
    books: Books,
    signal_id: str,
    bot: Bot | Listener,
    received_at: datetime,
    *,
    sole_recipient: bool = True,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
) -> PendingDecision:
    return PendingDecision(
        id=books.source.new_id(NewRow.DECISION),
        user_id=bot.user_id,
        signal_id=signal_id,
        bot_id=bot.id,
        account_id=bot.account_id,
        symbol=bot.symbol,
        status="waiting",
        reason=NO_REASON,
        sole_recipient=sole_recipient,
        cancelled_count=0,
        received_at=received_at,
        due_at=due_at,
        held_until=None,
        expires_at=expires_at,
    )


def _repeated(books: Books, alert: Alert, before: StoredAlert, body_hash: str) -> Receipt | Conflict:
    if before.body_hash == body_hash:
        repeat = Repeat(user_id=alert.owner, signal_id=before.id, at=alert.received_at)
        books.changes.repeats.append(repeat)
        return Receipt(signal_id=before.id, duplicate=True)
    key, symbol = alert.signal.key, alert.signal.symbol
    return Conflict(
        signal_id=before.id, message=f"the id {key!r} was already used for {symbol.short}, with other content"
    )


def count_exits(source: AlertSource, owner: int, signal: Signal) -> int:
    """For how many bots this is an exit: from a position, a working order, or a waiting entry. 0: no exit, or
    nothing to exit. A buy exits a short, a sell a long."""
    bots = listeners_of(source, owner, signal)
    engaged = [] if isinstance(bots, Reason) else source.engaged(owner, [bot.id for bot in bots])
    if signal.action not in ENTRIES:
        return len(engaged)
    exited_sign = {Action.BUY: -1, Action.SELL: 1}.get(signal.action)
    quantities = [quantity for quantity in engaged if quantity and signal.action is not Action.ADD]
    return len([quantity for quantity in quantities if exited_sign is None or quantity * exited_sign > 0])


def _dedupe_key(signal: Signal, content: str) -> str:
    """A sender's id counts per symbol, timeframe and named bot (people send `{{timenow}}`); without an id,
    the content is the key."""
    if signal.key is None:
        return f"body:{sha256(content)}"
    return f"id:{signal.symbol}|{signal.timeframe or ''}|{signal.bot or ''}|{signal.key}"


def expiry(signal: Signal, now: datetime, max_age: timedelta | None) -> datetime | None:
    limits = [limit for limit in (signal.max_age, max_age) if limit is not None]
    return min(signal.sent_at or now, now) + min(limits) if limits else None


def listeners_of(source: AlertSource, owner: int, signal: Signal) -> list[Listener] | Reason:
    """The bots the signal is for, or why there are none."""
    symbol_text = signal.symbol.short
    if signal.bot is not None:
        return _bots_by_name(source.all_listeners(owner), signal)
    listening = list(source.listening_on(owner, signal.symbol))
    if not listening:
        return reason(Code.NO_BOT_ON_SYMBOL, symbol=symbol_text)
    if signal.timeframe is None:
        timeframes = {bot.timeframe for bot in listening}
        return listening if len(timeframes) == 1 else reason(Code.SEVERAL_TIMEFRAMES, symbol=symbol_text)
    on_timeframe = [bot for bot in listening if bot.timeframe == signal.timeframe.seconds]
    return on_timeframe or reason(
        Code.NO_BOT_ON_TIMEFRAME, symbol=symbol_text, timeframe=signal.timeframe.shown
    )


def _bots_by_name(bots: Sequence[Listener], signal: Signal) -> list[Listener] | Reason:
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


def _bot_choices(source: AlertSource, owner: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"bot_id": bot.id, "symbol": bot.symbol.short, "timeframe": Timeframe(bot.timeframe).shown}
        for bot in source.all_listeners(owner)[:50]
    )
