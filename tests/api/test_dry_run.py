"""What an alert would do if it came now: as the real decision, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.alerts.dialects import parse
from dashtrade.domain.ports import Unavailable
from dashtrade.domain.reasons import Code, reason
from dashtrade.services.bots import dry_run
from dashtrade.services.bots.dry_run import DryRun
from dashtrade.tables.base import metadata
from dashtrade.ui.setup import alert_reader
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, ScriptedBroker, Trader


def everything(app: App) -> dict[str, list[Any]]:
    with app.db.read() as conn:
        return {table.name: conn.execute(sa.select(table)).all() for table in metadata.sorted_tables}


def runs(app: App, person: Trader, body: str) -> list[DryRun]:
    before = everything(app)
    found = dry_run.of(app, person.user, parse(body.encode()).signal)
    assert everything(app) == before, "nothing is written"
    assert not isinstance(found, str)
    return list(found)


def lines(app: App, person: Trader, body: str) -> dict[str, str]:
    signal = parse(body.encode()).signal
    (run,) = runs(app, person, body)
    user = person.user
    parts = [alert_reader._before(user, run), alert_reader._outcome(user, signal, run)]
    parts += [alert_reader._size(user, signal, run), alert_reader._entry_exits(signal, run)]
    parts += [alert_reader._checks(user, run)]
    return {what: words for part in parts for what, words, _ in part}


def test_the_order_that_would_go_out_is_the_one_that_goes_out(app: App, trader: Trader):
    bot = trader.bot(stop_loss={"percent": "2"}, take_profit=[{"percent": "4"}])
    (run,) = runs(app, trader, "buy AAPL")
    (step,) = run.steps
    story = trader.trades("buy")
    (order,) = trader.get("/orders", bot_id=bot)["items"]
    assert story["status"] == "filled" and order["quantity"] == f"{step.quantity.normalize():f}"
    assert not run.failed and len(run.checks) > 10


def test_it_says_price_size_cost_and_exits_in_money(app: App, trader: Trader):
    trader.bot(stop_loss={"percent": "2"})
    answer = lines(app, trader, '{"action": "buy", "symbol": "AAPL", "takeProfit": {"percent": 4}}')
    assert answer["Order"] == "Buy 50 AAPL market, about 100.00 each: $5,000.00"
    assert answer["Stop"] == "98.00 (−2.00%): about −$100.00, the bot’s own"
    assert answer["Target"] == "104.00 (+4.00%): about +$200.00, from the alert"
    assert answer["Checks"].startswith("All ")


@pytest.mark.parametrize(
    ("takes", "order", "words"),
    [(False, "Buy 50 AAPL", "takes no sizes from alerts"), (True, "Buy 10 AAPL", "this bot accepts")],
)
def test_it_says_which_size_counts_and_why(app: App, trader: Trader, takes: bool, order: str, words: str):
    trader.bot(size_override=takes)
    answer = lines(app, trader, '{"action": "buy", "symbol": "AAPL", "quantity": 10}')
    assert answer["Order"].startswith(order) and words in answer["Size"]


def test_every_check_that_would_fail_is_named(app: App, trader: Trader):
    bot = trader.bot(max_position_size="100")
    trader.request("POST", f"/bots/{bot}/pause")
    (run,) = runs(app, trader, "buy AAPL")
    assert not run.steps and run.counterfactual == reason(Code.WOULD_HAVE, side="buy", quantity="50")
    assert [check.name for check in run.failed] == ["bot active", "position size"]


def test_a_close_needs_no_size_and_no_check(app: App, trader: Trader):
    trader.bot()
    trader.trades("buy")
    answer = lines(app, trader, "close AAPL")
    assert (
        answer["Order"].startswith("Sell 50 AAPL market")
        and answer["Size"] == "The whole position"
        and "Checks" not in answer
    )


def test_cancellations_and_waits_before_an_order_are_reported(app: App, trader: Trader):
    trader.bot(order_type="limit", limit_offset_percent="5", cancel_first=True, delay_seconds=30)
    trader.alert({"action": "buy", "symbol": "AAPL"})
    (run,) = runs(app, trader, "sell AAPL")
    assert reason(Code.WAITS_AS_SET, seconds="30", by="bot") in run.before


def test_an_alert_that_is_too_old_says_so(app: App, trader: Trader):
    trader.bot()
    (run,) = runs(
        app, trader, '{"action": "buy", "symbol": "AAPL", "time": "2020-01-01T00:00:00Z", "maxLag": 60}'
    )
    assert not run.steps and run.reason.code is Code.TOO_OLD


def test_without_a_named_bot_there_is_no_dry_run(app: App, trader: Trader):
    assert dry_run.of(app, trader.user, parse(b"buy MSFT").signal) == reason(
        Code.NO_BOT_ON_SYMBOL, symbol="MSFT"
    )


def test_another_users_bots_are_not_looked_at(app: App, trader: Trader):
    trader.bot()
    other_trader = trader.installation.join("bob@example.com")
    assert dry_run.of(app, other_trader.user, parse(b"buy AAPL").signal) == reason(
        Code.NO_BOT_ON_SYMBOL, symbol="AAPL"
    )


def test_an_unreachable_broker_is_reported_and_not_waited_for(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
):
    venue = ScriptedBroker()
    installation = Installation(make_app(clock=clock, feed=feed, brokers=venue.kind()))
    trader = installation.join()
    trader.bot(account=trader.account("venue"))

    def away(*given: Any, **more: Any) -> Any:
        raise Unavailable("no connection")

    monkeypatch.setattr(installation.app.engine.snapshots, "fetch", away)
    (run,) = runs(installation.app, trader, "buy AAPL")
    assert not run.steps and run.reason == reason(Code.UNKNOWN_NOW, text="no connection")
