"""The sections of the overview."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyKind
from dashtrade.services.accounts.prices import BotHolding
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading.attention import attention
from dashtrade.services.trading.equity import buy_and_hold, equity_line
from dashtrade.services.trading.portfolio_summary import Figures, Risk, Summary
from dashtrade.ui.kit.components import Card, as_points, cards, lines, table
from dashtrade.ui.kit.format import count, day_turn, money, percent, rate, signed, tone
from dashtrade.ui.kit.rows import position_rows
from dashtrade.ui.overview import attention_list
from dashtrade.ui.positions import close_dialog
from dashtrade.ui.risk import stop_all
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.page import get_app, live, panel
from dashtrade.ui.signals import latest

RISK_TONES = ((80, "down"), (50, "warn"))  # from this percentage of the limit on
SHOWN = 30  # positions; the Positions page has all of them


@live
def board(user: User) -> None:
    app = get_app()
    chosen = scope.current(app, user)
    held = portfolio_summary.holdings(app, user, chosen)
    found = portfolio_summary.summary(app, user, chosen, held)
    _figures(found, day_turn(user, app.clock.now()))
    stop_all.progress(app, user)
    left, right = st.columns([1.85, 1], gap="small")
    with left:
        for figures in found.by_currency:
            _equity(figures, held, alone=len(found.by_currency) == 1)
        _positions([h for h in held if h.bot.position.quantity])
    with right:
        with panel("Needs attention", key="attention_panel"):
            attention_list.show(app, user, attention(app, user))
        _latest(user)


def _figures(found: Summary, day_text: str) -> None:
    """Of the most active currency; the other currencies are listed beside each figure."""
    cards(
        "figures",
        [
            _equity_card(found),
            _unrealised_card(found),
            _today_card(found, day_text),
            _win_rate_card(found),
            _drawdown_card(found),
            _risk_card(found.risk, day_text),
        ],
    )


def _others(found: Summary, value: Callable[[Figures], str]) -> str:
    return "".join(f"; {value(other)}" for other in found.by_currency[1:])


def _equity_card(found: Summary) -> Card:
    main = found.main
    line = equity_line(main, main.days, get_app().clock.now())
    return Card(
        label="Equity",
        value=money(main.equity, main.currency),
        note=_scope_label(found) + _others(found, lambda one: money(one.equity, one.currency)),
        note_tone="warn" if found.away else "",
        live=f"equity:{found.scope.text}:{main.currency}",
        spark=[float(point.equity) for point in line],
    )


def _unrealised_card(found: Summary) -> Card:
    main, positions = found.main, sum(one.positions for one in found.by_currency)
    return Card(
        label="Unrealised P&L",
        value=signed(main.open_profit, main.currency),
        tone=tone(main.open_profit),
        live=f"open:{found.scope.text}:{main.currency}",
        note=count(positions, "open position")
        + _others(found, lambda one: signed(one.open_profit, one.currency)),
    )


def _today_card(found: Summary, day_text: str) -> Card:
    main, orders = found.main, sum(one.trades_today for one in found.by_currency)
    others = _others(found, lambda one: signed(one.today, one.currency))
    return Card(
        label="Realised P&L today",
        value=signed(main.today, main.currency),
        tone=tone(main.today),
        note=f"{count(orders, 'filled order')}{others}; {day_text}",
    )


def _win_rate_card(found: Summary) -> Card:
    main = found.main
    return Card(
        label="Win rate, 30 days",
        value=rate(main.win_rate),
        note=f"{main.wins} round trips won, {main.losses} lost"
        + _others(found, lambda one: f"{one.currency} {rate(one.win_rate)}"),
    )


def _drawdown_card(found: Summary) -> Card:
    now, deepest = found.main.drawdown, found.main.deepest
    return Card(
        label="Drawdown",
        value=percent(now) if now is not None else "–",
        tone=tone(now),
        note=f"max. in 30 days {percent(deepest)}" if deepest is not None else _unmeasured(found),
    )


def _risk_card(risk: Risk | None, day_text: str) -> Card:
    if risk is None:
        return Card(label="Risk used today", value="–", note="no daily loss limit set")
    return Card(
        label="Risk used today",
        value=f"{risk.percent:.0f}%",
        note=f"of {risk.name}'s daily limit; {day_text}",
        tone=next((name for least, name in RISK_TONES if risk.percent >= least), ""),
    )


def _scope_label(found: Summary) -> str:
    kind = "live money" if found.scope.money is MoneyKind.LIVE else "paper money"
    return f"{kind}, {count(len(found.away), 'account')} unreachable" if found.away else kind


def _unmeasured(found: Summary) -> str:
    return "unknown while an account is unreachable" if found.away else "no data yet"


def _equity(figures: Figures, held: Sequence[BotHolding], *, alone: bool) -> None:
    app = get_app()
    line = equity_line(figures, figures.days, app.clock.now())
    if len(line) < 3:
        return
    currency = figures.currency
    left_alone = buy_and_hold(app, held, [point.day for point in line], line[0].equity, currency)
    with panel(
        "Equity vs. buy & hold" + ("" if alone else f", in {currency}"),
        key="equity_panel" if alone else f"equity_{currency}",
    ):
        lines(
            "equity_lines" if alone else f"equity_lines_{currency}",
            "Equity",
            [
                ("Equity", as_points([(point.day, point.equity) for point in line])),
                ("Buy & hold", as_points(left_alone)),
            ],
            height=210,
            currency=currency,
        )


def _positions(held: Sequence[BotHolding]) -> None:
    with panel("Open positions", key="positions_panel"):
        if not held:
            st.caption("No open positions. New positions appear here live.")
            return
        columns, rows = position_rows(held[:SHOWN])
        clicked = table("positions", "Open positions", columns, rows, opens=True)
        if len(held) > SHOWN:
            st.page_link("pages/positions.py", label=f"All {count(len(held), 'position')}")
        if clicked and clicked[1] == "close":
            close_dialog.ask(int(clicked[0]))
        elif clicked:
            st.switch_page("pages/bots.py", query_params={"bot": clicked[0]})


def _latest(user: User) -> None:
    with panel("Latest signals", key="signals_panel"):
        latest.show(
            user,
            key="latest",
            title="Latest signals",
            nothing="No alerts yet. Each alert appears here with its result.",
            limit=6,
        )
