"""The paper broker: its settings and its store, and books that stay exact whatever happens."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import Rejected, VenueStatus
from dashtrade.domain.values import Malformed, OrderSide, OrderType, TimeInForce
from tests.support.adapter_harness import AAPL, BUY, SELL, ref
from tests.support.paper_harness import BTC, MSFT, PaperHarness

# --- settings and rules ---


def test_options_are_read_from_words_and_numbers():
    read = PaperSettings.from_options(
        {"starting_cash": "5000.50", "leverage": 4, "shorting": "off", "hours": "exchange"}
    )
    assert read == PaperSettings(starting_cash=D("5000.50"), leverage=D(4), shorting=False, hours="exchange")
    assert PaperSettings.from_options({}) == PaperSettings()


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"leverge": 2}, "Did you mean leverage"),
        ({"leverage": 0}, "From 1 to 100"),
        ({"fill_percent": 0}, "From 1 to 100"),
        ({"fee_percent": "much"}, "Send a number"),
        ({"hours": "sometimes"}, "always, exchange"),
        ({"shorting": "perhaps"}, "true"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_right(options, hint):
    with pytest.raises(Malformed) as error:
        PaperSettings.from_options(options)
    assert hint in error.value.hint and error.value.where in options


def test_rules_name_the_steps_of_quantity_and_price():
    harness = PaperHarness()
    assert (harness.broker.rules(AAPL).quantity_step, harness.broker.rules(AAPL).price_step) == (
        D("0.000001"),
        D("0.01"),
    )
    assert (harness.broker.rules(BTC).quantity_step, harness.broker.rules(BTC).price_step) == (
        D("0.00000001"),
        D("0.01"),
    )
    harness.feed.mids[BTC] = D("0.0123")
    assert harness.broker.rules(BTC).price_step == D("0.000001")


# --- the store ---


def test_a_market_order_makes_as_few_book_calls_as_it_can():
    harness = PaperHarness()
    harness.order(BUY, 1)
    assert harness.store.calls == [
        "order",
        "positions",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]
    assert harness.store.writes == 1
    harness.store.calls.clear()
    harness.order(SELL, 1, reduces=True)
    assert harness.store.calls == [
        "order",
        "position",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]


def test_a_cash_account_never_reads_all_its_positions_to_buy():
    harness = PaperHarness(shorting=False)
    harness.order(BUY, 1)
    assert "position" in harness.store.calls and "positions" not in harness.store.calls


def test_a_tick_writes_only_when_something_changes():
    harness = PaperHarness()
    assert harness.tick() == [] and harness.store.calls == ["working"]
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    harness.store.writes = 0
    assert harness.tick() == [] and harness.store.writes == 0
    assert harness.tick(90) and harness.store.writes == 1


def test_no_price_is_fetched_inside_a_transaction():
    harness = PaperHarness(leverage=2)
    harness.order(BUY, 1, symbol=MSFT)
    fetch = harness.feed.quote

    def quote(symbol):
        assert not harness.store._turn.locked()
        return fetch(symbol)

    harness.feed.quote = quote
    harness.order(BUY, 1)
    harness.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    harness.tick(90)
    assert harness.held() == {MSFT: 1, AAPL: 2}


def test_a_write_that_fails_leaves_no_trace():
    harness = PaperHarness()
    harness.order(BUY, 1, name="a" * 32)
    harness.order(BUY, 1, OrderType.LIMIT, name="b" * 32, limit_price=90)
    before = harness.store.read(
        lambda book: (book.cash(), book.positions(), book.working(), book.fills("a" * 32))
    )

    def breaks(book):
        book.add_order(replace(book.order("b" * 32), client_order_id="c" * 32))
        for order in book.working():
            book.update_order(replace(order, status=VenueStatus.CANCELED))
        book.add_fill(book.fills("a" * 32)[0])
        for position in book.positions():
            book.set_position(replace(position, quantity=D(0)))
        book.set_cash(D(0))
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        harness.store.write(breaks)
    assert (
        harness.store.read(lambda book: (book.cash(), book.positions(), book.working(), book.fills("a" * 32)))
        == before
    )


def test_many_threads_place_every_order_once():
    harness = PaperHarness(starting_cash="10000000")
    start = threading.Barrier(8)

    def place(worker):
        start.wait()
        placed = 0
        for turn in range(50):
            try:
                harness.order(BUY, 1, name=f"{turn:032x}")
                placed += 1
            except Rejected:
                pass
        return placed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(place, range(8))) == 50
    assert harness.held() == {AAPL: 50} and harness.cash == 10_000_000 - 50 * D("100.01")


# --- the books are exact, whatever happens ---

prices = st.integers(5000, 20000).map(lambda cents: D(cents) / 100)

sizes = st.integers(1, 5_000_000).map(lambda millionths: D(millionths) / 10_000)

placing = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from([AAPL, MSFT, BTC]),
        "side": st.sampled_from(list(OrderSide)),
        "size": sizes,
        "kind": st.sampled_from(list(OrderType)),
        "limit": prices,
        "stop": prices,
        "trail": st.integers(1, 20).map(D),
        "when": st.sampled_from([TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK]),
        "reduces": st.booleans(),
        "notional": st.booleans(),
    }
)

ticking = st.tuples(st.sampled_from([AAPL, MSFT, BTC]), prices, st.sampled_from([5, 600, 40_000]))

canceling = st.integers(1, 30)

options = st.fixed_dictionaries(
    {
        "leverage": st.sampled_from([1, 2, 4]),
        "shorting": st.booleans(),
        "fee_per_order": st.sampled_from(["0", "1.01"]),
        "fee_percent": st.sampled_from(["0", "0.1", "0.333"]),
        "slippage_percent": st.sampled_from(["0", "0.05"]),
        "fill_percent": st.sampled_from([100, 33, 7]),
        "hours": st.sampled_from(["always", "exchange"]),
    }
)


def everything(book):
    """All orders in order of arrival, their fills, and the working ones."""
    named = [book.order(f"{number:032x}") for number in range(1, 31)]
    orders = [order for order in named if order]
    return (
        orders,
        {order.client_order_id: book.fills(order.client_order_id) for order in orders},
        book.working(),
    )


def act(harness, action):
    match action:
        case {"symbol": symbol, "side": side, "kind": kind} as wish:
            rest = {"limit_price": wish["limit"]} if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else {}
            rest |= {"stop_price": wish["stop"]} if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else {}
            rest |= {"trail_amount": wish["trail"]} if kind is OrderType.TRAILING_STOP else {}
            rest |= {"notional": wish["size"] * 100} if wish["notional"] else {}
            size = None if wish["notional"] else wish["size"]
            with contextlib.suppress(Rejected):
                harness.order(
                    side,
                    size,
                    kind,
                    symbol=symbol,
                    time_in_force=wish["when"],
                    reduces=wish["reduces"],
                    **rest,
                )
        case (symbol, price, seconds):
            harness.tick(price, symbol=symbol, later=timedelta(seconds=seconds))
        case number:
            harness.broker.cancel(ref(f"{number:032x}"))


@settings(max_examples=250, deadline=None)
@given(options, st.lists(st.one_of(placing, placing, ticking, canceling), max_size=30))
def test_cash_positions_and_orders_agree_with_the_fills_to_the_last_digit(options, actions):
    harness, ended = PaperHarness(starting_cash="20000", **options), {}
    harness.feed.mids[BTC] = D(100)
    for action in actions:
        act(harness, action)
        orders, fills_of, working = harness.store.read(everything)
        assert set(ended) <= {order.client_order_id for order in orders}
        cash, held = D(20000), {}
        for order in orders:
            fills = fills_of[order.client_order_id]
            for fill in fills:
                cash -= order.side.sign * fill.quantity * fill.price + fill.fee
                held[order.symbol] = held.get(order.symbol, D(0)) + order.side.sign * fill.quantity
            assert sum(fill.quantity for fill in fills) == order.filled_quantity <= order.quantity
            assert (order.filled_quantity == order.quantity) == (order.status is VenueStatus.FILLED)
            if order.status is not VenueStatus.WORKING:
                # what has ended never changes again
                assert ended.setdefault(order.client_order_id, order) == order
        assert harness.cash == cash
        assert harness.held() == {symbol: quantity for symbol, quantity in held.items() if quantity}
        assert options["shorting"] or all(quantity > 0 for quantity in harness.held().values())
        assert working == [order for order in orders if order.status is VenueStatus.WORKING]
