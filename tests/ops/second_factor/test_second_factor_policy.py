"""Who has to have a second factor: everybody where a superadmin says so, and whoever trades real money,
unless they decline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashtrade.context import App
from dashtrade.domain.access import Role, TokenScope
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.notices.people import SecondFactorRequired, SecondFactorStays, SecondFactorVoluntary
from dashtrade.services.bots import bots
from dashtrade.services.demo import demo
from dashtrade.services.people import (
    invitations,
    second_factor,
    second_factor_policy,
    sessions,
    tokens,
    users,
)
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.refusals import Refusal
from dashtrade.tables import people as people_table
from tests.api.test_flatten import carry_on
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader
from tests.support.second_factor import PASSWORD, audit, messages_of, named_token, reread, set_up

# --- required of everybody ----------------------------------------------------------------------------------


def test_only_a_superadmin_requires_it_and_that_is_recorded_and_notified(
    installation: Installation, superadmin: Trader, trader: Trader
):
    ada = installation.join("ada@example.com", Role.ADMIN)
    assert superadmin.get("/admin/settings")["require_second_factor"] is False
    for other in (ada, trader):
        assert other.call("PATCH", "/admin/settings", {"require_second_factor": True}).status_code == 403
        with pytest.raises(Forbidden):
            second_factor_policy.put(installation.app, other.user, True)
    assert not second_factor_policy.is_required(installation.app)
    assert (
        superadmin.request("PATCH", "/admin/settings", {"require_second_factor": True})[
            "require_second_factor"
        ]
        is True
    )
    superadmin.request(
        "PATCH", "/admin/settings", {"require_second_factor": True}
    )  # a second time is no change
    done = [row for row in audit(installation.app) if row.action == AuditAction.SECOND_FACTOR_REQUIRED]
    assert [row.user_id for row in done] == [superadmin.user.id]
    assert [row.kind for row in messages_of(trader)] == [SecondFactorRequired.kind]
    superadmin.request("PATCH", "/admin/settings", {"require_second_factor": False})
    assert not reread(trader).second_factor_due
    assert messages_of(trader)[0].kind == SecondFactorVoluntary.kind


def test_users_with_a_second_factor_learn_that_it_stays_on(superadmin: Trader, trader: Trader):
    set_up(trader)
    second_factor_policy.put(superadmin.installation.app, superadmin.user, True)
    assert messages_of(trader)[0].kind == SecondFactorStays.kind
    assert not reread(trader).second_factor_due


def test_it_is_due_for_users_without_one_until_they_set_it_up(app: App, superadmin: Trader, trader: Trader):
    token = sessions.begin(app, trader.user.id, device="", address="", remember=True)
    assert not sessions.find(app, token).second_factor_due  # type: ignore[union-attr]
    second_factor_policy.put(app, superadmin.user, True)
    assert sessions.find(app, token).second_factor_due  # type: ignore[union-attr]
    assert users.check_password(app, trader.user.email, PASSWORD, "").second_factor_due
    set_up(trader, token=token)
    assert not sessions.find(app, token).second_factor_due  # type: ignore[union-attr]


def test_a_demo_has_no_second_factor_to_set_up(app: App, superadmin: Trader):
    second_factor_policy.put(app, superadmin.user, True)
    with app.db.read() as conn:
        visitor = people_table.by_id(conn, demo.start(app, address=""))
    assert visitor is not None and not visitor.second_factor_due
    demo.claim(
        app,
        visitor,
        email="v@example.com",
        name="V",
        password=PASSWORD,
        code=invitations.invite(app, superadmin.user, email="", role=Role.STANDARD),
        address="",
    )
    with app.db.read() as conn:
        kept = people_table.by_id(conn, visitor.id)
    assert kept is not None and kept.second_factor_due


def test_a_program_that_signed_in_with_a_password_alone_only_closes_and_stops(
    installation: Installation, superadmin: Trader, trader: Trader
):
    bot = trader.bot()
    trader.trades("buy")
    second_factor_policy.put(installation.app, superadmin.user, True)
    login = (
        installation.flask.test_client()
        .post("/api/v1/auth/login", json={"email": trader.user.email, "password": PASSWORD})
        .json
    )
    assert login["user"]["second_factor_due"] is True
    for access in (trader.access, login["access_token"]):
        program = replace(trader, access=access)
        for method, path, body in (
            ("GET", "/bots", None),
            ("POST", "/bots", {}),
            ("GET", "/tokens", None),
            ("POST", "/webhook-token/rotate", {}),
        ):
            response = program.call(method, path, body)
            assert response.status_code == 403 and response.json["error"] == "second_factor_required", path
            assert "only close positions" in response.json["message"] and "code" in response.json["hint"]
        program.request("PUT", "/switches", {"mode": "pause_entries"})
        again = program.call("PUT", "/switches", {"mode": "none"})
        assert again.status_code == 403 and again.json["error"] == "second_factor_required", (
            "letting entries pass again is no way out"
        )
        program.request("POST", f"/bots/{bot}/pause")
    trader.request("POST", f"/bots/{bot}/close", {})
    installation.work()
    with installation.app.db.read() as conn:
        assert bots.table.get(conn, trader.user.id, bot).position.quantity == 0  # type: ignore[union-attr]


def test_everything_is_closed_over_rest_by_one_who_has_not_set_it_up(
    installation: Installation, superadmin: Trader, trader: Trader, clock: ManualClock
):
    bot = trader.bot()
    trader.trades("buy")
    second_factor_policy.put(installation.app, superadmin.user, True)
    begun = trader.request("POST", "/flatten", {"scope": "user"})
    assert carry_on(installation, clock, trader, begun["id"])["done"] == 1
    assert bots.bot_of(installation.app, trader.user, bot).position.quantity == 0


def test_alerts_and_tokens_made_for_programs_go_on(
    installation: Installation, superadmin: Trader, trader: Trader
):
    bot, script = trader.bot(), named_token(trader, TokenScope.READ, TokenScope.TRADE)
    stop = named_token(trader, TokenScope.STOP)
    second_factor_policy.put(installation.app, superadmin.user, True)
    for action, owns in (("buy", True), ("close", False)):
        assert trader.alert({"action": action, "symbol": "AAPL"}).status_code == 202
        installation.work()
        assert (script.holds(bot) > 0) is owns
    assert script.call("GET", "/bots").status_code == 200
    script.bot("MSFT")
    assert stop.call("GET", "/bots").json["error"] == "insufficient_scope"
    assert stop.call("POST", f"/bots/{bot}/pause").status_code == 200


def test_a_sign_in_by_the_password_alone_ends_when_the_second_factor_is_switched_on(app: App, trader: Trader):
    script = named_token(trader, TokenScope.READ)
    set_up(trader)
    assert tokens.by_access_token(app, trader.access) is None, "whoever knew the password may have it"
    assert tokens.by_access_token(app, script.access) is not None


def test_under_the_policy_it_cannot_be_switched_off(app: App, superadmin: Trader, trader: Trader):
    user = set_up(trader)
    second_factor_policy.put(app, superadmin.user, True)
    with pytest.raises(Refusal, match="requires two-factor authentication"):
        second_factor.disable(app, user, password=PASSWORD, address="", declines=True)
    assert reread(trader).second_factor


def test_what_an_admin_takes_off_is_due_at_once(app: App, superadmin: Trader, trader: Trader):
    set_up(trader)
    token = sessions.begin(app, trader.user.id, device="", address="", remember=True)
    second_factor_policy.put(app, superadmin.user, True)
    superadmin.request("DELETE", f"/admin/users/{trader.user.id}/second-factor")
    assert sessions.find(app, token).second_factor_due  # type: ignore[union-attr]
