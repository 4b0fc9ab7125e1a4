"""API tokens are made with the password, and may do what their scopes say: each endpoint is asked with each
scope."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dashtrade.api.http import ENDPOINTS
from dashtrade.context import App
from dashtrade.domain.access import Role, TokenScope
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.people import sessions, tokens, users
from dashtrade.services.refusals import Denied
from dashtrade.tables import tokens as token_table
from tests.support.installation import Installation, Trader
from tests.support.user_rows import reread

PASSWORD = "correct horse battery"
READ, TRADE, STOP, ADMIN = TokenScope
STOPS = {
    ("POST", "/bots/<int:bot_id>/pause"),
    ("POST", "/bots/<int:bot_id>/close"),
    ("POST", "/flatten"),
    ("PUT", "/switches"),
}
OF_THE_ACCOUNT = {  # what keeps somebody in, or spends real money
    ("PATCH", "/users/me"),
    ("POST", "/users/me/password"),
    ("DELETE", "/tokens/<int:token_id>"),
    ("POST", "/webhook-token/rotate"),
    ("GET", "/webhook-token"),
    ("DELETE", "/webhook-token"),
    ("POST", "/invitations"),
    ("POST", "/accounts"),
    ("PATCH", "/accounts/<int:account_id>"),
    ("DELETE", "/accounts/<int:account_id>"),
    ("POST", "/accounts/<int:account_id>/renew"),
}


def with_scopes(person: Trader, *scopes: TokenScope) -> Trader:
    """The same person, with a token of these alone."""
    access, now = f"dt_{'-'.join(scopes)}", person.installation.app.clock.now()
    person.installation.app.db.write(
        lambda conn: token_table.add_api_token(
            conn,
            person.user.id,
            token_hash=sha256(access),
            name="t",
            created_at=now,
            expires_at=now + timedelta(days=1),
            used_at=None,
            revoked_at=None,
            scopes=" ".join(scopes),
        )
    )
    return replace(person, access=access)


def allowed(method: str, path: str) -> set[TokenScope]:
    path = path.removeprefix("/api/v1")
    if (method, path) in OF_THE_ACCOUNT or path.startswith("/admin/"):
        return {ADMIN}
    if (method, path) in STOPS:
        return {TRADE, STOP}
    if path == "/flatten/<int:flatten_id>":
        return {READ, TRADE, STOP}
    return {READ, TRADE} if method == "GET" else {TRADE}


@pytest.mark.parametrize("scope", list(TokenScope))
def test_each_endpoint_asks_for_its_scope(installation: Installation, scope: TokenScope):
    superadmin = with_scopes(installation.join("superadmin@example.com", Role.SUPERADMIN), scope)
    wrong = []
    for (method, path), known in ENDPOINTS.items():
        if known.open or path.endswith("/users/me/password"):
            continue
        filled = path.removeprefix("/api/v1")
        for name in (
            "int:bot_id",
            "int:account_id",
            "int:user_id",
            "int:token_id",
            "int:invitation_id",
            "int:drift_id",
            "int:flatten_id",
            "int:protection_id",
            "int:lock_id",
            "order_id",
            "signal_id",
            "int:trip_id",
            "int:number",
        ):
            filled = filled.replace(f"<{name}>", "999999")
        response = superadmin.call(method, filled, None if method == "GET" else {"nonsense": 1})
        refused = response.status_code == 403 and response.json["error"] == "insufficient_scope"
        if refused is (scope in allowed(method, path)):
            wrong.append(f"{method} {path}: {response.status_code}")
    assert wrong == []


@pytest.mark.parametrize("scope", [STOP, TRADE])
def test_exits_pass_with_a_token_that_may_stop_or_trade(installation: Installation, scope: TokenScope):
    trader = installation.join()
    bot = trader.bot()
    trader.trades("buy")
    stopper = with_scopes(trader, scope)
    stopper.request("POST", f"/bots/{bot}/close", {})
    installation.work()
    assert not trader.holds(bot)
    assert stopper.request("POST", f"/bots/{bot}/pause")["is_active"] is False
    done = stopper.request("POST", "/flatten", {"scope": "user", "pause": True})
    assert stopper.call("GET", f"/flatten/{done['id']}").status_code == 200


def test_a_token_that_may_stop_cannot_let_trading_go_on(installation: Installation):
    trader = installation.join()
    bot = trader.bot()
    stopper = with_scopes(trader, STOP)
    for mode in ("pause_entries", "halt", "halt"):
        stopper.request("PUT", "/switches", {"mode": mode})
    for mode in ("reduce_only", "pause_entries", "none"):
        response = stopper.call("PUT", "/switches", {"mode": mode})
        assert response.status_code == 403 and response.json["error"] == "insufficient_scope"
    assert stopper.call("POST", f"/bots/{bot}/resume").status_code == 403
    assert trader.get("/switches")["items"][0]["mode"] == "halt"
    with_scopes(trader, TRADE).request("PUT", "/switches", {"mode": "none"})


def test_a_token_of_the_account_alone_reads_no_positions_by_the_other_address(installation: Installation):
    trader = installation.join()
    client = installation.flask.test_client()
    for scope, status in ((ADMIN, 401), (STOP, 401), (READ, 200)):
        access = with_scopes(trader, scope).access
        assert (
            client.get(
                f"/user/{trader.user.id}/bots", headers={"Authorization": f"Bearer {access}"}
            ).status_code
            == status
        )


# --- making one ---------------------------------------------------------------------------------------------


@pytest.fixture
def trader(app: App) -> User:
    return reread(app, users.add_user(app, email="ann@example.com", name="Ann", password=PASSWORD))


def made(app: App, user: User, **other: Any) -> str:
    given: dict[str, Any] = {
        "name": "report",
        "days": 9,
        "scopes": [STOP, READ],
        "password": PASSWORD,
        "address": "",
    } | other
    return sessions.add_api_token(app, user, **given)


def test_a_token_is_made_with_the_password_and_says_what_it_may(
    app: App, installation: Installation, trader: User
):
    with pytest.raises(Malformed, match="password"):
        made(app, trader, password="found an open browser")
    with pytest.raises(Malformed, match="scope"):
        made(app, trader, scopes=[])
    person = Trader(installation=installation, user=trader, access=made(app, trader), token="")
    assert person.get("/tokens")["items"][0]["scopes"] == ["read", "stop"]
    found = tokens.by_scoped_token(app, person.access)
    assert found is not None and found.scopes == {READ, STOP}


def test_guesses_at_the_password_are_counted_here_too(app: App, trader: User):
    for _ in range(8):
        with pytest.raises(Malformed):
            made(app, trader, password="wrong")
    with pytest.raises(Denied):
        made(app, trader)


def test_who_signs_in_and_tokens_from_before_may_everything(
    app: App, installation: Installation, trader: User
):
    for token in (users.sign_in(app, trader.id).access_token, installation.join("bob@example.com").access):
        found = tokens.by_scoped_token(app, token)
        assert found is not None and found.scopes == set(TokenScope)
