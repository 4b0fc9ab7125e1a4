"""What can bite at crypto exchanges besides orders going wrong: steps and minimums, pace, fees, the account,
prices, keys."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime, timedelta

import ccxt
import pytest

from dashtrade.brokers.crypto import wire
from dashtrade.brokers.crypto.credentials import check
from dashtrade.brokers.crypto.venues import capabilities_of, exchange_of
from dashtrade.domain.ports import BadCredentials, Rejected, RetryLater, VenueStatus
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from tests.simulators.exchanges import KEY, SECRET
from tests.support.adapter_harness import BUY, LIMIT, MARKET, SELL, D
from tests.support.crypto_harness import FIVE, harness

# --- steps and minimums -------------------------------------------------------------------------------------


def test_quantities_go_down_prices_to_the_nearest_step_and_nothing_is_a_float(binance):
    binance.broker.submit(binance.request(BUY, LIMIT, "0.300000000000000044", limit_price="90.016"))
    order = binance.core.orders[-1]
    assert (order.quantity, order.limit) == (D("0.3"), D("90.02"))
    assert "quantity=0.3&" in binance.creates()[-1].body


def test_what_is_below_the_minimum_is_refused_by_name_before_it_is_sent(each):
    each.broker.quote(each.sol)
    with pytest.raises(Rejected, match=r"0\.00001 SOL"):
        each.buy("0.000001")
    if each.broker.rules(each.sol).min_notional:
        with pytest.raises(Rejected, match=f"minimum order, 5 {each.money}"):
            each.buy("0.04")
    assert not each.creates()


def test_dust_on_closing_is_reported_and_never_sent(binance):
    with pytest.raises(Rejected, match="remainder"):
        binance.broker.submit(binance.request(SELL, quantity="0.000009", reduces=True))
    assert not binance.creates()


def test_geminis_list_lacks_steps_which_are_read_when_needed():
    with harness("gemini") as made:
        client = made.client()
        with pytest.raises(AssertionError):
            client.amount_to_precision("SOL/USD", "1")
        assert made.broker.rules(made.sol).quantity_step == D("0.00001")
        assert client.amount_to_precision("SOL/USD", "1") == "1"
        assert made.paths().count("/v1/symbols/details/solusd") == 1


def test_a_market_buy_at_coinbase_is_for_a_quantity_not_for_a_sum_of_money():
    with harness("coinbase") as made:
        with pytest.raises(ccxt.InvalidOrder, match="price"):
            made.client().create_order("SOL/USD", "market", "buy", "1", None)
        report = made.buy("0.5")
        assert report.filled_quantity == D("0.5") and "quote_size" not in made.creates()[-1].body


def test_gemini_has_no_market_orders_so_they_go_through_the_book_at_once_or_not_at_all():
    with harness("gemini") as made:
        with pytest.raises(ccxt.ExchangeError, match="limit orders only"):
            made.client().create_order("SOL/USD", "market", "buy", "1", "100")
        made.buy()
        sold = made.broker.submit(made.request(SELL))
        assert sold.status is VenueStatus.FILLED and sold.average_price == D("99.99")
        assert [(order.tif, order.limit) for order in made.core.orders] == [
            ("IOC", D("102.01")),
            ("IOC", D("98.00")),
        ]


def test_a_market_order_that_runs_past_its_collar_ends_instead_of_resting():
    with harness("gemini") as made:
        made.broker.quote(made.sol)
        made.core.set_price("SOL/USD", D(110))
        assert made.buy().status is VenueStatus.CANCELED


# --- pace ---------------------------------------------------------------------------------------------------


def test_kraken_does_not_sleep_three_seconds_a_call():
    with harness("kraken", paced=True) as made:
        made.broker.account()
        began = time.monotonic()
        for _ in range(3):
            made.broker.positions()
        assert time.monotonic() - began < 1


def test_an_exhausted_rate_limit_raises_instead_of_sleeping():
    pace = wire.RequestBudget(burst=1.0, patience=0.05, venue="Kraken")
    pace.take(1000)
    with pytest.raises(RetryLater) as caught:
        pace.take(500)
    assert timedelta(seconds=0.3) < caught.value.after <= timedelta(seconds=0.5)
    pace.take(0)
    time.sleep(0.05)
    pace.take(90)


def test_numbers_used_once_rise_although_threads_hurry():
    with harness("kraken") as made:
        threads = [threading.Thread(target=made.broker.positions) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = [int(asked.params["nonce"]) for asked in made.simulator.requests if "private" in asked.path]
        assert len(set(used)) == len(used) == 6


# --- executions and fees ------------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_a_fee_in_the_bought_coin_leaves_less_to_sell(exchange):
    with harness(exchange) as made:
        (bought,) = made.buy("2").fills
        assert (bought.fee, bought.fee_base) == (0, D("0.002")) and made.broker.positions()[0].quantity == D(
            "1.998"
        )
        (sold,) = made.broker.submit(made.request(SELL, quantity="1.998")).fills
        assert sold.fee_base == 0 and sold.fee == D("0.19978002")


@pytest.mark.parametrize("exchange", ["kraken", "coinbase", "gemini"])
def test_a_fee_in_the_quote_currency_is_a_fee(exchange):
    with harness(exchange) as made:
        (bought,) = made.buy("2").fills
        assert (bought.fee, bought.fee_base) == (D("0.20002"), 0)


def test_kraken_is_asked_to_take_fees_in_the_quote_currency_as_ccxt_believes_it_does():
    with harness("kraken") as made:
        made.buy()
        assert "oflags=fciq" in made.creates()[-1].body


def test_a_fee_in_a_third_coin_is_valued_at_its_price(binance):
    binance.core.fee_in = "BNB"
    binance.core.set_price("BNB/USDT", D(500))
    (fill,) = binance.buy("2").fills
    assert fill.fee_base == 0 and abs(fill.fee - D("0.2")) < D("0.001")


def test_a_fee_in_a_coin_without_a_price_is_left_out_with_a_note(binance):
    binance.core.fee_in = "XYZ"
    report = binance.buy("2")
    assert report.fills[0].fee == 0 and "XYZ" in report.reason


def test_executions_are_named_by_order_and_trade_as_a_trades_number_is_shared(binance):
    report = binance.buy()
    assert report.fills[0].id == f"{report.broker_order_id}:{binance.core.orders[-1].trades[0].id}"


def test_an_order_that_has_ended_works_until_its_executions_are_shown(each):
    each.simulator.fault("late_trades", seconds=0.5)
    request = each.request(quantity="2")
    early = each.broker.submit(request)
    assert early.status is VenueStatus.WORKING and early.filled_quantity == 0 and early.fills == ()
    time.sleep(0.55)
    late = each.broker.find(each.ref(request))
    assert (
        late.status is VenueStatus.FILLED
        and sum(fill.quantity for fill in late.fills) == late.filled_quantity == 2
    )


def test_executions_that_never_show_are_booked_by_the_totals(each):
    impatient = each.another(trades_lag=timedelta(0))
    each.simulator.fault("late_trades", seconds=60)
    report = impatient.submit(each.request(quantity="2"))
    assert (report.status, report.filled_quantity, report.fills) == (
        VenueStatus.FILLED,
        2,
        (),
    ) and report.average_price == D("100.01")


def test_okx_is_asked_for_older_executions_where_the_quick_call_lacks_some():
    with harness("okx") as made:
        made.front.routes = {
            **made.front.routes,
            ("GET", "/api/v5/trade/fills"): (
                "read",
                lambda front, request: {"code": "0", "msg": "", "data": []},
            ),
        }
        assert made.buy().status is VenueStatus.FILLED and made.paths()[-1] == "/api/v5/trade/fills-history"


# --- the account --------------------------------------------------------------------------------------------


def test_what_an_exchange_holds_of_a_coin_is_the_position(each):
    each.buy("2")
    (held,) = each.broker.positions()
    assert held.symbol == each.sol and D("1.99") < held.quantity <= 2


def test_a_coin_may_be_counted_in_another_currency(binance):
    other = binance.another(quotes={"SOL": "USDC"})
    binance.buy("2")
    assert [held.symbol.short for held in other.positions()] == ["SOL/USDC"]
    assert binance.another(quote="usdc").account().currency == "USDC"


def test_many_coins_are_valued_in_one_call(each):
    coins = each.core.balances
    coins.update({"SOL": D(1), "BTC": D(1), "ETH": D(1), "BNB": D(1), "NOBODY": D(7)})
    assert abs(each.broker.account().equity - 100_400) < 1
    tickers = [path for path in each.paths() if "icker" in path or "pricefeed" in path]
    assert len(tickers) <= 1


def test_money_in_open_orders_buys_nothing_else(each):
    each.broker.submit(each.request(BUY, LIMIT, "10", limit_price="90"))
    account = each.broker.account()
    put_aside = 900 * (1 + each.core.reserved_fee)
    assert (account.cash, account.buying_power) == (100_000, 100_000 - put_aside)


def test_coinbase_tells_its_coins_by_pages():
    with harness("coinbase") as made:
        made.front.page = 2
        made.core.balances.update({"SOL": D(3), "BNB": D(4)})
        assert {held.symbol.base: held.quantity for held in made.broker.positions()} == {"SOL": 3, "BNB": 4}
        assert made.broker.account().cash == 100_000


@pytest.mark.parametrize("may", [False, True])
def test_a_key_that_can_withdraw_is_reported(each, may):
    each.front.can_withdraw = may
    account = each.broker.account()
    assert account.can_withdraw is may and account.number and account.permissions


def test_what_a_key_may_do_is_never_a_reason_to_fail(binance):
    binance.front.routes = {
        key: way for key, way in binance.front.routes.items() if "apiRestrictions" not in key[1]
    }
    account = binance.broker.account()
    assert account.can_withdraw, "of the key nothing is told, so what the account may do is taken for it"
    assert account.number and KEY not in account.number


# --- prices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "frame"),
    [
        ("kraken", "2h"),
        ("kraken", "6h"),
        ("coinbase", "4h"),
        ("gemini", "2h"),
        ("gemini", "4h"),
        ("binance", "45m"),
    ],
)
def test_candles_that_an_exchange_lacks_are_put_together(exchange, frame):
    with harness(exchange) as made:
        timeframe = Timeframe.parse(frame)
        assert frame not in made.client().timeframes
        candles = made.broker.candles(made.sol, timeframe, end=datetime.now(UTC), count=10)
        assert len(candles) == 10
        assert {(b.at - a.at).total_seconds() for a, b in itertools.pairwise(candles)} == {timeframe.seconds}
        assert all(c.low <= c.open <= c.high and c.volume > D("1.5") for c in candles[:-1])


def test_more_candles_than_a_page_are_fetched_by_pages(binance):
    candles = binance.broker.candles(binance.sol, Timeframe.parse("1m"), end=datetime.now(UTC), count=2500)
    assert len(candles) == len({candle.at for candle in candles}) == 2500


def test_candles_continue_after_a_time_without_trades(binance):
    whole = binance.core.candles
    middle = time.time() - 2000 * 60
    binance.core.candles = lambda name, seconds, since, count: [
        row for row in whole(name, seconds, since, count) if not middle - 90_000 < row[0] < middle
    ]
    candles = binance.broker.candles(binance.sol, Timeframe.parse("1m"), end=datetime.now(UTC), count=4000)
    assert candles[0].at.timestamp() < middle - 90_000 and candles[-1].at > datetime.now(UTC) - timedelta(
        minutes=2
    )


def test_an_exchange_that_lacks_a_symbol_names_what_it_has(binance):
    with pytest.raises(Rejected, match="SOL against USDC, USDT"):
        binance.broker.rules(Symbol.parse("SOL/EUR"))
    with pytest.raises(Rejected):
        binance.broker.rules(Symbol.parse("AAPL"))


# --- any other exchange -------------------------------------------------------------------------------------


def test_an_unproven_exchange_says_what_is_unproven_and_never_claims_to_refuse_repeats():
    can = capabilities_of("bitstamp")
    assert (
        not can.refuses_repeats and not can.client_ids and any("Not verified" in note for note in can.notes)
    )
    assert can.order_types == {MARKET, LIMIT}


def test_an_unproven_exchange_trades_all_the_same():
    with harness("binanceus", wire="binance") as made:
        request = made.request()
        report = made.broker.submit(request)
        found = made.broker.find(made.ref(request, report.broker_order_id))
        assert (found.status, found.filled_quantity) == (VenueStatus.FILLED, 1) and found.fills
        limit = made.request(BUY, LIMIT, limit_price="90")
        made.broker.submit(limit)
        assert made.broker.find(made.ref(limit)).status is VenueStatus.WORKING
        made.broker.cancel(made.ref(limit))
        assert made.broker.find(made.ref(limit)).status is VenueStatus.CANCELED


# --- what is asked of a user --------------------------------------------------------------------------------

GOOD = {"key": KEY, "secret": SECRET, "passphrase": "p"}


@pytest.mark.parametrize(
    ("written", "hint"), [("binanse", "binance"), ("krakn", "kraken"), ("bitstmp", "bitstamp")]
)
def test_a_misspelt_exchange_gets_a_suggestion(written, hint):
    with pytest.raises(Malformed) as caught:
        check(GOOD, {"exchange": written})
    assert f"Did you mean {hint}?" in caught.value.hint


@pytest.mark.parametrize(
    ("credentials", "options", "where"),
    [
        (GOOD, {}, "options.exchange"),
        ({**GOOD, "key": " "}, {"exchange": "binance"}, "credentials.key"),
        ({**GOOD, "secret": ""}, {"exchange": "binance"}, "credentials.secret"),
        ({**GOOD, "passphrase": ""}, {"exchange": "okx"}, "credentials.passphrase"),
        ({**GOOD, "key": "master-abc"}, {"exchange": "gemini"}, "credentials.key"),
        ({**GOOD, "secret": "not base64!"}, {"exchange": "kraken"}, "credentials.secret"),
        ({**GOOD, "key": "organizations/1/apiKeys/2"}, {"exchange": "coinbase"}, "credentials.secret"),
        (GOOD, {"exchange": "kraken", "mode": "paper"}, "mode"),
        (GOOD, {"exchange": "binance", "quote": "U$"}, "options.quote"),
    ],
)
def test_unusable_credentials_are_refused_before_they_are_stored(credentials, options, where):
    with pytest.raises(Malformed) as caught:
        check(credentials, options)
    assert caught.value.where == where and caught.value.hint


@pytest.mark.parametrize("exchange", FIVE)
def test_good_credentials_pass(exchange):
    with harness(exchange) as made:
        check(made.keys, {"exchange": exchange.upper()})
    assert exchange_of("OKEx").id == "okx"


def test_a_private_key_that_cannot_be_read_is_a_matter_of_credentials():
    kind = "EC PRIVATE KEY"
    broken = f"-----BEGIN {kind}-----\nabc\n-----END {kind}-----\n"
    with harness("coinbase") as made, pytest.raises(BadCredentials):
        made.another(secret=broken).positions()


def test_a_key_pasted_with_written_line_ends_works():
    with harness("coinbase") as made:
        assert made.another(secret=made.keys["secret"].replace("\n", "\\n")).positions() == []
