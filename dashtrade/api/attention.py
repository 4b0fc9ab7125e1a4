"""What needs attention."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from dashtrade.api.http import endpoint, get_app
from dashtrade.domain.people import User
from dashtrade.domain.values import iso
from dashtrade.domain.wording import words
from dashtrade.services.trading import attention as service
from dashtrade.services.trading.attention import AttentionItem

bp = Blueprint("attention", __name__, url_prefix="/api/v1")


def _view(item: AttentionItem) -> dict[str, Any]:
    return {
        "kind": str(item.kind),
        "severity": str(item.severity),
        "page": str(item.page),
        "at": iso(item.at) if item.at is not None else None,
        "reason": words(item.reason),
        "reason_code": str(item.reason.code),
        "facts": dict(item.facts),
        "account_id": item.account_id,
        "bot_id": item.bot_id,
        "signal_id": item.signal_id,
    }


@endpoint(bp, "GET", "/attention")
def attention(user: User) -> dict[str, Any]:
    """What needs attention, errors first: orders whose status is unknown, position mismatches, accounts and
    bots that do not trade, locks, storage, refused alerts. `page`: where to resolve it on the dashboard."""
    items = service.attention(get_app(), user)
    return {"items": [_view(item) for item in items], "next_cursor": None}
