"""The trade history as a page: round trips first, fills on demand, filters, sums, sorting, files; and how
times and sizes are said."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.round_trips import ExitReason
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.services.trading import trade_files
from dashtrade.ui.history import filters, trades
from dashtrade.ui.kit import components, format, time_zones
from dashtrade.ui.shell import downloads, runtime
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader
from tests.support.pages import Shown, opened, rows


@pytest.fixture
def app(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Iterator[App]:
    made = make_app(clock=clock, feed=feed)
    runtime.use(made)
    yield made
    runtime.use(None)


@pytest.fixture
def trader(app: App, clock: ManualClock, feed: ManualFeed, seen_as: Any) -> Trader:
    person = Installation(app).join()
    person.bot("AAPL", name="Apple swing")
    person.bot("BTCUSD", name="=Coins")
    for symbol, price in (("AAPL", "101"), ("BTCUSD", "98"), ("AAPL", "103")):
        feed.set(symbol, 100)
        person.trades("buy", symbol)
        clock.forward(3600)
        feed.set(symbol, price)
        person.trades("close", symbol)
        clock.forward(86_400)
    feed.set("BTCUSD", "70671.234")
    person.trades("buy", "BTCUSD")
    seen_as(person.user)
    return person


def test_round_trips_are_what_the_page_opens_with(trader: Trader, drawn: Shown):
    tab = opened("history")
    assert not tab.exception and "trades" not in drawn
    assert [row[:2] + row[5:9] for row in rows(drawn, "round_trips")] == [
        ["AAPL", "Apple swing", "+$150.00", "+3.00%", "1 h 0 min", "Alert"],
        ["BTC/USD", "=Coins", "−$100.00", "−2.00%", "1 h 0 min", "Alert"],
        ["AAPL", "Apple swing", "+$50.00", "+1.00%", "1 h 0 min", "Alert"],
    ]
    assert "1–3 of 3" in [caption.value for caption in tab.caption]


def test_fills_are_there_when_asked_for_and_so_are_open_trades(trader: Trader, drawn: Shown):
    assert not opened("history", view="Fills").exception
    assert len(rows(drawn, "trades")) == 7
    assert not opened("history", view="Open").exception
    assert [row[0] for row in rows(drawn, "round_trips")] == ["BTC/USD"]


def test_what_is_filtered_is_summed(trader: Trader, drawn: Shown):
    opened("history")
    [key] = [key for key in drawn if key.startswith("trip_totals")]
    assert [(card["label"], card["value"]) for card in drawn[key]["cards"]] == [
        ("P&L after fees", "+$100.00"),
        ("Round trips", "3"),
        ("Win rate", "66.7%"),
        ("Average", "+$33.33"),
    ]
    opened("history", symbols="AAPL")
    assert drawn[key]["cards"][0]["value"] == "+$200.00" and {
        row[0] for row in rows(drawn, "round_trips")
    } == {"AAPL"}


def test_the_symbols_to_choose_from_are_those_that_were_traded(trader: Trader):
    chooser = next(box for box in opened("history").multiselect if box.key == "symbols")
    assert chooser.options == ["AAPL", "BTC/USD"], "which the browser searches by what they contain"


def test_the_list_is_sorted_as_the_address_says(trader: Trader, drawn: Shown):
    opened("history", sort="pnl", order="asc")
    assert [row[5] for row in rows(drawn, "round_trips")] == ["−$100.00", "+$50.00", "+$150.00"]
    assert drawn["round_trips"]["sorted"] == ["pnl", True]


@pytest.mark.parametrize("before", ["", "x", "1~", "nan~2", "~~", "9" * 30 + "~1"])
@pytest.mark.parametrize("view", ["Round trips", "Open", "Fills", "x"])
def test_an_address_that_makes_no_sense_is_the_first_page(trader: Trader, view: str, before: str):
    tab = opened(
        "history", view=view, before=before, sort="nonsense", symbols="KO", of_bot="99", from_row="x"
    )
    assert not tab.exception


def test_win_rates_are_the_same_on_every_page_and_in_rest(trader: Trader, drawn: Shown):
    def card(key: str, label: str) -> str:
        return next(card["value"] for card in drawn[key]["cards"] if card["label"].startswith(label))

    opened("history")
    [key] = [key for key in drawn if key.startswith("trip_totals")]
    told = {card(key, "Win rate"), f"{trader.get('/performance')['total']['win_rate']}%"}
    opened("overview")
    opened("performance")
    assert told | {card("figures", "Win rate"), card("totals", "Win rate")} == {"66.7%"}
    assert [row[:4] for row in rows(drawn, "by_bot")] == [
        ["Apple swing", "+$200.00", "100.0%", "2"],
        ["=Coins", "−$100.00", "0.0%", "1"],
    ]
    assert rows(drawn, "by_symbol") == [
        ["AAPL", "+$200.00", "100.0%", "2"],
        ["BTC/USD", "−$100.00", "0.0%", "1"],
    ]


# --- files --------------------------------------------------------------------------------------------------


def test_the_file_names_bots_and_symbols_and_says_that_times_are_utc(trader: Trader, app: App):
    wanted = downloads.own_filters(app, trader.user, {"symbols": "CRYPTO:BTC/USD,NYSE:AAPL-EQ"})
    found = list(
        csv.DictReader(
            io.StringIO("".join(trade_files.round_trips(app, trader.user, wanted, format.EXITS)), newline="")
        )
    )
    assert [(row["Bot"], row["Symbol"], row["P&L after fees"], row["Exit by"]) for row in found] == [
        ("Apple swing", "AAPL", "150", "Alert"),
        ("'=Coins", "BTC/USD", "-100", "Alert"),
        ("Apple swing", "AAPL", "50", "Alert"),
    ]
    assert found[2]["Closed (UTC)"] == "2025-06-04 16:00:00"
    fills = list(
        csv.DictReader(io.StringIO("".join(trade_files.fills(app, trader.user, wanted)), newline=""))
    )
    assert (
        len(fills) == 7
        and fills[0]["Bot"] == "'=Coins"
        and fills[-1]["Time (UTC)"].startswith("2025-06-04 15:00:00")
    )


def test_the_filters_of_the_page_are_those_of_its_file(trader: Trader):
    symbol = trader.installation.app.feed  # noqa: F841
    given = filters.Filters(
        scope=MoneyScope(money=MoneyKind.PAPER),
        symbols=(),
        bot_id=2,
        side="long",
        reason="stop_loss",
        since=datetime(2026, 1, 5, tzinfo=UTC),
        until=None,
    )
    assert given.query() == "scope=paper&bot=2&side=long&reason=stop_loss&since=2026-01-05T00%3A00%3A00.000Z"
    assert trades.fills_wanted(given)["action"] == "long"


# --- how it is said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("23.303504", "23.3035"),
        ("0.07065387", "0.0706539"),
        ("9.999000099", "9.999"),
        ("1234567.89", "1,234,568"),
        ("50", "50"),
        ("0", "0"),
        ("0.000000123456789", "0.000000123457"),
        ("-12.5", "−12.5"),
        ("100000", "100,000"),
    ],
)
def test_a_size_has_six_digits_that_matter(number: str, said: str):
    assert format.size(D(number)) == said


def test_every_reason_has_its_words():
    assert set(format.EXITS) == set(ExitReason)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("America/New_York", "UTC day, turns at 19:00 your time"),
        ("Europe/Berlin", "UTC day, turns at 01:00 your time"),
        ("Etc/UTC", "UTC day"),
        ("Asia/Kolkata", "UTC day, turns at 05:30 your time"),
    ],
)
def test_the_start_of_the_day_is_shown_in_the_users_time_zone(zone: str, said: str):
    user: Any = SimpleNamespace(time_zone=zone)
    assert format.day_turn(user, datetime(2026, 1, 5, 10, tzinfo=UTC)) == said


def test_a_zone_is_found_by_both_of_its_names():
    assert time_zones.zone_label("America/New_York") == "New York (America/New_York)"
    assert (
        "America/New_York" in time_zones.with_own("UTC")
        and time_zones.with_own("Mars/Base")[-1] == "Mars/Base"
    )


def test_no_table_says_more_than_it_shows_but_in_its_hint(trader: Trader, drawn: Shown):
    opened("history", view="Open")
    [row] = drawn["round_trips"]["rows"]
    assert (row["cells"][2]["text"], row["cells"][2]["hint"]) == (
        "0.0707501",
        "0.07075014",
    ) and components.Cell().hint == ""
