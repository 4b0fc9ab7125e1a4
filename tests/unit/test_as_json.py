"""Records as plain JSON, and back: nothing is lost, and nothing else comes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtrade.domain.as_json import WrongType, from_json, from_named_json, named_json, to_json
from dashtrade.domain.kernel.accepting import Alert, Conflict, IntakeResult, NoBot, Receipt
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.signals import Action, Origin, Signal, Size, SizeKind, Target
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType, Side, TimeInForce

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=0, max_value=10**12)
SYMBOLS = st.sampled_from(["AAPL", "BTC/USDT", "LSE:VOD", "BRK.B"]).map(Symbol.parse)
MOMENTS = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


TARGETS = st.builds(
    Target, price=maybe(NUMBERS), percent=maybe(NUMBERS), trailing=st.booleans(), share_percent=maybe(NUMBERS)
)
SIGNALS = st.builds(
    Signal,
    action=st.sampled_from(Action),
    symbol=SYMBOLS,
    written_symbol=st.text(),
    bot=maybe(st.text()),
    timeframe=maybe(st.integers(1, 10**7).map(Timeframe)),
    only_side=maybe(st.sampled_from(Side)),
    size=maybe(st.builds(Size, kind=st.sampled_from(SizeKind), value=NUMBERS)),
    order_type=maybe(st.sampled_from(OrderType)),
    limit_price=maybe(NUMBERS),
    time_in_force=maybe(st.sampled_from(TimeInForce)),
    extended_hours=st.booleans(),
    take_profits=st.lists(TARGETS, max_size=3).map(tuple),
    stop_loss=maybe(TARGETS),
    break_even=maybe(st.booleans()),
    close_after=maybe(SPANS),
    close_at=maybe(st.times()),
    delay=maybe(SPANS),
    key=maybe(st.text()),
    sent_at=maybe(MOMENTS),
    dialect=st.text(),
    notes=st.lists(st.text(), max_size=3).map(tuple),
)
ALERTS = st.builds(
    Alert,
    id=st.text(),
    owner=st.integers(1),
    signal=SIGNALS,
    content=st.text(),
    raw=st.text(),
    origin=st.sampled_from(Origin),
    sender=st.text(),
    received_at=MOMENTS,
    max_age=maybe(SPANS),
    sender_waits=st.booleans(),
)


def passed_on(value: Any) -> Any:
    return json.loads(json.dumps(to_json(value)))


@given(ALERTS)
def test_an_alert_arrives_as_it_was_handed_over(alert: Alert):
    assert from_json(Alert, passed_on(alert)) == alert


@pytest.mark.parametrize(
    "said",
    [
        Receipt(
            signal_id="s1",
            duplicate=False,
            lanes=(Lane(7, Symbol.parse("AAPL")), Lane(8, Symbol.parse("BTC/USD"))),
        ),
        NoBot(
            signal_id="s1",
            message="no bot trades AAPL",
            bots=({"bot_id": 3, "symbol": "MSFT", "timeframe": "15 Min"},),
        ),
        Conflict(signal_id="s1", message="the id was used before"),
    ],
)
def test_the_workers_outcome_arrives_unchanged(said: IntakeResult):
    assert from_named_json(IntakeResult, json.loads(json.dumps(named_json(said)))) == said


def test_numbers_keep_every_digit_and_moments_every_microsecond():
    assert from_json(Decimal, passed_on(Decimal("0.10000000000000000000000001"))) == Decimal(
        "0.10000000000000000000000001"
    )
    assert str(from_json(Decimal, passed_on(Decimal("1.50")))) == "1.50"
    moment = datetime(2026, 11, 30, 4, 5, 6, 123457, tzinfo=UTC)
    assert from_json(datetime, passed_on(moment)) == moment
    assert from_json(time, passed_on(time(15, 59))) == time(15, 59)
    assert from_json(timedelta, passed_on(timedelta(microseconds=1))) == timedelta(microseconds=1)


SIGNAL = to_json(Signal(action=Action.BUY, symbol=Symbol.parse("AAPL"), written_symbol="AAPL"))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "buy",
        7,
        {},
        {"action": "buy"},
        SIGNAL | {"action": "steal"},
        SIGNAL | {"no_such_field": 1},
        SIGNAL | {"extended_hours": 1},
        SIGNAL | {"limit_price": 1.5},
        SIGNAL | {"limit_price": "much"},
        SIGNAL | {"sent_at": "yesterday"},
        SIGNAL | {"take_profits": {}},
        SIGNAL | {"symbol": "AAPL"},
        SIGNAL | {"timeframe": {"seconds": "60"}},
        SIGNAL | {"notes": [1]},
        SIGNAL | {"delay": 1e400},
    ],
)
def test_what_is_no_signal_is_refused(data: Any):
    with pytest.raises(WrongType):
        from_json(Signal, data)


@pytest.mark.parametrize(
    "data", [None, [], ["Receipt"], ["Alert", {}], ["Receipt", None], {"Receipt": {}}, [["Receipt"], {}]]
)
def test_an_answer_is_one_of_those_that_may_come(data: Any):
    with pytest.raises(WrongType):
        from_named_json(IntakeResult, data)


def test_what_has_no_plain_form_is_not_sent():
    with pytest.raises(TypeError):
        to_json(1.5)
