"""Everything is somebody's: with another user's id every route answers 404, and no field finds anything.

The routes are read from the code. One that is new and has no case here fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dashtrade.api.http import ENDPOINTS
from dashtrade.domain.access import Role
from tests.support.installation import Trader
from tests.support.two_tenants import TwoTenants
from webhook_server import create_server

# --- every route --------------------------------------------------------------------------------------------

# What fills the place in the path, the body, the query; those that take something away come last.
ROUTES: dict[tuple[str, str], tuple[str, Any, dict[str, Any]]] = {
    ("GET", "/api/v1/accounts/<int:account_id>"): ("account", None, {}),
    ("PATCH", "/api/v1/accounts/<int:account_id>"): ("account", {"label": "taken"}, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/test"): ("account", None, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/reset"): ("account", None, {}),
    ("GET", "/api/v1/bots/<int:bot_id>"): ("bot", None, {}),
    ("PATCH", "/api/v1/bots/<int:bot_id>"): ("bot", {"name": "taken"}, {}),
    ("PATCH", "/api/v1/bots/<int:bot_id>/exits"): ("bot", {"stop_loss": "1"}, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/pause"): ("bot", None, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/resume"): ("bot", None, {}),
    ("POST", "/api/v1/bots/<int:bot_id>/close"): ("bot", {}, {}),
    ("POST", "/api/v1/accounts/<int:account_id>/renew"): ("account", {}, {}),
    ("GET", "/api/v1/signals/<signal_id>"): ("signal", None, {}),
    ("PATCH", "/api/v1/protections/<int:protection_id>"): ("protection", {"settings": {"minutes": 5}}, {}),
    ("POST", "/api/v1/protection-locks/<int:lock_id>/unlock"): ("lock", None, {}),
    ("DELETE", "/api/v1/protections/<int:protection_id>"): ("spare", None, {}),
    ("GET", "/api/v1/orders/<order_id>"): ("order", None, {}),
    ("POST", "/api/v1/orders/<order_id>/resolve"): ("order", {"outcome": "not_placed"}, {}),
    ("POST", "/api/v1/orders/<order_id>/cancel"): ("order", None, {}),
    ("GET", "/api/v1/drifts/<int:drift_id>"): ("drift", None, {}),
    ("POST", "/api/v1/drifts/<int:drift_id>/resolve"): ("drift", {"way": "freeze"}, {}),
    ("POST", "/api/v1/drifts/<int:drift_id>/unfreeze"): ("drift", None, {}),
    ("GET", "/api/v1/flatten/<int:flatten_id>"): ("flatten", None, {}),
    ("DELETE", "/api/v1/bots/<int:bot_id>"): ("other", None, {}),
    ("DELETE", "/api/v1/accounts/<int:account_id>"): ("account", None, {}),
    ("DELETE", "/api/v1/tokens/<int:token_id>"): ("token", None, {}),
}

BY_WEBHOOK_TOKEN = {("GET", "/user/<int:user_id>/positions"), ("GET", "/user/<int:user_id>/bots")}

ADMIN = "/api/v1/admin/"  # over everybody, by their role: test_admin_api.py tries each of them as each role


def ask(tenants: TwoTenants, person: Trader, route: tuple[str, str]) -> Any:
    name, body, query = ROUTES[route]
    method, path = route
    start, _, rest = path.removeprefix("/api/v1").partition("<")
    return person.call(method, f"{start}{getattr(tenants.of, name)}{rest.partition('>')[2]}", body, **query)


def test_every_route_with_an_id_has_a_case(tenants: TwoTenants):
    flask = create_server(tenants.installation.app)
    served = {
        (method, rule.rule)
        for rule in flask.url_map.iter_rules()
        if rule.arguments
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {
        route for route in served if not route[1].startswith(("/static", ADMIN))
    } == ROUTES.keys() | BY_WEBHOOK_TOKEN
    assert {
        route for route in ENDPOINTS if "<" in route[1] and not route[1].startswith(ADMIN)
    } == ROUTES.keys()


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_another_users_id_is_answered_404(tenants: TwoTenants, route: tuple[str, str]):
    before = tenants.rows_of_trader()
    answer = ask(tenants, tenants.other_trader, route)
    assert answer.status_code == 404 and answer.json["error"] == "not_found"
    assert tenants.rows_of_trader() == before


@pytest.mark.parametrize("route", sorted(BY_WEBHOOK_TOKEN), ids=" ".join)
def test_another_users_positions_and_bots_are_answered_404(tenants: TwoTenants, route: tuple[str, str]):
    client = tenants.installation.flask.test_client()
    path = route[1].replace("<int:user_id>", str(tenants.trader.user.id))
    assert client.get(path, query_string={"token": tenants.other_trader.token}).status_code == 404
    assert (
        client.get(path, headers={"Authorization": f"Bearer {tenants.other_trader.access}"}).status_code
        == 404
    )
    assert client.get(path, query_string={"token": tenants.trader.token}).status_code == 200


# --- ids that come in a body or a query ---------------------------------------------------------------------

FIELDS: dict[tuple[str, str, str], Callable[[TwoTenants], Any]] = {
    ("POST", "/api/v1/bots", "account_id"): lambda t: (
        "POST",
        "/bots",
        {"account_id": t.of.account, "symbol": "KO", "timeframe": "D", "position_size": 1},
        {},
    ),
    ("PATCH", "/api/v1/bots/<int:bot_id>", "account_id"): lambda t: (
        "PATCH",
        f"/bots/{t.of.bot}",
        {"account_id": t.of.account},
        {},
    ),
    ("GET", "/api/v1/bots", "account_id"): lambda t: ("GET", "/bots", None, {"account_id": t.of.account}),
    ("DELETE", "/api/v1/bots/<int:bot_id>", "to"): lambda t: (
        "DELETE",
        f"/bots/{t.of.bot}",
        None,
        {"position": "hand_over", "to": t.of.other},
    ),
    ("POST", "/api/v1/protections", "scope_id"): lambda t: (
        "POST",
        "/protections",
        {"kind": "cooldown", "scope": "bot", "scope_id": t.of.bot},
        {},
    ),
    ("PUT", "/api/v1/switches", "id"): lambda t: (
        "PUT",
        "/switches",
        {"scope": "bot", "id": t.of.bot, "mode": "halt"},
        {},
    ),
    ("GET", "/api/v1/signals", "bot_id"): lambda t: ("GET", "/signals", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/orders", "bot_id"): lambda t: ("GET", "/orders", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/trades", "bot_id"): lambda t: ("GET", "/trades", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/trades.csv", "bot_id"): lambda t: ("GET", "/trades.csv", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/round-trips", "bot_id"): lambda t: (
        "GET",
        "/round-trips",
        None,
        {"status": "open", "bot_id": t.of.bot},
    ),
    ("GET", "/api/v1/round-trips", "account_id"): lambda t: (
        "GET",
        "/round-trips",
        None,
        {"status": "open", "account_id": t.of.account},
    ),
    ("GET", "/api/v1/round-trips.csv", "bot_id"): lambda t: (
        "GET",
        "/round-trips.csv",
        None,
        {"status": "open", "bot_id": t.of.bot},
    ),
    ("GET", "/api/v1/round-trips.csv", "account_id"): lambda t: (
        "GET",
        "/round-trips.csv",
        None,
        {"status": "open", "account_id": t.of.account},
    ),
    ("GET", "/api/v1/performance", "bot_id"): lambda t: ("GET", "/performance", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/risk-events", "bot_id"): lambda t: ("GET", "/risk-events", None, {"bot_id": t.of.bot}),
    ("GET", "/api/v1/drifts", "account_id"): lambda t: ("GET", "/drifts", None, {"account_id": t.of.account}),
    ("POST", "/api/v1/drifts/<int:drift_id>/resolve", "bot_id"): lambda t: (
        "POST",
        f"/drifts/{t.of.others_drift}/resolve",
        {"way": "give", "bot_id": t.of.bot},
        {},
    ),
    ("POST", "/api/v1/flatten", "id"): lambda t: ("POST", "/flatten", {"scope": "bot", "id": t.of.bot}, {}),
    ("POST", "/api/v1/flatten", "accounts"): lambda t: (
        "POST",
        "/flatten",
        {"scope": "user", "accounts": [t.of.account]},
        {},
    ),
    ("POST", "/api/v1/messages/read", "up_to"): lambda t: ("POST", "/messages/read", {"up_to": 2**40}, {}),
}

NOT_OF_THINGS = {"request_id"}  # made by the asker


def test_every_field_that_names_a_thing_has_a_case():
    named = {
        (known.method, known.path, field)
        for known in ENDPOINTS.values()
        for model in (known.body, known.query)
        if model is not None
        for field in model.model_fields
        if (field.endswith("_id") or field in ("id", "to", "up_to", "accounts"))
        and field not in NOT_OF_THINGS
    }
    assert named == FIELDS.keys()


@pytest.mark.parametrize("field", FIELDS, ids=" ".join)
def test_another_users_id_in_a_field_finds_and_changes_nothing(
    tenants: TwoTenants, field: tuple[str, str, str]
):
    before = tenants.rows_of_trader()
    method, path, body, query = FIELDS[field](tenants)
    response = tenants.other_trader.call(method, path, body, **query)
    assert tenants.rows_of_trader() == before
    if response.mimetype == "text/csv":
        assert len(response.text.splitlines()) == 1, "the names of the columns, and nothing below"
    elif response.status_code == 200:
        assert not response.json.get("items") and not response.json.get("marked")
    else:
        assert response.status_code == 404


@pytest.mark.parametrize("scope", ["bot", "account"])
def test_another_users_things_cannot_be_switched(tenants: TwoTenants, scope: str):
    before = tenants.rows_of_trader()
    response = tenants.other_trader.call(
        "PUT", "/switches", {"scope": scope, "id": getattr(tenants.of, scope), "mode": "halt"}
    )
    assert response.status_code == 404 and tenants.rows_of_trader() == before


@pytest.mark.parametrize(
    "path",
    sorted(
        {
            path
            for method, path in ENDPOINTS
            if method == "GET" and "<" not in path and not path.startswith(ADMIN)
        }
    ),
)
def test_no_list_shows_what_is_another_users(tenants: TwoTenants, path: str):
    response = tenants.other_trader.call("GET", path.removeprefix("/api/v1"))
    assert response.status_code == 200
    assert not [
        own
        for own in ("Ann", "ann@", tenants.of.signal, tenants.of.waiting, tenants.of.order)
        if own in response.text
    ]


@pytest.mark.parametrize("named", ["bot", "name"])
def test_an_alert_cannot_name_another_users_bot(tenants: TwoTenants, named: str):
    before = tenants.rows_of_trader()
    response = tenants.other_trader.alert(
        {"action": "close", "symbol": "AAPL", "bot": tenants.of.bot if named == "bot" else "Ann's Turtle"}
    )
    assert response.status_code == 404 and "Ann" not in response.json["hint"]
    assert {bot["symbol"] for bot in response.json["bots"]} == {"MSFT"}
    assert tenants.rows_of_trader() == before


def test_an_admin_has_no_way_into_anothers_bots_either(tenants: TwoTenants):
    superadmin = tenants.installation.join("superadmin@example.com", Role.SUPERADMIN)
    assert ask(tenants, superadmin, ("GET", "/api/v1/bots/<int:bot_id>")).status_code == 404


def test_the_owner_finds_what_the_others_do_not(fresh_tenants: TwoTenants):
    """Else every 404 above might be a misspelt address."""
    answer = {route: ask(fresh_tenants, fresh_tenants.trader, route).status_code for route in ROUTES}
    assert set(answer.values()) <= {200, 202, 409}
    assert [
        route for route, status in answer.items() if status == 409 and route[1].endswith("/<int:bot_id>")
    ] == []
