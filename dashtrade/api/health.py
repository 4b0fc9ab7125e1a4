"""Health, for monitors and the dashboard."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response

from bot_database import DatabaseUnavailable
from dashtrade.api.answers import reply
from dashtrade.api.http import get_app, token_access
from dashtrade.context import App
from dashtrade.domain.access import Permission, TokenScope, may
from dashtrade.services.operations import health as service

bp = Blueprint("health", __name__)
log = logging.getLogger("dashtrade.webhook")


@bp.get("/health")
def health() -> Response:
    """503 when the database or the worker is down. Open to any web page: the dashboard's pages ask here
    whether the engine still runs when the dashboard does not answer. Only users who may see the system get
    the number of waiting signals."""
    app = get_app()
    body: dict[str, Any] = {"status": "ok", "process": "ok", "database": "ok", "worker": "ok"}
    try:
        silence = service.worker_silence(app)
        if silence is None or silence > service.WORKER_MISSING_SECONDS:
            body |= {"status": "failing", "worker": "not seen yet" if silence is None else "silent"}
        if _sees_system():
            body |= _waiting(app)
    except DatabaseUnavailable as error:
        log.warning("%s", error)
        body |= {"status": "failing", "database": "away", "worker": "unknown"}
    answer = reply(body, 200 if body["status"] == "ok" else 503)
    answer.headers["access-control-allow-origin"] = "*"
    return answer


def _sees_system() -> bool:
    found = token_access()
    return (
        found is not None
        and may(found.user.role, Permission.SEE_SYSTEM)
        and bool(found.scopes & {TokenScope.READ, TokenScope.ADMIN})
    )


def _waiting(app: App) -> dict[str, Any]:
    queue = service.queue(app)
    late = (app.clock.now() - queue.oldest).total_seconds() if queue.oldest else 0
    return {"waiting": queue.waiting, "oldest_waiting_seconds": round(late, 3)}
