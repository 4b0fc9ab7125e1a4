"""Requests that fail before they reach Flask (invalid HTTP, far too large) get JSON errors too."""

from __future__ import annotations

import json
from typing import Any

from waitress import utilities

_WORDS = {
    400: ("bad_request", "The request is not valid HTTP.", "Send it with an ordinary HTTP client."),
    413: ("request_entity_too_large", "The request is too large.", "Send less than 64 KiB."),
    431: ("headers_too_large", "The request's headers are too large.", "Send fewer or shorter headers."),
}


def json_errors() -> None:
    """Waitress writes these errors as plain text and has no setting for it."""

    def to_response(
        self: utilities.Error, ident: str | None = None
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        error, message, hint = _WORDS.get(self.code, ("error", f"{self.reason}.", ""))
        body: dict[str, Any] = {"error": error, "message": message, "hint": hint}
        return f"{self.code} {self.reason}", [("Content-Type", "application/json")], json.dumps(body).encode()

    utilities.Error.to_response = to_response
