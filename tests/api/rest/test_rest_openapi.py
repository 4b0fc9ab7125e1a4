"""The description of the REST API fits what the API does; nothing sent is answered with a server error."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dashtrade.api.http import ENDPOINTS
from dashtrade.context import App
from dashtrade.domain.position_mismatch import MismatchKind
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.symbols import Symbol
from dashtrade.tables import drifts as drift_table
from tests.support.databases import sqlite
from tests.support.installation import Installation, Trader
from tests.support.rest import assert_error

# --- habits -------------------------------------------------------------------------------------------------


BODIES = [
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b'{"broker": NaN}',
    b'{"broker": "paper", "nonsense": 1}',
    b"\xff\xfe",
    b"[" * 3000,
    b'{"broker": "\\u0000"}',
    b'{"label": "\\ud800", "broker": "paper"}',
]

PATHS = [
    "/bots/99999999999999999999999",
    f"/bots/{2**63}",
    "/signals/%00",
    "/orders/a%00b",
    "/bots/x",
    "/nowhere",
]

QUERIES = [
    "/signals?status=%00",
    "/signals?cursor=%00",
    "/orders?cursor=2025-01-01~%00",
    "/trades?symbol=%00",
    "/signals?symbol=???",
    "/performance?from=0000",
]


def test_what_cannot_be_read_is_answered_400_and_what_cannot_be_there_404(trader: Trader):
    client = trader.installation.flask.test_client()
    for raw in BODIES:
        assert_error(
            client.post("/api/v1/accounts", data=raw, headers={"Authorization": f"Bearer {trader.access}"}),
            400,
        )
    for query in QUERIES:
        assert_error(trader.call("GET", query), 400)
    for path in PATHS:
        assert_error(trader.call("GET", path), 404)


@sqlite
def test_the_api_answers_503_fast_while_the_database_is_locked(trader: Trader, app: App):
    other = sqlite3.connect(app.db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert assert_error(trader.call("POST", "/accounts", {"broker": "paper"}), 503)["error"] == "unavailable"
    assert trader.get("/bots")["items"] == [], "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    trader.account()


# --- OpenAPI ------------------------------------------------------------------------------------------------

FIXED = """POST auth/register, POST auth/login, GET users/me, POST accounts, POST bots, GET bots, GET
bots/{bot_id}, PATCH bots/{bot_id}, DELETE bots/{bot_id}, POST bots/{bot_id}/pause, POST
bots/{bot_id}/resume, POST bots/{bot_id}/close, POST webhook-token/rotate, GET webhook-token, DELETE
webhook-token, GET signals, GET signals/{signal_id}, GET trades, GET trades.csv, GET orders, GET
positions, GET performance, GET risk-events, GET switches, PUT switches"""


@pytest.fixture
def described(installation: Installation) -> Any:
    return installation.flask.test_client().get("/api/v1/openapi.json").json


@sqlite
def test_openapi_describes_every_route(installation: Installation, described: Any):
    listed = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in installation.flask.url_map.iter_rules()
        if rule.rule.startswith("/api/v1") and not rule.rule.endswith("openapi.json")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert listed == served
    fixed = {
        (method, f"/api/v1/{path}")
        for method, path in (line.split() for line in FIXED.replace("\n", " ").split(","))
    }
    assert fixed <= listed


@sqlite
def test_openapi_says_of_each_what_it_does_takes_and_needs(described: Any):
    names = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation["summary"].endswith((".", "?")) and any(
                code.startswith("2") for code in operation["responses"]
            )
            assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == set(
                re.findall(r"{(\w+)}", path)
            )
            assert ("security" in operation) is (not path.startswith("/api/v1/auth/")), path
            assert (
                method in ("get", "delete")
                or "requestBody" in operation
                or path.endswith(
                    ("/pause", "/resume", "/test", "/reset", "/cancel", "/unfreeze", "/unlock", "/reset-link")
                )
            ), path
    assert len(names) == len(set(names))


@pytest.fixture
def furnished(trader: Trader) -> Iterator[Trader]:
    """With something under the first ids, so that more than 404 is met."""
    trader.bot()
    trader.trades("buy")
    trader.trades("buy", order_type="limit", limit_price="90")
    trader.request("POST", "/flatten", {"scope": "user"})
    aapl, now = Symbol.parse("AAPL"), trader.installation.app.clock.now()
    trader.installation.app.db.write(
        lambda conn: drift_table.add(
            conn,
            trader.user.id,
            account_id=trader.paper,
            asset=aapl.text,
            symbol=aapl,
            kind=MismatchKind.CLOSED,
            ours=Decimal(50),
            outside=Decimal(0),
            theirs=Decimal(0),
            average_price=None,
            mark=Decimal(100),
            ratio=None,
            detail=NO_REASON,
            opened_at=now,
            updated_at=now,
        )
    )
    yield trader


def test_no_request_that_fits_the_description_or_does_not_is_answered_5xx(furnished: Trader):
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", furnished.installation.flask)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == len(ENDPOINTS)
    operations.sort(
        key=lambda operation: (operation.method.upper() == "DELETE", operation.path.endswith("token_id}"))
    )
    order_id, signal_id = (
        furnished.get("/orders")["items"][0]["order_id"],
        furnished.get("/signals")["items"][0]["id"],
    )
    real = {
        "bot_id": 1,
        "account_id": 1,
        "order_id": order_id,
        "signal_id": signal_id,
        "token_id": 10**6,
        "drift_id": 1,
        "flatten_id": 1,
        "protection_id": 1,
        "lock_id": 1,
        "user_id": 1,
        "invitation_id": 10**6,
    }
    asked: set[int] = set()
    for operation in operations:

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), known=st.booleans())
        def run(case: Any, known: bool) -> None:
            if known:
                case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
            response = case.call(headers={"Authorization": f"Bearer {furnished.access}"})
            asked.add(response.status_code)
            assert response.status_code < 500, (
                f"{case.method} {case.formatted_path} {case.body!r}: {response.text}"
            )

        run()
    assert {200, 400, 404} <= asked
    assert furnished.call("GET", "/users/me").status_code == 200, "the token was good to the end"
