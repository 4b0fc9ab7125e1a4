"""Over REST: who joins, who signs in, and the tokens they get."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dashtrade.api.http import ENDPOINTS
from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.services.people import passwords, users
from dashtrade.tables import people as people_table
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.rest import GOOD_PASSWORD, assert_error, post

# --- people -------------------------------------------------------------------------------------------------


def registration(
    email: str = "ann@example.com", password: str = GOOD_PASSWORD, **more: Any
) -> dict[str, Any]:
    return {"email": email, "password": password, "name": "Ann"} | more


def code_of(installation: Installation) -> str:
    link = users.setup_link(installation.app)
    assert link is not None
    return link.partition("?setup=")[2]


def test_the_first_user_needs_the_set_up_code_which_works_once(installation: Installation):
    former, code = code_of(installation), code_of(installation)
    assert_error(post(installation, "/auth/register", registration()), 401, "set-up code")
    assert_error(post(installation, "/auth/register", registration(setup_code=former)), 401, "set-up code")
    answer = post(installation, "/auth/register", registration(setup_code=code))
    assert (
        answer.status_code == 201
        and answer.json["user"].items() >= {"email": "ann@example.com", "role": "superadmin"}.items()
    )
    me = installation.flask.test_client().get(
        "/api/v1/users/me", headers={"Authorization": f"Bearer {answer.json['access_token']}"}
    )
    assert me.json["id"] == answer.json["user"]["id"] and "password" not in me.text
    assert_error(post(installation, "/auth/register", registration("bob@example.com", setup_code=code)), 401)
    assert users.setup_link(installation.app) is None


def test_of_two_who_use_the_code_at_once_one_becomes_the_first_user(installation: Installation):
    code = code_of(installation)
    with ThreadPoolExecutor(4) as pool:
        answer = list(
            pool.map(
                lambda n: (
                    post(
                        installation, "/auth/register", registration(f"p{n}@example.com", setup_code=code)
                    ).status_code
                ),
                range(4),
            )
        )
    assert sorted(answer) == [201, 401, 401, 401]


@sqlite
def test_others_join_by_an_invitation_that_works_once_and_for_a_week(
    installation: Installation, clock: ManualClock
):
    superadmin = installation.join("superadmin@example.com", Role.SUPERADMIN)
    assert_error(post(installation, "/auth/register", registration()), 401, "invitation")
    code = superadmin.request("POST", "/invitations", {"role": "admin"})["invitation"]
    answer = post(installation, "/auth/register", registration(invitation=code))
    assert answer.status_code == 201 and answer.json["user"]["role"] == "admin"
    assert_error(
        post(installation, "/auth/register", registration("bob@example.com", invitation=code)),
        401,
        "invitation",
    )
    late = superadmin.request("POST", "/invitations", {})["invitation"]
    clock.forward(7 * 86400 + 1)
    assert_error(
        post(installation, "/auth/register", registration("bob@example.com", invitation=late)),
        401,
        "invitation",
    )


@sqlite
def test_an_admin_invites_standard_users_who_invite_no_others(installation: Installation):
    assert (
        installation.join("admin@example.com", Role.ADMIN).request(
            "POST", "/invitations", {"role": "superadmin"}
        )["role"]
        == "standard"
    )
    assert_error(installation.join().call("POST", "/invitations", {}), 403)


@sqlite
def test_an_invitation_of_an_address_is_for_that_address(installation: Installation):
    code = installation.join("superadmin@example.com", Role.SUPERADMIN).request(
        "POST", "/invitations", {"email": "ann@example.com"}
    )["invitation"]
    assert_error(
        post(installation, "/auth/register", registration("eve@example.com", invitation=code)),
        401,
        "invitation",
    )
    assert (
        post(installation, "/auth/register", registration("Ann@Example.com", invitation=code)).status_code
        == 201
    )


@pytest.mark.parametrize(("signup", "status"), [("open", 201), ("closed", 401), ("invite", 401)])
@sqlite
def test_who_may_join_is_a_setting(make_app: MakeApp, signup: str, status: int):
    installation = Installation(make_app(DASHTRADE_SIGNUP=signup))
    installation.join("superadmin@example.com", Role.SUPERADMIN)
    answer = post(installation, "/auth/register", registration())
    assert answer.status_code == status
    assert status == 401 or answer.json["user"]["role"] == "standard"


COMMON = [
    "password",
    "Password1",
    "p@ssw0rd",
    "12345678",
    "123456789",
    "1234567890",
    "qwertyui",
    "qwerty123",
    "qwertyuiop",
    "11111111",
    "aaaaaaaa",
    "iloveyou",
    "letmein1",
    "welcome1",
    "admin123",
    "administrator",
    "football1",
    "baseball",
    "monkey123",
    "dragon12",
    "sunshine",
    "princess1",
    "abc12345",
    "1q2w3e4r",
    "zaq12wsx",
    "trustno1",
    "superman1",
    "changeme",
    "20010911",
    "asdfghjkl",
    "asdf1234",
    "bitcoin1",
    "dashtrade1",
    "qwertz123",
    "Passw0rd!",
    "p@ssw0rd1",
    "P@$$w0rd!!",
    "liverpool1",
    "pokemon123",
    "mustang66",
    "blink182ab",
    "!Summer2024!",
    "Fr33dom#1",
    "m1chael!99",
    "1loveyou2",
    "Chelsea_2019",
    "bitcoinbitcoin",
    "dragon-monkey",
    "Winter2025x",
]


@pytest.mark.parametrize("password", [*COMMON, "ann", "short12", "x" * 129, "Ann2024!", "ab\x00cdefgh"])
def test_common_short_and_overlong_passwords_are_refused(password: str):
    with pytest.raises(Exception) as raised:
        passwords.check(password, "ann@example.com", "Ann Example")
    assert type(raised.value).__name__ == "Malformed" and raised.value.hint


@pytest.mark.parametrize(
    "password",
    [
        GOOD_PASSWORD,
        "x7" + "Kq-" * 42,
        "Grüße aus dem Süden",
        "mango sofa 41 rivers",
        "summer dragon cheese pokemon",
        "tall pepper bridge",
        "🦊🐢🦔🐇🐎🐄🐖🐑",
        "ffR!9k#q",
    ],
)
@sqlite
def test_other_passwords_are_taken_whatever_letters_they_have(make_app: MakeApp, password: str):
    installation = Installation(make_app(DASHTRADE_SIGNUP="open"))
    installation.join("superadmin@example.com")
    assert post(installation, "/auth/register", registration(password=password)).status_code == 201
    assert (
        post(installation, "/auth/login", {"email": "ann@example.com", "password": password}).status_code
        == 200
    )
    assert_error(
        post(installation, "/auth/login", {"email": "ann@example.com", "password": password[:-1]}), 401
    )


def test_every_character_of_a_long_password_counts():
    for shared in ("ab3-" * 18, "ü" * 40):  # bcrypt alone reads 72 bytes
        stored = passwords.hashed(shared + "one")
        assert passwords.matches(shared + "one", stored) and not passwords.matches(shared + "two", stored)


def test_passwords_are_hashed_with_many_rounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert passwords.hashed(GOOD_PASSWORD).startswith("$2b$12$") and passwords.DUMMY_HASH.startswith(
        "$2b$12$"
    ), "a stranger costs the same work as a user"


@sqlite
def test_signing_in_says_the_same_of_a_wrong_password_and_an_unknown_address(make_app: MakeApp):
    installation = Installation(make_app(DASHTRADE_SIGNUP="open"))
    installation.join("superadmin@example.com")
    post(installation, "/auth/register", registration())
    answer = post(installation, "/auth/login", {"email": " ANN@example.com ", "password": GOOD_PASSWORD})
    assert (
        answer.status_code == 200
        and answer.json["user"]["email"] == "ann@example.com"
        and answer.json["access_token"].startswith("dt_")
    )
    wrong = assert_error(
        post(installation, "/auth/login", {"email": "ann@example.com", "password": "wrong horse"}), 401
    )
    assert (
        assert_error(
            post(installation, "/auth/login", {"email": "nobody@example.com", "password": "wrong horse"}), 401
        )
        == wrong
    )
    assert_error(post(installation, "/auth/register", registration()), 400, "already")


@sqlite
def test_after_eight_failures_even_the_right_password_waits(make_app: MakeApp):
    installation = Installation(make_app(DASHTRADE_SIGNUP="open"))
    installation.join("superadmin@example.com")
    post(installation, "/auth/register", registration())
    for _ in range(8):
        assert_error(
            post(installation, "/auth/login", {"email": "ann@example.com", "password": "wrong horse"}), 401
        )
    answer = post(installation, "/auth/login", {"email": "ann@example.com", "password": GOOD_PASSWORD})
    assert (
        assert_error(answer, 429)["error"] == "too_many_attempts"
        and 0 < int(answer.headers["Retry-After"]) <= 301
    )
    assert_error(
        post(installation, "/auth/login", {"email": "bob@example.com", "password": "wrong horse"}), 401
    )


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ann",
        "ann@",
        "@example.com",
        "ann@example",
        "a b@example.com",
        "ann@example.com\n<script>",
        "x" * 250 + "@example.com",
    ],
)
@sqlite
def test_what_is_no_email_address_is_refused(installation: Installation, email: str):
    assert_error(post(installation, "/auth/register", registration(email, setup_code="x")), 400)


@sqlite
def test_tokens_are_listed_and_revoked_and_run_out(
    trader: Trader, installation: Installation, clock: ManualClock
):
    [mine] = trader.get("/tokens")["items"]
    assert mine.keys() == {"id", "name", "created_at", "expires_at", "used_at", "scopes"}
    clock.forward(30 * 86400 - 1)
    assert trader.call("GET", "/users/me").status_code == 200
    clock.forward(1)
    assert_error(trader.call("GET", "/users/me"), 401)
    other_trader = installation.join("bob@example.com")
    [his] = other_trader.get("/tokens")["items"]
    assert other_trader.request("DELETE", f"/tokens/{his['id']}")["status"] == "revoked"
    assert_error(other_trader.call("GET", "/users/me"), 401)


@sqlite
def test_tokens_are_kept_as_hashes(trader: Trader, app: App):
    with app.db.read() as conn:
        kept = "\n".join(conn.connection.driver_connection.iterdump())
    assert trader.access not in kept and trader.token not in kept


@sqlite
def test_a_user_who_was_stopped_has_no_way_in(trader: Trader, installation: Installation):
    trader.bot()
    installation.app.db.write(lambda conn: people_table.change(conn, trader.user.id, is_active=False))
    assert_error(trader.call("GET", "/users/me"), 401)
    assert_error(trader.alert({"action": "buy", "symbol": "AAPL"}), 401)


@sqlite
def test_a_user_changes_their_own_settings(trader: Trader):
    changed = trader.request(
        "PATCH",
        "/users/me",
        {"name": "Anna", "time_zone": "Europe/Berlin", "max_alert_age": 60, "tradingview_only": False},
    )
    assert changed.items() >= {"name": "Anna", "time_zone": "Europe/Berlin", "max_alert_age": 60}.items()
    assert trader.request("PATCH", "/users/me", {"max_alert_age": None})["max_alert_age"] is None
    assert_error(trader.call("PATCH", "/users/me", {"time_zone": "Mars/Olympus"}), 400, "Europe/Berlin")
    for name in ("name", "time_zone", "tradingview_only"):
        assert_error(trader.call("PATCH", "/users/me", {name: None}), 400, name)


CLOSED = [(method, path) for (method, path), known in ENDPOINTS.items() if not known.open]


@pytest.mark.parametrize("access", ["", "dt_nonsense"])
@sqlite
def test_nothing_but_joining_and_signing_in_is_open(installation: Installation, access: str):
    client = installation.flask.test_client()
    for method, path in CLOSED:
        response = client.open(
            re.sub(r"<[^>]+>", "1", path),
            method=method,
            headers={"Authorization": f"Bearer {access}"} if access else {},
        )
        assert (
            assert_error(response, 401)["error"] == "unauthorized"
            and response.headers["WWW-Authenticate"] == "Bearer"
        ), path
    assert {path for method, path in ENDPOINTS.keys() - set(CLOSED)} == {
        "/api/v1/auth/register",
        "/api/v1/auth/login",
    }
