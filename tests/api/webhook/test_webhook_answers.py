"""The webhook receiver over HTTP: what is answered, and to whom an alert goes."""

from __future__ import annotations

from time import perf_counter

import pytest

from dashtrade.api.receiving import MAX_WAIT_SECONDS
from dashtrade.tables import signals as signal_table
from tests.support.databases import sqlite
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.webhook import BUY, DIALECTS, assert_error

# --- what is answered ---------------------------------------------------------------------------------------


def test_an_alert_is_durable_when_it_is_answered(trader: Trader, make_app: MakeApp):
    response = trader.alert(BUY)
    assert response.status_code == 202
    with make_app().db.read() as conn:
        assert signal_table.status_of(conn, trader.user.id, response.json["signal_id"]) == "accepted"


def test_with_wait_the_outcome_is_answered(running: Trader):
    response = running.alert(BUY, wait="2.5")
    assert response.status_code == 200, response.text
    body = response.json
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
def test_a_sender_waiting_for_a_limit_order_gets_working(running: Trader):
    body = running.alert(BUY | {"order_type": "limit", "limit_price": "90"}, wait="2").json
    assert body["status"] == "working" and body["orders"][0]["status"] == "working"
    assert body["orders"][0]["average_price"] is None


@sqlite
def test_a_sender_whose_wait_ends_gets_in_progress(trader: Trader):
    began = perf_counter()
    body = trader.alert(BUY, wait="0.3").json
    assert 0.25 < perf_counter() - began < 2.5
    assert body["status"] == "working" and body["reason"] == "in progress"


@sqlite
def test_who_would_wait_longer_than_tradingview_does_is_answered_sooner_and_the_alert_is_not_lost(
    trader: Trader,
):
    began = perf_counter()
    body = trader.alert(BUY, wait="99").json
    assert MAX_WAIT_SECONDS - 0.1 < perf_counter() - began < 3.5
    assert body["status"] == "working"


@pytest.mark.parametrize("wait", ["-1", "nan", "inf", "1e400", "two", "0x1", " "])
@sqlite
def test_a_wait_that_is_no_number_is_refused(trader: Trader, wait: str):
    assert str(MAX_WAIT_SECONDS) in assert_error(trader.alert(BUY, wait=wait), 400)["hint"]


@pytest.mark.parametrize("dialect", DIALECTS)
@sqlite
def test_every_dialect_ends_in_the_same_order(installation: Installation, dialect: str):
    trader = installation.join()
    trader.bot("AAPL", "15 Min", position_size="700", size_override=True)
    signal_id = trader.send(DIALECTS[dialect])
    installation.work()
    story = trader.story(signal_id)
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
def test_the_content_decides_and_not_the_header(trader: Trader, kind: str):
    as_json = trader.alert(
        {"action": "buy", "symbol": "AAPL", "id": f"j{len(kind)}"}, headers={"Content-Type": kind}
    )
    as_text = trader.alert(f"CLOSE AAPL id=t{len(kind)}", headers={"Content-Type": kind})
    assert (as_json.status_code, as_text.status_code) == (202, 202)


# --- to whom ------------------------------------------------------------------------------------------------


def test_no_bot_is_answered_404_with_those_there_are_and_is_on_record(trader: Trader):
    trader.bot("BTCUSDT", "1H")
    answer = assert_error(trader.alert({"action": "buy", "symbol": "MSFT"}), 404)
    assert (
        answer["error"] == "no_bot"
        and "AAPL on 15 Min" in answer["hint"]
        and "BTC/USDT on 1 Hour" in answer["hint"]
    )
    assert [(b["symbol"], b["timeframe"]) for b in answer["bots"]] == [
        ("AAPL", "15 Min"),
        ("BTC/USDT", "1 Hour"),
    ]
    assert trader.story(answer["signal_id"])["status"] == "refused"
    assert "no bot trades AAPL on 1 Day" in assert_error(
        trader.alert({"action": "buy", "symbol": "AAPL", "timeframe": "D"}), 404
    )["message"].lower().replace("aapl", "AAPL").replace("day", "Day")
    trader.bot("MSFT", "D")
    assert trader.alert({"action": "buy", "symbol": "MSFT"}).status_code == 202, (
        "an alert that found no bot may be sent again"
    )


@sqlite
def test_a_user_without_bots_is_asked_to_create_one(installation: Installation):
    assert "no bots yet" in assert_error(installation.join().alert(BUY), 404)["hint"]


@sqlite
def test_symbols_and_timeframes_find_their_bot_however_they_are_written(trader: Trader):
    for symbol in ("AAPL", "aapl", "NASDAQ:AAPL", "NASDAQ_DL:AAPL", "AMEX:AAPL"):
        for timeframe in ("15 Min", "15", "15m", 15, "15min"):
            assert (
                trader.alert({"action": "buy", "symbol": symbol, "timeframe": timeframe}).status_code == 202
            ), (symbol, timeframe)


@sqlite
def test_without_a_timeframe_the_bot_of_the_symbol_is_meant_if_there_is_just_one(trader: Trader):
    assert trader.alert({"action": "buy", "symbol": "AAPL"}).status_code == 202
    trader.bot("AAPL", "1H")
    assert (
        "several timeframes"
        in assert_error(trader.alert({"action": "buy", "symbol": "AAPL", "id": 2}), 404)["message"]
    )


@sqlite
def test_a_bot_may_be_named_by_its_id_or_its_name(trader: Trader, installation: Installation):
    hare = trader.bot("AAPL", "1H", name="Hare")
    for n, name in enumerate((hare, str(hare), "Hare", "hare")):
        for field in ("bot", "bot_id"):
            signal_id = trader.send({"action": "cancel", "symbol": "AAPL", field: name, "id": f"{n}{field}"})
            installation.work()
            assert [b["bot_id"] for b in trader.story(signal_id)["bots"]] == [hare]
    assert (
        "no bot 'Tortoise'"
        in assert_error(trader.alert({"action": "buy", "symbol": "AAPL", "bot": "Tortoise"}), 404)["message"]
    )
    assert (
        "trades AAPL"
        in assert_error(trader.alert({"action": "buy", "symbol": "MSFT", "bot": "Hare"}), 404)["message"]
    )
    assert (
        "trades on 1 Hour"
        in assert_error(
            trader.alert({"action": "buy", "symbol": "AAPL", "timeframe": "D", "bot": "Hare"}), 404
        )["message"]
    )


def test_an_alert_goes_to_one_bot_per_account_and_the_outcome_names_each(running: Trader):
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
