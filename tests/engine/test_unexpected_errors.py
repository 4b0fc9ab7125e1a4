"""A mistake of ours on a signal's way: it ends in so many words, and never holds up for ever what waits
behind it."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.notices.trading import AlertFailed
from dashtrade.engine.undecided import MAX_TRIES
from tests.support.fakes import ManualClock
from tests.support.installation import Trader


def broken(*given: Any, **named: Any) -> Any:
    raise KeyError("a mistake of ours")


def money(trader: Trader) -> tuple[str, str]:
    answer = trader.request("POST", f"/accounts/{trader.paper}/test")
    return answer["cash"], answer["equity"]


def test_a_paper_order_that_cannot_be_carried_out_is_refused_once_and_leaves_nothing_behind(
    trader: Trader, monkeypatch: pytest.MonkeyPatch
):
    bot = trader.bot()
    with monkeypatch.context() as mistake:
        mistake.setattr(PaperBroker, "submit", broken)
        story = trader.trades("buy")
    assert story["status"] == "failed" and [order["status"] for order in story["orders"]] == ["rejected"]
    assert (
        "unexpected error (KeyError), and nothing was traded" in story["orders"][0]["reason"]
        and trader.holds(bot) == 0
    )
    assert trader.trades("buy")["status"] == "filled"


def test_what_a_half_done_paper_order_did_is_taken_back(trader: Trader, monkeypatch: pytest.MonkeyPatch):
    bot = trader.bot()
    before = money(trader)
    with monkeypatch.context() as mistake:
        mistake.setattr("dashtrade.domain.kernel.reporting.apply_report", broken)
        assert [order["status"] for order in trader.trades("buy")["orders"]] == ["rejected"]
    assert money(trader) == before and trader.holds(bot) == 0


def test_a_decision_that_keeps_failing_is_given_up_and_notified_once(
    trader: Trader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
):
    trader.bot()
    with monkeypatch.context() as mistake:
        mistake.setattr("bot_engine.decide_one", broken)
        signal = trader.trades("buy")["id"]
        told = trader.story(signal)["bots"][0]
        assert (trader.story(signal)["status"], told["reason_code"]) == ("working", "unexpected_retried")
        behind = trader.send(action="close", symbol="AAPL")
        for _ in range(2 * MAX_TRIES):
            clock.forward(10)
            trader.installation.work()
    assert trader.story(signal)["status"] == trader.story(behind)["status"] == "refused"
    ended = trader.story(signal)
    assert (ended["reason_code"], ended["facts"]["error"]) == ("unexpected", "KeyError")
    assert len(trader.notices(AlertFailed)) == 2
    assert trader.trades("buy")["status"] == "filled"
