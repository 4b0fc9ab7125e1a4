"""Performance: figures, cumulative profit, daily results and breakdowns. Realised, after fees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain import performance_stats
from dashtrade.domain.people import User
from dashtrade.domain.performance_stats import running_totals
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.values import ZERO
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.trading import portfolio_summary, round_trips
from dashtrade.services.trading.equity import buy_and_hold, equity_line
from dashtrade.services.trading.portfolio_summary import BotDay, currencies, days_by_bot, net_by_day
from dashtrade.services.trading.trades import any_trade
from dashtrade.ui.kit.components import Card, cards, lines, milliseconds
from dashtrade.ui.kit.format import count, day_turn, money, percent, rate, rounded, signed, span, tone
from dashtrade.ui.performance import breakdowns
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.page import empty, panel

SPANS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "A year", "all": "All"}
MOST_LINES = 6  # bots in the chart; the table has all
MOST_TRIPS = 20_000  # included in the statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceData:
    """The data of the page, for one scope, currency and span: the days (exact and complete) and the latest
    closed round trips."""

    scope: MoneyScope
    currency: str
    currencies: Sequence[str]  # all currencies in the span
    days: Sequence[BotDay]
    by_day: Sequence[tuple[date, Decimal]]
    trips: Sequence[performance_stats.ClosedTrade]
    cut: bool  # there were more round trips than are included
    base: Decimal | None  # equity at the start, if known
    funded: Sequence[tuple[date, Decimal]]  # the days of the accounts behind that equity


def show(app: App, user: User) -> None:
    chosen_scope = scope.current(app, user)
    names = bot_names(app, user)
    days, bot_id = _span_and_bot(bot_names(app, user, chosen_scope))
    # The currencies are known only after reading the days, but their select box is above the figures.
    place = st.container()
    data = load(app, user, chosen_scope, days=days, bot_id=bot_id, currency=st.session_state.get("currency"))
    if not data.days:
        _nothing(app, user, chosen_scope)
        return
    if len(data.currencies) > 1:
        with place:
            st.session_state["currency"] = data.currency
            st.segmented_control(
                "Currency", data.currencies, required=True, key="currency", label_visibility="collapsed"
            )
    _figures(data)
    _charts(app, user, data, names, whole=bot_id is None)
    breakdowns.show(user, data.days, data.trips, data.by_day, names, data.currency)


def _span_and_bot(own_bots: dict[int, str]) -> tuple[int | None, int | None]:
    """The number of days, and the bot; None is all."""
    left, right = st.columns([1.6, 1], gap="small", vertical_alignment="bottom")
    chosen = left.segmented_control(
        "Period",
        list(SPANS),
        default="30",
        required=True,
        format_func=SPANS.__getitem__,
        key="span",
        bind="query-params",
        label_visibility="collapsed",
    )
    bot = right.selectbox(
        "Bot",
        ["", *map(str, own_bots)],
        format_func=lambda key: own_bots[int(key)] if key else "All bots",
        key="of_bot",
        bind="query-params",
        label_visibility="collapsed",
    )
    return None if chosen == "all" else int(chosen or 30), int(bot) if bot else None


def _nothing(app: App, user: User, of: MoneyScope) -> None:
    if any_trade(app, user):
        st.info(
            f"No trades with {of.money} money in this period. Choose a longer one, or another scope above."
        )
        return
    empty(
        "No results yet. This page fills with your bots' first trades.",
        "See your bots",
        to="pages/bots.py",
        icon=":material/smart_toy:",
    )


def load(
    app: App, user: User, of: MoneyScope, *, days: int | None, bot_id: int | None, currency: str | None = None
) -> PerformanceData:
    now = app.clock.now()
    since = (
        None
        if days is None
        else (now - timedelta(days=days - 1)).replace(hour=0, minute=0, second=0, microsecond=0)
    )
    every = portfolio_summary.bot_days(app, user, of, since=since.date() if since else None, bot_id=bot_id)
    found = round_trips.ended(app, user, of, limit=MOST_TRIPS, since=since, bot_id=bot_id)
    known = currencies((), every)
    shown = currency if currency in known else known[0]
    rows = [row for row in every if row.currency == shown]
    trips = [trip for trip in found if trip.symbol.currency == shown]
    base, funded = (None, ()) if bot_id is not None else _base(app, user, of, rows, shown)
    return PerformanceData(
        scope=of,
        currency=shown,
        currencies=known,
        days=rows,
        by_day=net_by_day(rows),
        trips=trips,
        cut=len(found) == MOST_TRIPS,
        base=base,
        funded=funded,
    )


def _base(
    app: App, user: User, of: MoneyScope, rows: Sequence[BotDay], currency: str
) -> tuple[Decimal | None, Sequence[tuple[date, Decimal]]]:
    whole = portfolio_summary.summary(
        app, user, of, portfolio_summary.holdings(app, user, of, open_only=True)
    )
    figures = next((one for one in whole.by_currency if one.currency == currency), None)
    ids = {account.id for account in whole.accounts}
    funded = net_by_day(row for row in rows if row.account_id in ids)
    line = equity_line(figures, funded, app.clock.now()) if figures else []
    return (line[0].equity, funded) if line else (None, funded)


def _figures(data: PerformanceData) -> None:
    found = performance_stats.trade_stats(data.trips)
    cards("totals", [*_profit_cards(data, found), *_risk_cards(data), *_trade_cards(data, found)])
    if data.cut:
        st.caption(
            f"Figures per round trip and the breakdowns below use the latest {MOST_TRIPS:,} round trips; "
            "P&L, fees and daily figures use all."
        )


def _profit_cards(data: PerformanceData, found: performance_stats.TradeStats) -> list[Card]:
    net, fees = sum((row.net for row in data.days), ZERO), sum((row.fees for row in data.days), ZERO)
    wins, losses = sum(row.wins for row in data.days), sum(row.losses for row in data.days)
    won, lost = signed(found.average_win, data.currency), signed(found.average_loss, data.currency)
    return [
        Card(
            label="P&L after fees",
            value=signed(net, data.currency),
            tone=tone(net),
            note=f"{money(fees, data.currency)} in fees",
        ),
        Card(
            label="Win rate",
            value=rate(performance_stats.win_rate(wins, losses)),
            note=f"{wins:,} round trips won, {losses:,} lost",
        ),
        Card(label="Profit factor", value=_ratio(found.profit_factor), note="gross profit / gross loss"),
        Card(
            label="Expectancy",
            value=signed(found.expectancy, data.currency),
            tone=tone(found.expectancy),
            note=f"won {won}, lost {lost}",
        ),
    ]


def _risk_cards(data: PerformanceData) -> list[Card]:
    daily = performance_stats.returns(data.funded, data.base) if data.base is not None else []
    underwater = performance_stats.underwater(data.funded, data.base) if data.base else []
    deepest = min((share for _, share in underwater), default=None)
    fall = _max_drawdown(data.by_day)
    return [
        Card(
            label="Sharpe",
            value=_ratio(performance_stats.sharpe(daily)),
            note="annualised, from daily returns" if daily else "with all bots only",
        ),
        Card(
            label="Sortino",
            value=_ratio(performance_stats.sortino(daily)),
            note="downside risk only" if daily else "with all bots only",
        ),
        Card(
            label="Max drawdown",
            value=signed(fall, data.currency),
            tone=tone(fall),
            note=f"{percent(deepest)} of the equity" if deepest is not None else "from the peak",
        ),
    ]


def _trade_cards(data: PerformanceData, found: performance_stats.TradeStats) -> list[Card]:
    nets = [net for _, net in data.by_day]
    return [
        Card(
            label="Best day",
            value=signed(max(nets), data.currency),
            tone=tone(max(nets)),
            note=f"worst {signed(min(nets), data.currency)}",
        ),
        _trip_card("Best trade", found.best, data.currency),
        _trip_card("Worst trade", found.worst, data.currency),
        Card(label="Avg. holding time", value=span(found.held), note=count(found.count, "round trip")),
        Card(
            label="Volume",
            value=rounded(sum((row.volume for row in data.days), ZERO), data.currency, plus=""),
            note=count(sum(row.trades for row in data.days), "filled order"),
        ),
    ]


def _trip_card(label: str, trip: performance_stats.ClosedTrade | None, currency: str) -> Card:
    if trip is None:
        return Card(label=label, value="–")
    return Card(label=label, value=signed(trip.net, currency), tone=tone(trip.net), note=trip.symbol.short)


def _ratio(number: float | None) -> str:
    return f"{number:.2f}".replace("-", "−") if number is not None else "–"


def _max_drawdown(days: Sequence[tuple[date, Decimal]]) -> Decimal:
    high = low = total = ZERO
    for _, net in days:
        total += net
        high = max(high, total)
        low = min(low, total - high)
    return low


def _charts(app: App, user: User, data: PerformanceData, names: dict[int, str], *, whole: bool) -> None:
    # plotly costs memory and is needed only here
    from dashtrade.ui.kit.charts import daily_bars, legend, profit_lines

    series = [("P&L", _summed(data.by_day)), *_largest_bots(data.days, names)]
    held = _buy_and_hold(app, user, data) if whole else []
    with panel("Cumulative P&L", key="profit_panel"):
        st.html(legend([name for name, _ in series], "Buy & hold" if held else ""))
        st.plotly_chart(
            profit_lines(series, data.currency, dashed=("Buy & hold", held)),
            key="profit_lines",
            config={"displayModeBar": False},
        )
    left, right = st.columns([1.6, 1] if data.base else [1, 0.001], gap="small")
    with left, panel("Daily P&L", key="days_panel"):
        st.caption(f"{day_turn(user, app.clock.now())}.")
        st.plotly_chart(
            daily_bars(data.by_day, data.currency), key="daily_bars", config={"displayModeBar": False}
        )
    if data.base:
        with right, panel("Underwater", key="underwater_panel"):
            _underwater(data.funded, data.base)


def _largest_bots(
    days: Sequence[BotDay], names: dict[int, str]
) -> list[tuple[str, list[tuple[date, float]]]]:
    """The bots with the largest results, where there are several."""
    found = days_by_bot(days)
    if len(found) < 2:
        return []
    ranked = sorted(found.items(), key=lambda item: -abs(sum((row.net for row in item[1]), ZERO)))
    return [
        (escape(names.get(bot_id, "Deleted bot")), _summed(net_by_day(own)))
        for bot_id, own in ranked[:MOST_LINES]
    ]


def _underwater(funded: Sequence[tuple[date, Decimal]], base: Decimal) -> None:
    points = [[milliseconds(day), share] for day, share in performance_stats.underwater(funded, base)]
    lines(
        "underwater",
        "Underwater",
        [("Underwater", points)],
        height=240,
        zero=True,
        unit="percent",
        colour="red",
    )


def _buy_and_hold(app: App, user: User, data: PerformanceData) -> list[tuple[date, float]]:
    """The same money under buy and hold from the first day."""
    if not data.base:
        return []
    days = [day for day, _ in _summed(data.by_day)]
    held = portfolio_summary.holdings(app, user, data.scope)
    found = buy_and_hold(app, held, days, data.base, data.currency)
    return [(day, float(value - data.base)) for day, value in found]


def _summed(days: Sequence[tuple[date, Decimal]]) -> list[tuple[date, float]]:
    """Starts at zero on the day before the first, so that the first day's profit is visible."""
    sums = [(day, float(total)) for (day, _), total in zip(days, running_totals(days), strict=True)]
    return [(days[0][0] - timedelta(days=1), 0.0), *sums]
