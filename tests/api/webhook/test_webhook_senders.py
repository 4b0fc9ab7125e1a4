"""The webhook receiver over HTTP: who may send, and what a user may ask of senders."""

from __future__ import annotations

import logging
from datetime import timedelta
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from dashtrade.api.receiving import TRADINGVIEW_ADDRESSES
from dashtrade.context import App
from dashtrade.logs import Redacting
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.webhook import BUY, DIALECTS, assert_error

# --- who sent it --------------------------------------------------------------------------------------------


def places(person: Trader) -> dict[str, dict[str, Any]]:
    token = person.token
    return {
        "address": {"body": BUY},
        "header": {"body": BUY, "token": "", "headers": {"Authorization": f"Bearer {token}"}},
        **{
            name: {"body": BUY | {name: token}, "token": ""}
            for name in ("token", "secret", "passphrase", "key")
        },
        "text": {"body": f"BUY AAPL 15 Min token={token}", "token": ""},
    }


@pytest.mark.parametrize("place", ["address", "header", "token", "secret", "passphrase", "key", "text"])
@sqlite
def test_the_token_may_come_in_the_address_the_header_or_the_body(trader: Trader, place: str):
    response = trader.alert(**places(trader)[place])
    assert response.status_code == 202
    assert response.json == {
        "signal_id": response.json["signal_id"],
        "status": "accepted",
        "duplicate": False,
    }
    assert trader.token not in trader.call("GET", f"/signals/{response.json['signal_id']}").text


def test_unknown_revoked_and_missing_tokens_are_answered_in_the_same_words(trader: Trader):
    old = trader.token
    new = trader.request("POST", "/webhook-token/rotate")["token"]
    answer = [
        assert_error(trader.alert(BUY, token=token), 401) for token in (old, "usr_" + "x" * 32, "nonsense")
    ]
    answer += [
        assert_error(trader.alert(body, token=""), 401)
        for body in (BUY, b"\xff\xfe", "", '{"a":', BUY | {"token": "usr_" + "y" * 32})
    ]
    assert all(body == answer[0] for body in answer)
    assert trader.alert(BUY, token=new).status_code == 202
    trader.request("DELETE", "/webhook-token")
    assert assert_error(trader.alert(BUY, token=new), 401) == answer[0]


@sqlite
def test_a_revoked_token_takes_as_long_as_an_unknown_one(trader: Trader):
    revoked = trader.token
    trader.request("DELETE", "/webhook-token")
    taken: dict[str, list[float]] = {revoked: [], "usr_" + "x" * 32: []}
    for _ in range(60):
        for token, times in taken.items():
            began = perf_counter()
            trader.alert(BUY, token=token)
            times.append(perf_counter() - began)
    one, other = (median(times) for times in taken.values())
    assert 0.5 < one / other < 2


@sqlite
def test_an_old_token_stays_good_for_the_chosen_overlap(trader: Trader, clock: ManualClock):
    old = trader.token
    trader.request("POST", "/webhook-token/rotate", {"overlap_seconds": 60})
    clock.forward(59)
    assert trader.alert(BUY, token=old).status_code == 202
    clock.forward(2)
    assert_error(trader.alert(BUY, token=old), 401)


@sqlite
def test_a_token_has_192_bits_a_prefix_and_is_kept_as_a_hash(trader: Trader, app: App):
    first, second = (trader.request("POST", "/webhook-token/rotate") for _ in range(2))
    assert (
        first["token"] != second["token"]
        and first["token"].startswith("usr_")
        and len(first["token"]) >= 4 + 192 // 6
    )
    assert second["url"] == f"{app.settings.public_url}/webhook?token={second['token']}"
    assert (
        trader.get("/webhook-token")["token"] == second["token"]
        and trader.get("/webhook-token")["used_at"] is None
    )
    trader.alert(BUY, token=second["token"])
    assert trader.get("/webhook-token")["used_at"] is not None
    with app.db.read() as conn:
        kept = str(conn.exec_driver_sql("SELECT * FROM user_webhook_tokens").fetchall())
    assert first["token"] not in kept and second["token"] not in kept


@sqlite
def test_no_token_ever_reaches_a_log(
    installation: Installation,
    trader: Trader,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    caplog.set_level(logging.DEBUG)
    for place in places(trader).values():
        trader.alert(**place)
    trader.alert(BUY | {"symbol": "{{ticker}}", "token": trader.token})
    trader.alert(f"BUY NOTHING token={trader.token} key={trader.token}")
    monkeypatch.setattr(
        "dashtrade.api.receiving.read",
        lambda opened: (_ for _ in ()).throw(RuntimeError(f"with {trader.token} and {trader.access}")),
    )
    assert_error(trader.alert(BUY), 500)  # even an unforeseen error passes the last gate
    lines = "\n".join(map(Redacting("%(name)s %(message)s").format, caplog.records))
    assert "unexpected error" in lines
    assert trader.token not in lines and trader.access not in lines
    assert trader.token not in "\n".join(record.getMessage() for record in caplog.records)
    assert trader.token not in repr(installation.app) and trader.token not in str(trader.get("/signals"))


# --- the options of a user ----------------------------------------------------------------------------------


@sqlite
def test_who_takes_tradingviews_addresses_only_takes_no_others(trader: Trader):
    trader.request("PATCH", "/users/me", {"tradingview_only": True})
    assert "TradingView" in assert_error(trader.alert(BUY), 401)["message"]
    forged = trader.alert(BUY, headers={"X-Forwarded-For": min(TRADINGVIEW_ADDRESSES)})
    assert forged.status_code == 401, "without a proxy the header is the sender's own invention"
    assert all(
        trader.alert(BUY | {"id": address}, sender=address).status_code == 202
        for address in TRADINGVIEW_ADDRESSES
    )


@sqlite
def test_one_proxy_is_believed_and_no_more(make_app: MakeApp, clock: ManualClock, feed: Any):
    trader = Installation(make_app(clock=clock, feed=feed, DASHTRADE_PROXY_HOPS="1")).join()
    trader.bot()
    trader.request("PATCH", "/users/me", {"tradingview_only": True})
    real = min(TRADINGVIEW_ADDRESSES)
    assert trader.alert(BUY, headers={"X-Forwarded-For": real}, sender="127.0.0.1").status_code == 202
    assert (
        trader.alert(BUY, headers={"X-Forwarded-For": f"{real}, 203.0.113.7"}, sender="127.0.0.1").status_code
        == 401
    )
    assert trader.get("/signals")["items"][0]["sender"] == real


@sqlite
def test_who_requires_a_secret_in_the_body_gets_it_or_refuses(trader: Trader):
    trader.request("PATCH", "/users/me", {"body_secret": "open sesame"})
    assert trader.get("/users/me")["has_body_secret"] is True
    assert "secret" in assert_error(trader.alert(BUY), 401)["message"]
    assert_error(trader.alert(BUY | {"secret": "open sesam"}), 401)
    assert_error(trader.alert("BUY AAPL"), 401)
    for name in ("secret", "passphrase", "key"):
        assert trader.alert(BUY | {name: "open sesame", "id": name}).status_code == 202
    assert trader.alert(BUY | {"Secret": "open sesame", "id": "written large"}).status_code == 202
    trader.request("PATCH", "/users/me", {"body_secret": "sesame"})
    assert_error(trader.alert("BUY AAPL 15 Min secret=sesam"), 401)
    assert_error(trader.alert("BUY AAPL 15 Min token=sesame"), 401)
    assert trader.alert("BUY AAPL 15 Min secret=sesame").status_code == 202
    trader.request("PATCH", "/users/me", {"body_secret": None})
    assert trader.alert(BUY).status_code == 202


@pytest.mark.parametrize("field", ["time", "timestamp"])
@sqlite
def test_an_alert_older_than_its_user_allows_is_refused_and_recorded(
    trader: Trader, installation: Installation, clock: ManualClock, field: str
):
    trader.request("PATCH", "/users/me", {"max_alert_age": 60})
    old = trader.send(BUY | {field: (clock.now() - timedelta(seconds=61)).isoformat()})
    new = trader.send(BUY | {field: (clock.now() - timedelta(seconds=59)).isoformat()})
    installation.work()
    assert trader.story(old)["status"] == "refused" and "too old" in trader.story(old)["reason"]
    assert trader.story(new)["status"] == "filled"


@sqlite
def test_the_maximum_lag_of_3commas_is_kept(trader: Trader, installation: Installation, clock: ManualClock):
    lag = DIALECTS["3commas"] | {"max_lag": "30"}
    old = trader.send(lag | {"timestamp": (clock.now() - timedelta(seconds=31)).isoformat()})
    installation.work()
    assert trader.story(old)["status"] == "refused" and "too old" in trader.story(old)["reason"]
    late = trader.send(lag | {"timestamp": clock.now().isoformat()})
    clock.forward(31)  # a worker that was away comes back after the alert has gone stale
    installation.work()
    assert trader.story(late)["status"] == "refused" and trader.get("/orders")["items"] == []
