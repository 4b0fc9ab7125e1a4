"""The figures of the page of performance, on ledgers small enough to reckon by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest

from dashtrade.domain import measures
from dashtrade.domain.values import Symbol

AAPL, BTC = Symbol.parse("AAPL"), Symbol.parse("BTCUSD")
START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


TRADES = [
    (1, AAPL, "open", at(0), D(0), D(1)), (1, AAPL, "close", at(2), D("101"), D(1)),  # +99 after both fees, held 2 h
    (2, BTC, "open", at(1), D(0), D(0)), (2, BTC, "reduce", at(3), D("-20"), D(0)), (2, BTC, "close", at(5), D("-30"), D(0)),
]  # fmt: skip


def test_a_trade_made_what_is_left_after_the_fees_of_its_way_in_and_out():
    assert [(trade.net, trade.held) for trade in measures.ended(TRADES)] == [
        (D(99), timedelta(hours=2)), (D(-20), timedelta(hours=2)), (D(-30), timedelta(hours=4)),
    ]  # fmt: skip


def test_a_closing_whose_opening_is_not_among_them_has_no_time_held():
    assert measures.ended(TRADES[1:2])[0].held is None


def test_the_figures_of_a_small_ledger():
    found = measures.measure(measures.ended(TRADES))
    assert (found.count, found.wins) == (3, 1)
    assert found.profit_factor == pytest.approx(99 / 50)
    assert found.expectancy is not None and round(found.expectancy, 2) == D("16.33")
    assert (found.average_win, found.average_loss) == (D(99), D(-25))
    assert found.best is not None and found.worst is not None
    assert (found.best.net, found.worst.net) == (D(99), D(-30))
    assert found.held == timedelta(hours=8) / 3


def test_nothing_traded_has_no_figures_and_no_errors():
    found = measures.measure([])
    assert (found.count, found.profit_factor, found.expectancy, found.best, found.held) == (0, None, None, None, None)
    assert measures.sharpe([]) is None and measures.sortino([0.01] * 30) is None and measures.returns([], D(100)) == []


def test_sums_by_symbol():
    assert measures.summed(measures.ended(TRADES), lambda trade: trade.symbol) == {AAPL: (D(99), 1, 1), BTC: (D(-50), 2, 0)}


def test_idle_days_are_days_without_a_return():
    days = [(date(2026, 1, 5), D(10)), (date(2026, 1, 8), D(-11))]
    assert measures.returns(days, D(100)) == pytest.approx([0.1, 0, 0, -0.1])


def test_bad_days_alone_are_the_risk_of_sortino():
    up, both = [0.01, 0.02, 0.01, 0.03, 0.01, -0.001], [0.01, 0.02, 0.01, 0.03, 0.01, -0.05]
    assert measures.sortino(up) > measures.sharpe(up) > 0  # type: ignore[operator]
    assert measures.sortino(both) < measures.sortino(up)  # type: ignore[operator]


def test_a_years_sharpe_and_sortino_of_five_days():
    """1, -1, 2, 0 and 3 percent: 1 on average. Squares of what is off that: 0, 4, 1, 1, 4, so a spread of √2. Of the bad days: 1 in 5, √0.2."""
    daily = [0.01, -0.01, 0.02, 0.0, 0.03]
    assert measures.sharpe(daily) == pytest.approx(1 / 2**0.5 * 365**0.5) == pytest.approx(13.509, abs=0.001)
    assert measures.sortino(daily) == pytest.approx(1 / 0.2**0.5 * 365**0.5) == pytest.approx(42.720, abs=0.001)


def test_underwater_is_nought_at_a_new_high():
    days = [(date(2026, 1, 5), D(100)), (date(2026, 1, 6), D(-220)), (date(2026, 1, 7), D(400))]
    assert [round(share, 2) for _, share in measures.underwater(days, D(1000))] == [0.0, -20.0, 0.0]
