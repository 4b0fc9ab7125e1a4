"""What tests of the REST API send, and how they read what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.installation import Installation

D = Decimal

GOOD_PASSWORD = "correct horse battery staple"


def post(installation: Installation, path: str, body: Any) -> Any:
    return installation.flask.test_client().post(f"/api/v1{path}", json=body)


def assert_error(response: Any, status: int, *words: str) -> Any:
    """An error as clients may rely on it: JSON with what, why and what to do."""
    assert response.status_code == status, response.text
    body = response.json
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "message", "hint")), body
    for word in words:
        assert word.lower() in f"{body['message']} {body['hint']}".lower(), body
    return body
