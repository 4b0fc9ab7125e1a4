"""Creating and changing a bot. The form parses input; the service, which also knows the broker, decides
what is allowed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import streamlit as st

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import DAYS, Bot
from dashtrade.domain.ports import BrokerError
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of, find_account
from dashtrade.services.bots import bots as service
from dashtrade.services.bots import spec
from dashtrade.services.bots.kinds import DAY_NAMES
from dashtrade.services.bots.setting_spec import Group
from dashtrade.services.bots.spec import BY_NAME as SPEC
from dashtrade.services.trading.scope import covered, money_of
from dashtrade.ui.bots import exit_fields
from dashtrade.ui.bots.exit_fields import Stake
from dashtrade.ui.bots.setting_fields import UNUSED_KEY, Read, field, number, section
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import day_turn, text
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.page import get_app, guard

SIZE = ("position_size", "position_size_type")
TIMEFRAMES = ["1 Min", "5 Min", "15 Min", "30 Min", "1 Hour", "4 Hour", "1 Day", "1 Week"]


def ask_new(like: Bot | None = None) -> None:
    """`like`: a bot to copy."""
    st.dialog("New bot", width="medium")(new_form)(like, secrets.token_hex(3))


def ask_change(bot: Bot) -> None:
    st.dialog("Edit bot", width="medium")(change_form)(bot, secrets.token_hex(3))


def new_form(like: Bot | None, opened: str) -> None:
    """`opened` identifies this opening of the dialog, so that input from a dismissed one does not
    reappear."""
    accounts = {account.id: account for account in accounts_of(get_app(), guard()) if account.is_active}
    if not accounts:
        st.markdown("A bot needs a broker account, and you have none yet.")
        if st.button("Open a paper account first", type="primary"):
            st.switch_page("pages/setup.py")
        return
    form = Form(f"bot_{opened}")
    symbol, timeframe, account, name = _place(form, like, accounts)
    read = _fields(form, like, accounts[account], symbol)
    if like is not None:
        st.caption("An account has one bot for each symbol and timeframe: change one of the three.")
    form.complaints()
    if st.button("Create bot", type="primary", key=f"{form.name}_yes"):
        unproven: list[str] = []
        with form.trying() as attempt:
            if not symbol:
                raise Malformed(
                    "Symbol is empty",
                    where="symbol",
                    hint="Enter what the bot trades, such as AAPL or BTCUSD.",
                )
            given = {"account_id": account, "symbol": symbol, "timeframe": timeframe or "", **read()}
            if name:
                given["name"] = name
            bot_id = service.add_bot(get_app(), guard(), given, unproven.append)
        if attempt.ok:
            new_bot = service.bot_of(get_app(), guard(), bot_id)
            if not scope.current(get_app(), guard()).covers(
                new_bot.account_id, money_of(accounts[new_bot.account_id])
            ):
                # otherwise the new bot would be hidden
                scope.show(MoneyScope(money=money_of(accounts[new_bot.account_id])))
            ready = f"{text(new_bot.name)} is ready for its first alert."
            st.session_state["toast"] = " ".join([ready, *map(text, unproven)])
            st.rerun()


def _place(form: Form, like: Bot | None, accounts: dict[int, Account]) -> tuple[str, str | None, int, str]:
    """Symbol, timeframe, account and name."""
    left, right = st.columns(2)
    symbol = form.text(
        "symbol",
        SPEC["symbol"].label,
        left,
        value=like.written_symbol if like else "",
        placeholder="AAPL, NASDAQ:TSLA, BTCUSD",
        max_chars=40,
    )
    frames = [*TIMEFRAMES]
    if like is not None and like.timeframe.shown not in frames:
        frames.append(like.timeframe.shown)
    timeframe = form.at("timeframe", SPEC["timeframe"].label, right).selectbox(
        SPEC["timeframe"].label,
        frames,
        index=frames.index(like.timeframe.shown) if like else 2,
        accept_new_options=True,
        help="As in the alert. Type a value if it is not listed.",
        key=form.key("timeframe"),
    )
    places = list(accounts)
    shown = covered(scope.current(get_app(), guard()), list(accounts.values()))
    usual = next((account.id for account in shown), places[0])
    left, right = st.columns(2)
    account = form.at("account_id", SPEC["account_id"].label, left).selectbox(
        SPEC["account_id"].label,
        places,
        index=places.index(like.account_id if like and like.account_id in accounts else usual),
        format_func=lambda key: scope.account_label(accounts[key]),
        key=form.key("account_id"),
    )
    name = form.text(
        "name",
        SPEC["name"].label,
        right,
        placeholder="Symbol and timeframe",
        max_chars=100,
        on_change=UNUSED_KEY,
    )
    return symbol, timeframe, account, name


def change_form(bot: Bot, opened: str) -> None:
    form = Form(f"bot_{opened}")
    name = form.text("name", "Name", value=bot.name, max_chars=100, on_change=UNUSED_KEY)
    read = _fields(form, bot, find_account(get_app(), guard(), bot.account_id), bot.written_symbol)
    form.complaints()
    if st.button("Save", type="primary", key=f"{form.name}_yes"):
        unproven: list[str] = []
        with form.trying() as attempt:
            service.change_bot(get_app(), guard(), bot.id, {"name": name, **read()}, unproven.append)
        if attempt.ok:
            st.session_state["toast"] = " ".join(
                ["Saved. Applies from the next alert.", *map(text, unproven)]
            )
            st.rerun()


def _fields(form: Form, bot: Bot | None, account: Account | None, symbol: str) -> Read:
    """The fields that can be changed later; returns a function that reads them."""
    size, kind = _size(form, bot)
    trade = section(
        form, [setting for setting in spec.of_group(Group.TRADE) if setting.name not in SIZE], bot
    )
    with st.expander(Group.LIMITS, expanded=bot is not None):
        day_start = day_turn(guard(), get_app().clock.now())
        daily = SPEC["daily_loss_limit"].help
        limits = section(
            form, spec.of_group(Group.LIMITS), bot, help={"daily_loss_limit": f"{daily} Per {day_start}."}
        )
    with st.expander(Group.ORDERS):
        orders = section(form, spec.of_group(Group.ORDERS), bot)
    exits = exit_fields.fields(form, bot, _stake(account, symbol, kind, size))
    hours = _hours(form, bot)

    def read() -> dict[str, Any]:
        percent = "percent" in kind
        found = number(
            form,
            SPEC["position_size"],
            size,
            missing="Enter the order size.",
            most=100 if percent else None,
            percent=percent,
        )
        given = {"position_size": found, "position_size_type": kind}
        return given | trade() | limits() | orders() | exits() | hours()

    return read


def _size(form: Form, bot: Bot | None) -> tuple[str, str]:
    """The size as entered; the hints at stop and target follow it while typing."""
    left, right = st.columns(2)
    size = form.text(
        "position_size",
        SPEC["position_size"].label,
        left,
        value=SPEC["position_size"].shown(bot) if bot else "5000",
        max_chars=40,
        live=True,
    )
    kind = field(form, SPEC["position_size_type"], bot, right, on_change=None)()
    return size, kind


def _stake(account: Account | None, symbol: str, kind: str, size: str) -> Stake:
    """Prices and equity of the built-in paper market only: typing must not wait for a venue."""
    price = equity = None
    if account is not None and account.built_in:
        try:
            price = prices.mark_of(get_app(), account, Symbol.parse(symbol)) if kind == "quantity" else None
            state = prices.state_of(get_app(), account) if "percent" in kind else None
            equity = None if state is None or isinstance(state, BrokerError) else state.equity
        except Malformed:
            pass  # the symbol is still being typed
    return Stake(
        kind=kind,
        size=exit_fields.number_or_none(size, percent="percent" in kind),
        price=price,
        equity=equity,
    )


def _hours(form: Form, bot: Bot | None) -> Read:
    """Most bots have one window; more can be set by the API and are left unchanged here."""
    windows = bot.windows if bot else ()
    with st.expander(Group.HOURS, expanded=bool(windows)):
        zone = field(form, SPEC["time_zone"], bot, now=bot.time_zone if bot else "America/New_York")
        if len(windows) > 1:
            st.caption(
                f"This bot has {len(windows)} trading windows set through the API. They are not changed here."
            )
            return lambda: {"time_zone": zone()}
        window = _window(form, SPEC["windows"].shown(bot)[0] if bot and windows else None)
    return lambda: {"windows": window(), "time_zone": zone()}


def _window(form: Form, now: dict[str, Any] | None) -> Callable[[], list[dict[str, Any]]]:
    """The one window, or none if unticked."""
    on = st.checkbox(
        "Open positions only within these hours",
        value=now is not None,
        on_change=UNUSED_KEY,
        key=form.key("hours"),
    )
    days = form.at("windows", SPEC["windows"].label).pills(
        "Days",
        list(DAYS),
        selection_mode="multi",
        default=now["days"] if now else list(DAYS[:5]),
        format_func=DAY_NAMES.__getitem__,
        on_change=UNUSED_KEY,
        key=form.key("windows"),
    )
    left, right = st.columns(2)
    since = _clock(form, "since", "From", left, value=str(now["from"]) if now else "09:30")
    until = _clock(form, "until", "To", right, value=str(now["to"]) if now else "16:00")

    def read() -> list[dict[str, Any]]:
        if not on:
            return []
        if not days:
            raise Malformed(
                "No days are chosen", where="windows", hint="Choose at least one, or untick the hours."
            )
        return [{"days": list(days), "from": since(), "to": until()}]

    return read


def _clock(form: Form, where: str, label: str, column: Any, *, value: str) -> Callable[[], str | None]:
    entered = form.text(where, label, column, value=value, max_chars=5, on_change=UNUSED_KEY)
    missing = "Enter a time such as 09:30, or untick the hours."
    return lambda: read_input.clock(entered, where, label, missing=missing)
