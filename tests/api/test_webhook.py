"""The webhook receiver, as the programs that send alerts meet it: over HTTP, with a worker behind."""

from __future__ import annotations

import json
import logging
import sqlite3
import string
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from statistics import median
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashtrade.context import App
from dashtrade.logs import Redacting
from dashtrade.tables import decisions as decision_table
from dashtrade.tables import signals as signal_table
from dashtrade.worker.worker import Worker
from tests.conftest import MakeApp
from tests.support.databases import sqlite
from tests.support.fakes import SetClock
from tests.support.installation import House, Person, until
from webhook_server import LONGEST_WAIT, TRADINGVIEW


@pytest.fixture
def ann(house: House) -> Person:
    """She has one bot: AAPL on 15 minutes."""
    person = house.join()
    person.bot("AAPL", "15 Min")
    return person


@pytest.fixture
def running(make_app: MakeApp, clock: SetClock, feed: Any) -> Iterator[Person]:
    """The receiver and a worker, as two applications on one database: the way they run in earnest."""
    behind = make_app(clock=clock, feed=feed)
    worker = Worker(behind)
    worker.start()
    front = make_app(clock=clock, feed=feed)
    front.connect()
    person = House(front).join()
    person.bot("AAPL", "15 Min")
    yield person
    worker.stop()


def told(said: Any, status: int) -> Any:
    """An error as every client may rely on it."""
    assert said.status_code == status, said.text
    assert said.mimetype == "application/json"
    body = said.json
    assert all(isinstance(body[name], str) and body[name] for name in ("error", "message", "hint")), body
    return body


BUY = {"action": "buy", "symbol": "AAPL", "timeframe": "15 Min"}


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


# --- what is answered ---------------------------------------------------------------------------------------


def test_an_alert_is_durable_when_it_is_answered(ann: Person, make_app: MakeApp):
    said = ann.alert(BUY)
    assert said.status_code == 202
    with make_app().db.read() as conn:
        assert signal_table.status_of(conn, ann.user.id, said.json["signal_id"]) == "accepted"


def test_with_wait_the_outcome_is_answered(running: Person):
    said = running.alert(BUY, wait="2.5")
    assert said.status_code == 200, said.text
    body = said.json
    assert body["status"] == "filled" and body["duplicate"] is False and "50" in body["reason"]
    [order] = body["orders"]
    assert order["client_order_id"] == order["order_id"] and len(order["order_id"]) == 32
    assert (order["side"], order["quantity"], order["status"]) == ("buy", "50", "filled")
    assert (order["filled_quantity"], order["average_price"]) == ("50", "100")
    again = running.alert(BUY, wait="2").json
    assert (
        again["duplicate"] is True and again["signal_id"] == body["signal_id"] and again["status"] == "filled"
    )
    refused = running.alert(BUY | {"id": "another"}, wait="2").json
    assert (
        refused["status"] == "refused" and "already long 50" in refused["reason"] and refused["orders"] == []
    )


@sqlite
def test_who_waits_for_a_limit_order_is_told_that_it_works(running: Person):
    body = running.alert(BUY | {"order_type": "limit", "limit_price": "90"}, wait="2").json
    assert body["status"] == "working" and body["orders"][0]["status"] == "working"
    assert body["orders"][0]["average_price"] is None


@sqlite
def test_who_waits_in_vain_is_told_that_it_is_being_carried_out(ann: Person):
    began = perf_counter()
    body = ann.alert(BUY, wait="0.3").json
    assert 0.25 < perf_counter() - began < 2.5
    assert body["status"] == "working" and body["reason"] == "it is being carried out"


@sqlite
def test_who_would_wait_longer_than_tradingview_does_is_answered_sooner_and_the_alert_is_not_lost(
    ann: Person,
):
    began = perf_counter()
    body = ann.alert(BUY, wait="99").json
    assert LONGEST_WAIT - 0.1 < perf_counter() - began < 3.5
    assert body["status"] == "working"


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "1e400", "two", "0x1", " "])
@sqlite
def test_a_wait_that_is_no_number_is_refused(ann: Person, wait: str):
    assert str(LONGEST_WAIT) in told(ann.alert(BUY, wait=wait), 400)["hint"]


DIALECTS = {
    "plain": BUY,
    "traderspost": {
        "ticker": "NASDAQ:AAPL",
        "action": "buy",
        "sentiment": "bullish",
        "quantity": "7",
        "quantityType": "fixed_quantity",
        "interval": "15",
    },
    "3commas": {
        "secret": "…",
        "max_lag": "300",
        "timestamp": "2025-06-04T15:00:00Z",
        "tv_exchange": "NASDAQ",
        "tv_instrument": "AAPL",
        "action": "enter_long",
        "trigger_price": "100",
        "order": {"amount": "7", "currency_type": "base"},
    },
    "strategy": {
        "symbol": "AAPL",
        "interval": "15",
        "market_position": "long",
        "prev_market_position": "flat",
        "market_position_size": "7",
        "contracts": "7",
        "action": "buy",
    },
    "text": "BUY 7 AAPL 15 Min",
}


@pytest.mark.parametrize("dialect", DIALECTS)
@sqlite
def test_every_dialect_ends_in_the_same_order(house: House, dialect: str):
    ann = house.join()
    ann.bot("AAPL", "15 Min", position_size="700", size_override=True)
    signal_id = ann.sends(DIALECTS[dialect])
    house.work()
    story = ann.story(signal_id)
    assert (story["status"], story["dialect"], story["symbol"]) == ("filled", dialect, "NYSE:AAPL-EQ")
    [order] = story["orders"]
    assert (order["side"], order["quantity"], order["filled_quantity"]) == ("buy", "7", "7")


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "multipart/form-data; boundary=x",
        "",
    ],
)
@sqlite
def test_the_content_decides_and_not_the_header(ann: Person, kind: str):
    as_json = ann.alert(
        {"action": "buy", "symbol": "AAPL", "id": f"j{len(kind)}"}, headers={"Content-Type": kind}
    )
    as_text = ann.alert(f"CLOSE AAPL id=t{len(kind)}", headers={"Content-Type": kind})
    assert (as_json.status_code, as_text.status_code) == (202, 202)


# --- the same alert again -----------------------------------------------------------------------------------


def count(ann: Person) -> int:
    return len(ann.get("/signals", limit=500)["items"])


@pytest.mark.parametrize("name", ["id", "signalId", "alertTimestamp"])
@sqlite
def test_the_same_id_is_the_same_alert_however_late_it_comes(
    ann: Person, house: House, clock: SetClock, name: str
):
    body = BUY | {name: "2025-06-04T15:00:00Z"}
    first = ann.sends(body)
    house.work()
    clock.forward(86400)
    again = ann.alert(body)
    assert again.status_code == 202 and again.json == {
        "signal_id": first,
        "status": "accepted",
        "duplicate": True,
    }
    house.work()
    story = ann.story(first)
    assert story["duplicate_count"] == 1 and len(story["orders"]) == 1 and count(ann) == 1
    assert any(line["step"] == "repeated" for line in story["timeline"])


@sqlite
def test_an_id_counts_per_symbol_and_timeframe(ann: Person):
    ann.bot("AAPL", "1H")
    ann.bot("BTCUSDT", "15 Min")
    body = {"action": "buy", "id": "2025-06-04T15:00:00Z"}
    said = [
        ann.sends(body | {"symbol": symbol, "timeframe": frame})
        for symbol, frame in (("AAPL", "15"), ("AAPL", "1H"), ("BTCUSDT", "15"))
    ]
    assert len(set(said)) == 3
    other_spelling = ann.alert(body | {"symbol": "AAPL", "timeframe": "15 Min"})
    assert other_spelling.status_code == 409, "the fields are not those of the first"


@sqlite
def test_the_same_id_with_another_body_is_a_conflict(ann: Person, house: House):
    first = ann.sends(BUY | {"id": "one"})
    body = told(ann.alert(BUY | {"id": "one", "note": "changed"}), 409)
    assert body["error"] == "conflict" and body["signal_id"] == first and "'one'" in body["message"]
    house.work()
    assert len(ann.get("/orders")["items"]) == 1


@sqlite
def test_without_an_id_the_same_content_is_a_repeat_for_as_long_as_tradingview_resends(
    ann: Person, clock: SetClock
):
    first = ann.sends(BUY)
    for late in (5, 10, 15):  # its three more tries, 5 s apart, with up to 3 s for an answer
        clock.forward(5)
        assert ann.alert(dict(reversed(BUY.items()))).json == {
            "signal_id": first,
            "status": "accepted",
            "duplicate": True,
        }, late
    clock.forward(16)
    assert ann.alert(BUY).json["duplicate"] is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"takeProfit": {"percent": 5}}, {"takeProfit": {"percent": 6}}),
        ({"extras": {"deep": [{"er": 1}]}}, {"extras": {"deep": [{"er": 2}]}}),
        ({"comment": "a"}, {"comment": "b"}),
        ({"price": "100"}, {"price": "100.0"}),
        ({}, {"comment": None}),
    ],
)
@sqlite
def test_every_field_counts_nested_ones_too(ann: Person, one: dict[str, Any], other: dict[str, Any]):
    first = ann.sends(BUY | one)
    assert ann.sends(BUY | other) != first
    assert ann.alert(BUY | one).json["duplicate"] is True


@pytest.mark.parametrize("named", [{}, {"id": "burst"}], ids=["by content", "by id"])
def test_fifty_at_once_are_one_decision_and_one_order(ann: Person, house: House, named: dict[str, str]):
    body = BUY | named
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(lambda _: ann.alert(body), range(50)))
    assert {answer.status_code for answer in said} == {202}
    assert len({answer.json["signal_id"] for answer in said}) == 1
    assert sum(not answer.json["duplicate"] for answer in said) == 1
    house.work()
    story = ann.story(said[0].json["signal_id"])
    assert story["duplicate_count"] == 49 and len(story["orders"]) == 1 and len(story["bots"]) == 1
    assert ann.holds(story["orders"][0]["bot_id"]) == 50


@sqlite
def test_two_users_may_send_the_same(house: House, ann: Person):
    bob = house.join("bob@example.com")
    bob.bot("AAPL", "15 Min")
    assert ann.sends(BUY | {"id": "1"}) != bob.sends(BUY | {"id": "1"})


# --- never a guess ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (BUY | {"symbol": "{{ticker}}"}, "symbol"),
        (BUY | {"quantity": "{{strategy.order.contracts}}"}, "quantity"),
        (BUY | {"extras": {"note": "{{close}}"}}, "extras.note"),
        (BUY | {"quantity": -5}, "quantity"),
        (BUY | {"quantity": 0}, "quantity"),
        (BUY | {"quantity": "0"}, "quantity"),
        (BUY | {"qty": 5, "quantity": 6}, "quantity"),
        (BUY | {"side": "sell"}, "side"),
        (BUY | {"sentiment": "short", "prev_market_position": "flat"}, "action"),
        (BUY | {"ticker": "MSFT"}, "symbol"),
        ({"action": "buy"}, "symbol"),
        ({"symbol": "AAPL"}, "action"),
        (BUY | {"action": "by"}, "action"),
        (BUY | {"timeframe": "fortnight"}, "timeframe"),
        (BUY | {"quantity": "many"}, "quantity"),
        (BUY | {"order_type": "limit"}, "order_type"),
        ("BUY -5 AAPL", "quantity"),
        ("hello", "text"),
        ("", "body"),
        (b"\xff\xfe\x00", "body"),
        ('{"action": "buy"', "body"),
        ("[1, 2]", "body"),
        ("null", "body"),
        ('{"action": "buy", "symbol": "AAPL", "quantity": NaN}', "quantity"),
        ('{"action": "buy", "symbol": "AAPL", "quantity": 1e400}', "quantity"),
        ('{"action": "buy", "action": "sell", "symbol": "AAPL"}', "action"),
        ("[" * 5000 + "]" * 5000, "body"),
        ('{"a":' * 40 + "1" + "}" * 40, None),
        ('{"action": "buy", "symbol": "AAPL", "note": "\\u0000"}', "note"),
    ],
)
@sqlite
def test_what_cannot_be_read_is_answered_400_with_what_and_where(ann: Person, body: Any, field: str | None):
    said = told(ann.alert(body), 400)
    assert said["error"] == "bad_alert"
    assert field is None or said["field"] == field
    story = ann.story(said["signal_id"])  # and its user, who sent nothing by hand, sees it too
    assert story["status"] == "refused" and story["reason"] and story["orders"] == []
    assert next(line["step"] for line in story["timeline"]) == "received"


@sqlite
def test_what_was_sent_is_kept_without_what_proves_the_sender(ann: Person):
    for name in ("secret", "passphrase", "token", "key"):
        said = told(ann.alert(BUY | {"quantity": -1, name: "s3cr3t-word"}), 400)
        assert "s3cr3t-word" not in ann.call("GET", f"/signals/{said['signal_id']}").text


# --- to whom ------------------------------------------------------------------------------------------------


def test_no_bot_is_answered_404_with_those_there_are_and_is_on_record(ann: Person):
    ann.bot("BTCUSDT", "1H")
    said = told(ann.alert({"action": "buy", "symbol": "MSFT"}), 404)
    assert (
        said["error"] == "no_bot"
        and "AAPL on 15 Min" in said["hint"]
        and "BTC/USDT on 1 Hour" in said["hint"]
    )
    assert [(b["symbol"], b["timeframe"]) for b in said["bots"]] == [
        ("AAPL", "15 Min"),
        ("BTC/USDT", "1 Hour"),
    ]
    assert ann.story(said["signal_id"])["status"] == "refused"
    assert "no bot trades AAPL on 1 Day" in told(
        ann.alert({"action": "buy", "symbol": "AAPL", "timeframe": "D"}), 404
    )["message"].lower().replace("aapl", "AAPL").replace("day", "Day")
    ann.bot("MSFT", "D")
    assert ann.alert({"action": "buy", "symbol": "MSFT"}).status_code == 202, (
        "an alert that found no bot may be sent again"
    )


@sqlite
def test_who_has_no_bots_is_told_to_make_one(house: House):
    assert "no bots yet" in told(house.join().alert(BUY), 404)["hint"]


@sqlite
def test_symbols_and_timeframes_find_their_bot_however_they_are_written(ann: Person):
    for symbol in ("AAPL", "aapl", "NASDAQ:AAPL", "NASDAQ_DL:AAPL", "AMEX:AAPL"):
        for timeframe in ("15 Min", "15", "15m", 15, "15min"):
            assert (
                ann.alert({"action": "buy", "symbol": symbol, "timeframe": timeframe}).status_code == 202
            ), (symbol, timeframe)


@sqlite
def test_without_a_timeframe_the_bot_of_the_symbol_is_meant_if_there_is_just_one(ann: Person):
    assert ann.alert({"action": "buy", "symbol": "AAPL"}).status_code == 202
    ann.bot("AAPL", "1H")
    assert (
        "several timeframes" in told(ann.alert({"action": "buy", "symbol": "AAPL", "id": 2}), 404)["message"]
    )


@sqlite
def test_a_bot_may_be_named_by_its_id_or_its_name(ann: Person, house: House):
    hare = ann.bot("AAPL", "1H", name="Hare")
    for n, name in enumerate((hare, str(hare), "Hare", "hare")):
        for field in ("bot", "bot_id"):
            signal_id = ann.sends({"action": "cancel", "symbol": "AAPL", field: name, "id": f"{n}{field}"})
            house.work()
            assert [b["bot_id"] for b in ann.story(signal_id)["bots"]] == [hare]
    assert (
        "no bot 'Tortoise'"
        in told(ann.alert({"action": "buy", "symbol": "AAPL", "bot": "Tortoise"}), 404)["message"]
    )
    assert (
        "trades AAPL" in told(ann.alert({"action": "buy", "symbol": "MSFT", "bot": "Hare"}), 404)["message"]
    )
    assert (
        "works on 1 Hour"
        in told(ann.alert({"action": "buy", "symbol": "AAPL", "timeframe": "D", "bot": "Hare"}), 404)[
            "message"
        ]
    )


def test_an_alert_goes_to_one_bot_per_account_and_the_outcome_names_each(running: Person):
    poor = running.account(starting_cash="1000")
    second = running.bot("AAPL", "15 Min", account=poor)
    body = running.alert(BUY, wait="2.5").json
    assert body["status"] == "filled", "one bought, and that counts more than one that could not"
    by_bot = {bot["bot_id"]: bot for bot in body["bots"]}
    assert (
        len(by_bot) == 2
        and by_bot[second]["status"] == "refused"
        and "buying power" in by_bot[second]["reason"]
    )
    assert [order["bot_id"] for order in body["orders"]] == [bot for bot in by_bot if bot != second]
    assert body["reason"].startswith("bought 50 at"), "the reason is that of the bot whose status is shown"
    assert "buying power" not in running.story(body["signal_id"])["reason"]


# --- too much, too often, and a database that is away -------------------------------------------------------


@sqlite
def test_more_than_64_kib_is_answered_413(ann: Person):
    body = told(ann.alert(b"x" * (64 * 1024 + 1)), 413)
    assert "64 KiB" in body["hint"]
    assert ann.alert(json.dumps(BUY).ljust(64 * 1024)).status_code == 202


@sqlite
def test_too_many_alerts_are_answered_429_with_the_time_to_wait(
    make_app: MakeApp, clock: SetClock, feed: Any
):
    house = House(make_app(clock=clock, feed=feed, DASHTRADE_WEBHOOK_RATE="1"))
    ann, bob = house.join(), house.join("bob@example.com")
    said = [ann.alert("hello") for _ in range(27)]
    assert [answer.status_code for answer in said[:25]] == [400] * 25
    body = told(said[-1], 429)
    assert body["error"] == "too_many_alerts" and said[-1].headers["Retry-After"] == "1"
    assert bob.alert("hello").status_code == 400, "one user's storm is not another's"


@sqlite
def test_a_locked_database_is_answered_503_fast_and_the_alert_can_be_sent_again(ann: Person, app: App):
    with sqlite3.connect(app.db.url.database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = perf_counter()
        said = ann.alert(BUY)
        assert perf_counter() - began < 2.9, "TradingView gives up after 3 s"
        assert told(said, 503)["error"] == "unavailable" and said.headers["Retry-After"]
        other.execute("ROLLBACK")
    other.close()
    assert ann.alert(BUY).json["duplicate"] is False
    assert count(ann) == 1


@sqlite
def test_of_many_who_meet_a_locked_database_none_waits_for_the_others(ann: Person, app: App):
    other = sqlite3.connect(app.db.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def ask(n: int) -> tuple[int, float]:
        began = perf_counter()
        return ann.alert(
            BUY | {"id": n} | ({"quantity": -1} if n % 3 == 0 else {})
        ).status_code, perf_counter() - began

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(ask, range(16)))
    other.execute("ROLLBACK")
    other.close()
    assert {status for status, _ in said} == {503} and max(took for _, took in said) < 2.9


@sqlite
def test_wrong_methods_and_addresses_are_answered_in_json(ann: Person):
    client = ann.house.flask.test_client()
    told(client.get("/webhook"), 405)
    told(client.delete("/test-webhook"), 405)
    told(client.get("/nowhere"), 404)
    told(client.get("/user/x/positions"), 404)


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


# --- the siblings -------------------------------------------------------------------------------------------


def test_health_tells_of_the_process_the_database_and_the_worker(house: House):
    client = house.flask.test_client()
    before = client.get("/health")
    assert (
        before.status_code == 503
        and before.json["worker"] == "not seen yet"
        and before.json["database"] == "ok"
    )
    house.app.engine.leases.renew()
    well = client.get("/health")
    assert well.status_code == 200 and well.json == {
        "status": "ok",
        "process": "ok",
        "database": "ok",
        "worker": "ok",
    }


@sqlite
def test_a_worker_that_stopped_beating_is_missed(ann: Person, house: House):
    house.app.engine.leases.renew()
    house.app.db.write(lambda conn: conn.exec_driver_sql("UPDATE workers SET seen = seen - 11"))
    said = house.flask.test_client().get("/health")
    assert said.status_code == 503 and said.json["worker"] == "silent"


@pytest.mark.parametrize("dialect", DIALECTS)
@sqlite
def test_test_webhook_explains_and_changes_nothing(ann: Person, house: House, dialect: str):
    def everything() -> str:
        with house.app.db.read() as conn:
            return "\n".join(conn.connection.driver_connection.iterdump())

    before = everything()
    body = DIALECTS[dialect]
    said = house.flask.test_client().post(
        "/test-webhook", data=json.dumps(body) if isinstance(body, dict) else body
    )
    assert said.status_code == 200 and said.json["ok"] is True
    shown = said.json["signal"]
    assert (shown["action"], shown["symbol"], shown["dialect"]) == ("buy", "NYSE:AAPL-EQ", dialect)
    assert said.json["explanation"].startswith("BUY AAPL")
    assert everything() == before


@sqlite
def test_test_webhook_says_what_is_wrong_and_shows_no_secret(house: House):
    client = house.flask.test_client()
    assert (
        told(client.post("/test-webhook", data='{"action": "by", "symbol": "AAPL"}'), 400)["field"]
        == "action"
    )
    secret = json.dumps(BUY | {"secret": "open sesame", "token": "usr_" + "x" * 32})
    assert (
        "open sesame" not in client.post("/test-webhook", data=secret).text
        and "usr_x" not in client.post("/test-webhook", data=secret).text
    )


def test_positions_and_bots_of_a_user_are_shown_by_the_webhook_token(ann: Person, house: House):
    story = ann.trades("buy")
    client, own = house.flask.test_client(), f"/user/{ann.user.id}"
    held = client.get(f"{own}/positions", query_string={"token": ann.token}).json["items"]
    assert [(p["symbol"], p["quantity"], p["broker_quantity"], p["outside"]) for p in held] == [
        ("NYSE:AAPL-EQ", "50", "50", "0")
    ]
    [bot] = client.get(f"{own}/bots", headers={"Authorization": f"Bearer {ann.token}"}).json["items"]
    assert bot["id"] == story["bots"][0]["bot_id"] and bot["position"]["quantity"] == "50"
    told(client.get(f"{own}/positions"), 401)
    told(client.get(f"{own}/bots", query_string={"token": "usr_nonsense"}), 401)


# --- anything at all ----------------------------------------------------------------------------------------

NAMES = [
    "action",
    "symbol",
    "ticker",
    "pair",
    "side",
    "direction",
    "sentiment",
    "market_position",
    "prev_market_position",
    "market_position_size",
    "position_size",
    "qty",
    "quantity",
    "size",
    "contracts",
    "amount",
    "quantityType",
    "timeframe",
    "interval",
    "price",
    "close",
    "id",
    "signalId",
    "alertTimestamp",
    "time",
    "timestamp",
    "timenow",
    "bot",
    "bot_id",
    "bot_uuid",
    "max_lag",
    "limitPrice",
    "stopPrice",
    "trailAmount",
    "trailPercent",
    "orderType",
    "timeInForce",
    "takeProfit",
    "stopLoss",
    "delay",
    "cancel",
    "extendedHours",
    "extras",
    "order",
    "strategy",
    "tv_exchange",
    "tv_instrument",
    "trigger_price",
    "exchange",
    "dollars",
    "token",
    "secret",
    "passphrase",
    "key",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [
            "buy",
            "sell",
            "close",
            "exit",
            "add",
            "reverse",
            "cancel",
            "AAPL",
            "BTCUSDT",
            "15",
            "D",
            "long",
            "short",
            "flat",
            "limit",
            "market",
            "5%",
            "100",
            "1e400",
            "-1",
            "0",
            "{{ticker}}",
            "2025-06-04T15:00:00Z",
            "fixed_quantity",
            "percent_of_equity",
            "\x00",
            "usr_x",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=6,
)
KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "action": st.sampled_from(
            ["buy", "sell", "close", "add", "reverse", "reduce", "cancel", "breakeven"]
        ),
        "symbol": st.just("AAPL"),
    },
)
ALERTS = st.builds(
    lambda known, more: known | more, KNOWN, st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6)
)
SENT = (
    st.binary(max_size=200)
    | st.text(alphabet=string.printable, max_size=80).map(str.encode)
    | ALERTS.map(lambda body: json.dumps(body).encode())
)
ANSWERS = {202, 400, 401, 404, 409, 429}


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(raw=SENT, with_token=st.sampled_from([True, True, True, False]))
def check_anything(ann: Person, raw: bytes, with_token: bool) -> None:
    said = ann.alert(raw, token=None if with_token else "")
    assert said.status_code in ANSWERS, said.text
    if said.status_code != 202:
        told(said, said.status_code)


def test_whatever_is_sent_is_never_answered_with_a_server_error(ann: Person, house: House):
    check_anything(ann)
    house.work(rounds=2)
    with house.app.db.read() as conn:
        assert decision_table.waiting(conn, house.app.clock.now())[0] == len(
            list(ann.get("/signals", status="accepted", limit=500)["items"])
        )


@sqlite
def test_parallel_alerts_for_different_bots_are_all_kept(ann: Person, house: House):
    symbols = ["MSFT", "KO", "TSLA", "NVDA"]
    for symbol in symbols:
        ann.bot(symbol)
    barrier = threading.Barrier(len(symbols))

    def send(symbol: str) -> str:
        barrier.wait()
        return ann.sends({"action": "buy", "symbol": symbol})

    with ThreadPoolExecutor(len(symbols)) as pool:
        ids = list(pool.map(send, symbols))
    house.work()
    assert [ann.story(signal_id)["status"] for signal_id in ids] == ["filled"] * 4
    assert until(lambda: sum(Decimal(p["quantity"]) for p in ann.get("/positions")["items"])) == 200
