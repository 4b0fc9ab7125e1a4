"""A market that is closed: entries are refused or wait for the open, exits are queued or wait, and nothing is
held up by either."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.notices.trading import CloseWaitsForMarket, EntryWaitsForMarket
from dashtrade.domain.ports import Quote, Unavailable
from dashtrade.domain.symbols import Symbol
from tests.simulators.alpaca import AlpacaSimulator
from tests.support.fakes import MORNING, ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader, wait_until

EVENING = datetime(2025, 6, 6, 22, 0, tzinfo=UTC)  # a Friday, after the close
MONDAY = datetime(2025, 6, 9, 13, 30, tzinfo=UTC)


# --- the built-in paper account, with the exchanges' hours --------------------------------------------------


@pytest.fixture
def paper(app: App, clock: ManualClock) -> Trader:
    trader = Installation(app).join()
    trader.paper = trader.account(hours="exchange")
    clock.time = EVENING
    return trader


def open_market(trader: Trader, clock: ManualClock) -> None:
    clock.time = MONDAY + timedelta(seconds=2)
    trader.installation.work()


def test_by_default_an_entry_is_refused_with_the_markets_opening_time(paper: Trader):
    bot = paper.bot()
    story = paper.trades("buy")
    assert story["status"] == "refused" and story["orders"] == []
    assert story["reason"] == "the market for AAPL is closed: opens at 9 Jun 2025 13:30 UTC"
    assert (
        story["bots"][0]["would"] == "blocked order: buy 50"
        and paper.get(f"/bots/{bot}")["when_closed"] == "refuse"
    )


def test_an_entry_that_may_wait_is_bought_at_the_open_and_says_so_until_then(
    paper: Trader, clock: ManualClock
):
    bot = paper.bot(when_closed="wait")
    signal = paper.trades("buy", id="once")["id"]
    waiting = paper.story(signal)
    assert waiting["status"] == "working" and waiting["orders"] == []
    held = "queued until the market of AAPL opens at 9 Jun 2025 13:30 UTC; re-evaluated then"
    assert waiting["bots"][0]["reason"] == held and waiting["reason"] == held
    answer = paper.alert({"symbol": "AAPL", "id": "once", "action": "buy"}, wait="0.1").json
    assert (answer["signal_id"], answer["status"], answer["reason"]) == (signal, "working", held), (
        "the repeat's sender hears it too"
    )
    assert len(paper.notices(EntryWaitsForMarket)) == 1 == len(paper.get("/messages")["items"])
    clock.forward(3600)
    paper.installation.work()
    assert paper.holds(bot) == 0
    open_market(paper, clock)
    assert paper.story(signal)["status"] == "filled" and paper.holds(bot) == 50


def test_coins_trade_while_the_exchange_is_closed(paper: Trader):
    paper.bot("BTCUSD")
    assert paper.trades("buy", "BTCUSD")["status"] == "filled"


def test_an_account_that_is_always_open_knows_no_closed_market(paper: Trader):
    paper.bot(account=paper.account())
    assert paper.trades("buy")["status"] == "filled"


@pytest.mark.parametrize(("later", "owned"), [("close", 0), ("cancel", 0), ("sell", -50), ("buy", 50)])
def test_a_later_word_takes_the_place_of_an_entry_that_waits(
    paper: Trader, clock: ManualClock, later: str, owned: int
):
    bot = paper.bot(when_closed="wait")
    first = paper.trades("buy")["id"]
    clock.forward(60)
    second = paper.trades(later)["id"]
    assert paper.story(first)["status"] == "refused" and paper.story(first)["reason_code"] == "superseded"
    if not owned:
        assert paper.story(second)["reason"] == "cancelled the entry that was queued for the open"
    open_market(paper, clock)
    assert paper.holds(bot) == owned and len(paper.get("/orders")["items"]) == bool(owned)


def test_a_close_of_shorts_alone_leaves_a_buy_that_waits(paper: Trader, clock: ManualClock):
    bot = paper.bot(when_closed="wait")
    paper.trades("buy")
    paper.trades("exit_short")
    open_market(paper, clock)
    assert paper.holds(bot) == 50


def test_an_entry_that_waits_holds_up_no_other_bot_of_the_symbol(paper: Trader, clock: ManualClock):
    paper.bot(when_closed="wait")
    paper.bot(timeframe="1H")
    waiting = paper.trades("buy", timeframe="15 Min")
    assert paper.trades("buy", timeframe="1H")["status"] == "refused", (
        "decided at once, and not behind the one that waits"
    )
    assert paper.story(waiting["id"])["status"] == "working"


def test_an_alert_that_is_too_old_by_the_open_is_refused_at_once(paper: Trader):
    paper.bot(when_closed="wait")
    story = paper.trades("buy", maxAge=3600)
    assert story["status"] == "refused"
    assert "opens at 9 Jun 2025 13:30 UTC, and the alert expires at 6 Jun 2025 23:00 UTC" in story["reason"]


def test_a_queued_entry_is_re_evaluated_at_the_open(paper: Trader, clock: ManualClock):
    bot = paper.bot(when_closed="wait")
    signal = paper.trades("buy")["id"]
    paper.request("POST", f"/bots/{bot}/pause")
    open_market(paper, clock)
    assert paper.story(signal)["status"] == "refused" and "the bot is paused" in paper.story(signal)["reason"]


def test_what_waits_survives_a_restart(
    paper: Trader, clock: ManualClock, feed: ManualFeed, make_app: MakeApp
):
    bot = paper.bot(when_closed="wait")
    signal = paper.trades("buy")["id"]
    clock.time = MONDAY + timedelta(seconds=2)
    paper.installation.app.engine.leases.release()
    Installation(make_app(clock=clock, feed=feed)).work()
    assert paper.story(signal)["status"] == "filled" and paper.holds(bot) == 50


def test_a_paused_bot_is_refused_rather_than_made_to_wait(paper: Trader):
    bot = paper.bot(when_closed="wait")
    paper.request("POST", f"/bots/{bot}/pause")
    assert "the bot is paused" in paper.trades("buy")["reason"]


def test_an_exit_is_queued_at_the_venue_and_asked_for_once(paper: Trader, clock: ManualClock):
    clock.time = MORNING
    bot = paper.bot()
    assert paper.trades("buy")["status"] == "filled"
    clock.time = EVENING
    closing = paper.trades("close")
    assert [order["status"] for order in closing["orders"]] == ["working"] and paper.holds(bot) == 50
    clock.forward(60)
    again = paper.trades("close")
    assert again["status"] == "refused" and again["reason_code"] == "close_queued"
    clock.time = MONDAY + timedelta(seconds=2)
    paper.installation.work()
    assert paper.holds(bot) == 0 and len(paper.get("/orders")["items"]) == 2


@pytest.mark.parametrize(("when_closed", "owned"), [("refuse", 0), ("wait", -50)])
def test_a_flip_closes_and_opens_the_other_way_where_entries_may_wait(
    paper: Trader, clock: ManualClock, when_closed: str, owned: int
):
    clock.time = MORNING
    bot = paper.bot(when_closed=when_closed)
    paper.trades("buy")
    clock.time = EVENING
    paper.trades("sell")
    assert paper.holds(bot) == 50
    clock.time = MONDAY + timedelta(seconds=2)
    paper.installation.work()
    assert paper.holds(bot) == owned


# --- a venue far away ---------------------------------------------------------------------------------------


@pytest.fixture
def venue() -> ScriptedBroker:
    return ScriptedBroker()


@pytest.fixture
def away(make_app: MakeApp, clock: ManualClock, feed: ManualFeed, venue: ScriptedBroker) -> Trader:
    trader = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind())).join()
    trader.paper = trader.account("venue")
    return trader


def test_a_market_with_an_unknown_opening_refuses_queued_entries(
    away: Trader, venue: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
):
    away.bot(when_closed="wait")
    monkeypatch.setattr(venue, "market_open", lambda symbol: False)
    assert away.trades("buy")["reason"] == "the market for AAPL is closed: opening time unknown"


def test_a_late_opening_is_waited_for_again_and_notified_once(
    away: Trader, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot(when_closed="wait")
    venue.opens = MORNING + timedelta(hours=1)
    signal = away.trades("buy")["id"]
    clock.time = venue.opens + timedelta(seconds=1)
    venue.opens = MORNING + timedelta(hours=2)
    away.installation.work()
    story = away.story(signal)
    assert story["status"] == "working"
    assert story["bots"][0]["facts"]["opens_at"] == "2025-06-04T17:00:00.000Z"
    clock.time, venue.opens = venue.opens + timedelta(seconds=1), None
    away.installation.work()
    assert away.holds(bot) == 50 and len(away.notices(EntryWaitsForMarket)) == 1


def test_what_waited_is_not_given_up_for_a_venue_that_is_away_for_a_moment_at_the_open(
    away: Trader, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot(when_closed="wait")
    venue.opens = MORNING + timedelta(hours=1)
    signal = away.trades("buy")["id"]
    clock.time, venue.opens, venue.away = (
        venue.opens + timedelta(seconds=1),
        None,
        Unavailable("busy at the open"),
    )
    away.installation.work()
    assert away.story(signal)["status"] == "working"
    clock.forward(5)
    venue.away = None
    away.installation.work()
    assert away.story(signal)["status"] == "filled" and away.holds(bot) == 50


def test_where_a_broker_takes_nothing_while_closed_an_exit_waits_and_is_notified_once(
    away: Trader, venue: ScriptedBroker, clock: ManualClock
):
    bot = away.bot()
    assert away.trades("buy")["status"] == "filled"
    venue.capabilities = replace(venue.capabilities, queues_when_closed=False)
    venue.opens = MORNING + timedelta(minutes=10)
    closing = away.trades("close")
    assert closing["status"] == "working" and len(venue.sent) == 1
    clock.forward(60)
    away.installation.work()
    clock.time, venue.opens = venue.opens + timedelta(seconds=1), None
    away.installation.work()
    assert away.story(closing["id"])["status"] == "filled" and away.holds(bot) == 0
    assert len(away.notices(CloseWaitsForMarket)) == 1


def test_at_alpaca_a_closed_market_refuses_entries_by_its_own_calendar_and_queues_exits(make_app: MakeApp):
    clock = ManualClock(datetime.now(UTC))
    with AlpacaSimulator() as sim:
        trader = Installation(
            make_app(
                clock=clock, ALPACA_API_URL=sim.url, ALPACA_DATA_URL=sim.url, ALPACA_STREAM_URL=sim.stream_url
            )
        ).join()
        body = {
            "broker": "alpaca",
            "mode": "paper",
            "label": "A",
            "credentials": {"key": sim.key, "secret": sim.secret},
        }
        trader.paper = trader.request("POST", "/accounts", body)["id"]
        bot = trader.bot(position_size="10", position_size_type="quantity")
        trader.send(action="buy")
        wait_until(lambda: trader.installation.work() or trader.holds(bot) == 10)
        sim.set_session("closed")
        clock.forward(120)
        refused = trader.trades("add")
        assert (refused["status"], refused["reason_code"]) == ("refused", "market_closed")
        assert refused["facts"]["opens_at"]
        trader.request("PATCH", f"/bots/{bot}", {"when_closed": "wait"})
        waits = trader.trades("add")
        assert waits["status"] == "working" and waits["orders"] == []
        closing = trader.trades("close")
        assert [order["status"] for order in closing["orders"]] == ["working"], "Alpaca holds it for the open"
        assert trader.story(waits["id"])["status"] == "refused", "the close took the place of what waited"
        sim.set_session("open")
        clock.forward(120)
        wait_until(lambda: trader.installation.work() or trader.holds(bot) == 0)


# --- a price that is old ------------------------------------------------------------------------------------


def test_an_old_price_refuses_every_entry_and_no_exit(
    away: Trader, venue: ScriptedBroker, clock: ManualClock, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
):
    bot = away.bot()
    age = {"seconds": 0}

    def quote(symbol: Symbol) -> Quote:
        price = feed.price
        return Quote(symbol=symbol, bid=price, ask=price, at=clock.now() - timedelta(**age))

    monkeypatch.setattr(feed, "quote", quote)
    assert away.trades("buy")["status"] == "filled"
    age["seconds"] = 61
    assert (
        away.trades("add")["reason"]
        == "the price of AAPL is 61 s old, quoted at 4 Jun 2025 14:58:59 UTC; the limit is 60 s"
    )
    assert away.trades("close")["status"] == "filled" and away.holds(bot) == 0
    venue.plan.append("work")
    assert away.trades("buy", orderType="limit", limitPrice="90")["status"] == "working", (
        "a limit says itself what it may cost"
    )
    away.request("POST", "/protections", {"kind": "stale_price", "settings": {"seconds": 120}})
    away.trades("cancel")
    assert away.trades("buy")["status"] == "filled", "one's own replaces the default"


def test_the_answer_says_what_when_closed_may_be(paper: Trader):
    bot = paper.bot()
    for wrong in ("sleep", 7, None):
        answer: Any = paper.call("PATCH", f"/bots/{bot}", {"when_closed": wrong})
        assert (answer.status_code, answer.json["field"]) == (400, "when_closed")
    assert paper.request("PATCH", f"/bots/{bot}", {"when_closed": "wait"})["when_closed"] == "wait"


def test_a_risk_stop_at_a_closed_market_is_asked_for_once(
    paper: Trader, clock: ManualClock, feed: ManualFeed
):
    """Its order waits at the venue all night; the watch looks every few seconds."""
    clock.time = EVENING - timedelta(hours=4)
    bot = paper.bot(risk_limit_percent="10")
    assert paper.trades("buy")["status"] == "filled"
    clock.time = EVENING
    feed.set("AAPL", "80")
    for _ in range(5):
        paper.installation.look()
        paper.installation.work()
        clock.forward(60)
    stops = [signal for signal in paper.get("/signals")["items"] if signal["origin"] == "risk"]
    assert len(stops) == 1 and paper.holds(bot) == 50
    open_market(paper, clock)
    assert paper.holds(bot) == 0
