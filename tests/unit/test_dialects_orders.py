"""Alerts as people write them: sizes, orders, exits, ids and times."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.signals import Action, Size, SizeKind, Target
from dashtrade.domain.values import Malformed, OrderType, Side, TimeInForce
from tests.support.alerts import alert, quantity, read, refused

# --- sizes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["qty", "quantity", "size", "contracts", "amount", "position_size", "positionSize"]
)
def test_a_size_goes_by_many_names(name):
    assert alert(**{name: "10.5"}).size == quantity("10.5")


@pytest.mark.parametrize("name", ["dollars", "notional", "usd"])
def test_a_size_may_be_money(name):
    assert alert(**{name: 500}).size == Size(kind=SizeKind.DOLLARS, value=Decimal(500))


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("fixed_quantity", SizeKind.QUANTITY),
        ("dollar_amount", SizeKind.DOLLARS),
        ("risk_dollar_amount", SizeKind.RISK_DOLLARS),
        ("risk_percent", SizeKind.RISK_PERCENT),
        ("percent_of_equity", SizeKind.EQUITY_PERCENT),
        ("percentOfPosition", SizeKind.POSITION_PERCENT),
        ("percent", SizeKind.EQUITY_PERCENT),
    ],
)
def test_the_quantity_type_says_what_the_size_means(written, kind):
    assert alert(quantity="2", quantityType=written).size == Size(kind=kind, value=Decimal(2))


@pytest.mark.parametrize(
    ("currency", "kind"),
    [
        ("base", SizeKind.QUANTITY),
        ("quote", SizeKind.DOLLARS),
        ("position_percent", SizeKind.POSITION_PERCENT),
    ],
)
def test_an_order_object_brings_size_and_currency(currency, kind):
    signal = alert(action="exit_long", order={"amount": "25", "currency_type": currency})
    assert (signal.action, signal.only_side, signal.size) == (
        Action.CLOSE,
        Side.LONG,
        Size(kind=kind, value=Decimal(25)),
    )


def test_a_percentage_is_of_the_equity_on_the_way_in_and_of_the_position_on_the_way_out():
    assert alert(qty="5%").size.kind is SizeKind.EQUITY_PERCENT
    assert alert(action="close", qty="5%").size.kind is SizeKind.POSITION_PERCENT
    assert alert(action="reduce", qty="5", quantityType="percent").size.kind is SizeKind.POSITION_PERCENT


def test_a_close_with_a_quantity_is_partial():
    assert alert(action="close", quantity=3).size == quantity("3")


@pytest.mark.parametrize(
    "value", [0, -5, "0", "-1", "NaN", "inf", "ten", "", True, [], [1], {}, "1_0", "1,000", "0%", "-5%"]
)
def test_a_size_that_is_no_positive_number_is_refused(value):
    assert refused(quantity=value).where == "quantity"
    assert refused(action="close", quantity=value).where == "quantity"


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": 1, "quantity": 2},
        {"qty": 1, "dollars": 1},
        {"qty": "5%", "size": 5},
        {"qty": 1, "order": {"amount": 2}},
        {"action": "close", "qty": "101%"},
        {"action": "reduce"},
        {"qty": "5%", "quantityType": "fixed_quantity"},
        {"action": "close", "qty": 101, "quantityType": "percent_of_position"},
        {"qty": 1, "quantityType": "lots"},
    ],
)
def test_sizes_that_contradict_each_other_or_mean_nothing_are_refused(fields):
    refused(**fields)


def test_the_same_size_twice_is_fine():
    assert alert(qty=1, quantity="1.0").size == quantity("1")


# --- orders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, None),
        ({"orderType": "market"}, OrderType.MARKET),
        ({"orderType": "limit", "limitPrice": "9.5"}, OrderType.LIMIT),
        ({"limit_price": 9}, OrderType.LIMIT),
        ({"stopPrice": 9}, OrderType.STOP),
        ({"order_type": "Stop Limit", "limitPrice": 9, "stopPrice": 8}, OrderType.STOP_LIMIT),
        ({"orderType": "trailing_stop", "trailAmount": 1}, OrderType.TRAILING_STOP),
        ({"trailPercent": "2%"}, OrderType.TRAILING_STOP),
        ({"order": {"order_type": "limit", "price": 9, "amount": 1}}, OrderType.LIMIT),
    ],
)
def test_the_order_type_is_named_or_follows_from_its_prices(fields, kind):
    assert alert(**fields).order_type is kind


@pytest.mark.parametrize(
    "fields",
    [
        {"orderType": "limit"},
        {"orderType": "market", "limitPrice": 1},
        {"orderType": "stop", "limitPrice": 1},
        {"orderType": "stop_limit", "limitPrice": 1},
        {"orderType": "trailing_stop"},
        {"trailAmount": 1, "trailPercent": 1},
        {"orderType": "limit", "limitPrice": 0},
        {"limitPrice": -1},
        {"limitPrice": 1, "limit_price": 2},
        {"orderType": "iceberg"},
        {"orderType": 1},
        {"timeInForce": "forever"},
        {"extendedHours": "perhaps"},
        {"extendedHours": 1},
        {"cancel": "x"},
        {"delay": -1},
        {"delay": 86401},
        {"delay": True},
        {"max_lag": 0},
        {"max_age": 10**12},
        {"price": "high"},
        {"price": 0},
    ],
)
def test_an_order_that_does_not_fit_together_is_refused(fields):
    refused(**fields)


def test_what_surrounds_the_order_is_read():
    signal = alert(
        timeInForce="GTC", extendedHours="true", cancel=True, delay="1.5", max_lag=300, signalPrice="187.25"
    )
    assert (signal.time_in_force, signal.extended_hours, signal.cancel_first) == (TimeInForce.GTC, True, True)
    assert (signal.delay, signal.max_age, signal.price) == (
        timedelta(seconds=1.5),
        timedelta(minutes=5),
        Decimal("187.25"),
    )
    assert alert(extendedHours="false", cancel=False).extended_hours is False


def test_the_timeframe_is_one_whatever_its_name():
    assert alert(interval="15", timeframe="15 Min", tf=15).timeframe.text == "15m"
    assert refused(interval="15", timeframe="1H").where == "interval"
    refused(interval="soon")
    refused(interval=[15])


@pytest.mark.parametrize(
    ("written", "target"),
    [
        (190, Target(price=Decimal(190))),
        ("190.5", Target(price=Decimal("190.5"))),
        ({"limitPrice": 190}, Target(price=Decimal(190))),
        ({"price": 190}, Target(price=Decimal(190))),
        ({"percent": "5%"}, Target(percent=Decimal(5))),
        ({"amount": 2}, Target(amount=Decimal(2))),
    ],
)
def test_a_take_profit_is_a_price_a_percentage_or_a_distance(written, target):
    for name in ("takeProfit", "take_profit", "tp"):
        assert alert(**{name: written}).take_profits == (target,)


def test_profit_may_be_taken_in_steps():
    steps = alert(
        tp=[{"percent": 2, "share": 50}, {"percent": 4, "sharePercent": "30%"}, {"percent": 6}]
    ).take_profits
    assert [step.share_percent for step in steps] == [Decimal(50), Decimal(30), None]


@pytest.mark.parametrize(
    "written",
    [
        0,
        -1,
        True,
        "x",
        {},
        {"percent": 1, "amount": 1},
        {"percent": 0},
        {"percent": [1]},
        [{"percent": 1}, {"percent": 2}],
        [{"percent": 1, "share": 60}, {"percent": 2, "share": 50}],
        [{"percent": 1}, {"percent": 2, "share": 50}],
        [{"percent": 1, "share": 100}, {"percent": 2}],
        [{"percent": 1, "share": 0}],
        [{"percent": 1}] * 21,
    ],
)
def test_a_take_profit_that_is_not_clear_is_refused(written):
    assert refused(takeProfit=written).where.startswith("takeProfit")


@pytest.mark.parametrize(
    ("written", "target"),
    [
        (180, Target(price=Decimal(180))),
        ({"type": "stop", "stopPrice": 180}, Target(price=Decimal(180))),
        ({"percent": 2}, Target(percent=Decimal(2))),
        ({"amount": "1.5"}, Target(amount=Decimal("1.5"))),
        (
            {"type": "stop_limit", "stopPrice": 180, "limitPrice": 179},
            Target(price=Decimal(180), limit_price=Decimal(179)),
        ),
        ({"type": "trailing_stop", "trailPercent": 3}, Target(percent=Decimal(3), trailing=True)),
        ({"trailAmount": 3}, Target(amount=Decimal(3), trailing=True)),
        ({"type": "trailing_stop", "percent": 3}, Target(percent=Decimal(3), trailing=True)),
    ],
)
def test_a_stop_loss_is_fixed_limited_or_trailing(written, target):
    for name in ("stopLoss", "stop_loss", "sl"):
        assert alert(**{name: written}).stop_loss == target


@pytest.mark.parametrize(
    "written",
    [
        0,
        [],
        [1],
        {},
        {"type": "stop"},
        {"percent": 1, "amount": 1},
        {"type": "stop_limit", "stopPrice": 1},
        {"type": "stop", "trailPercent": 1},
        {"type": "stop", "stopPrice": 2, "limitPrice": 1},
        {"limitPrice": 1},
        {"type": "trailing_stop", "stopPrice": 1},
        {"trailAmount": 1, "trailPercent": 1},
        {"type": "limit", "percent": 1},
    ],
)
def test_a_stop_loss_that_is_not_clear_is_refused(written):
    assert refused(stopLoss=written).where.startswith("stopLoss")


# --- ids and times ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["id", "signalId", "signal_id", "alertTimestamp", "alert_id", "idempotency_key"]
)
def test_the_senders_own_id_goes_by_many_names(name):
    assert alert(**{name: "AAPL-7"}).key == "AAPL-7"
    assert alert(**{name: 7}).key == "7"


@pytest.mark.parametrize("value", ["", " ", "a" * 201, "a\nb", "a\x7f", True, [], {}, ["a"]])
def test_an_id_or_bot_that_cannot_be_one_is_refused(value):
    assert refused(id=value).where == "id"
    assert refused(bot=value).where == "bot"


def test_two_different_ids_or_bots_are_refused():
    refused(id="a", signalId="b")
    refused(bot="a", bot_name="b")
    assert alert(bot_id=7, bot="7").bot == "7"


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-21T10:00:00Z",
        "2026-11-21T10:00:00",
        "2026-11-21 11:00:00+01:00",
        1795255200,
        "1795255200",
        1795255200000,
        "1795255200000000",
        1795255200.0,
    ],
)
def test_a_time_is_read_in_every_common_form(written):
    assert alert(time=written).sent_at == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["", "soon", "20261121", 0, -1, 10**30, True, [], {}, "1900-01-01", "10:00", "9999-12-31T23:59"],
)
def test_a_time_that_cannot_be_read_is_refused(written):
    assert refused(time=written).where == "time"


def test_the_time_of_the_alert_wins_over_the_time_of_the_bar():
    assert alert(time="2026-11-21T09:45:00Z", timenow="2026-11-21T10:00:03Z").sent_at.minute == 0


def test_unknown_fields_are_kept_and_nulls_count_as_not_sent():
    reading = read(action="buy", symbol="AAPL", extras={"a": [1, 2]}, message="hi", quantity=None)
    assert (
        reading.body["extras"] == {"a": [1, 2]}
        and reading.body["message"] == "hi"
        and reading.signal.size is None
    )


# --- exits that would be left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        {"stopLossPercent": 2},
        {"trailing_stop": "2%"},
        {"stop": 190},
        {"sl_price": "190"},
        {"tp1": 220},
        {"take_profit_pct": 4},
        {"trail": 1.5},
        {"target": {"price": 220}},
    ],
)
def test_a_stop_or_target_under_an_unknown_name_is_refused_and_not_left_out(field: dict[str, Any]):
    with pytest.raises(Malformed) as caught:
        parse(json.dumps({"action": "buy", "symbol": "AAPL"} | field).encode())
    assert caught.value.where == next(iter(field)) and "would have no such exit" in caught.value.message


@pytest.mark.parametrize(
    "field",
    [
        {"stop": 0},
        {"stopLossPercent": ""},
        {"target": "webhook"},
        {"netProfit": 120},
        {"trailing_stop": None},
    ],
)
def test_what_is_no_exit_is_let_be(field: dict[str, Any]):
    assert parse(json.dumps({"action": "buy", "symbol": "AAPL"} | field).encode()).signal.stop_loss is None


def test_a_way_out_passes_whatever_else_its_alert_holds():
    assert parse(b'{"action": "close", "symbol": "AAPL", "stopLossPercent": 2}').signal.action is Action.CLOSE


@pytest.mark.parametrize("loss", [{}, {"type": "trailing_stop"}, {"percent": None}, ""])
def test_a_stop_without_a_number_is_refused(loss: Any):
    with pytest.raises(Malformed):
        parse(json.dumps({"action": "buy", "symbol": "AAPL", "stopLoss": loss}).encode())


def test_a_greeting_is_not_taken_for_a_sale():
    with pytest.raises(Malformed) as caught:
        parse(b"hello world")
    assert "Did you mean" not in caught.value.hint
