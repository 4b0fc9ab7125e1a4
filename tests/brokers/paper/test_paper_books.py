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
from tests.support.paper_desk import AAPL, BTC, BUY, MSFT, SELL, Desk, ref

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
    desk = Desk()
    assert (desk.broker.rules(AAPL).quantity_step, desk.broker.rules(AAPL).price_step) == (
        D("0.000001"),
        D("0.01"),
    )
    assert (desk.broker.rules(BTC).quantity_step, desk.broker.rules(BTC).price_step) == (
        D("0.00000001"),
        D("0.01"),
    )
    desk.feed.mids[BTC] = D("0.0123")
    assert desk.broker.rules(BTC).price_step == D("0.000001")


# --- the store ---


def test_a_market_order_makes_as_few_book_calls_as_it_can():
    desk = Desk()
    desk.order(BUY, 1)
    assert desk.store.calls == [
        "order",
        "positions",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]
    assert desk.store.writes == 1
    desk.store.calls.clear()
    desk.order(SELL, 1, reduces=True)
    assert desk.store.calls == [
        "order",
        "position",
        "cash",
        "add_order",
        "add_fill",
        "set_position",
        "set_cash",
    ]


def test_a_cash_account_never_reads_all_its_positions_to_buy():
    desk = Desk(shorting=False)
    desk.order(BUY, 1)
    assert "position" in desk.store.calls and "positions" not in desk.store.calls


def test_a_tick_writes_only_when_something_changes():
    desk = Desk()
    assert desk.tick() == [] and desk.store.calls == ["working"]
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.store.writes = 0
    assert desk.tick() == [] and desk.store.writes == 0
    assert desk.tick(90) and desk.store.writes == 1


def test_no_price_is_fetched_inside_a_transaction():
    desk = Desk(leverage=2)
    desk.order(BUY, 1, symbol=MSFT)
    fetch = desk.feed.quote

    def quote(symbol):
        assert not desk.store._turn.locked()
        return fetch(symbol)

    desk.feed.quote = quote
    desk.order(BUY, 1)
    desk.order(BUY, 1, OrderType.LIMIT, limit_price=95)
    desk.tick(90)
    assert desk.held() == {MSFT: 1, AAPL: 2}


def test_a_write_that_fails_leaves_no_trace():
    desk = Desk()
    desk.order(BUY, 1, name="a" * 32)
    desk.order(BUY, 1, OrderType.LIMIT, name="b" * 32, limit_price=90)
    before = desk.store.read(
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
        desk.store.write(breaks)
    assert (
        desk.store.read(lambda book: (book.cash(), book.positions(), book.working(), book.fills("a" * 32)))
        == before
    )


def test_many_threads_place_every_order_once():
    desk = Desk(starting_cash="10000000")
    start = threading.Barrier(8)

    def place(worker):
        start.wait()
        placed = 0
        for turn in range(50):
            try:
                desk.order(BUY, 1, name=f"{turn:032x}")
                placed += 1
            except Rejected:
                pass
        return placed

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(place, range(8))) == 50
    assert desk.held() == {AAPL: 50} and desk.cash == 10_000_000 - 50 * D("100.01")


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


def act(desk, action):
    match action:
        case {"symbol": symbol, "side": side, "kind": kind} as wish:
            rest = {"limit_price": wish["limit"]} if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else {}
            rest |= {"stop_price": wish["stop"]} if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else {}
            rest |= {"trail_amount": wish["trail"]} if kind is OrderType.TRAILING_STOP else {}
            rest |= {"notional": wish["size"] * 100} if wish["notional"] else {}
            size = None if wish["notional"] else wish["size"]
            with contextlib.suppress(Rejected):
                desk.order(
                    side,
                    size,
                    kind,
                    symbol=symbol,
                    time_in_force=wish["when"],
                    reduces=wish["reduces"],
                    **rest,
                )
        case (symbol, price, seconds):
            desk.tick(price, symbol=symbol, later=timedelta(seconds=seconds))
        case number:
            desk.broker.cancel(ref(f"{number:032x}"))


@settings(max_examples=250, deadline=None)
@given(options, st.lists(st.one_of(placing, placing, ticking, canceling), max_size=30))
def test_cash_positions_and_orders_agree_with_the_fills_to_the_last_digit(options, actions):
    desk, ended = Desk(starting_cash="20000", **options), {}
    desk.feed.mids[BTC] = D(100)
    for action in actions:
        act(desk, action)
        orders, fills_of, working = desk.store.read(everything)
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
        assert desk.cash == cash
        assert desk.held() == {symbol: quantity for symbol, quantity in held.items() if quantity}
        assert options["shorting"] or all(quantity > 0 for quantity in desk.held().values())
        assert working == [order for order in orders if order.status is VenueStatus.WORKING]
