"""A signal's story and outcome are records: sentences and times are made when they are read, and the outcome
passes the worker's socket whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dashtrade.api.signal_fields import story_fields
from dashtrade.context import App
from dashtrade.domain.as_json import from_json, to_json
from dashtrade.domain.reasons import Code
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.processes.worker_ipc import WorkerClient
from dashtrade.services.trading import signal_story
from dashtrade.services.trading.signal_story import StepKind
from dashtrade.ui.kit.rows import folded
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, Trader

EVENING = datetime(2025, 6, 6, 22, 0, tzinfo=UTC)  # a Friday, after the close
NEW_YORK = ZoneInfo("America/New_York")


def settled(trader: Trader, signal_id: str) -> SignalOutcome:
    outcome = signal_story.settled(trader.installation.app, trader.user.id, signal_id)
    assert outcome is not None
    return outcome


def across(outcome: SignalOutcome) -> Any:
    """As the worker's socket carries it."""
    return json.loads(json.dumps(to_json(outcome)))


def test_an_outcome_passes_the_socket_whole(trader: Trader):
    exits = {"stop_loss": {"type": "trailing_stop", "percent": "4"}, "close_after_minutes": 30}
    trader.bot(take_profit=[{"percent": "5", "share": "50"}, {"percent": "10"}], **exits)
    trader.bot(name="second", account=trader.account(), close_at="15:55")
    signal = trader.trades("buy")["id"]
    outcome = settled(trader, signal)
    assert len(outcome.bots) == 2 and any(order.exits for order in outcome.orders)
    assert from_json(SignalOutcome, across(outcome)) == outcome


def test_what_the_worker_reports_is_what_the_sender_is_answered(trader: Trader, tmp_path: Any):
    app = trader.installation.app
    trader.bot()
    trader.trades("buy", id="one")
    signal = trader.send(action="close", symbol="AAPL")
    trader.installation.work()
    app.worker = WorkerClient(tmp_path)
    app.worker.on_change(signal, across(settled(trader, signal)))
    assert app.wait(trader.user.id, signal, 0) == settled(trader, signal)


def test_an_unreadable_report_is_looked_up_instead(trader: Trader, tmp_path: Any):
    app = trader.installation.app
    trader.bot()
    signal = trader.trades("buy")["id"]
    app.worker = WorkerClient(tmp_path)
    of_an_older_worker = {
        "signal_id": signal,
        "status": "filled",
        "orders": [],
        "reason": "sold",
        "facts": {},
    }
    for report in (of_an_older_worker, {}, {"bots": 1}):
        app.worker.on_change(signal, report)
        assert app.wait(trader.user.id, signal, 0) is None


@pytest.fixture
def waiting(app: App, clock: ManualClock) -> tuple[Trader, str]:
    trader = Installation(app).join()
    trader.paper = trader.account(hours="exchange")
    trader.bot(when_closed="wait")
    clock.time = EVENING
    return trader, trader.trades("buy")["id"]


def test_a_story_holds_reasons_and_its_reader_gets_his_own_times(waiting: tuple[Trader, str]):
    trader, signal = waiting
    story = signal_story.story(trader.installation.app, trader.user.id, signal)
    assert story is not None and story.reason.code is Code.WAITS_FOR_OPEN
    assert story.reason.facts["opens_at"] == datetime(2025, 6, 9, 13, 30, tzinfo=UTC)
    (message,) = [step for step in story.steps if step.kind is StepKind.MESSAGE]
    assert message.words(UTC) != message.words(NEW_YORK)
    there = replace(trader.user, time_zone="America/New_York")
    shown = folded(there, story.steps)[-1].detail
    answered = story_fields(story)["timeline"][-1]["detail"]
    assert shown == message.words(NEW_YORK) and answered == message.words(UTC)


def test_passed_checks_are_one_line_and_a_failed_one_has_its_own(trader: Trader, clock: ManualClock):
    bot = trader.bot()
    trader.request("POST", f"/bots/{bot}/pause")
    clock.time += timedelta(seconds=1)
    signal = trader.trades("buy")["id"]
    story = signal_story.story(trader.installation.app, trader.user.id, signal)
    assert story is not None
    failed = [step.check for step in story.steps if step.check and not step.check.ok]
    assert [check.reason.code for check in failed] == [Code.BOT_PAUSED]
    lines = folded(trader.user, story.steps)
    passed = [step for step in story.steps if step.check and step.check.ok]
    folded_away = len(passed) - (1 if passed else 0)
    assert len(lines) == len(story.steps) - folded_away
