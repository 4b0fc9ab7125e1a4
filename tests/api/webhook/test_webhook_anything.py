"""The webhook receiver over HTTP: whatever is sent, it answers."""

from __future__ import annotations

import json
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashtrade.tables import decisions as decision_table
from tests.support.databases import sqlite
from tests.support.installation import Installation, Trader, wait_until
from tests.support.webhook import assert_error

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
def check_anything(trader: Trader, raw: bytes, with_token: bool) -> None:
    response = trader.alert(raw, token=None if with_token else "")
    assert response.status_code in ANSWERS, response.text
    if response.status_code != 202:
        assert_error(response, response.status_code)


def test_whatever_is_sent_is_never_answered_with_a_server_error(trader: Trader, installation: Installation):
    check_anything(trader)
    installation.work(rounds=2)
    with installation.app.db.read() as conn:
        assert decision_table.queue_state(conn, installation.app.clock.now())[0] == len(
            list(trader.get("/signals", status="accepted", limit=500)["items"])
        )


@sqlite
def test_parallel_alerts_for_different_bots_are_all_kept(trader: Trader, installation: Installation):
    symbols = ["MSFT", "KO", "TSLA", "NVDA"]
    for symbol in symbols:
        trader.bot(symbol)
    barrier = threading.Barrier(len(symbols))

    def send(symbol: str) -> str:
        barrier.wait()
        return trader.send({"action": "buy", "symbol": symbol})

    with ThreadPoolExecutor(len(symbols)) as pool:
        ids = list(pool.map(send, symbols))
    installation.work()
    assert [trader.story(signal_id)["status"] for signal_id in ids] == ["filled"] * 4
    assert wait_until(lambda: sum(Decimal(p["quantity"]) for p in trader.get("/positions")["items"])) == 200
