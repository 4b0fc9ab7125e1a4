"""The webhook receiver over HTTP: too much, too often, a database that is away, and the routes beside it."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import pytest

from dashtrade.context import App
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.webhook import BUY, DIALECTS, assert_error, count_signals

# --- too much, too often, and a database that is away -------------------------------------------------------


@sqlite
def test_more_than_64_kib_is_answered_413(trader: Trader):
    body = assert_error(trader.alert(b"x" * (64 * 1024 + 1)), 413)
    assert "64 KiB" in body["hint"]
    assert trader.alert(json.dumps(BUY).ljust(64 * 1024)).status_code == 202


@sqlite
def test_too_many_alerts_are_answered_429_with_the_time_to_wait(
    make_app: MakeApp, clock: ManualClock, feed: Any
):
    installation = Installation(make_app(clock=clock, feed=feed, DASHTRADE_WEBHOOK_RATE="1"))
    trader, other_trader = installation.join(), installation.join("bob@example.com")
    result = [trader.alert("hello") for _ in range(27)]
    assert [answer.status_code for answer in result[:25]] == [400] * 25
    body = assert_error(result[-1], 429)
    assert body["error"] == "too_many_alerts" and result[-1].headers["Retry-After"] == "1"
    assert other_trader.alert("hello").status_code == 400, "one user's storm is not another's"


@sqlite
def test_a_locked_database_is_answered_503_fast_and_the_alert_can_be_sent_again(trader: Trader, app: App):
    with sqlite3.connect(app.db.url.database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = perf_counter()
        response = trader.alert(BUY)
        assert perf_counter() - began < 2.9, "TradingView gives up after 3 s"
        assert assert_error(response, 503)["error"] == "unavailable" and response.headers["Retry-After"]
        other.execute("ROLLBACK")
    other.close()
    assert trader.alert(BUY).json["duplicate"] is False
    assert count_signals(trader) == 1


@sqlite
def test_of_many_who_meet_a_locked_database_none_waits_for_the_others(trader: Trader, app: App):
    other = sqlite3.connect(app.db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def ask(n: int) -> tuple[int, float]:
        began = perf_counter()
        return trader.alert(
            BUY | {"id": n} | ({"quantity": -1} if n % 3 == 0 else {})
        ).status_code, perf_counter() - began

    with ThreadPoolExecutor(16) as pool:
        answer = list(pool.map(ask, range(16)))
    other.execute("ROLLBACK")
    other.close()
    assert {status for status, _ in answer} == {503} and max(took for _, took in answer) < 2.9


@sqlite
def test_wrong_methods_and_addresses_are_answered_in_json(trader: Trader):
    client = trader.installation.flask.test_client()
    assert_error(client.get("/webhook"), 405)
    assert_error(client.delete("/test-webhook"), 405)
    assert_error(client.get("/nowhere"), 404)
    assert_error(client.get("/user/x/positions"), 404)


# --- the siblings -------------------------------------------------------------------------------------------


def test_health_tells_of_the_process_the_database_and_the_worker(installation: Installation):
    client = installation.flask.test_client()
    before = client.get("/health")
    assert (
        before.status_code == 503
        and before.json["worker"] == "not seen yet"
        and before.json["database"] == "ok"
    )
    installation.app.engine.leases.renew()
    well = client.get("/health")
    assert well.status_code == 200 and well.json == {
        "status": "ok",
        "process": "ok",
        "database": "ok",
        "worker": "ok",
    }


@sqlite
def test_a_worker_that_stopped_beating_is_missed(trader: Trader, installation: Installation):
    installation.app.engine.leases.renew()
    installation.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE workers SET seen = seen - 11"))
    answer = installation.flask.test_client().get("/health")
    assert answer.status_code == 503 and answer.json["worker"] == "silent"


@pytest.mark.parametrize("dialect", DIALECTS)
@sqlite
def test_test_webhook_explains_and_changes_nothing(trader: Trader, installation: Installation, dialect: str):
    def everything() -> str:
        with installation.app.db.read() as conn:
            return "\n".join(conn.connection.driver_connection.iterdump())

    before = everything()
    body = DIALECTS[dialect]
    response = installation.flask.test_client().post(
        "/test-webhook", data=json.dumps(body) if isinstance(body, dict) else body
    )
    assert response.status_code == 200 and response.json["ok"] is True
    shown = response.json["signal"]
    assert (shown["action"], shown["symbol"], shown["dialect"]) == ("buy", "NYSE:AAPL-EQ", dialect)
    assert response.json["explanation"].startswith("BUY AAPL")
    assert everything() == before


@sqlite
def test_test_webhook_says_what_is_wrong_and_shows_no_secret(installation: Installation):
    client = installation.flask.test_client()
    assert (
        assert_error(client.post("/test-webhook", data='{"action": "by", "symbol": "AAPL"}'), 400)["field"]
        == "action"
    )
    secret = json.dumps(BUY | {"secret": "open sesame", "token": "usr_" + "x" * 32})
    assert (
        "open sesame" not in client.post("/test-webhook", data=secret).text
        and "usr_x" not in client.post("/test-webhook", data=secret).text
    )


def test_positions_and_bots_of_a_user_are_shown_by_the_webhook_token(
    trader: Trader, installation: Installation
):
    story = trader.trades("buy")
    client, own = installation.flask.test_client(), f"/user/{trader.user.id}"
    held = client.get(f"{own}/positions", query_string={"token": trader.token}).json["items"]
    assert [(p["symbol"], p["quantity"], p["broker_quantity"], p["outside"]) for p in held] == [
        ("NYSE:AAPL-EQ", "50", "50", "0")
    ]
    [bot] = client.get(f"{own}/bots", headers={"Authorization": f"Bearer {trader.token}"}).json["items"]
    assert bot["id"] == story["bots"][0]["bot_id"] and bot["position"]["quantity"] == "50"
    assert_error(client.get(f"{own}/positions"), 401)
    assert_error(client.get(f"{own}/bots", query_string={"token": "usr_nonsense"}), 401)
