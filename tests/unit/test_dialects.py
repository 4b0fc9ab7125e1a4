"""Alerts as people write them: the body, who sent it, and which are equal.

What can be read in two ways is not read at all."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from dashtrade.domain.alerts.dialects import open_body, parse, redact, secret_of
from dashtrade.domain.signals import Action, Size, SizeKind
from tests.support.alerts import TOKEN, of_position, outcome, quantity, read, refused, text, unreadable

# --- the body -----------------------------------------------------------------------------------------------


def test_the_content_decides_between_json_and_text():
    assert open_body(b'\xef\xbb\xbf {"action": "buy"} ') == {"action": "buy"}
    assert open_body(b" BUY AAPL\n") == "BUY AAPL"


def test_numbers_are_read_exactly():
    assert open_body(b'{"a": 0.1000000000000000000001, "b": 12345678901234567890123}') == {
        "a": Decimal("0.1000000000000000000001"),
        "b": 12345678901234567890123,
    }


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  ",
        b"\xff\xfe",
        b"\xc3(",
        b"[]",
        b"[1,",
        b"1",
        b"null",
        b"true",
        b'"BUY AAPL"',
        b"NaN",
        b"{",
        b'{"a":}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":[1e-400]}',
        b'{"a":1e9999999999999999999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"a":' * 50_000,
        b"[" * 50_000,
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"comment":"\\u0000"}',
        b"BUY AAPL\x00",
    ],
)
def test_a_body_that_is_no_order_is_malformed_and_nothing_worse(raw):
    unreadable(raw)


@pytest.mark.parametrize(
    "message",
    [
        {"comment": "{{" * 30_000},
        {"interval": "1" + " " * 60_000 + "!"},
        {"qty": "9" * 60_000},
        {"id": "}}" * 30_000},
        {"k" * 30_000: {f"{n}": n for n in range(5_000)}},
        {"action": "b" * 60_000},
        {"order": "token" * 12_000},
    ],
)
def test_a_hostile_body_takes_no_time(message):
    raw = json.dumps({"action": "buy", "symbol": "AAPL", **message}).encode()
    started = time.perf_counter()
    outcome(raw)
    redact(raw.decode())
    assert time.perf_counter() - started < 1


def test_a_number_out_of_range_is_named_wherever_it_is():
    assert unreadable('{"extras": {"depth": [1, 1e400]}}').where == "extras.depth[1]"


def test_a_field_sent_twice_is_refused_by_name():
    assert unreadable('{"action": "buy", "qty": 1, "qty": 2}').where == "qty"
    assert unreadable('{"action": "buy", "order": {"amount": 1, "amount": 1}}').where == "amount"


def test_a_placeholder_outside_quotes_is_explained():
    assert "placeholder" in unreadable('{"action": "buy", "qty": {{strategy.order.contracts}}}').hint


# --- who sent it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["token", "Token", "secret", "passphrase", "key"])
def test_the_secret_is_found_before_the_rest_is_read(name):
    assert secret_of(open_body(json.dumps({name: TOKEN, "action": "{{nonsense}}"}).encode())) == TOKEN


def test_the_token_wins_over_the_other_proofs():
    assert secret_of({"key": TOKEN, "passphrase": "p", "secret": "s", "token": "t"}) == "t"
    assert secret_of({"key": TOKEN, "passphrase": "p", "secret": "s"}) == "s"
    assert secret_of({"key": TOKEN, "passphrase": 1234}) == "1234"


def test_a_key_that_is_no_token_is_an_ordinary_field():
    reading = read(action="buy", symbol="AAPL", key="AAPL-2026-11-21")
    assert reading.secret is None and reading.body["key"] == "AAPL-2026-11-21"


def test_text_may_carry_its_token():
    reading = parse(f"BUY AAPL token={TOKEN}".encode())
    assert (reading.secret, reading.canonical) == (TOKEN, "BUY AAPL")
    assert TOKEN not in str(reading.body)


def test_a_secret_is_neither_stored_nor_shown():
    sent = {"action": "buy", "symbol": "AAPL", "secret": "hush", "key": TOKEN, "qty": 1}
    reading = read(**sent)
    assert "hush" not in reading.canonical + str(reading.body) and TOKEN not in reading.canonical + str(
        reading.body
    )
    assert redact(sent) == {"action": "buy", "symbol": "AAPL", "secret": "•••", "key": "•••", "qty": 1}
    assert redact(f"BUY AAPL {TOKEN} id=7") == "BUY AAPL ••• id=7"
    assert redact(f"BUY AAPL token={TOKEN} Secret: hush id=7") == "BUY AAPL token=••• Secret: ••• id=7"


def test_a_secret_that_is_no_text_is_refused_without_showing_it():
    assert "hush" not in refused(token=["hush"]).message


# --- equal alerts -------------------------------------------------------------------------------------------


def test_the_order_of_fields_and_the_secret_do_not_make_a_new_alert():
    one = parse(b'{"action":"buy","symbol":"AAPL","takeProfit":{"percent":2,"share":50}}')
    other = parse(b'{"token":"t","takeProfit":{"share":50,"percent":2}, "symbol":"AAPL","action":"buy"}')
    assert one.canonical == other.canonical


@pytest.mark.parametrize(
    "changed",
    [
        {"takeProfit": {"percent": 3}},
        {"takeProfit": {"percent": "2"}},
        {"comment": "b"},
        {"extras": {"deep": [1, 3]}},
    ],
)
def test_every_other_field_makes_a_new_alert(changed):
    first = {
        "action": "buy",
        "symbol": "AAPL",
        "takeProfit": {"percent": 2},
        "comment": "a",
        "extras": {"deep": [1, 2]},
    }
    assert read(**first).canonical != read(**{**first, **changed}).canonical


def test_white_space_does_not_make_a_new_text():
    assert parse(b"BUY  AAPL\n15 Min ").canonical == parse(b"BUY AAPL 15 Min").canonical == "BUY AAPL 15 Min"


# --- plain text ---------------------------------------------------------------------------------------------


def test_plain_text_is_read_in_any_case():
    for message in ("BUY AAPL", "buy aapl", "Buy NASDAQ:AAPL"):
        assert (text(message).action, text(message).symbol.text) == (Action.BUY, "NYSE:AAPL-EQ")


def test_plain_text_takes_a_size_and_a_timeframe():
    assert text("BUY 10 AAPL").size == quantity("10")
    assert text("BUY AAPL 5%").size == Size(kind=SizeKind.EQUITY_PERCENT, value=Decimal(5))
    assert text("CLOSE 50% BTCUSDT").size == of_position("50")
    assert text("SELL AAPL 15 Min").timeframe.text == "15m"
    both = text("buy 0.5 BTC/USDT 1H id=x7 bot=Turtle")
    assert (both.size, both.timeframe.text, both.key, both.bot) == (quantity("0.5"), "1h", "x7", "Turtle")
    assert both.dialect == "text"


@pytest.mark.parametrize(
    "message",
    [
        "BUY",
        "AAPL",
        "BUY AAPL 10",
        "BUY -5 AAPL",
        "BUY 0 AAPL",
        "BUY AAPL soon",
        "BUI AAPL",
        "BUY 10 AAPL 5%",
        "BUY {{ticker}}",
        "order buy @ 10 filled on AAPL. New strategy position is 10",
        "BUY AAPL id=1 id=2",
        "BUY AAPL quantity=1 qty=2",
    ],
)
def test_text_that_could_mean_something_else_is_refused(message):
    unreadable(message)
