"""A mistake of ours on a signal's way: it ends in so many words, and never holds up for ever what waits
behind it."""

from __future__ import annotations

from typing import Any

import pytest

from bot_engine import MOST_TRIES
from dashtrade.brokers.paper.adapter import PaperBroker
from dashtrade.domain.notices.trading import AlertFailed
from tests.support.fakes import SetClock
from tests.support.installation import Person


def broken(*given: Any, **named: Any) -> Any:
    raise KeyError("a mistake of ours")


def money(ann: Person) -> tuple[str, str]:
    said = ann.does("POST", f"/accounts/{ann.paper}/test")
    return said["cash"], said["equity"]


def test_a_paper_order_that_cannot_be_carried_out_is_refused_once_and_leaves_nothing_behind(
    ann: Person, monkeypatch: pytest.MonkeyPatch
):
    bot = ann.bot()
    with monkeypatch.context() as mistake:
        mistake.setattr(PaperBroker, "submit", broken)
        story = ann.trades("buy")
    assert story["status"] == "failed" and [order["status"] for order in story["orders"]] == ["rejected"]
    assert (
        "unexpected error (KeyError), and nothing was traded" in story["orders"][0]["reason"]
        and ann.holds(bot) == 0
    )
    assert ann.trades("buy")["status"] == "filled"


def test_what_a_half_done_paper_order_did_is_taken_back(ann: Person, monkeypatch: pytest.MonkeyPatch):
    bot = ann.bot()
    before = money(ann)
    with monkeypatch.context() as mistake:
        mistake.setattr("dashtrade.engine.booking.apply_report", broken)
        assert [order["status"] for order in ann.trades("buy")["orders"]] == ["rejected"]
    assert money(ann) == before and ann.holds(bot) == 0


def test_a_decision_that_fails_again_and_again_is_given_up_and_told_once(
    ann: Person, clock: SetClock, monkeypatch: pytest.MonkeyPatch
):
    ann.bot()
    with monkeypatch.context() as mistake:
        mistake.setattr("bot_engine.decide_one", broken)
        signal = ann.trades("buy")["id"]
        assert (
            ann.story(signal)["status"] == "working"
            and "is tried again" in ann.story(signal)["bots"][0]["reason"]
        )
        behind = ann.sends(action="close", symbol="AAPL")
        for _ in range(2 * MOST_TRIES):
            clock.forward(10)
            ann.house.work()
    assert ann.story(signal)["status"] == ann.story(behind)["status"] == "refused"
    assert "(KeyError)" in ann.story(signal)["reason"] and "nothing was sent" in ann.story(signal)["reason"]
    assert len(ann.told(AlertFailed)) == 2
    assert ann.trades("buy")["status"] == "filled"
