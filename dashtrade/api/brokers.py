"""What each broker supports, and how to connect it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from dashtrade.api.http import endpoint
from dashtrade.brokers import guide
from dashtrade.domain.people import User

bp = Blueprint("brokers", __name__, url_prefix="/api/v1")


@endpoint(bp, "GET", "/brokers")
def brokers(user: User) -> dict[str, Any]:
    """Every broker with its capabilities, credentials and modes; of crypto exchanges each verified one, and
    any other."""
    return {
        "items": [guide.as_json(broker, choice) for broker, choice in guide.choices()],
        "next_cursor": None,
    }
