"""The Flask application: receives alerts and serves the REST API.

An alert is answered as soon as it is durable; no request calls a broker. The worker runs in a separate
process under the supervisor: if this process fails, stops are still watched and signals executed."""

from __future__ import annotations

import logging
import math
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from bot_engine import Conflict, NoBot
from dashtrade.api import admission
from dashtrade.api.answers import ApiError, reply
from dashtrade.api.error_answers import handle_errors
from dashtrade.api.http import WEBHOOK_HINT, add_security_headers, bearer, client_address, get_app, get_limits
from dashtrade.api.signal_fields import outcome_fields
from dashtrade.app import CannotStart, build_app
from dashtrade.context import App
from dashtrade.domain.alert_retention import cut, text_to_store, written
from dashtrade.domain.alerts.dialects import ParsedAlert, open_body, read, secret_of
from dashtrade.domain.alerts.payload import secrets_in
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.domain.values import Malformed, as_sentence, sha256
from dashtrade.engine.intake import StorageFull, record_refusal
from dashtrade.limits import Rate, ReceiverLimits
from dashtrade.services.operations import quotas
from dashtrade.services.people import tokens
from dashtrade.services.trading import signal_story
from dashtrade.settings import EX_CONFIG, Settings

log = logging.getLogger("dashtrade.webhook")
# the modules of `dashtrade/api/` that define a resource
API = tuple(
    import_module(f"dashtrade.api.{resource}")
    for resource in (
        "accounts",
        "admin",
        "attention",
        "auth",
        "bots",
        "brokers",
        "drifts",
        "explain",
        "health",
        "openapi",
        "orders",
        "own",
        "performance",
        "positions",
        "protections",
        "round_trips",
        "signals",
        "switches",
        "trades",
    )
)
bp = Blueprint("webhook", __name__)

# Alerts are parsed one at a time, as Python runs one thread at a time anyway. Nothing waits for the database
# or the network while holding the lock.
PARSE_LOCK = threading.Lock()
GIL_SWITCH_SECONDS = 0.001  # seconds a thread may hold the GIL: most threads only answer an alert
MAX_BODY_BYTES = 64 * 1024
# limit for an unknown sender (the token may be in the body) and for one above the rate (the alert may be an
# exit)
MAX_SHORT_BODY_BYTES = 4 * 1024
MAX_WAIT_SECONDS = 2.5  # TradingView gives up after 3 s
TRADINGVIEW_ADDRESSES = frozenset({"52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7"})


# --- the alert ----------------------------------------------------------------------------------------------


@bp.post("/webhook")
def receive() -> Response:
    """Receive an alert. 202 once it is durable; with ?wait=SECONDS (at most 2.5), 200 and the outcome."""
    app, wait = get_app(), _wait_seconds()
    user = _sender_by_token(app)
    refusal: Exception | None = admission.too_many(user) if user is not None else _unknown_sender()
    g.user = user
    if refusal is not None and (
        request.content_length is None or request.content_length > MAX_SHORT_BODY_BYTES
    ):
        raise refusal
    raw = request.get_data(cache=False)
    with PARSE_LOCK:
        opened, problem = _open(raw)
    if user is None:
        user = _sender_by_body(app, opened)
        refusal = admission.too_many(user)
    g.user = user
    refusal = refusal or admission.no_room(app, user)
    try:
        if problem is not None:
            raise problem
        with PARSE_LOCK:
            reading = read(opened)
            text = text_to_store(opened, reading.signal)
    except Malformed as error:
        raise refusal or _refused(app, user, raw, opened, error) from None
    _check_secret(user, opened)
    if refusal is not None:
        admission.let_exits_pass(app, user, reading.signal, refusal)
    return _accept(app, user, reading, text, wait)


def _accept(app: App, user: User, reading: ParsedAlert, text: str, wait: float) -> Response:
    try:
        accepted = app.engine.accept(
            user.id,
            reading.signal,
            content=reading.canonical,
            raw=text,
            origin=Origin.WEBHOOK,
            sender=client_address(),
            sender_waits=bool(wait),
            max_age=timedelta(seconds=user.max_alert_age) if user.max_alert_age else None,
            storage_limit_bytes=quotas.room_of(app, user),
        )
    except StorageFull:
        raise admission.no_storage(app, user) from None
    match accepted:
        case NoBot():
            choices = [f"{bot['symbol']} on {bot['timeframe']}" for bot in accepted.bots]
            hint = (
                f"Your bots: {', '.join(choices[:20])}."
                if choices
                else "You have no bots yet: create one first."
            )
            raise ApiError(
                404,
                "no_bot",
                as_sentence(accepted.message),
                hint,
                bots=list(accepted.bots),
                signal_id=accepted.signal_id,
            )
        case Conflict():
            raise ApiError(
                409,
                "conflict",
                as_sentence(accepted.message),
                "Use a new id for a new alert.",
                signal_id=accepted.signal_id,
            )
    with get_limits().waiting.place(user.id) as placed:
        if wait and placed:
            outcome = app.wait(user.id, accepted.signal_id, wait, fresh=not accepted.duplicate)
            outcome = outcome or signal_story.outcome(app, user.id, accepted.signal_id)
            return reply((outcome_fields(outcome) if outcome else {}) | {"duplicate": accepted.duplicate})
    return reply(
        {"signal_id": accepted.signal_id, "status": "accepted", "duplicate": accepted.duplicate}, 202
    )


def _open(raw: bytes) -> tuple[Any, Malformed | None]:
    try:
        return open_body(raw), None
    except Malformed as error:
        return None, error


def _wait_seconds() -> float:
    text = request.args.get("wait", "")
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


def _sender_by_token(app: App) -> User | None:
    """The user of the token in the address or the header, before the body is read. Unknown and revoked
    tokens get the same answer."""
    token = request.args.get("token") or bearer()
    return _sender(tokens.by_webhook_token(app, token)) if token else None


def _sender_by_body(app: App, opened: Any) -> User:
    """The user of the token in the body."""
    token = secret_of(opened) if opened is not None else None
    return _sender(tokens.by_webhook_token(app, token) if token else None)


def _unknown_sender() -> ApiError:
    return ApiError(
        401, "unauthorized", "The webhook token is missing, unknown or no longer valid.", WEBHOOK_HINT
    )


def _sender(user: User | None) -> User:
    if user is None:
        raise _unknown_sender()
    if user.tradingview_only and client_address() not in TRADINGVIEW_ADDRESSES:
        raise ApiError(
            401,
            "unauthorized",
            "This user accepts alerts from TradingView's addresses only.",
            "Send the alert from TradingView, or change the option under Setup.",
        )
    return user


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


def _refused(app: App, user: User, raw: bytes, opened: Any, error: Malformed) -> Exception:
    """400, and on record: the sender is a program, and its user finds the reason in the list of signals."""
    shown = (
        written(opened)
        if opened is not None
        else raw[:2000].decode("utf-8", "replace").replace("\x00", "\ufffd")
    )
    reason = (
        f"{error.message}{f' ({error.where})' if error.where and error.where not in error.message else ''}"
    )
    sender, now, room = client_address(), app.clock.now(), quotas.room_of(app, user)
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


# --- the process --------------------------------------------------------------------------------------------


def create_server(app: App) -> Flask:
    flask = Flask("dashtrade", static_folder=None)
    limits = ReceiverLimits(alerts=Rate(app.settings.webhook_rate, burst_seconds=admission.BURST_SECONDS))
    flask.config.update(
        DASHTRADE=app, LIMITS=limits, MAX_CONTENT_LENGTH=MAX_BODY_BYTES, PROPAGATE_EXCEPTIONS=False
    )
    # either would answer with a redirect to the host that the request names
    flask.url_map.strict_slashes = flask.url_map.merge_slashes = False
    handle_errors(flask)
    flask.after_request(add_security_headers)
    for part in API:
        flask.register_blueprint(part.bp)
    flask.register_blueprint(bp)
    if app.settings.proxy_hops:
        flask.wsgi_app = ProxyFix(flask.wsgi_app, x_for=1, x_proto=1, x_host=0, x_port=0, x_prefix=0)  # type: ignore[method-assign]
    return flask


def prepared(settings: Settings) -> Callable[[], int]:
    """Everything that can fail at start is done here; later failures lead to a restart."""
    from dashtrade.http_server import HttpServer

    app = build_app(settings)
    app.connect()
    server = HttpServer(
        create_server(app), host=settings.host, port=settings.webhook_port, max_body_bytes=MAX_BODY_BYTES
    )
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit(0))
    log.info("the receiver listens on %s:%s", settings.host, settings.webhook_port)
    if settings.unencrypted:
        log.warning("%s", settings.unencrypted)

    def run() -> int:
        """Until SIGTERM or SIGINT: no new requests then; those in progress finish, the rest stays in the
        database."""
        try:
            server.run()
        except SystemExit:
            log.info("stopping")
        finally:
            server.close()
            app.close()
        return 0

    return run


def main() -> int:
    from dashtrade import security_log
    from dashtrade.logs import set_up
    from dashtrade.processes.parent_watchdog import watch_parent

    watch_parent()
    sys.setswitchinterval(GIL_SWITCH_SECONDS)
    try:
        settings = Settings.load()
        set_up(settings.log_level)
        security_log.set_folder(settings.logs)
        run = prepared(settings)
    except (CannotStart, ValueError, OSError) as error:
        print(f"DashTrade's receiver cannot start. {error}", file=sys.stderr)
        return EX_CONFIG
    return run()


if __name__ == "__main__":
    sys.exit(main())
