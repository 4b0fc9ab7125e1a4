"""The REST API: everything DashTrade does can be done with it, and whatever is wrong is said with a hint."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dashtrade.api.http import ENDPOINTS
from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.domain.ports import OrderReport
from dashtrade.domain.symbols import Symbol
from dashtrade.services.people import passwords, users
from dashtrade.tables import drifts as drift_table
from dashtrade.tables import people as people_table
from dashtrade.tables import trades as trade_table
from tests.conftest import MakeApp
from tests.support.databases import sqlite
from tests.support.fakes import SetClock, SetFeed
from tests.support.installation import House, Person, Venue, until

D = Decimal
GOOD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real number of rounds is checked once, below."""
    monkeypatch.setattr(passwords, "_ROUNDS", 4)
    monkeypatch.setattr(passwords, "NOBODY", passwords.hashed("nobody"))


def post(house: House, path: str, body: Any) -> Any:
    return house.flask.test_client().post(f"/api/v1{path}", json=body)


def told(said: Any, status: int, *words: str) -> Any:
    """An error as clients may rely on it: JSON with what, why and what to do."""
    assert said.status_code == status, said.text
    body = said.json
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "message", "hint")), body
    for word in words:
        assert word.lower() in f"{body['message']} {body['hint']}".lower(), body
    return body


# --- people -------------------------------------------------------------------------------------------------


def registration(email: str = "ann@example.com", password: str = GOOD, **more: Any) -> dict[str, Any]:
    return {"email": email, "password": password, "name": "Ann"} | more


def code_of(house: House) -> str:
    link = users.setup_link(house.app)
    assert link is not None
    return link.partition("?setup=")[2]


def test_the_first_user_needs_the_set_up_code_which_works_once(house: House):
    former, code = code_of(house), code_of(house)
    told(post(house, "/auth/register", registration()), 401, "set-up code")
    told(post(house, "/auth/register", registration(setup_code=former)), 401, "set-up code")
    said = post(house, "/auth/register", registration(setup_code=code))
    assert (
        said.status_code == 201
        and said.json["user"].items() >= {"email": "ann@example.com", "role": "superadmin"}.items()
    )
    me = house.flask.test_client().get(
        "/api/v1/users/me", headers={"Authorization": f"Bearer {said.json['access_token']}"}
    )
    assert me.json["id"] == said.json["user"]["id"] and "password" not in me.text
    told(post(house, "/auth/register", registration("bob@example.com", setup_code=code)), 401)
    assert users.setup_link(house.app) is None


def test_of_two_who_use_the_code_at_once_one_becomes_the_first_user(house: House):
    code = code_of(house)
    with ThreadPoolExecutor(4) as pool:
        said = list(
            pool.map(
                lambda n: (
                    post(
                        house, "/auth/register", registration(f"p{n}@example.com", setup_code=code)
                    ).status_code
                ),
                range(4),
            )
        )
    assert sorted(said) == [201, 401, 401, 401]


@sqlite
def test_others_join_by_an_invitation_that_works_once_and_for_a_week(house: House, clock: SetClock):
    boss = house.join("boss@example.com", Role.SUPERADMIN)
    told(post(house, "/auth/register", registration()), 401, "invitation")
    code = boss.does("POST", "/invitations", {"role": "admin"})["invitation"]
    said = post(house, "/auth/register", registration(invitation=code))
    assert said.status_code == 201 and said.json["user"]["role"] == "admin"
    told(post(house, "/auth/register", registration("bob@example.com", invitation=code)), 401, "invitation")
    late = boss.does("POST", "/invitations", {})["invitation"]
    clock.forward(7 * 86400 + 1)
    told(post(house, "/auth/register", registration("bob@example.com", invitation=late)), 401, "invitation")


@sqlite
def test_an_admin_invites_ordinary_users_and_those_nobody(house: House):
    assert (
        house.join("admin@example.com", Role.ADMIN).does("POST", "/invitations", {"role": "superadmin"})[
            "role"
        ]
        == "standard"
    )
    told(house.join().call("POST", "/invitations", {}), 403)


@sqlite
def test_an_invitation_of_an_address_is_for_that_address(house: House):
    code = house.join("boss@example.com", Role.SUPERADMIN).does(
        "POST", "/invitations", {"email": "ann@example.com"}
    )["invitation"]
    told(post(house, "/auth/register", registration("eve@example.com", invitation=code)), 401, "invitation")
    assert post(house, "/auth/register", registration("Ann@Example.com", invitation=code)).status_code == 201


@pytest.mark.parametrize(("signup", "status"), [("open", 201), ("closed", 401), ("invite", 401)])
@sqlite
def test_who_may_join_is_a_setting(make_app: MakeApp, signup: str, status: int):
    house = House(make_app(DASHTRADE_SIGNUP=signup))
    house.join("boss@example.com", Role.SUPERADMIN)
    said = post(house, "/auth/register", registration())
    assert said.status_code == status
    assert status == 401 or said.json["user"]["role"] == "standard"


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
        GOOD,
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
    house = House(make_app(DASHTRADE_SIGNUP="open"))
    house.join("boss@example.com")
    assert post(house, "/auth/register", registration(password=password)).status_code == 201
    assert post(house, "/auth/login", {"email": "ann@example.com", "password": password}).status_code == 200
    told(post(house, "/auth/login", {"email": "ann@example.com", "password": password[:-1]}), 401)


def test_every_character_of_a_long_password_counts():
    for shared in ("ab3-" * 18, "ü" * 40):  # bcrypt alone reads 72 bytes
        stored = passwords.hashed(shared + "one")
        assert passwords.matches(shared + "one", stored) and not passwords.matches(shared + "two", stored)


def test_passwords_are_hashed_with_many_rounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    assert passwords.hashed(GOOD).startswith("$2b$12$") and passwords.NOBODY.startswith("$2b$12$"), (
        "a stranger costs the same work as a user"
    )


@sqlite
def test_signing_in_says_the_same_of_a_wrong_password_and_an_unknown_address(make_app: MakeApp):
    house = House(make_app(DASHTRADE_SIGNUP="open"))
    house.join("boss@example.com")
    post(house, "/auth/register", registration())
    said = post(house, "/auth/login", {"email": " ANN@example.com ", "password": GOOD})
    assert (
        said.status_code == 200
        and said.json["user"]["email"] == "ann@example.com"
        and said.json["access_token"].startswith("dt_")
    )
    wrong = told(post(house, "/auth/login", {"email": "ann@example.com", "password": "wrong horse"}), 401)
    assert (
        told(post(house, "/auth/login", {"email": "nobody@example.com", "password": "wrong horse"}), 401)
        == wrong
    )
    told(post(house, "/auth/register", registration()), 400, "already")


@sqlite
def test_after_eight_failures_even_the_right_password_waits(make_app: MakeApp):
    house = House(make_app(DASHTRADE_SIGNUP="open"))
    house.join("boss@example.com")
    post(house, "/auth/register", registration())
    for _ in range(8):
        told(post(house, "/auth/login", {"email": "ann@example.com", "password": "wrong horse"}), 401)
    said = post(house, "/auth/login", {"email": "ann@example.com", "password": GOOD})
    assert told(said, 429)["error"] == "too_many_attempts" and 0 < int(said.headers["Retry-After"]) <= 301
    told(post(house, "/auth/login", {"email": "bob@example.com", "password": "wrong horse"}), 401)


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
def test_what_is_no_email_address_is_refused(house: House, email: str):
    told(post(house, "/auth/register", registration(email, setup_code="x")), 400)


@sqlite
def test_tokens_are_listed_and_revoked_and_run_out(ann: Person, house: House, clock: SetClock):
    [mine] = ann.get("/tokens")["items"]
    assert mine.keys() == {"id", "name", "created_at", "expires_at", "used_at", "scopes"}
    clock.forward(30 * 86400 - 1)
    assert ann.call("GET", "/users/me").status_code == 200
    clock.forward(1)
    told(ann.call("GET", "/users/me"), 401)
    bob = house.join("bob@example.com")
    [his] = bob.get("/tokens")["items"]
    assert bob.does("DELETE", f"/tokens/{his['id']}")["status"] == "revoked"
    told(bob.call("GET", "/users/me"), 401)


@sqlite
def test_tokens_are_kept_as_hashes(ann: Person, app: App):
    with app.db.read() as conn:
        kept = "\n".join(conn.connection.driver_connection.iterdump())
    assert ann.access not in kept and ann.token not in kept


@sqlite
def test_a_user_who_was_stopped_has_no_way_in(ann: Person, house: House):
    ann.bot()
    house.app.db.write(lambda conn: people_table.change(conn, ann.user.id, is_active=False))
    told(ann.call("GET", "/users/me"), 401)
    told(ann.alert({"action": "buy", "symbol": "AAPL"}), 401)


@sqlite
def test_a_user_changes_what_is_theirs(ann: Person):
    changed = ann.does(
        "PATCH",
        "/users/me",
        {"name": "Anna", "time_zone": "Europe/Berlin", "max_alert_age": 60, "tradingview_only": False},
    )
    assert changed.items() >= {"name": "Anna", "time_zone": "Europe/Berlin", "max_alert_age": 60}.items()
    assert ann.does("PATCH", "/users/me", {"max_alert_age": None})["max_alert_age"] is None
    told(ann.call("PATCH", "/users/me", {"time_zone": "Mars/Olympus"}), 400, "Europe/Berlin")
    for name in ("name", "time_zone", "tradingview_only"):
        told(ann.call("PATCH", "/users/me", {name: None}), 400, name)


CLOSED = [(method, path) for (method, path), known in ENDPOINTS.items() if not known.open]


@pytest.mark.parametrize("access", ["", "dt_nonsense"])
@sqlite
def test_nothing_but_joining_and_signing_in_is_open(house: House, access: str):
    client = house.flask.test_client()
    for method, path in CLOSED:
        said = client.open(
            re.sub(r"<[^>]+>", "1", path),
            method=method,
            headers={"Authorization": f"Bearer {access}"} if access else {},
        )
        assert told(said, 401)["error"] == "unauthorized" and said.headers["WWW-Authenticate"] == "Bearer", (
            path
        )
    assert {path for method, path in ENDPOINTS.keys() - set(CLOSED)} == {
        "/api/v1/auth/register",
        "/api/v1/auth/login",
    }


# --- accounts -----------------------------------------------------------------------------------------------


def test_an_account_is_made_shown_changed_tested_and_removed(ann: Person, app: App):
    made = ann.does(
        "POST",
        "/accounts",
        {
            "broker": "paper",
            "mode": "paper",
            "label": "My paper",
            "credentials": {"key": "very-secret-key"},
            "options": {"starting_cash": "50000"},
        },
    )
    assert (
        made.items()
        >= {
            "broker": "paper",
            "mode": "paper",
            "label": "My paper",
            "is_active": True,
            "checked_at": None,
        }.items()
    )
    path = f"/accounts/{made['id']}"
    tested = ann.does("POST", f"{path}/test")
    assert tested["ok"] is True and tested["cash"] == "50000"
    assert ann.does("PATCH", path, {"label": "Renamed"})["label"] == "Renamed"
    assert ann.get("/accounts")["items"] == [ann.get(path)] and ann.get(path)["check_result"]["ok"] is True
    with app.db.read() as conn:
        kept = str(list(conn.exec_driver_sql("SELECT * FROM user_api_keys")))
    for text in (kept, str(ann.get(path)), str(ann.get("/accounts")), repr(app)):
        assert "very-secret-key" not in text
    assert ann.does("DELETE", path)["status"] == "removed"
    told(ann.call("GET", path), 404)
    assert ann.get("/accounts")["items"] == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"broker": "paperr"}, ["paper"]),
        ({"broker": "paper", "mode": "live"}, ["mode", "paper"]),
        ({}, ["broker"]),
        ({"broker": "paper", "options": {"starting_cahs": 1}}, ["starting_cash"]),
        ({"broker": "paper", "options": {"starting_cash": -1}}, ["starting_cash"]),
        ({"broker": "paper", "options": {"hours": "never"}}, ["hours"]),
        ({"broker": "paper", "label": "a\nb"}, ["label"]),
        ({"broker": "paper", "credentials": {"key": 1}}, ["credentials"]),
        ({"broker": "paper", "secret": "x"}, ["secret"]),
    ],
)
@sqlite
def test_an_account_that_cannot_be_is_refused_with_a_hint(
    ann: Person, body: dict[str, Any], words: list[str]
):
    told(ann.call("POST", "/accounts", body), 400, *words)
    assert ann.get("/accounts")["items"] == []


def test_a_paper_account_starts_over_and_keeps_its_history(ann: Person):
    bot = ann.bot()
    ann.trades("buy")
    told(ann.call("POST", f"/accounts/{ann.paper}/reset"), 409, "owns")
    told(ann.call("DELETE", f"/accounts/{ann.paper}"), 409, "bots")
    ann.trades("close")
    history = ann.get("/trades")
    ann.does("POST", f"/accounts/{ann.paper}/reset")
    assert (
        ann.does("POST", f"/accounts/{ann.paper}/test")["cash"] == "100000" and ann.get("/trades") == history
    )
    ann.does("DELETE", f"/bots/{bot}")
    ann.does("DELETE", f"/accounts/{ann.paper}")
    assert ann.get("/trades") == history


# --- bots ---------------------------------------------------------------------------------------------------

EVERY_FIELD = {
    "name": "Turtle",
    "position_size": "12.5",
    "position_size_type": "percent_of_equity",
    "size_override": True,
    "risk_limit_percent": "10",
    "daily_loss_limit": "500",
    "max_position_size": "20000",
    "sides": "long",
    "order_type": "limit",
    "limit_offset_percent": "0.25",
    "cooldown_seconds": 60,
    "windows": [{"days": ["mon", "fri"], "from": "09:30", "to": "16:00"}],
    "time_zone": "America/New_York",
    "orders_per_day": 5,
}
OTHER_VALUES = {
    "name": "Hare",
    "position_size": "1000",
    "position_size_type": "dollars",
    "size_override": False,
    "risk_limit_percent": None,
    "daily_loss_limit": None,
    "max_position_size": None,
    "sides": "both",
    "order_type": "market",
    "limit_offset_percent": "-1",
    "cooldown_seconds": 0,
    "windows": [],
    "time_zone": "UTC",
    "orders_per_day": None,
}


def test_every_field_of_a_bot_is_kept_and_can_be_changed(ann: Person):
    bot = ann.bot(**EVERY_FIELD)
    shown = ann.get(f"/bots/{bot}")
    assert {name: shown[name] for name in EVERY_FIELD} == EVERY_FIELD
    assert (
        shown["status"] == "READY"
        and shown["is_active"] is True
        and shown["total_pnl"] == "0"
        and shown["total_trades"] == 0
    )
    assert (
        shown["position"].items()
        >= {"side": "flat", "quantity": "0", "average_price": None, "unrealized_pnl": "0"}.items()
    )
    changed = ann.does("PATCH", f"/bots/{bot}", OTHER_VALUES)
    assert {name: changed[name] for name in OTHER_VALUES} == OTHER_VALUES
    one = ann.does("PATCH", f"/bots/{bot}", {"name": "Only this"})
    assert {name: one[name] for name in OTHER_VALUES} == OTHER_VALUES | {"name": "Only this"}


@sqlite
def test_a_changed_size_keeps_its_kind(ann: Person):
    bot = ann.bot(position_size="10%")
    assert ann.get(f"/bots/{bot}")["position_size_type"] == "percent_of_equity"
    assert (
        ann.does("PATCH", f"/bots/{bot}", {"position_size": 20}).items()
        >= {"position_size": "20", "position_size_type": "percent_of_equity"}.items()
    )


BAD_FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"symbol": ""}, "symbol", "symbol"),
    ({"symbol": "???"}, "symbol", "AAPL"),
    ({"symbol": "BTCUSDT.P"}, "symbol", "spot"),
    ({"timeframe": "fortnight"}, "timeframe", "15 Min"),
    ({"timeframe": None}, "timeframe", "timeframe"),
    ({"position_size": 0}, "position_size", "above 0"),
    ({"position_size": "-5"}, "position_size", "above 0"),
    ({"position_size": "many"}, "position_size", "number"),
    ({"position_size": "120%"}, "position_size", "100"),
    ({"position_size_type": "lots"}, "position_size_type", "dollars"),
    ({"position_size_type": {}}, "position_size_type", "dollars"),
    ({"position_size_type": ["dollars"]}, "position_size_type", "dollars"),
    ({"risk_limit_percent": "0"}, "risk_limit_percent", "100"),
    ({"risk_limit_percent": 101}, "risk_limit_percent", "100"),
    ({"daily_loss_limit": -1}, "daily_loss_limit", "above 0"),
    ({"max_position_size": "1e400"}, "max_position_size", "finite"),
    ({"sides": "up"}, "sides", "long"),
    ({"order_type": "stop"}, "order_type", "limit"),
    ({"order_type": "guess"}, "order_type", "limit"),
    ({"limit_offset_percent": "51"}, "limit_offset_percent", "50"),
    ({"cooldown_seconds": -1}, "cooldown_seconds", "whole number"),
    ({"cooldown_seconds": 1.5}, "cooldown_seconds", "whole number"),
    ({"orders_per_day": 0}, "orders_per_day", "from 1"),
    ({"windows": "always"}, "windows", "list"),
    ({"windows": [{"days": ["someday"], "from": "09:00", "to": "10:00"}]}, "windows.days", "days"),
    ({"windows": [{"from": "9", "to": "25:00"}]}, "windows", "09:30"),
    ({"time_zone": "Mars"}, "time_zone", "Europe/Berlin"),
    ({"size_override": "yes"}, "size_override", "true"),
    ({"name": " "}, "name", "100"),
    ({"name": "x" * 101}, "name", "100"),
    ({"name": "a\nb"}, "name", "100"),
    ({"sides": None}, "sides", "value"),
    ({"cooldown": 5}, "cooldown", "cooldown_seconds"),
]


@pytest.mark.parametrize(
    ("fields", "field", "hint"), BAD_FIELDS, ids=[str(bad[0])[:40] for bad in BAD_FIELDS]
)
@sqlite
def test_a_bot_that_cannot_be_is_refused_with_the_field_and_a_hint(
    ann: Person, fields: dict[str, Any], field: str, hint: str
):
    body = {
        "account_id": ann.account(),
        "symbol": "AAPL",
        "timeframe": "15 Min",
        "position_size": "5000",
    } | fields
    said = told(ann.call("POST", "/bots", body), 400, hint)
    assert said["field"] == field and ann.get("/bots")["items"] == []
    if field not in ("symbol", "timeframe"):
        bot = ann.bot()
        before = ann.get(f"/bots/{bot}")
        told(
            ann.call(
                "PATCH",
                f"/bots/{bot}",
                fields | ({"position_size": "5000"} if "position_size_type" in fields else {}),
            ),
            400,
            hint,
        )
        assert ann.get(f"/bots/{bot}") == before


@sqlite
def test_what_a_bot_belongs_to_stays(ann: Person):
    bot = ann.bot()
    for place in ({"symbol": "MSFT"}, {"timeframe": "D"}, {"account_id": ann.paper}):
        told(ann.call("PATCH", f"/bots/{bot}", place), 409, "history")


SAME_TIMEFRAMES = [
    ("15 Min", "15"),
    ("15 Min", "15m"),
    ("1H", "60"),
    ("1 Hour", "60m"),
    ("D", "1D"),
    ("1 Day", "daily"),
    ("1W", "weekly"),
    ("4h", 240),
]
SAME_SYMBOLS = [
    ("AAPL", "NASDAQ:AAPL"),
    ("AAPL", "aapl"),
    ("AAPL", "NYSE:AAPL-EQ"),
    ("BTCUSD", "BTC/USD"),
    ("BTC/USDT", "BINANCE:BTCUSDT"),
    ("BTC-USDT", "CRYPTO:BTC/USDT"),
]


@pytest.mark.parametrize(("one", "other"), SAME_TIMEFRAMES)
@sqlite
def test_a_timeframe_is_one_thing_however_it_is_written(ann: Person, one: Any, other: Any):
    first = ann.get(f"/bots/{ann.bot('AAPL', one)}")
    body = {"account_id": ann.paper, "symbol": "AAPL", "timeframe": other, "position_size": 1}
    told(ann.call("POST", "/bots", body), 409, "already")
    assert ann.get(f"/bots/{ann.bot('MSFT', other)}")["timeframe"] == first["timeframe"]


@pytest.mark.parametrize(("one", "other"), SAME_SYMBOLS)
@sqlite
def test_a_symbol_is_one_thing_and_is_shown_as_it_was_written(ann: Person, one: str, other: str):
    first = ann.get(f"/bots/{ann.bot(one)}")
    assert first["written_symbol"] == one and re.fullmatch(r"NYSE:AAPL-EQ|CRYPTO:BTC/USDT?", first["symbol"])
    told(
        ann.call(
            "POST", "/bots", {"account_id": ann.paper, "symbol": other, "timeframe": "15", "position_size": 1}
        ),
        409,
        "already",
    )
    second = ann.get(f"/bots/{ann.bot(other, account=ann.account())}")
    assert (second["symbol"], second["written_symbol"]) == (first["symbol"], other)


def test_bots_are_unique_per_account_symbol_and_timeframe_among_those_there_are(ann: Person):
    bot = ann.bot()
    with ThreadPoolExecutor(4) as pool:
        body = {"account_id": ann.paper, "symbol": "MSFT", "timeframe": "15", "position_size": 1}
        said = list(pool.map(lambda _: ann.call("POST", "/bots", body).status_code, range(4)))
    assert sorted(said) == [201, 409, 409, 409]
    ann.does("DELETE", f"/bots/{bot}")
    assert ann.bot() != bot and len(ann.get("/bots")["items"]) == 2


@sqlite
def test_bots_are_listed_page_by_page(ann: Person):
    made = [ann.bot(timeframe=f"{n}m") for n in range(1, 8)]
    other = ann.bot(account=ann.account())
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = ann.get("/bots", limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [bot["id"] for bot in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [*made, other]
    assert [bot["id"] for bot in ann.get("/bots", account_id=ann.paper)["items"]] == made


@sqlite
def test_a_bot_is_paused_and_resumed_at_once(ann: Person):
    bot = ann.bot()
    assert (
        ann.does("POST", f"/bots/{bot}/pause").items()
        >= {"is_active": False, "paused_reason": "paused by its user"}.items()
    )
    assert ann.trades("buy")["status"] == "refused"
    assert ann.does("POST", f"/bots/{bot}/resume").items() >= {"is_active": True, "paused_reason": ""}.items()
    assert ann.trades("buy")["status"] == "filled"
    ann.does("POST", f"/bots/{bot}/pause")
    assert ann.trades("close")["status"] == "filled", "what is owned can always be closed"


def test_a_position_is_closed_by_hand_and_two_clicks_are_one(ann: Person, house: House, feed: SetFeed):
    bot = ann.bot()
    ann.trades("buy")
    feed.set("AAPL", 102)
    assert (
        ann.get(f"/bots/{bot}")["position"].items()
        >= {"side": "long", "quantity": "50", "average_price": "100", "unrealized_pnl": "100"}.items()
    )
    said = [ann.does("POST", f"/bots/{bot}/close", {"request_id": "click-1"}) for _ in range(2)]
    assert said[0]["signal_id"] == said[1]["signal_id"] and [answer["duplicate"] for answer in said] == [
        False,
        True,
    ]
    house.work()
    assert ann.holds(bot) == 0 and ann.story(said[0]["signal_id"])["origin"] == "user"
    assert (
        ann.get(f"/bots/{bot}").items() >= {"total_pnl": "100", "total_trades": 2, "status": "READY"}.items()
    )


def test_a_bot_that_owns_something_is_not_deleted_unless_it_is_closed_or_handed_over(
    ann: Person, house: House
):
    bot, heir, other = ann.bot(), ann.bot(timeframe="1H"), ann.bot("MSFT")
    ann.trades("buy", timeframe="15 Min")
    told(ann.call("DELETE", f"/bots/{bot}"), 409, "owns 50 AAPL", "position=close")
    told(ann.call("DELETE", f"/bots/{bot}", position="hand_over"), 409)
    told(ann.call("DELETE", f"/bots/{bot}", position="hand_over", to=other), 409, "same account and symbol")
    told(ann.call("DELETE", f"/bots/{bot}", position="hand_over", to=bot), 404)
    told(ann.call("DELETE", f"/bots/{bot}", position="sell"), 400)
    trades = ann.get("/trades")
    ann.does("DELETE", f"/bots/{bot}", position="hand_over", to=heir)
    told(ann.call("GET", f"/bots/{bot}"), 404)
    assert ann.holds(heir) == 50 and ann.get("/trades") == trades, "its history stays"
    assert [(p["quantity"], p["outside"]) for p in ann.get("/positions")["items"]] == [("50", "0")]
    ann.trades("close", timeframe="1H")
    assert ann.holds(heir) == 0 and ann.get("/positions")["items"] == []
    with house.app.db.read() as conn:
        assert [(lot.quantity, lot.remaining) for lot in conn.exec_driver_sql("SELECT * FROM lots")] != [], (
            "and so do its lots"
        )


@sqlite
def test_a_bot_is_deleted_once_its_position_is_closed(ann: Person, house: House):
    bot = ann.bot()
    ann.trades("buy")
    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(ann.call, "DELETE", f"/bots/{bot}", position="close")
        until(lambda: house.app.engine.open_lanes())
        house.work()
        assert deleting.result(10).status_code == 200
    told(ann.call("GET", f"/bots/{bot}"), 404)
    assert [trade["action"] for trade in ann.get("/trades", bot_id=bot)["items"]] == ["sell", "buy"]


@sqlite
def test_a_bot_with_an_order_out_is_not_deleted(ann: Person, house: House):
    bot = ann.bot()
    ann.trades("buy", order_type="limit", limit_price="90")
    told(ann.call("DELETE", f"/bots/{bot}"), 409, "order out")
    ann.trades("cancel")
    ann.does("DELETE", f"/bots/{bot}")


# --- switches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["pause_entries", "reduce_only", "halt"])
@pytest.mark.parametrize("scope", ["all", "user", "account", "bot"])
@sqlite
def test_a_switch_stops_entries_at_once_and_lets_exits_pass(house: House, scope: str, mode: str):
    ann = house.join(role=Role.SUPERADMIN)
    bot, resting = ann.bot(), ann.bot("MSFT")
    ann.trades("buy")
    entry = ann.trades("buy", "MSFT", order_type="limit", limit_price="90")
    where = {"all": {}, "user": {}, "account": {"id": ann.paper}, "bot": {"id": bot}}[scope]
    items = ann.does("PUT", "/switches", {"scope": scope, "mode": mode, "reason": "news"} | where)["items"]
    assert [(s["scope"], s["mode"], s["reason"]) for s in items] == [(scope, mode, "news")] and ann.get(
        "/switches"
    )["items"] == items
    house.work()
    story = ann.trades("add")
    assert (
        story["status"] == "refused"
        and ("paused" if mode == "halt" else mode.replace("_", " ")) in story["reason"]
    )
    assert ann.trades("close")["status"] == "filled"
    taken_back = mode != "pause_entries" and scope != "bot"
    assert ann.story(entry["id"])["orders"][0]["status"] == ("canceled" if taken_back else "working")
    assert ann.get(f"/bots/{bot}")["is_active"] is (mode != "halt")
    assert ann.get(f"/bots/{resting}")["is_active"] is (mode != "halt" or scope == "bot")
    assert ann.does("PUT", "/switches", {"scope": scope, "mode": "none"} | where)["items"] == []
    assert (ann.trades("buy")["status"] == "filled") is (mode != "halt"), (
        "after a halt each bot is resumed by hand"
    )
    if mode == "halt":
        ann.does("POST", f"/bots/{bot}/resume")
        assert ann.trades("buy")["status"] == "filled"


@sqlite
def test_the_strongest_switch_counts_and_another_users_does_not(house: House):
    ann, bob, boss = (
        house.join(),
        house.join("bob@example.com"),
        house.join("boss@example.com", Role.SUPERADMIN),
    )
    ann.bot()
    bob.bot()
    told(ann.call("PUT", "/switches", {"scope": "all", "mode": "halt"}), 403, "superadmin")
    bob.does("PUT", "/switches", {"scope": "user", "mode": "pause_entries"})
    assert ann.trades("buy")["status"] == "filled" and bob.trades("buy")["status"] == "refused"
    boss.does("PUT", "/switches", {"scope": "all", "mode": "reduce_only"})
    assert "all trading is switched to reduce only" in bob.trades("buy")["reason"]
    assert [s["scope"] for s in ann.get("/switches")["items"]] == ["all"]
    told(ann.call("PUT", "/switches", {"scope": "user", "mode": "stop"}), 400, "mode")
    assert told(ann.call("PUT", "/switches", {"scope": "bot", "mode": "halt"}), 400)["field"] == "id"
    told(ann.call("PUT", "/switches", {"scope": "bot", "id": 4711, "mode": "halt"}), 404)


# --- signals and their stories ------------------------------------------------------------------------------


def test_a_story_tells_every_step_in_order_with_its_time(ann: Person):
    ann.bot()
    story = ann.trades("buy")
    steps = [line["step"] for line in story["timeline"]]
    assert list(dict.fromkeys(steps)) == [
        "received",
        "read",
        "check",
        "decided",
        "order submitting",
        "order filled",
        "filled",
        "booked",
        "message",
    ]
    times = [line["at"] for line in story["timeline"]]
    assert times == sorted(times) and all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", at) for at in times
    )
    assert all(line["detail"] for line in story["timeline"])
    assert story.keys() >= {"id", "status", "reason", "duplicate_count", "received_at", "timeline", "orders"}
    assert story["raw"] and all(check["ok"] and check["detail"] for check in story["bots"][0]["checks"])


@sqlite
def test_signals_are_listed_newest_first_filtered_and_page_by_page(ann: Person, clock: SetClock):
    aapl, msft = ann.bot(), ann.bot("MSFT")
    ids = []
    for action, symbol in (
        ("buy", "AAPL"),
        ("buy", "MSFT"),
        ("buy", "AAPL"),
        ("close", "AAPL"),
        ("buy", "KO"),
    ):
        clock.forward(1)
        said = ann.alert({"action": action, "symbol": symbol, "id": f"{len(ids)}"})
        ids.append(said.json["signal_id"])
        ann.house.work()
    assert [s["id"] for s in ann.get("/signals")["items"]] == ids[::-1]
    assert [s["id"] for s in ann.get("/signals", symbol="NASDAQ:AAPL")["items"]] == [ids[3], ids[2], ids[0]]
    assert [s["id"] for s in ann.get("/signals", status="refused")["items"]] == [ids[4], ids[2]]
    assert [s["id"] for s in ann.get("/signals", bot_id=msft)["items"]] == [ids[1]]
    assert [s["id"] for s in ann.get("/signals", bot_id=aapl, status="filled")["items"]] == [ids[3], ids[0]]
    first = ann.get("/signals", limit=2)
    assert [s["id"] for s in ann.get("/signals", limit=2, cursor=first["next_cursor"])["items"]] == [
        ids[2],
        ids[1],
    ]
    told(ann.call("GET", "/signals/nonsense"), 404)


# --- orders, trades, figures --------------------------------------------------------------------------------


def test_orders_are_listed_filtered_and_taken_back(ann: Person, house: House, clock: SetClock):
    bot = ann.bot()
    ann.bot("MSFT")
    for symbol in ("MSFT", "AAPL"):
        clock.forward(1)
        ann.trades("buy", symbol, order_type="limit", limit_price="90")
    ids = [order["order_id"] for order in ann.get("/orders")["items"]]
    page = ann.get("/orders", limit=1)
    assert [
        page["items"][0]["order_id"],
        ann.get("/orders", limit=1, cursor=page["next_cursor"])["items"][0]["order_id"],
    ] == ids
    [order] = ann.get("/orders", symbol="AAPL", status="working", bot_id=bot)["items"]
    assert order == ann.get(f"/orders/{order['order_id']}") and order["order_id"] == ids[0]
    assert len(order["client_order_id"]) == 32 and order["broker_order_id"] and order["limit_price"] == "90"
    assert ann.call("POST", f"/orders/{ids[0]}/cancel").status_code == 202
    house.work()
    assert (
        ann.get(f"/orders/{ids[0]}")["status"] == "canceled" and ann.get(f"/bots/{bot}")["status"] == "READY"
    )
    told(ann.call("POST", f"/orders/{ids[0]}/cancel"), 409, "canceled already")
    told(ann.call("POST", f"/orders/{ids[1]}/resolve", {"outcome": "not_placed"}), 409, "needs no decision")
    told(ann.call("POST", f"/orders/{ids[1]}/resolve", {"outcome": "maybe"}), 400, "outcome")
    for cursor in ("x", "2025-01-01", "~", "nonsense~x"):
        told(ann.call("GET", "/orders", cursor=cursor), 400, "cursor")


@pytest.fixture
def traded(ann: Person, clock: SetClock, feed: SetFeed) -> Person:
    """Six trades over three days, of two bots."""
    ann.bot()
    ann.bot("MSFT")
    for symbol, price in (("AAPL", 101), ("MSFT", 98), ("AAPL", 103)):
        feed.set(symbol, 100)
        ann.trades("buy", symbol)
        feed.set(symbol, price)
        ann.trades("close", symbol)
        clock.forward(86400)
    return ann


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 5, 4, 3, 2, 1]),
    ({"symbol": "aapl"}, [6, 5, 2, 1]),
    ({"action": "sell"}, [6, 4, 2]),
    ({"status": "filled"}, [6, 5, 4, 3, 2, 1]),
    ({"status": "partial"}, []),
    ({"from": "2025-06-05"}, [6, 5, 4, 3]),
    ({"to": "2025-06-04"}, [2, 1]),
    ({"to": "2025-06-05"}, [4, 3, 2, 1]),
    ({"to": "2025-06-05T00:00:00Z"}, [2, 1]),
    ({"from": "2025-06-05", "to": "2025-06-05"}, [4, 3]),
    ({"from": "2025-06-05T15:00:00Z", "to": "2025-06-05T17:00:00+01:00"}, [4, 3]),
    ({"bot_id": 2}, [4, 3]),
    ({"bot_id": 2, "action": "buy"}, [3]),
]


def test_trades_and_their_csv_keep_to_the_filter(traded: Person):
    for wanted, ids in FILTERS:
        check_trades(traded, wanted, ids)


def check_trades(traded: Person, wanted: dict[str, Any], ids: list[int]) -> None:
    items = traded.get("/trades", **wanted)["items"]
    assert [trade["id"] for trade in items] == ids
    said = traded.call("GET", "/trades.csv", **wanted)
    assert said.mimetype == "text/csv" and "attachment" in said.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(said.text)))
    assert tuple(csv.reader(io.StringIO(said.text)).__next__()) == trade_table.CSV_COLUMNS
    assert [int(row["id"]) for row in rows] == ids
    for row, trade in zip(rows, items, strict=True):
        assert (
            row["at"] == trade["at"]
            and row["symbol"] == trade["symbol"]
            and row["order_id"] == trade["order_id"]
        )
        for name in ("quantity", "price", "notional", "fee", "realized_pnl"):
            assert D(row[name]) == D(trade[name]) and re.fullmatch(r"-?\d+(\.\d+)?", row[name])


@sqlite
def test_trades_are_read_page_by_page_while_more_come(traded: Person):
    first = traded.get("/trades", limit=4)
    traded.trades("buy")
    rest = traded.get("/trades", limit=4, cursor=first["next_cursor"])
    assert [t["id"] for t in first["items"] + rest["items"]] == [6, 5, 4, 3, 2, 1] and rest[
        "next_cursor"
    ] is None
    for wrong in (
        {"cursor": "x"},
        {"cursor": "9" * 25},
        {"cursor": "0" * 30 + "9" * 30},
        {"limit": 0},
        {"limit": 501},
        {"from": "yesterday"},
        {"bot": 1},
        {"action": "hold"},
    ):
        told(traded.call("GET", "/trades", **wrong), 400)
    assert "from, to" in told(traded.call("GET", "/trades", bot=1), 400)["hint"]
    for wrong in ({"cursor": "x"}, {"status": "done"}):
        told(traded.call("GET", "/signals", **wrong), 400)


def test_no_cell_of_the_csv_is_a_formula(make_app: MakeApp, clock: SetClock, feed: SetFeed):
    venue = Venue()
    ann = House(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    ann.bot(account=ann.account("venue"))
    starts, fill = ("=", "+", "-", "@", "\t", "\r"), venue.fill
    bad = [f'{start}HYPERLINK("http://evil.example","1")' for start in starts]

    def named(name: str, quantity: Any, price: Any = None) -> OrderReport:
        return replace(fill(name, quantity, price), broker_order_id=bad[len(venue.sent) - 1])

    venue.fill = named  # type: ignore[method-assign]
    for action in ("buy", "close", "sell", "close", "buy"):
        assert ann.trades(action)["status"] == "filled"
    venue.price = D(90)
    ann.trades("close")
    rows = list(csv.DictReader(io.StringIO(ann.call("GET", "/trades.csv").text, newline="")))
    assert [row["broker_order_id"] for row in rows] == [f"'{cell}" for cell in reversed(bad)]
    assert D(rows[0]["realized_pnl"]) == -500, "a negative number is a number"


def test_performance_is_the_sum_of_the_fills(traded: Person):
    figures, trades = traded.get("/performance"), traded.get("/trades")["items"]
    total = figures["total"]
    assert D(total["realized_pnl"]) == sum(D(t["realized_pnl"]) for t in trades) == 50 - 100 + 150
    assert (total["trades"], total["wins"], total["losses"], total["win_rate"]) == (6, 2, 1, "66.7")
    assert [(day["bot_id"], day["day"], day["realized_pnl"]) for day in figures["items"]] == [
        (1, "2025-06-04", "50"),
        (2, "2025-06-05", "-100"),
        (1, "2025-06-06", "150"),
    ]
    part = traded.get("/performance", **{"from": "2025-06-05", "to": "2025-06-05"})
    assert [day["bot_id"] for day in part["items"]] == [2] and part["total"]["realized_pnl"] == "-100"
    assert traded.get("/performance", bot_id=1)["total"]["realized_pnl"] == "200"


@sqlite
def test_risk_events_are_listed(ann: Person, house: House, feed: SetFeed):
    for symbol in ("AAPL", "MSFT", "KO"):
        ann.bot(symbol, risk_limit_percent="5")
        ann.trades("buy", symbol)
        feed.set(symbol, 90)
        house.look()
    first = ann.get("/risk-events", limit=2)
    rest = ann.get("/risk-events", limit=2, cursor=first["next_cursor"])
    assert [event["bot_id"] for event in first["items"] + rest["items"]] == [3, 2, 1]
    assert [event["bot_id"] for event in ann.get("/risk-events", bot_id=2)["items"]] == [2]


@sqlite
def test_messages_are_listed_and_marked_as_read(ann: Person):
    ann.bot()
    ann.trades("buy")
    ann.trades("close")
    newest, older = ann.get("/messages")["items"]
    assert (
        newest["title"] == "Sold 50 AAPL"
        and older["title"] == "Bought 50 AAPL"
        and newest["signal_id"]
        and newest["read_at"] is None
    )
    assert ann.does("POST", "/messages/read", {"up_to": older["id"]}) == {"marked": 1}
    assert [m["id"] for m in ann.get("/messages", unread="true")["items"]] == [newest["id"]]


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


def test_what_cannot_be_read_is_answered_400_and_what_cannot_be_there_404(ann: Person):
    client = ann.house.flask.test_client()
    for raw in BODIES:
        told(
            client.post("/api/v1/accounts", data=raw, headers={"Authorization": f"Bearer {ann.access}"}), 400
        )
    for query in QUERIES:
        told(ann.call("GET", query), 400)
    for path in PATHS:
        told(ann.call("GET", path), 404)


@sqlite
def test_the_api_answers_503_fast_while_the_database_is_locked(ann: Person, app: App):
    other = sqlite3.connect(app.db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert told(ann.call("POST", "/accounts", {"broker": "paper"}), 503)["error"] == "unavailable"
    assert ann.get("/bots")["items"] == [], "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    ann.account()


# --- OpenAPI ------------------------------------------------------------------------------------------------

FIXED = """POST auth/register, POST auth/login, GET users/me, POST accounts, POST bots, GET bots, GET
bots/{bot_id}, PATCH bots/{bot_id}, DELETE bots/{bot_id}, POST bots/{bot_id}/pause, POST
bots/{bot_id}/resume, POST bots/{bot_id}/close, POST webhook-token/rotate, GET webhook-token, DELETE
webhook-token, GET signals, GET signals/{signal_id}, GET trades, GET trades.csv, GET orders, GET
positions, GET performance, GET risk-events, GET switches, PUT switches"""


@pytest.fixture
def described(house: House) -> Any:
    return house.flask.test_client().get("/api/v1/openapi.json").json


@sqlite
def test_openapi_describes_every_route(house: House, described: Any):
    listed = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in house.flask.url_map.iter_rules()
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
def furnished(ann: Person) -> Iterator[Person]:
    """With something under the first ids, so that more than 404 is met."""
    ann.bot()
    ann.trades("buy")
    ann.trades("buy", order_type="limit", limit_price="90")
    ann.does("POST", "/flatten", {"scope": "user"})
    aapl, now = Symbol.parse("AAPL"), ann.house.app.clock.now()
    ann.house.app.db.write(
        lambda conn: drift_table.open_one(
            conn,
            ann.user.id,
            account_id=ann.paper,
            asset=aapl.text,
            symbol=aapl,
            kind="closed",
            ours=Decimal(50),
            outside=Decimal(0),
            theirs=Decimal(0),
            average_price=None,
            mark=Decimal(100),
            ratio=None,
            detail="",
            opened_at=now,
            updated_at=now,
        )
    )
    yield ann


def test_no_request_that_fits_the_description_or_does_not_is_answered_5xx(furnished: Person):
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", furnished.house.flask)
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
            said = case.call(headers={"Authorization": f"Bearer {furnished.access}"})
            asked.add(said.status_code)
            assert said.status_code < 500, f"{case.method} {case.formatted_path} {case.body!r}: {said.text}"

        run()
    assert {200, 400, 404} <= asked
    assert furnished.call("GET", "/users/me").status_code == 200, "the token was good to the end"
