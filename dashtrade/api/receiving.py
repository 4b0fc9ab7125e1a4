"""An alert from its sender to its answer, without a web framework.

The steps are a generator: it yields what may block or wait, and its driver decides how. Flask's view does
one after another in its thread (`run_here`); the event loop (`direct_alerts`) hands the alert over to the
worker and waits for an outcome without a thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from bot_engine import Conflict, IntakeResult, NoBot, Receipt
from dashtrade.api import admission
from dashtrade.api.answers import Answer, ApiError
from dashtrade.api.http import WEBHOOK_HINT
from dashtrade.api.signal_fields import outcome_fields
from dashtrade.context import App
from dashtrade.domain.alert_retention import cut, text_to_store, written
from dashtrade.domain.alerts.dialects import ParsedAlert, open_body, read, secret_of
from dashtrade.domain.alerts.payload import secrets_in
from dashtrade.domain.kernel.accepting import Alert, StorageFull
from dashtrade.domain.people import User
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import Malformed, as_sentence, new_id, sha256
from dashtrade.engine.intake import record_refusal
from dashtrade.limits import ReceiverLimits
from dashtrade.services.operations import quotas
from dashtrade.services.people import tokens
from dashtrade.services.trading import signal_story

# limit for an unknown sender (the token may be in the body) and for one above the rate (the alert may be an
# exit)
MAX_SHORT_BODY_BYTES = 4 * 1024
MAX_WAIT_SECONDS = 2.5  # TradingView gives up after 3 s
TRADINGVIEW_ADDRESSES = frozenset({"52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7"})


@dataclass(slots=True, kw_only=True)
class AlertRequest:
    token: str | None  # of the address or the header
    wait: str
    content_length: int | None
    body: Callable[[], bytes]
    sender: str
    user: User | None = None  # once known


@dataclass(slots=True)
class Block:
    """Call `fn`, which may wait for the disk or a lock."""

    fn: Callable[[], Any]


@dataclass(slots=True)
class HandOver:
    """Make the alert durable in the process that holds the database's writer. None: not stored there."""

    alert: Alert


@dataclass(slots=True, kw_only=True)
class AwaitOutcome:
    """Wait until the signal has an outcome, or the time is over. None: ask the database."""

    owner: int
    signal_id: str
    seconds: float
    fresh: bool


Steps = Generator[Block | HandOver | AwaitOutcome, Any, Answer]
Read = Callable[[], AbstractContextManager[sa.Connection]]

# Threads parse one at a time, as Python runs one thread at a time anyway. Nothing waits for the database or
# the network while holding the lock.
PARSE_LOCK = threading.Lock()


def receive(app: App, limits: ReceiverLimits, asked: AlertRequest, reader: Read) -> Steps:
    """202 once the alert is durable; with ?wait=SECONDS (at most 2.5), 200 and the outcome."""
    wait = _wait_seconds(asked.wait)
    if asked.token:
        asked.user = yield from _sender(app, asked, asked.token, reader)
    user = asked.user
    refusal: Exception | None = admission.too_many(limits, user) if user is not None else _unknown_sender()
    if refusal is not None and (asked.content_length is None or asked.content_length > MAX_SHORT_BODY_BYTES):
        raise refusal
    raw = asked.body()
    with PARSE_LOCK:
        opened, problem = _open(raw)
    if user is None:
        token = secret_of(opened) if opened is not None else None
        if not token:
            raise _unknown_sender()
        asked.user = user = yield from _sender(app, asked, token, reader)
        refusal = admission.too_many(limits, user)
    refusal = refusal or admission.no_room(app, user, reader)
    try:
        if problem is not None:
            raise problem
        with PARSE_LOCK:
            reading = read(opened)
            text = text_to_store(opened, reading.signal)
    except Malformed as malformed:
        if refusal is not None:
            raise refusal from None
        error, about = malformed, user  # as a name that outlives this block
        raise (yield Block(lambda: _refused(app, about, raw, opened, error, asked.sender))) from None
    _check_secret(user, opened)
    if refusal is not None:
        admission.let_exits_pass(app, limits, user, reading.signal, refusal)
    alert = _alert(app, user, reading, text, asked.sender, wait)
    return (yield from _accept(app, limits, user, alert, wait))


def _alert(app: App, user: User, reading: ParsedAlert, text: str, sender: str, wait: float) -> Alert:
    now = app.clock.now()
    return Alert(
        id=new_id(now),
        owner=user.id,
        signal=reading.signal,
        content=reading.canonical,
        raw=text,
        origin=Origin.WEBHOOK,
        sender=sender,
        received_at=now,
        max_age=timedelta(seconds=user.max_alert_age) if user.max_alert_age else None,
        sender_waits=bool(wait),
        storage_limit_bytes=quotas.room_of(app, user),
    )


def _accept(app: App, limits: ReceiverLimits, user: User, alert: Alert, wait: float) -> Steps:
    try:
        accepted: IntakeResult | None = yield HandOver(alert)
        if accepted is None:
            accepted = yield Block(lambda: app.engine.store(alert))
    except StorageFull:
        raise admission.no_storage(app, user) from None
    match accepted:
        case NoBot():
            raise _no_bot(accepted)
        case Conflict():
            raise ApiError(
                409,
                "conflict",
                as_sentence(accepted.message),
                "Use a new id for a new alert.",
                signal_id=accepted.signal_id,
            )
    assert isinstance(accepted, Receipt)
    if wait:
        with limits.waiting.place(user.id) as placed:
            if placed:
                return (yield from _outcome(app, user, accepted, wait))
    body = {"signal_id": accepted.signal_id, "status": "accepted", "duplicate": accepted.duplicate}
    return Answer(status=202, body=body)


def _outcome(app: App, user: User, accepted: Receipt, wait: float) -> Steps:
    outcome: SignalOutcome | None = yield AwaitOutcome(
        owner=user.id, signal_id=accepted.signal_id, seconds=wait, fresh=not accepted.duplicate
    )
    if outcome is None:
        outcome = yield Block(lambda: signal_story.outcome(app, user.id, accepted.signal_id))
    return Answer(body=(outcome_fields(outcome) if outcome else {}) | {"duplicate": accepted.duplicate})


def _no_bot(accepted: NoBot) -> ApiError:
    choices = [f"{bot['symbol']} on {bot['timeframe']}" for bot in accepted.bots]
    hint = f"Your bots: {', '.join(choices[:20])}." if choices else "You have no bots yet: create one first."
    return ApiError(
        404,
        "no_bot",
        as_sentence(accepted.message),
        hint,
        bots=list(accepted.bots),
        signal_id=accepted.signal_id,
    )


def _open(raw: bytes) -> tuple[Any, Malformed | None]:
    try:
        return open_body(raw), None
    except Malformed as error:
        return None, error


def _wait_seconds(text: str) -> float:
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ApiError(
            400,
            "bad_request",
            f"wait cannot be {text[:20]!r}.",
            f"A number of seconds from 0 to {MAX_WAIT_SECONDS}.",
            field="wait",
        )
    return min(seconds, MAX_WAIT_SECONDS)  # a longer wait is shortened: no reason to lose the alert


def _sender(
    app: App, asked: AlertRequest, token: str, reader: Read
) -> Generator[Block | HandOver | AwaitOutcome, Any, User]:
    """The user of the token. Unknown and revoked tokens get the same answer."""
    with reader() as conn:
        found = tokens.of_webhook_token(app, conn, token)
    if found is None:
        raise _unknown_sender()
    if found.touch is not None:
        yield Block(found.touch)
    if found.user.tradingview_only and asked.sender not in TRADINGVIEW_ADDRESSES:
        raise ApiError(
            401,
            "unauthorized",
            "This user accepts alerts from TradingView's addresses only.",
            "Send the alert from TradingView, or change the option under Setup.",
        )
    return found.user


def _unknown_sender() -> ApiError:
    return ApiError(
        401, "unauthorized", "The webhook token is missing, unknown or no longer valid.", WEBHOOK_HINT
    )


def _check_secret(user: User, opened: Any) -> None:
    if user.body_secret_hash is None:
        return
    if user.body_secret_hash not in map(sha256, secrets_in(opened)):
        raise ApiError(
            401,
            "unauthorized",
            "This user requires a secret in the alert's body, and it is missing or wrong.",
            'Add "secret": "…" to the alert, or secret=… to its text.',
        )


def _refused(app: App, user: User, raw: bytes, opened: Any, error: Malformed, sender: str) -> Exception:
    """400, and on record: the sender is a program, and its user finds the reason in the list of signals."""
    shown = (
        written(opened)
        if opened is not None
        else raw[:2000].decode("utf-8", "replace").replace("\x00", "\ufffd")
    )
    reason = (
        f"{error.message}{f' ({error.where})' if error.where and error.where not in error.message else ''}"
    )
    now, room = app.clock.now(), quotas.room_of(app, user)
    try:
        signal_id = app.db.write(
            lambda conn: record_refusal(
                conn, user.id, raw=cut(shown), why=reason, sender=sender, now=now, storage_limit_bytes=room
            )
        )
    except StorageFull:
        return admission.no_storage(app, user)
    return ApiError(
        400, "bad_alert", as_sentence(error.message), error.hint, field=error.where, signal_id=signal_id
    )


# --- in a thread of its own ---------------------------------------------------------------------------------


def run_here(app: App, steps: Steps) -> Answer:
    """Take the steps one after another in this thread."""
    try:
        effect = next(steps)
        while True:
            try:
                result = _carry_out(app, effect)
            except Exception as error:
                effect = steps.throw(error)
            else:
                effect = steps.send(result)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _carry_out(app: App, effect: Block | HandOver | AwaitOutcome) -> Any:
    match effect:
        case Block():
            return effect.fn()
        case HandOver():
            return app.engine.host.store(effect.alert)
        case AwaitOutcome():
            return app.wait(effect.owner, effect.signal_id, effect.seconds, fresh=effect.fresh)
