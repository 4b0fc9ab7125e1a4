"""The Flask application: receives alerts and serves the REST API.

An alert is answered as soon as it is durable; no request calls a broker. The worker runs in a separate
process under the supervisor: if this process fails, stops are still watched and signals executed."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from importlib import import_module

from flask import Blueprint, Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from dashtrade.api import admission, receiving
from dashtrade.api.answers import response_of
from dashtrade.api.direct_alerts import DirectAlerts
from dashtrade.api.error_answers import handle_errors
from dashtrade.api.http import add_security_headers, bearer, client_address, get_app, get_limits
from dashtrade.app import CannotStart, build_app
from dashtrade.context import App
from dashtrade.limits import Rate, ReceiverLimits
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

GIL_SWITCH_SECONDS = 0.001  # seconds a thread may hold the GIL: most threads only answer an alert
MAX_BODY_BYTES = 64 * 1024


@bp.post("/webhook")
def receive() -> Response:
    """Receive an alert. 202 once it is durable; with ?wait=SECONDS (at most 2.5), 200 and the outcome."""
    app = get_app()
    asked = receiving.AlertRequest(
        token=request.args.get("token") or bearer(),
        wait=request.args.get("wait", ""),
        content_length=request.content_length,
        body=lambda: request.get_data(cache=False),
        sender=client_address(),
    )
    try:
        answer = receiving.run_here(app, receiving.receive(app, get_limits(), asked, app.db.read))
    finally:
        g.user = asked.user
    return response_of(answer)


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
    flask = create_server(app)
    # on PostgreSQL an alert is read and written over a network, so it takes a thread
    direct = DirectAlerts(app, flask.config["LIMITS"]) if app.db.file is not None else None
    server = HttpServer(
        flask, host=settings.host, port=settings.webhook_port, max_body_bytes=MAX_BODY_BYTES, direct=direct
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
            if direct is not None:
                direct.close()
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
