"""One bot: its position and candles, the results of its signals, and its actions."""

from __future__ import annotations

from html import escape

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.reasons import Code
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import find_account
from dashtrade.services.bots import bots as service
from dashtrade.services.bots import history, spec
from dashtrade.services.bots.kinds import Unit
from dashtrade.services.bots.owned import bots_of
from dashtrade.services.bots.setting_spec import Group, SettingSpec
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading import trades as trade_service
from dashtrade.services.trading.portfolio_summary import BotDay, net_by_day
from dashtrade.services.trading.scope import of_account
from dashtrade.ui.bots import bot_form, candles
from dashtrade.ui.bots.bot_list import state_of
from dashtrade.ui.kit import live_cells
from dashtrade.ui.kit.components import Card, badge, cards, fact_list, profit_curve
from dashtrade.ui.kit.format import (
    count,
    day_turn,
    moment,
    money,
    percent,
    price,
    quantity,
    reason_sentence,
    signed,
    text,
    tone,
)
from dashtrade.ui.kit.rows import exits_in_short
from dashtrade.ui.positions import close_dialog, exits_dialog, open_orders
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import actions, get_app, guard, live, panel, tab_title
from dashtrade.ui.signals import latest

CANDLES = 120


def show(app: App, user: User, bot_id: int) -> None:
    try:
        bot = service.bot_of(app, user, bot_id)
    except service.NotFound:
        st.info("No such bot. The bot may have been deleted.")
        if st.button("Back to all bots", icon=":material/arrow_back:"):
            _back()
        return
    tab_title(bot.name)
    with actions():
        if st.button("All bots", icon=":material/arrow_back:", key="back"):
            _back()
        _buttons(app, user, bot)
    words, mark = state_of(bot)
    account = find_account(app, user, bot.account_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(text(bot.name), anchor=False, width="content")
        scope.badge(account)
        badge(words, mark)
        st.caption(f"{text(bot.symbol.short)} · {bot.timeframe.shown} · {text(_size(bot))}", width="content")
    if not bot.is_active and bot.paused_reason.code is not Code.PAUSED_BY_USER:
        st.warning(
            f"{text(reason_sentence(user, bot.paused_reason))} Review, then resume the bot.",
            icon=":material/pause_circle:",
        )
    _state_panel(bot_id)
    _orders(bot_id)
    left, right = st.columns([1.7, 1], gap="small")
    with left:
        _chart(bot_id)
        days = net_by_day(_days(app, user, bot, account))
        if any(net for _, net in days):
            with panel("Cumulative P&L", key="bot_profit"):
                profit_curve("bot_curve", days, height=170, currency=bot.symbol.currency)
    with right:
        _signals(bot_id)
        _settings(app, user, bot)


def _size(bot: Bot) -> str:
    kinds = {
        "dollars": f"${plain_number(bot)} per trade",
        "quantity": f"{plain_number(bot)} per trade",
        "percent_of_equity": f"{plain_number(bot)}% of equity per trade",
        "risk_dollars": f"${plain_number(bot)} at risk per trade",
        "risk_percent": f"{plain_number(bot)}% of equity at risk per trade",
    }
    return kinds[spec.BY_NAME["position_size_type"].shown(bot)]


def plain_number(bot: Bot) -> str:
    return quantity(bot.size.value)


def _back() -> None:
    st.query_params.pop("bot", None)
    st.rerun()


def _buttons(app: App, user: User, bot: Bot) -> None:
    if st.button(
        "Pause" if bot.is_active else "Resume",
        icon=":material/pause:" if bot.is_active else ":material/play_arrow:",
        key="toggle",
    ):
        with trying() as attempt:
            service.set_active(app, user, bot.id, not bot.is_active)
        if attempt.ok:
            st.rerun()
    if bot.position.quantity and st.button("Close", icon=":material/close:", key="close"):
        close_dialog.ask(bot.id)
    if bot.position.quantity and st.button(
        "Stop and target", icon=":material/vertical_align_center:", key="move"
    ):
        exits_dialog.ask(bot.id)
    if bot.position.quantity and st.button("Reduce", icon=":material/content_cut:", key="part"):
        close_dialog.ask(bot.id, part=True)
    if st.button("Edit", icon=":material/tune:", key="change"):
        bot_form.ask_change(bot)
    if st.button("Duplicate", icon=":material/content_copy:", key="duplicate"):
        bot_form.ask_new(bot)
    if st.button("Delete", icon=":material/delete:", key="delete"):
        _delete(bot)


@live
def _state_panel(user: User, bot_id: int) -> None:
    app = get_app()
    bot = service.bot_of(app, user, bot_id)
    account = find_account(app, user, bot.account_id)
    held = prices.holding(app, bot, account)
    owns = bool(bot.position.quantity)
    side = (
        f"{bot.position.side.value.capitalize()} {quantity(abs(bot.position.quantity))}" if owns else "Flat"
    )
    days, currency = _days(app, user, bot, account), bot.symbol.currency
    net, fees = sum((day.net for day in days), ZERO), sum((day.fees for day in days), ZERO)
    today = [day for day in days if day.day == app.clock.now().date()]
    net_today = sum((day.net for day in today), ZERO)
    cards(
        "bot_figures",
        [
            Card(label="Position", value=side, note=_exits_held_at(bot) if owns else "no position"),
            Card(
                label="Unrealised P&L",
                value=signed(held.unrealized, currency),
                tone=tone(held.unrealized),
                live=live_cells.profit(held).live,
                note=percent(held.percent, sign=True) if owns else "–",
            ),
            Card(
                label="Realised P&L",
                value=signed(net, currency),
                tone=tone(net),
                note=(
                    f"after {money(fees, currency)} fees, {count(sum(day.trades for day in days), 'trade')}"
                ),
            ),
            Card(
                label="Realised P&L today",
                value=signed(net_today, currency),
                tone=tone(net_today),
                note=(
                    f"{count(sum(day.trades for day in today), 'filled order')}; "
                    f"{day_turn(user, app.clock.now())}"
                ),
            ),
        ],
    )


def _exits_held_at(bot: Bot) -> str:
    exits, by = exits_in_short(bot)
    return f"at {price(bot.position.average_price)}" + (f"; {exits}, {by}" if exits else "; no stop")


def _days(app: App, user: User, bot: Bot, account: Account | None) -> list[BotDay]:
    """The days of the kind of money that the bot trades now."""
    return portfolio_summary.bot_days(app, user, of_account(account) if account else None, bot_id=bot.id)


@live
def _orders(user: User, bot_id: int) -> None:
    open_orders.show_list(get_app(), user, bot_id=bot_id)


@live
def _signals(user: User, bot_id: int) -> None:
    with panel("Latest signals", key="bot_signals"):
        latest.show(
            user,
            key="bot_latest",
            title="Latest signals of this bot",
            nothing="No alerts for this bot yet.",
            limit=8,
            bot_id=bot_id,
        )


@live(every=15)
def _chart(user: User, bot_id: int) -> None:
    app = get_app()
    bot = service.bot_of(app, user, bot_id)
    account = find_account(app, user, bot.account_id)
    with panel(f"{text(bot.symbol.short)}, {bot.timeframe.shown}", key="bot_chart"):
        if account is None:
            return
        found = prices.candles(app, account, bot.symbol, bot.timeframe, CANDLES)
        if found is None:
            st.caption(
                f"No prices of {text(bot.symbol.short)} yet. They appear here as soon as the broker "
                "reports them."
            )
            return
        if app.clock.now() - found.at > prices.FRESH_FOR:
            st.caption(f"Prices as of {moment(user, found.at)}; no newer prices are available.")
        trades = trade_service.trades(app, user, limit=100, bot_id=bot.id, scope=of_account(account))
        orders = open_orders.of_user(app, user, bot_id=bot.id)
        candles.chart(user, bot, found.value, trades, open_orders.lines(orders))


def _settings(app: App, user: User, bot: Bot) -> None:
    """The current settings, and every change since the bot was created."""
    with panel("Settings", key="bot_settings"):
        fact_list(_facts(app, user, bot))
        with st.expander("Change history"):
            lines = [
                f"<li><b>{escape(change.what.removeprefix('bot ').capitalize())}</b>"
                f"<span>{escape(_changed(change))}</span><time>{moment(user, change.at)}</time></li>"
                for change in history.history(app, user, bot.id)
            ]
            st.html(f'<ol class="dt-story">{"".join(lines)}</ol>')


def _facts(app: App, user: User, bot: Bot) -> list[tuple[str, str]]:
    """The settings always shown, and the others where set."""
    place = scope.account_label(find_account(app, user, bot.account_id)) or "–"
    effects = {"daily_loss_limit": f" per {day_turn(user, app.clock.now())}"}
    settings = [
        (setting.label, _fact(setting, bot) + (effects.get(setting.name, "") if setting.value(bot) else ""))
        for setting in spec.SETTINGS
        if setting.group is not Group.PLACE
        and setting.name not in bot_form.SIZE
        and (setting.empty or setting.group is Group.TRADE or setting.shown(bot) != setting.default)
    ]
    return [("Account", place), ("Size", _size(bot)), *settings]


def _fact(setting: SettingSpec, bot: Bot) -> str:
    value = setting.shown(bot)
    if setting.empty and value == setting.default:
        return setting.empty.lower()
    value_text = (
        money(setting.value(bot), bot.symbol.currency)
        if setting.unit is Unit.MONEY
        else setting.in_words(value)
    )
    unit = {Unit.PERCENT: "%", Unit.SECONDS: " s", Unit.MINUTES: " min"}.get(setting.unit, "")
    return f"{value_text}{unit}" + (f" ({setting.effect})" if setting.effect else "")


def _changed(change: history.BotChange) -> str:
    return "; ".join(
        f"{_name(name)}: {f'{before} → ' if before else ''}{after}" for name, before, after in change.changes
    )


def _name(field: str) -> str:
    """Older rows of the history name columns."""
    setting = spec.BY_NAME.get(field)
    return setting.field_label if setting else field.replace("_", " ")


DELETES = {None: "Delete", "close": "Close at market and delete", "hand_over": "Assign and delete"}


@st.dialog("Delete the bot", icon=":material/delete:")
def _delete(bot: Bot) -> None:
    scope.badge(find_account(get_app(), guard(), bot.account_id))
    st.markdown(f"**{text(bot.name)}** stops taking alerts. Its history stays.")
    position, inheriting_bot = None, None
    if bot.position.quantity:
        st.markdown(
            f"The bot owns **{quantity(abs(bot.position.quantity))} {text(bot.symbol.short)}**. What "
            "should happen to the position?"
        )
        others = {
            b.id: b
            for b in bots_of(get_app(), guard())
            if b.id != bot.id and (b.account_id, b.symbol) == (bot.account_id, bot.symbol)
        }
        choice = st.radio(
            "Position",
            ["Close at market", *(["Assign to another bot"] if others else [])],
            label_visibility="collapsed",
        )
        position = "hand_over" if choice == "Assign to another bot" else "close"
        if position == "close":
            real = prices.real_money(find_account(get_app(), guard(), bot.account_id))
            st.markdown(
                f"The position is closed at market now, {'**with real money**' if real else 'on paper'}."
            )
        if position == "hand_over":
            inheriting_bot = st.selectbox("Bot", list(others), format_func=lambda key: others[key].name)
    with st.container(horizontal=True):
        sure = st.button(DELETES[position], type="primary", key="danger_delete")
        if st.button("Cancel", key="delete_no"):
            st.rerun()
    if sure:
        with trying() as attempt:
            service.delete_bot(get_app(), guard(), bot.id, position=position, hand_to=inheriting_bot)
        if attempt.ok:
            st.query_params.pop("bot", None)
            st.rerun()
