"""Every way to size and to place an order, from the alert or the bot's own settings, to what stands on
Alpaca's wire."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.alpaca import AlpacaSimulator
from tests.support.fakes import ManualClock
from tests.support.installation import Trader

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
AT_A_LIMIT = {"orderType": "limit", "limitPrice": "99.005"}
STOP = {"stopLoss": {"type": "stop", "amount": "4"}}


def wire(sim: AlpacaSimulator) -> dict[str, Any]:
    return sim.requests("POST", "/v2/orders")[-1].json


def details_text(story: Any) -> str:
    return " ".join(line["detail"] for line in story["timeline"])


# --- sizes --------------------------------------------------------------------------------------------------

BY_ALERT: list[tuple[dict[str, Any], str, str]] = [
    ({"quantity": "7.5"}, "7.5", "buy 7.5 at 100.01 is 7.5"),
    ({"quantity": 12, "quantityType": "fixed_quantity"}, "12", ""),
    (
        {"quantity": 2500, "quantityType": "dollar_amount"},
        "24.997500249",
        "$2,500.00 at 100.01 is 24.997500249975, rounded down to 24.997500249",
    ),
    ({"quantity": 10, "quantityType": "percent_of_equity"}, "99.990000999", "10% of the equity"),
    ({"quantity": "5%"}, "49.995000499", "5% of the equity"),
    ({"quantity": 200, "quantityType": "risk_dollar_amount"} | STOP, "50", "a risk of $200.00"),
    (
        {"quantity": "1", "quantityType": "risk_percent", "stopLoss": {"type": "stop", "stopPrice": "95.01"}},
        "200",
        "a risk of 1% of the equity",
    ),
    (
        {
            "quantity": 1,
            "quantityType": "risk_percent",
            "stopLoss": {"type": "trailing_stop", "trailPercent": "10"},
        },
        "99.990000999",
        "a risk of 1%",
    ),
    (
        {"quantity": 2500, "quantityType": "dollar_amount"} | AT_A_LIMIT,
        "25.24997475",
        "rounded down to 25.24997475",
    ),
    (
        {"quantity": 2500, "quantityType": "dollar_amount", "timeInForce": "gtc"} | AT_A_LIMIT,
        "25",
        "rounded down to 25",
    ),
]


@pytest.mark.parametrize(
    ("alert", "quantity", "said"), BY_ALERT, ids=[" ".join(map(str, a[0].values())) for a in BY_ALERT]
)
def test_an_alerts_size_reaches_the_wire_and_its_rounding_the_story(
    trader: Trader, sim: AlpacaSimulator, alert: dict[str, Any], quantity: str, said: str
):
    trader.bot(size_override=True)
    story = trader.trades("buy", **alert)
    assert wire(sim)["qty"] == quantity and said in details_text(story)


@pytest.mark.parametrize(
    ("kind", "size", "more", "quantity"),
    [
        ("dollars", "2500", {}, "24.997500249"),
        ("quantity", "7.5", {}, "7.5"),
        ("percent_of_equity", "10", {}, "99.990000999"),
        ("risk_dollars", "200", {"stop_loss": {"amount": "4"}}, "50"),
        ("risk_percent", "1", {"stop_loss": {"percent": "10"}}, "99.990000999"),
    ],
)
def test_a_bots_size_reaches_the_wire(
    trader: Trader, sim: AlpacaSimulator, kind: str, size: str, more: dict[str, Any], quantity: str
):
    bot = trader.bot(position_size=size, position_size_type=kind, **more)
    assert trader.get(f"/bots/{bot}")["position_size_type"] == kind
    trader.trades("buy")
    assert wire(sim)["qty"] == quantity


def test_a_size_by_risk_without_a_stop_buys_nothing_and_says_so(trader: Trader, sim: AlpacaSimulator):
    trader.bot(size_override=True)
    story = trader.trades("buy", quantity=200, quantityType="risk_dollar_amount")
    assert story["status"] == "refused" and "needs a stop-loss" in story["reason"] and not sim.orders


@pytest.mark.parametrize(
    ("alert", "side", "quantity"),
    [
        ({"action": "add", "quantity": 50, "quantityType": "percent_of_position"}, "buy", "20"),
        ({"action": "close", "quantity": "25%"}, "sell", "10"),
        ({"action": "reduce", "quantity": "3"}, "sell", "3"),
        ({"action": "exit", "quantity": 1000, "quantityType": "dollar_amount"}, "sell", "10"),
        ({"action": "close"}, "sell", "40"),
        ({"action": "close", "quantity": 70}, "sell", "40"),
    ],
)
def test_a_share_of_the_position_reaches_the_wire(
    trader: Trader, sim: AlpacaSimulator, alert: dict[str, Any], side: str, quantity: str
):
    trader.bot(position_size="40", position_size_type="quantity", size_override=True)
    trader.trades("buy")
    trader.trades(**alert)
    assert (wire(sim)["side"], wire(sim)["qty"]) == (side, quantity)


def test_a_part_without_a_last_digit_is_rounded_down_and_reported(trader: Trader, sim: AlpacaSimulator):
    trader.bot(symbol="WHOLE", position_size="10", position_size_type="quantity")
    trader.trades("buy", symbol="WHOLE")
    story = trader.trades("close", symbol="WHOLE", quantity="33%")
    assert wire(sim)["qty"] == "3" and "3.3, rounded down to 3 of 10" in details_text(story)


# --- how it is placed ---------------------------------------------------------------------------------------


def test_a_limit_is_offset_from_the_market_and_rounded_to_the_venues_step(
    trader: Trader, sim: AlpacaSimulator
):
    trader.bot(order_type="limit", limit_offset_percent="0.5")
    trader.trades("buy")
    # 100.01 less 0.5 % is 99.50995
    assert (wire(sim)["type"], wire(sim)["limit_price"], wire(sim)["time_in_force"]) == (
        "limit",
        "99.51",
        "day",
    )


def test_a_limit_finer_than_the_step_is_reported_with_its_rounding(trader: Trader, sim: AlpacaSimulator):
    trader.bot()
    story = trader.trades("buy", orderType="limit", limitPrice="98.7654")
    assert wire(sim)["limit_price"] == "98.77" and "limit 98.7654 rounded to 98.77" in details_text(story)


@pytest.mark.parametrize(
    ("alert", "sent"),
    [
        ({"orderType": "stop", "stopPrice": "105"}, {"type": "stop", "stop_price": "105"}),
        (
            {"orderType": "stop_limit", "stopPrice": "105", "limitPrice": "105.5"},
            {"type": "stop_limit", "stop_price": "105", "limit_price": "105.5"},
        ),
        (
            {"orderType": "trailing_stop", "trailPercent": "2"},
            {"type": "trailing_stop", "trail_percent": "2"},
        ),
        (
            {"orderType": "trailing_stop", "trailAmount": "1.5"},
            {"type": "trailing_stop", "trail_price": "1.5"},
        ),
    ],
)
def test_every_kind_of_entry_reaches_the_wire(
    trader: Trader, sim: AlpacaSimulator, alert: dict[str, Any], sent: dict[str, str]
):
    trader.bot(position_size="10", position_size_type="quantity")
    trader.trades("buy", **alert)
    assert {name: wire(sim).get(name) for name in sent} == sent


@pytest.mark.parametrize("when", ["day", "gtc", "ioc", "fok", "opg", "cls"])
def test_the_time_in_force_is_the_alerts_else_the_bots(trader: Trader, sim: AlpacaSimulator, when: str):
    bot = trader.bot(position_size="10", position_size_type="quantity", time_in_force="gtc")
    trader.trades("buy", orderType="limit", limitPrice="90")
    assert wire(sim)["time_in_force"] == "gtc"
    trader.trades("cancel")
    trader.trades("buy", orderType="limit", limitPrice="90", timeInForce=when)
    assert wire(sim)["time_in_force"] == when
    trader.request("PATCH", f"/bots/{bot}", {"time_in_force": None})
    assert trader.get(f"/bots/{bot}")["time_in_force"] is None


def test_outside_the_regular_hours_limits_trade_and_market_orders_are_refused_in_words(
    trader: Trader, sim: AlpacaSimulator
):
    sim.set_session("extended")
    bot = trader.bot(position_size="10", position_size_type="quantity")
    story = trader.trades("buy", extendedHours=True)
    assert "outside regular hours Alpaca accepts limit orders only" in story["reason"] and not sim.orders
    trader.trades("buy", extendedHours=True, orderType="limit", limitPrice="101")
    assert wire(sim)["extended_hours"] is True and trader.holds(bot) == 10


def test_in_the_regular_hours_an_extended_market_order_is_a_market_order(
    trader: Trader, sim: AlpacaSimulator
):
    bot = trader.bot(position_size="10", position_size_type="quantity", extended_hours=True)
    trader.trades("buy")
    assert wire(sim)["type"] == "market" and "extended_hours" not in wire(sim) and trader.holds(bot) == 10


def test_a_bot_of_extended_hours_gets_out_there_too(trader: Trader, sim: AlpacaSimulator, clock: ManualClock):
    sim.set_session("extended")
    bot = trader.bot(position_size="10", position_size_type="quantity", extended_hours=True)
    trader.trades("buy", orderType="limit", limitPrice="101", stopLoss=95)
    assert trader.holds(bot) == 10 and "no exits in extended hours" in details_text(
        trader.story(trader.get("/signals")["items"][0]["id"])
    )
    sim.set_price("AAPL", 94)
    clock.forward(6)
    trader.installation.look()
    trader.installation.work()
    assert (wire(sim)["type"], wire(sim)["limit_price"], wire(sim)["extended_hours"]) == (
        "limit",
        "93.05",
        True,
    ) and trader.holds(bot) == 0


def test_what_a_broker_cannot_do_is_reported_when_the_bot_is_saved(trader: Trader):
    paper = trader.account()
    response = trader.call(
        "POST",
        "/bots",
        {
            "account_id": paper,
            "symbol": "AAPL",
            "timeframe": "15",
            "position_size": "5000",
            "time_in_force": "opg",
        },
    )
    assert response.status_code == 400 and "takes no opg orders" in response.json["message"]


# --- when ---------------------------------------------------------------------------------------------------


def test_a_bots_entries_may_wait_and_its_exits_do_not(
    trader: Trader, sim: AlpacaSimulator, clock: ManualClock
):
    bot = trader.bot(delay_seconds=30, position_size="10", position_size_type="quantity")
    story = trader.trades("buy")
    assert story["status"] == "working" and not sim.orders
    clock.forward(29)
    trader.installation.work()
    assert not sim.orders
    clock.forward(2)
    trader.installation.work()
    assert trader.holds(bot) == 10
    trader.trades("close")
    assert trader.holds(bot) == 0


def test_an_alert_may_wait(trader: Trader, sim: AlpacaSimulator, clock: ManualClock):
    bot = trader.bot()
    trader.trades("buy", delay="15")
    assert not sim.orders
    clock.forward(16)
    trader.installation.work()
    assert trader.holds(bot) > 0


@pytest.mark.parametrize(("settings", "alert"), [({}, {"cancel": True}), ({"cancel_first": True}, {})])
def test_what_is_not_filled_is_taken_back_first_where_the_alert_or_the_bot_says_so(
    trader: Trader, sim: AlpacaSimulator, settings: dict, alert: dict
):
    bot = trader.bot(position_size="10", position_size_type="quantity", **settings)
    trader.trades("buy", orderType="limit", limitPrice="90")
    trader.trades("buy", orderType="limit", limitPrice="95", **alert)
    assert [(order.status, str(order.limit)) for order in sim.orders] == [("canceled", "90"), ("new", "95")]
    assert trader.get(f"/bots/{bot}")["status"] == "ORDER SUBMITTED"
