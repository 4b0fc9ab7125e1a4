"""The figures of the page of performance, on ledgers small enough to reckon by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D

import pytest

from dashtrade.domain import performance_stats
from dashtrade.domain.symbols import Symbol

AAPL, BTC = Symbol.parse("AAPL"), Symbol.parse("BTCUSD")
START = datetime(2026, 1, 5, 10, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def trip(bot: int, symbol: Symbol, hours: float, net: int, held: float) -> performance_stats.ClosedTrade:
    return performance_stats.ClosedTrade(
        bot_id=bot, account_id=1, symbol=symbol, at=at(hours), net=D(net), held=timedelta(hours=held)
    )


TRIPS = [trip(1, AAPL, 2, 99, 2), trip(2, BTC, 3, -20, 2), trip(2, BTC, 5, -30, 4), trip(2, BTC, 6, 0, 0)]


def test_the_figures_of_a_small_ledger():
    found = performance_stats.trade_stats(TRIPS)
    assert (found.count, found.wins, found.losses) == (4, 1, 2)
    assert found.profit_factor == pytest.approx(99 / 50)
    assert found.expectancy == D("12.25")
    assert (found.average_win, found.average_loss) == (D(99), D(-25))
    assert found.best is not None and found.worst is not None
    assert (found.best.net, found.worst.net) == (D(99), D(-30))
    assert found.held == timedelta(hours=2)


def test_what_made_nothing_was_neither_won_nor_lost():
    assert performance_stats.win_rate(1, 2) == D(100) / 3 and performance_stats.win_rate(0, 0) is None


def test_nothing_traded_has_no_figures_and_no_errors():
    found = performance_stats.trade_stats([])
    assert (found.count, found.profit_factor, found.expectancy, found.best, found.held) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert (
        performance_stats.sharpe([]) is None
        and performance_stats.sortino([0.01] * 30) is None
        and performance_stats.returns([], D(100)) == []
    )


def test_sums_by_symbol():
    assert performance_stats.group_totals(TRIPS, lambda trade: trade.symbol) == {
        AAPL: performance_stats.GroupTotals(net=D(99), count=1, wins=1),
        BTC: performance_stats.GroupTotals(net=D(-50), count=3, losses=2),
    }


def test_idle_days_are_days_without_a_return():
    days = [(date(2026, 1, 5), D(10)), (date(2026, 1, 8), D(-11))]
    assert performance_stats.returns(days, D(100)) == pytest.approx([0.1, 0, 0, -0.1])


def test_bad_days_alone_are_the_risk_of_sortino():
    up, both = [0.01, 0.02, 0.01, 0.03, 0.01, -0.001], [0.01, 0.02, 0.01, 0.03, 0.01, -0.05]
    assert performance_stats.sortino(up) > performance_stats.sharpe(up) > 0  # type: ignore[operator]
    assert performance_stats.sortino(both) < performance_stats.sortino(up)  # type: ignore[operator]


def test_a_years_sharpe_and_sortino_of_five_days():
    """1, -1, 2, 0 and 3 percent: 1 on average. Squares of what is off that: 0, 4, 1, 1, 4, so a spread of √2.
    Of the bad days: 1 in 5, √0.2."""
    daily = [0.01, -0.01, 0.02, 0.0, 0.03]
    assert (
        performance_stats.sharpe(daily)
        == pytest.approx(1 / 2**0.5 * 365**0.5)
        == pytest.approx(13.509, abs=0.001)
    )
    assert (
        performance_stats.sortino(daily)
        == pytest.approx(1 / 0.2**0.5 * 365**0.5)
        == pytest.approx(42.720, abs=0.001)
    )


def test_underwater_is_nought_at_a_new_high():
    days = [(date(2026, 1, 5), D(100)), (date(2026, 1, 6), D(-220)), (date(2026, 1, 7), D(400))]
    assert [round(share, 2) for _, share in performance_stats.underwater(days, D(1000))] == [0.0, -20.0, 0.0]
