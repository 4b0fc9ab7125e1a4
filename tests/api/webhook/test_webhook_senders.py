"""The webhook receiver over HTTP: who may send, and what a user may ask of senders."""

from __future__ import annotations

import logging
from datetime import timedelta
from statistics import median
from time import perf_counter
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.logs import Redacting
from tests.conftest import MakeApp
from tests.support.databases import sqlite
from tests.support.fakes import SetClock
from tests.support.installation import House, Person
from tests.support.webhook import BUY, DIALECTS, told
from webhook_server import TRADINGVIEW

# --- who sent it --------------------------------------------------------------------------------------------


def places(person: Person) -> dict[str, dict[str, Any]]:
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
def test_the_token_may_come_in_the_address_the_header_or_the_body(ann: Person, place: str):
    said = ann.alert(**places(ann)[place])
    assert said.status_code == 202
    assert said.json == {"signal_id": said.json["signal_id"], "status": "accepted", "duplicate": False}
    assert ann.token not in ann.call("GET", f"/signals/{said.json['signal_id']}").text


def test_unknown_revoked_and_missing_tokens_are_answered_in_the_same_words(ann: Person):
    old = ann.token
    new = ann.does("POST", "/webhook-token/rotate")["token"]
    said = [told(ann.alert(BUY, token=token), 401) for token in (old, "usr_" + "x" * 32, "nonsense")]
    said += [
        told(ann.alert(body, token=""), 401)
        for body in (BUY, b"\xff\xfe", "", '{"a":', BUY | {"token": "usr_" + "y" * 32})
    ]
    assert all(body == said[0] for body in said)
    assert ann.alert(BUY, token=new).status_code == 202
    ann.does("DELETE", "/webhook-token")
    assert told(ann.alert(BUY, token=new), 401) == said[0]


@sqlite
def test_a_revoked_token_takes_as_long_as_an_unknown_one(ann: Person):
    revoked = ann.token
    ann.does("DELETE", "/webhook-token")
    taken: dict[str, list[float]] = {revoked: [], "usr_" + "x" * 32: []}
    for _ in range(60):
        for token, times in taken.items():
            began = perf_counter()
            ann.alert(BUY, token=token)
            times.append(perf_counter() - began)
    one, other = (median(times) for times in taken.values())
    assert 0.5 < one / other < 2


@sqlite
def test_an_old_token_stays_good_for_the_chosen_overlap(ann: Person, clock: SetClock):
    old = ann.token
    ann.does("POST", "/webhook-token/rotate", {"overlap_seconds": 60})
    clock.forward(59)
    assert ann.alert(BUY, token=old).status_code == 202
    clock.forward(2)
    told(ann.alert(BUY, token=old), 401)


@sqlite
def test_a_token_has_192_bits_a_prefix_and_is_kept_as_a_hash(ann: Person, app: App):
    first, second = (ann.does("POST", "/webhook-token/rotate") for _ in range(2))
    assert (
        first["token"] != second["token"]
        and first["token"].startswith("usr_")
        and len(first["token"]) >= 4 + 192 // 6
    )
    assert second["url"] == f"{app.settings.public_url}/webhook?token={second['token']}"
    assert (
        ann.get("/webhook-token")["token"] == second["token"] and ann.get("/webhook-token")["used_at"] is None
    )
    ann.alert(BUY, token=second["token"])
    assert ann.get("/webhook-token")["used_at"] is not None
    with app.db.read() as conn:
        kept = str(conn.exec_driver_sql("SELECT * FROM user_webhook_tokens").fetchall())
    assert first["token"] not in kept and second["token"] not in kept


@sqlite
def test_no_token_ever_reaches_a_log(
    house: House, ann: Person, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(logging.DEBUG)
    for place in places(ann).values():
        ann.alert(**place)
    ann.alert(BUY | {"symbol": "{{ticker}}", "token": ann.token})
    ann.alert(f"BUY NOTHING token={ann.token} key={ann.token}")
    monkeypatch.setattr(
        "webhook_server.read",
        lambda opened: (_ for _ in ()).throw(RuntimeError(f"with {ann.token} and {ann.access}")),
    )
    told(ann.alert(BUY), 500)  # even an unforeseen error passes the last gate
    lines = "\n".join(map(Redacting("%(name)s %(message)s").format, caplog.records))
    assert "went" in lines or "unforeseen" in lines
    assert ann.token not in lines and ann.access not in lines
    assert ann.token not in "\n".join(record.getMessage() for record in caplog.records)
    assert ann.token not in repr(house.app) and ann.token not in str(ann.get("/signals"))


# --- the options of a user ----------------------------------------------------------------------------------


@sqlite
def test_who_takes_tradingviews_addresses_only_takes_no_others(ann: Person):
    ann.does("PATCH", "/users/me", {"tradingview_only": True})
    assert "TradingView" in told(ann.alert(BUY), 401)["message"]
    forged = ann.alert(BUY, headers={"X-Forwarded-For": min(TRADINGVIEW)})
    assert forged.status_code == 401, "without a proxy the header is the sender's own invention"
    assert all(ann.alert(BUY | {"id": address}, sender=address).status_code == 202 for address in TRADINGVIEW)


@sqlite
def test_one_proxy_is_believed_and_no_more(make_app: MakeApp, clock: SetClock, feed: Any):
    ann = House(make_app(clock=clock, feed=feed, DASHTRADE_PROXY_HOPS="1")).join()
    ann.bot()
    ann.does("PATCH", "/users/me", {"tradingview_only": True})
    real = min(TRADINGVIEW)
    assert ann.alert(BUY, headers={"X-Forwarded-For": real}, sender="127.0.0.1").status_code == 202
    assert (
        ann.alert(BUY, headers={"X-Forwarded-For": f"{real}, 203.0.113.7"}, sender="127.0.0.1").status_code
        == 401
    )
    assert ann.get("/signals")["items"][0]["sender"] == real


@sqlite
def test_who_requires_a_secret_in_the_body_gets_it_or_refuses(ann: Person):
    ann.does("PATCH", "/users/me", {"body_secret": "open sesame"})
    assert ann.get("/users/me")["has_body_secret"] is True
    assert "secret" in told(ann.alert(BUY), 401)["message"]
    told(ann.alert(BUY | {"secret": "open sesam"}), 401)
    told(ann.alert("BUY AAPL"), 401)
    for name in ("secret", "passphrase", "key"):
        assert ann.alert(BUY | {name: "open sesame", "id": name}).status_code == 202
    assert ann.alert(BUY | {"Secret": "open sesame", "id": "written large"}).status_code == 202
    ann.does("PATCH", "/users/me", {"body_secret": "sesame"})
    told(ann.alert("BUY AAPL 15 Min secret=sesam"), 401)
    told(ann.alert("BUY AAPL 15 Min token=sesame"), 401)
    assert ann.alert("BUY AAPL 15 Min secret=sesame").status_code == 202
    ann.does("PATCH", "/users/me", {"body_secret": None})
    assert ann.alert(BUY).status_code == 202


@pytest.mark.parametrize("field", ["time", "timestamp"])
@sqlite
def test_an_alert_older_than_its_user_allows_is_refused_and_recorded(
    ann: Person, house: House, clock: SetClock, field: str
):
    ann.does("PATCH", "/users/me", {"max_alert_age": 60})
    old = ann.sends(BUY | {field: (clock.now() - timedelta(seconds=61)).isoformat()})
    new = ann.sends(BUY | {field: (clock.now() - timedelta(seconds=59)).isoformat()})
    house.work()
    assert ann.story(old)["status"] == "refused" and "too old" in ann.story(old)["reason"]
    assert ann.story(new)["status"] == "filled"


@sqlite
def test_the_maximum_lag_of_3commas_is_kept(ann: Person, house: House, clock: SetClock):
    lag = DIALECTS["3commas"] | {"max_lag": "30"}
    old = ann.sends(lag | {"timestamp": (clock.now() - timedelta(seconds=31)).isoformat()})
    house.work()
    assert ann.story(old)["status"] == "refused" and "too old" in ann.story(old)["reason"]
    late = ann.sends(lag | {"timestamp": clock.now().isoformat()})
    clock.forward(31)  # a worker that was away comes back after the alert has gone stale
    house.work()
    assert ann.story(late)["status"] == "refused" and ann.get("/orders")["items"] == []
