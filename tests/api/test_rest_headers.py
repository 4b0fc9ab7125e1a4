"""What browsers are told with every answer of the receiver, and what it tells nobody."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.domain.access import Role
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader


def ask(installation: Installation, path: str, *, method: str = "GET", **given: Any) -> Any:
    return installation.flask.test_client().open(path, method=method, **given)


# --- on every answer ----------------------------------------------------------------------------------------


@sqlite
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 503),
        ("GET", "/nothing/here", 404),
        ("PUT", "/webhook", 405),
        ("POST", "/webhook", 401),
        ("POST", "/test-webhook", 400),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/api/v1/bots", 401),
        ("POST", "/api/v1/auth/login", 400),
        ("GET", "/api/v1//bots", 404),
        ("GET", "/api/v1/../bots", 404),
        ("OPTIONS", "/health", 200),
        ("POST", "/static/x", 404),
    ],
)
def test_no_response_is_cached_or_sniffed(
    installation: Installation, method: str, path: str, status: int
) -> None:
    answer = ask(installation, path, method=method)
    assert answer.status_code == status
    assert_told(answer)


def assert_told(said: Any) -> None:
    assert said.headers["Cache-Control"] == "no-store"
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in said.headers["Content-Security-Policy"]


@sqlite
def test_so_is_what_holds_secrets_and_what_is_streamed(trader: Trader) -> None:
    for method, path in (
        ("POST", "/webhook-token/rotate"),
        ("GET", "/webhook-token"),
        ("GET", "/users/me"),
        ("GET", "/trades.csv"),
    ):
        response = trader.call(method, path)
        assert response.status_code == 200 and response.text
        assert_told(response)
    assert_told(trader.alert({"action": "buy", "symbol": "AAPL", "id": "1"}))


@sqlite
def test_so_is_what_went_wrong_inside(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr("dashtrade.tables.lanes.heartbeat_age", broken)
    answer = ask(installation, "/health")
    assert answer.status_code == 500
    assert_told(answer)


@sqlite
@pytest.mark.parametrize(
    "path", ["/api/v1//bots", "//health", "/webhook//", "/api//v1/bots", "/health/", "/user/1//bots"]
)
def test_no_answer_leads_to_an_address_that_the_caller_named(installation: Installation, path: str) -> None:
    answer = ask(installation, path, headers={"Host": "evil.example"})
    assert answer.status_code not in (301, 302, 303, 307, 308)
    assert "evil.example" not in f"{answer.headers}{answer.text}"


@sqlite
@pytest.mark.parametrize(
    ("environ", "base", "told"),
    [
        ({}, "http://hooks.example.com", None),
        ({"DASHTRADE_PROXY_HOPS": "1"}, "http://hooks.example.com", "max-age=31536000"),
        (
            {"DASHTRADE_PUBLIC_URL": "https://hooks.example.com"},
            "http://hooks.example.com",
            "max-age=31536000; includeSubDomains",
        ),
        ({"DASHTRADE_PUBLIC_URL": "https://hooks.example.com"}, "http://example.com", None),
        (
            {"DASHTRADE_PUBLIC_URL": "https://hooks.example.com", "DASHTRADE_PROXY_HOPS": "1"},
            "http://other.example.com",
            "max-age=31536000",
        ),
        ({"DASHTRADE_PUBLIC_URL": "http://hooks.example.com"}, "http://hooks.example.com", None),
    ],
)
def test_over_https_the_name_is_kept_to_https(
    make_app: MakeApp, environ: dict[str, str], base: str, told: str | None
) -> None:
    answer = ask(
        Installation(make_app(**environ)), "/health", base_url=base, headers={"X-Forwarded-Proto": "https"}
    )
    assert answer.headers.get("Strict-Transport-Security") == told


# --- how it is ----------------------------------------------------------------------------------------------


BUY = {"action": "buy", "symbol": "AAPL"}


def health(installation: Installation, **headers: str) -> Any:
    return ask(installation, "/health", headers=headers).json


def test_a_stranger_hears_whether_it_is_well_and_no_numbers(
    trader: Trader, installation: Installation
) -> None:
    installation.app.engine.leases.renew()
    trader.bot()
    trader.send(BUY)
    well = {"status": "ok", "process": "ok", "database": "ok", "worker": "ok"}
    assert health(installation) == well
    assert health(installation, Authorization=f"Bearer {trader.access}") == well
    assert health(installation, Authorization="Bearer made-up") == well
    installation.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE workers SET seen = seen - 11"))
    assert health(installation) == well | {"status": "failing", "worker": "silent"}


def test_who_may_see_the_system_hears_how_much_waits(
    trader: Trader, installation: Installation, clock: ManualClock
) -> None:
    admin = installation.join("superadmin@example.com", Role.ADMIN)
    trader.bot()
    trader.send(BUY)
    clock.forward(5)
    installation.app.engine.leases.renew()
    answer = health(installation, Authorization=f"Bearer {admin.access}")
    assert (answer["waiting"], answer["oldest_waiting_seconds"]) == (1, 5.0)
    installation.work()
    assert health(installation, Authorization=f"Bearer {admin.access}")["waiting"] == 0


def test_an_alert_that_its_user_delays_does_not_wait(
    trader: Trader, installation: Installation, clock: ManualClock
) -> None:
    admin = installation.join("superadmin@example.com", Role.ADMIN)
    trader.bot(delay_seconds="60")
    trader.send(BUY)
    installation.work()  # which finds that it is not due
    clock.forward(30)
    sent = {"Authorization": f"Bearer {admin.access}"}
    assert (
        health(installation, **sent)["waiting"],
        health(installation, **sent)["oldest_waiting_seconds"],
    ) == (0, 0)
    clock.forward(45)
    assert (
        health(installation, **sent)["waiting"],
        health(installation, **sent)["oldest_waiting_seconds"],
    ) == (1, 15.0)
