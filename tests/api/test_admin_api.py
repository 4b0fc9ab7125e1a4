"""The REST API of admins: each route as each role, and what it does."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from dashtrade.api.http import ENDPOINTS
from dashtrade.domain.access import Role
from tests.support.installation import Installation, Trader

ADMIN = "/api/v1/admin/"
YES, NO = 200, 403

# body, then what a standard user, an admin and a superadmin are answered; the user in the path is a standard
# one.
ROUTES: dict[tuple[str, str], tuple[Any, int, int, int]] = {
    ("GET", "overview"): (None, NO, YES, YES),
    ("GET", "users"): (None, NO, YES, YES),
    ("PATCH", "users/<int:user_id>"): ({"role": "admin"}, NO, NO, YES),
    ("POST", "users/<int:user_id>/reset-link"): (None, NO, 201, 201),
    ("DELETE", "users/<int:user_id>/reset-link"): (None, NO, 404, 404),
    ("GET", "reset-links"): (None, NO, YES, YES),
    ("GET", "invitations"): (None, NO, YES, YES),
    ("DELETE", "invitations/<int:invitation_id>"): (None, NO, 404, 404),
    ("DELETE", "users/<int:user_id>/second-factor"): (None, NO, 409, 409),
    ("DELETE", "users/<int:user_id>"): ({"confirm": "ann@example.com"}, NO, YES, YES),
    ("GET", "trades"): (None, NO, YES, YES),
    ("GET", "trades.csv"): (None, NO, YES, YES),
    ("GET", "audit"): (None, NO, YES, YES),
    ("GET", "settings"): (None, NO, YES, YES),
    ("PATCH", "settings"): ({"signup": "open", "demo": False, "simulation": True}, NO, NO, YES),
}


@pytest.fixture
def superadmin(installation: Installation) -> Trader:
    return installation.join("superadmin@example.com", Role.SUPERADMIN)


def test_every_route_of_admins_has_a_case():
    assert {
        (method, path.removeprefix(ADMIN)) for method, path in ENDPOINTS if path.startswith(ADMIN)
    } == ROUTES.keys()


def _filled(path: str, user_id: str) -> str:
    return path.replace("<int:user_id>", user_id).replace("<int:invitation_id>", "999")


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize("role", list(Role))
def test_each_route_asks_for_its_role(
    route: tuple[str, str], role: Role, installation: Installation, superadmin: Trader
):
    trader, actor = installation.join(), installation.join("actor@example.com", role)
    body, *answers = ROUTES[route]
    response = actor.call(route[0], f"/admin/{_filled(route[1], str(trader.user.id))}", body)
    assert response.status_code == answers[[Role.STANDARD, Role.ADMIN, Role.SUPERADMIN].index(role)], (
        response.text
    )
    if response.status_code == NO:
        assert response.json["error"] == "forbidden"


@pytest.mark.parametrize("route", [r for r in ROUTES if "<int:user_id>" in r[1]], ids=" ".join)
def test_an_admin_has_no_say_over_other_admins(
    route: tuple[str, str], installation: Installation, superadmin: Trader
):
    ada = installation.join("ada@example.com", Role.ADMIN)
    response = ada.call(
        route[0], f"/admin/{route[1].replace('<int:user_id>', str(superadmin.user.id))}", ROUTES[route][0]
    )
    assert response.status_code == NO
    assert ada.call(
        route[0], f"/admin/{route[1].replace('<int:user_id>', '999')}", ROUTES[route][0]
    ).status_code in (NO, 404)


def test_people_are_found_page_by_page(installation: Installation, superadmin: Trader):
    for number in range(5):
        installation.join(f"user{number}@example.com")
    first = superadmin.get("/admin/users", limit=4)
    rest = superadmin.get("/admin/users", limit=4, cursor=first["next_cursor"])
    assert len(first["items"]) == 4 and len(rest["items"]) == 2 and rest["next_cursor"] is None
    assert [u["email"] for u in superadmin.get("/admin/users", search="USER3")["items"]] == [
        "user3@example.com"
    ]
    assert superadmin.get("/admin/users", search="%")["items"] == []
    assert not [u for u in first["items"] if "password" in str(u) or "hash" in str(u)]


def test_a_user_is_deactivated_and_activated(installation: Installation, superadmin: Trader):
    trader = installation.join()
    assert (
        superadmin.request("PATCH", f"/admin/users/{trader.user.id}", {"is_active": False})["is_active"]
        is False
    )
    assert trader.call("GET", "/users/me").status_code == 401
    assert (
        superadmin.request("PATCH", f"/admin/users/{trader.user.id}", {"is_active": True})["is_active"]
        is True
    )


def test_the_last_superadmin_is_kept(superadmin: Trader):
    for change in ({"role": "standard"}, {"is_active": False}):
        response = superadmin.call("PATCH", f"/admin/users/{superadmin.user.id}", change)
        assert response.status_code == 409 and "last superadmin" in response.json["message"]
    assert (
        superadmin.call(
            "DELETE", f"/admin/users/{superadmin.user.id}", {"confirm": superadmin.user.email}
        ).status_code
        == 409
    )


def test_everybodys_trades_as_pages_and_as_a_file_without_formulas(
    installation: Installation, superadmin: Trader
):
    trader, other_trader = installation.join(), installation.join("=bob@example.com")
    for person in (trader, other_trader):
        person.bot()
        person.bot("MSFT")
        person.trades("buy")
        person.trades("buy", symbol="MSFT")
    assert [t["email"] for t in superadmin.get("/admin/trades")["items"]] == ["=bob@example.com"] * 2 + [
        "ann@example.com"
    ] * 2
    first = superadmin.get("/admin/trades", limit=3)
    assert len(superadmin.get("/admin/trades", limit=3, cursor=first["next_cursor"])["items"]) == 1
    assert {t["email"] for t in superadmin.get("/admin/trades", of_user=trader.user.id)["items"]} == {
        "ann@example.com"
    }
    assert len(superadmin.get("/admin/trades", symbol="MSFT", action="buy")["items"]) == 2
    rows = list(csv.DictReader(io.StringIO(superadmin.call("GET", "/admin/trades.csv").text)))
    assert [row["email"] for row in rows] == ["'=bob@example.com"] * 2 + ["ann@example.com"] * 2
    assert (
        len(
            list(csv.DictReader(io.StringIO(superadmin.call("GET", "/admin/trades.csv", symbol="MSFT").text)))
        )
        == 2
    )


def test_the_overview_counts_everybody(installation: Installation, superadmin: Trader):
    trader = installation.join()
    trader.bot()
    trader.trades("buy")
    trader.alert({"action": "buy", "symbol": "KO"})
    found = superadmin.get("/admin/overview")
    assert found["counts"]["users"] == 2 and found["counts"]["running_bots"] == 1
    assert found["counts"]["refused_signals"] == 1 and found["counts"]["holding_bots"] == 1
    assert [(s["symbol"], s["trades"]) for s in found["symbols"]] == [("NYSE:AAPL-EQ", 1)]
    assert [(d["trades"], d["volume"]) for d in found["days"]] == [(1, 5000.0)]
    assert {line["what"]: line["count"] for line in found["latency_ms"]} == {
        "accepted → decided": 1,
        "accepted → fill booked": 1,
    }


def test_settings_of_the_installation(superadmin: Trader):
    at_first = {"signup": "invite", "demo": True, "simulation": False, "require_second_factor": False}
    assert superadmin.get("/admin/settings") == at_first
    assert superadmin.request("PATCH", "/admin/settings", {"signup": "closed"}) == at_first | {
        "signup": "closed",
        "demo": False,
    }
    assert superadmin.call("PATCH", "/admin/settings", {"signup": "perhaps"}).status_code == 400
    changes = {"signup": "open", "demo": False, "simulation": True, "require_second_factor": True}
    assert superadmin.request("PATCH", "/admin/settings", changes) == changes
    assert {"setting changed", "simulation mode switched on"} <= {
        row["action"] for row in superadmin.get("/admin/audit")["items"]
    }
