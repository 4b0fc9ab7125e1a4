"""Round trips as they are kept: in the commit of each fill, the same as made of all fills afterwards, and
their ledger's sum."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings

from dashtrade.context import App
from dashtrade.settings import ROOT
from dashtrade.tables import bot_days as day_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import fills as fill_table
from dashtrade.tables import round_trips as table
from dashtrade.tables.round_trips import trips
from tests.support.databases import SqliteFiles
from tests.support.engine_story import Story, stories, world
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Trader

_SPEC = importlib.util.spec_from_file_location(
    "round_trips_migration", next((ROOT / "migrations" / "versions").glob("*_round_trips.py"))
)
assert _SPEC is not None and _SPEC.loader is not None
MIGRATION = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(MIGRATION)
MakeWorld = Callable[..., AbstractContextManager[Story]]


def kept(app: App) -> list[Any]:
    with app.db.read() as conn:
        return list(conn.execute(sa.select(trips).order_by(trips.c.id)))


def test_a_flip_is_one_trip_that_ended_and_one_that_runs(trader: Trader, feed: ManualFeed):
    bot = trader.bot(account=trader.account(fee_per_order="1"))
    trader.trades("buy")
    feed.set("AAPL", 103)
    trader.trades("sell")
    [ended] = trader.get("/round-trips")["items"]
    [running] = trader.get("/round-trips", status="open")["items"]
    assert (ended["side"], ended["quantity"], ended["entry_price"], ended["exit_price"]) == (
        "long",
        "50",
        "100",
        "103",
    )
    assert (ended["net_pnl"], ended["fees"], ended["exit_reason"], ended["bot_id"]) == (
        "148",
        "2",
        "alert",
        bot,
    )
    assert (running["side"], running["closed_at"], running["exit_reason"], running["exit_price"]) == (
        "short",
        None,
        None,
        None,
    )
    assert ended["entry_signal_id"] != ended["exit_signal_id"] == running["entry_signal_id"]


def test_a_bots_stop_its_users_close_and_flatten_are_distinguished(
    trader: Trader, clock: ManualClock, feed: ManualFeed
):
    bot = trader.bot()
    risky = trader.bot("MSFT", risk_limit_percent="5")
    trader.trades("buy", stopLoss={"type": "stop", "percent": 2})
    trader.trades("buy", "MSFT")
    feed.set("AAPL", 97)
    feed.set("MSFT", 90)
    trader.installation.look()
    trader.installation.work()
    feed.set("AAPL", 100)
    trader.trades("buy", stopLoss={"type": "trailing_stop", "trailAmount": 2})
    feed.set("AAPL", 120)
    trader.installation.look()
    feed.set("AAPL", 110)
    trader.installation.look()
    trader.installation.work()
    trader.trades("buy")
    trader.request("POST", f"/bots/{bot}/close")
    trader.installation.work()
    found = [(item["bot_id"], item["exit_reason"]) for item in trader.get("/round-trips")["items"]]
    assert Counter(found) == Counter(
        [(bot, "stop_loss"), (risky, "risk_limit"), (bot, "trailing_stop"), (bot, "manual")]
    )


def test_a_request_named_like_a_cause_is_still_its_users_own(trader: Trader):
    bot = trader.bot()
    for name in ("flatten-1-1", "stop_loss-1", "take_profit-1"):
        trader.trades("buy")
        trader.request("POST", f"/bots/{bot}/close", {"request_id": name})
        trader.installation.work()
    assert [item["exit_reason"] for item in trader.get("/round-trips")["items"]] == ["manual"] * 3


def test_days_and_totals_count_round_trips_won_and_lost_after_fees(trader: Trader, feed: ManualFeed):
    """Up 0.02 on 50 shares is 1 before two fees of 1: lost, although the closing order made money."""
    trader.bot(account=trader.account(fee_per_order="1"))
    trader.trades("buy")
    feed.set("AAPL", D("100.02"))
    trader.trades("close")
    trader.trades("buy")
    feed.set("AAPL", 105)
    trader.trades("reduce", quantity="50%")
    trader.trades("close")
    total = trader.get("/performance")["total"]
    assert (total["wins"], total["losses"], total["win_rate"]) == (1, 1, "50.0")
    assert sum(D(item["net_pnl"]) for item in trader.get("/round-trips")["items"]) == D(total["net_pnl"])


def test_a_position_that_is_given_to_another_bot_takes_its_trip_along(trader: Trader, feed: ManualFeed):
    bot, heir = trader.bot(), trader.bot(timeframe="1H")
    trader.trades("buy", timeframe="15 Min")
    trader.request("DELETE", f"/bots/{bot}", position="hand_over", to=heir)
    feed.set("AAPL", 110)
    trader.trades("close", timeframe="1H")
    [trip] = trader.get("/round-trips")["items"]
    assert (trip["bot_id"], trip["entry_price"], trip["exit_price"], trip["net_pnl"]) == (
        heir,
        "100",
        "110",
        "500",
    )


# --- the list -----------------------------------------------------------------------------------------------


@pytest.fixture
def busy(trader: Trader, clock: ManualClock, feed: ManualFeed) -> Trader:
    """Of two bots: +50, -100, +150 and 0; and one that runs."""
    for symbol in ("AAPL", "BTCUSD"):
        trader.bot(symbol, position_size="5000")
    for symbol, price in (("AAPL", 101), ("BTCUSD", 98), ("AAPL", 103), ("BTCUSD", 100)):
        feed.set(symbol, 100)
        trader.trades("buy", symbol)
        clock.forward(3600)
        feed.set(symbol, price)
        trader.trades("close", symbol)
        clock.forward(86_400)
    trader.trades("buy", "BTCUSD")
    return trader


def nets(trader: Trader, **query: Any) -> list[str]:
    return [item["net_pnl"] for item in trader.get("/round-trips", **query)["items"]]


def test_the_list_is_sorted_and_filtered_as_asked(busy: Trader):
    assert nets(busy) == ["0", "150", "-100", "50"] and nets(busy, order="asc") == ["50", "-100", "150", "0"]
    assert nets(busy, sort="pnl") == ["150", "50", "0", "-100"] and nets(
        busy, sort="percent", order="asc"
    ) == ["-100", "0", "50", "150"]
    assert (
        nets(busy, symbol="BTCUSD") == ["0", "-100"]
        and nets(busy, symbol="AAPL,BTC/USD", sort="pnl")[0] == "150"
    )
    assert (
        nets(busy, bot_id=1, sort="duration") == ["150", "50"]
        and nets(busy, side="short") == []
        and nets(busy, reason="alert", limit=1) == ["0"]
    )
    first = busy.get("/round-trips")["items"][-1]["closed_at"]
    assert nets(busy, to=first) == [] and nets(busy, **{"from": first}) == ["0", "150", "-100", "50"]


@pytest.mark.parametrize("sort", ["closed", "pnl", "percent", "duration"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_follow_each_other_without_a_gap_or_a_repeat(busy: Trader, sort: str, order: str):
    whole, found, cursor = busy.get("/round-trips", sort=sort, order=order)["items"], [], None
    while True:
        page = busy.get(
            "/round-trips", sort=sort, order=order, limit=1, **({"cursor": cursor} if cursor else {})
        )
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == whole and len(whole) == 4


def test_an_invalid_cursor_is_refused(busy: Trader):
    for wrong in ("x", "x~1", "1~", "~", "nan~1"):
        assert busy.call("GET", "/round-trips", cursor=wrong).status_code == 400, wrong
    assert busy.call("GET", "/round-trips", sort="size").status_code == 400


def test_the_file_has_all_rows_and_matches_the_totals(busy: Trader, trader: Trader):
    lines = busy.call("GET", "/round-trips.csv").text.splitlines()
    assert lines[0].startswith("id,opened_at,closed_at,bot_id,account_id,symbol,side,") and len(lines) == 5
    with busy.installation.app.db.read() as conn:
        [row] = table.totals(conn, busy.user.id)
        [of_coins] = table.totals(
            conn, busy.user.id, symbols=[s for s in table.traded_symbols(conn, busy.user.id) if s.is_crypto]
        )
    assert (row.live, row.currency, row.count, row.wins, row.losses, row.net, row.won, row.lost) == (
        0,
        "USD",
        4,
        2,
        1,
        100,
        200,
        -100,
    )
    assert (of_coins.count, of_coins.net) == (2, -100)


# --- whatever happens ---------------------------------------------------------------------------------------


@pytest.fixture
def sqlite_world(sqlite_files: SqliteFiles, tmp_path: Path) -> MakeWorld:
    return lambda of_bots, of_account: world(sqlite_files.fresh(), tmp_path, of_bots, of_account)


def facts(row: Any) -> tuple[Any, ...]:
    return tuple(value for name, value in row._asdict().items() if name != "id")


def same_from_the_fills(app: App) -> None:
    """Taken away and made anew by the migration, everything is as booking had it: trips and what days won."""
    days = day_table.performance

    def now() -> tuple[Any, Any, Any]:
        with app.db.read() as conn:
            of_bots = conn.execute(
                sa.select(bot_table.bots.c.id, bot_table.bots.c.day_wins, bot_table.bots.c.day_losses)
            )
            return (
                sorted(map(facts, conn.execute(sa.select(trips))), key=repr),
                sorted(map(tuple, of_bots)),
                sorted(map(tuple, conn.execute(sa.select(days))), key=repr),
            )

    def anew(conn: sa.Connection) -> None:
        conn.execute(sa.delete(trips))
        conn.execute(sa.update(days).values(wins=7, losses=7))
        MIGRATION._from_fills(conn)

    before = now()
    app.db.write(anew)
    for made, had in zip(now(), before, strict=True):
        assert [one for one in made if one not in had] == [one for one in had if one not in made] == []


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=stories)
def test_any_story_leaves_trips_that_add_up_to_the_ledger_and_are_those_of_its_fills(
    sqlite_world: MakeWorld, story: Any
):
    of_bots, of_account, steps = story
    with sqlite_world(of_bots, of_account) as told:
        for step in steps:
            told.happen(step)
        rows, fills = told.rows(trips), told.rows(fill_table.fills)
        for bot in map(told.bot, told.bots):
            mine = [row for row in rows if row.bot_id == bot.id]
            assert sum((row.realized for row in mine), D(0)) == bot.realized_pnl
            assert sum((row.fees for row in mine), D(0)) == bot.fees
            assert sum(row.closed_at is None for row in mine) == bool(bot.position.quantity)
            won = [row.realized - row.fees for row in mine if row.closed_at is not None]
            counted = [day for day in told.rows(day_table.performance) if day.bot_id == bot.id]
            assert sum(day.wins for day in counted) == sum(net > 0 for net in won)
            assert sum(day.losses for day in counted) == sum(net < 0 for net in won)
        assert sum((fill.realized for fill in fills), D(0)) == sum((row.realized for row in rows), D(0))
        same_from_the_fills(told.app)


def test_the_migration_makes_of_old_fills_what_booking_would_have_made(
    busy: Trader, clock: ManualClock, feed: ManualFeed
):
    """On both databases; with a position that was handed over and one that its bot's stop closed."""
    trader = busy
    bot, heir = trader.bot("KO"), trader.bot("KO", timeframe="1H")
    trader.trades("buy", "KO", timeframe="15 Min")
    trader.trades("reduce", "KO", timeframe="15 Min", quantity="50%")
    clock.forward(60)
    trader.request("DELETE", f"/bots/{bot}", position="hand_over", to=heir)
    clock.forward(60)
    trader.trades("close", "KO", timeframe="1H")
    trader.trades("buy", "AAPL", stopLoss={"type": "trailing_stop", "trailAmount": 2})
    feed.set("AAPL", 90)
    trader.installation.look()
    trader.installation.work()
    assert {row.exit_reason for row in kept(trader.installation.app)} == {"", "alert", "trailing_stop"}
    same_from_the_fills(trader.installation.app)
