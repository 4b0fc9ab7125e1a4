"""Rows of an earlier step that cannot be stored, when a later step wants to read."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.symbols import Symbol
from dashtrade.engine import storing
from dashtrade.engine.batches import Batches
from dashtrade.engine.intake import accept_on
from dashtrade.engine.kept_books import KeptBooks
from tests.support.paper_day import SYMBOLS, PaperDay, statuses

BUY = {"action": "buy", "timeframe": "15"}


def test_it_is_that_alerts_fault_and_no_orders(
    day: PaperDay, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While an order is carried out, an error is otherwise taken for a fault of the order."""
    for symbol in SYMBOLS:
        day.app.engine.run_lane(Lane(1, Symbol.parse(symbol)))
    bad = day.alert(BUY | {"symbol": "AAPL", "bot": "1", "delay": 20})
    good = day.alert(BUY | {"symbol": "MSFT", "bot": "2"})
    real = storing._store_alerts

    def refuse(conn: Any, changes: Any) -> None:
        if bad.id in changes.new_signals:
            raise ZeroDivisionError
        real(conn, changes)

    monkeypatch.setattr(storing, "_store_alerts", refuse)

    def store_the_bad_one(kept: KeptBooks) -> Any:
        return kept.run_on_books(lambda books: accept_on(books, bad))

    def read_in_the_middle(kept: KeptBooks, account_id: int, client_order_id: str) -> Any:
        kept._flush()
        return None

    monkeypatch.setattr(KeptBooks, "paper_order", read_in_the_middle)
    done = batches.run(
        [store_the_bad_one, lambda kept: day.app.engine.at_once.take(kept, good, lambda lane: False)]
    )
    assert [type(one.error) for one in done] == [ZeroDivisionError, type(None)]
    assert statuses(day) == [(good.id, "filled")]


def test_a_job_that_fails_after_its_alert_was_accepted_stores_nothing(
    day: PaperDay, batches: Batches
) -> None:
    one, other = (day.alert(BUY | {"symbol": symbol, "id": symbol}) for symbol in ("AAPL", "MSFT"))

    def fail_after(kept: KeptBooks) -> None:
        kept.run_on_books(lambda books: accept_on(books, one))
        raise ZeroDivisionError

    done = batches.run([fail_after, lambda kept: kept.run_on_books(lambda books: accept_on(books, other))])
    assert [type(each.error) for each in done] == [ZeroDivisionError, type(None)]
    assert [signal_id for signal_id, _ in statuses(day)] == [other.id]
