"""Making and changing a bot. The form reads what people write; what is allowed, the service says, which knows
the venue as well."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import DAYS, Bot
from dashtrade.domain.ports import BrokerError
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed, plain
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of, find_account
from dashtrade.services.bots import bots as service
from dashtrade.services.trading.scope import covered, money_of
from dashtrade.ui.bots import exit_fields
from dashtrade.ui.bots.exit_fields import Stake
from dashtrade.ui.kit import read_input
from dashtrade.ui.kit.form import Form
from dashtrade.ui.kit.format import day_turn, text
from dashtrade.ui.kit.time_zones import with_own, zone_label
from dashtrade.ui.shell import scope
from dashtrade.ui.shell.page import guard, the_app

SIZES = {
    "dollars": "Dollars",
    "quantity": "Shares or coins",
    "percent_of_equity": "% of equity",
    "risk_dollars": "Dollars lost at the stop",
    "risk_percent": "% of equity lost at the stop",
}
SIZE_NAMES = {
    SizeKind.DOLLARS: "dollars",
    SizeKind.QUANTITY: "quantity",
    SizeKind.EQUITY_PERCENT: "percent_of_equity",
    SizeKind.RISK_DOLLARS: "risk_dollars",
    SizeKind.RISK_PERCENT: "risk_percent",
}
SIDES = {"both": "Long and short", "long": "Long only", "short": "Short only"}
CLOSED = {"refuse": "Is refused", "wait": "Waits for the open, and is then looked at anew"}
TIMEFRAMES = ["1 Min", "5 Min", "15 Min", "30 Min", "1 Hour", "4 Hour", "1 Day", "1 Week"]
DAY_NAMES = dict(zip(DAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
MAX_LOSS = "Max loss per position"  # the risk limit, wherever it is shown
MAX_LOSS_DOES = "closes and pauses"
# taken along by the next button: only what a line below speaks of is read while it is typed
STAGED: Any = "ignore"

Read = Callable[[], dict[str, Any]]


def ask_new(like: Bot | None = None) -> None:
    """`like`: a bot to begin from."""
    st.dialog("New bot", width="medium")(new_form)(like, secrets.token_hex(3))


def ask_change(bot: Bot) -> None:
    st.dialog("Change the bot", width="medium")(change_form)(bot, secrets.token_hex(3))


def new_form(like: Bot | None, opened: str) -> None:
    """`opened` names this asking: what was typed into one that was dismissed is not met again."""
    accounts = {account.id: account for account in accounts_of(the_app(), guard()) if account.is_active}
    if not accounts:
        st.markdown("A bot trades on a broker account, and there is none yet.")
        if st.button("Open a paper account first", type="primary"):
            st.switch_page("pages/setup.py")
        return
    form = Form(f"bot_{opened}")
    left, right = st.columns(2)
    symbol = form.text(
        "symbol",
        "Symbol",
        left,
        value=like.written_symbol if like else "",
        placeholder="AAPL, NASDAQ:TSLA, BTCUSD",
        max_chars=40,
    )
    frames = (
        TIMEFRAMES
        if like is None or like.timeframe.shown in TIMEFRAMES
        else [*TIMEFRAMES, like.timeframe.shown]
    )
    timeframe = form.at("timeframe", "Timeframe", right).selectbox(
        "Timeframe",
        frames,
        index=frames.index(like.timeframe.shown) if like else 2,
        accept_new_options=True,
        help="As the alert says it. Type your own if it is not here.",
        key=form.key("timeframe"),
    )
    places = list(accounts)
    looked_at = [
        account.id for account in covered(scope.current(the_app(), guard()), list(accounts.values()))
    ]
    left, right = st.columns(2)
    account = form.at("account_id", "Account", left).selectbox(
        "Account",
        places,
        index=places.index(
            like.account_id if like and like.account_id in accounts else next(iter(looked_at), places[0])
        ),
        format_func=lambda key: scope.whose(accounts[key]),
        key=form.key("account_id"),
    )
    name = form.text(
        "name", "Name", right, placeholder="Symbol and timeframe", max_chars=100, on_change=STAGED
    )
    read = _fields(form, like, accounts[account], symbol)
    if like is not None:
        st.caption("An account has one bot for each symbol and timeframe: change one of the three.")
    form.complaints()
    if st.button("Make the bot", type="primary", key=f"{form.name}_yes"):
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
            bot_id = service.add_bot(the_app(), guard(), given, unproven.append)
        if attempt.ok:
            made = service.bot_of(the_app(), guard(), bot_id)
            if not scope.current(the_app(), guard()).covers(
                made.account_id, money_of(accounts[made.account_id])
            ):
                # else the new bot would not be seen
                scope.show(MoneyScope(money=money_of(accounts[made.account_id])))
            ready = f"{text(made.name)} is ready for its first alert."
            st.session_state["said"] = " ".join([ready, *map(text, unproven)])
            st.rerun()


def change_form(bot: Bot, opened: str) -> None:
    form = Form(f"bot_{opened}")
    name = form.text("name", "Name", value=bot.name, max_chars=100, on_change=STAGED)
    read = _fields(form, bot, find_account(the_app(), guard(), bot.account_id), bot.written_symbol)
    form.complaints()
    if st.button("Save", type="primary", key=f"{form.name}_yes"):
        unproven: list[str] = []
        with form.trying() as attempt:
            service.change_bot(the_app(), guard(), bot.id, {"name": name, **read()}, unproven.append)
        if attempt.ok:
            st.session_state["said"] = " ".join(
                ["Saved. It holds from the next alert on.", *map(text, unproven)]
            )
            st.rerun()


def _fields(form: Form, bot: Bot | None, account: Account | None, symbol: str) -> Read:
    """The fields that can be changed later; returns what reads them."""
    left, right = st.columns(2)
    size = form.text(
        "position_size",
        "Size of a trade",
        left,
        value=plain(bot.size.value) if bot else "5000",
        max_chars=40,
        live=True,
    )
    kinds = list(SIZES)
    kind = form.at(
        "position_size_type",
        "Counted in",
        right,
        hint="Choose a stop below, or let alerts name their own size.",
    ).selectbox(
        "Counted in",
        kinds,
        index=kinds.index(SIZE_NAMES[bot.size.kind]) if bot else 0,
        format_func=SIZES.__getitem__,
        key=form.key("position_size_type"),
    )
    left, right = st.columns(2)
    sides = list(SIDES)
    side = form.at(
        "sides", "Direction", left, hint="Choose Long only, or another symbol or account."
    ).selectbox(
        "Direction",
        sides,
        index=sides.index(str(bot.sides)) if bot else 0,
        format_func=SIDES.__getitem__,
        on_change=STAGED,
        key=form.key("sides"),
    )
    orders = ["market", "limit"]
    order = form.at(
        "order_type", "Orders", right, hint="Choose the other kind, or another account."
    ).selectbox(
        "Orders",
        orders,
        index=orders.index(str(bot.order_type)) if bot else 0,
        format_func=str.capitalize,
        on_change=STAGED,
        key=form.key("order_type"),
    )
    limits = _limits(form, bot)
    exits = exit_fields.fields(form, bot, _stake(account, symbol, kind, size))
    windows = _window(form, bot)

    def read() -> dict[str, Any]:
        most = 100 if kind in ("percent_of_equity", "risk_percent") else None
        percent = most is not None
        said = form.number(
            "position_size", size, missing="Enter how much one trade is to be.", most=most, percent=percent
        )
        return {
            "position_size": said,
            "position_size_type": kind,
            "sides": side,
            "order_type": order,
            **limits(),
            **exits(),
            **windows(),
        }

    return read


def _limits(form: Form, bot: Bot | None) -> Read:
    with st.expander("Limits", expanded=bot is not None):
        left, right = st.columns(2)
        turn = day_turn(guard(), the_app().clock.now())
        loss = _optional(
            form,
            "daily_loss_limit",
            "Daily loss limit, $",
            left,
            bot.daily_loss_limit if bot else None,
            help=f"Per {turn}.",
        )
        most = _optional(
            form, "max_position_size", "Largest position, $", right, bot.max_position_size if bot else None
        )
        left, right = st.columns(2)
        risk = _optional(
            form,
            "risk_limit_percent",
            f"{MAX_LOSS}, %",
            left,
            bot.risk_limit_percent if bot else None,
            help=(
                "A position that is so far down is closed at the market, and the bot pauses until you "
                "resume it. A stop closes and lets the bot trade on."
            ),
        )
        count = _optional(
            form,
            "orders_per_day",
            "Entries a day",
            right,
            Decimal(bot.orders_per_day) if bot and bot.orders_per_day else None,
            empty="No limit",
        )
        left, right = st.columns(2)
        cool = left.number_input(
            "Pause between entries, seconds",
            min_value=0,
            max_value=7 * 86400,
            value=bot.cooldown_seconds if bot else 0,
            step=30,
            on_change=STAGED,
            key=form.key("cooldown_seconds"),
        )
        offset = form.text(
            "limit_offset_percent",
            "Limit orders: % better than the market",
            right,
            value=_written(bot.limit_offset_percent if bot else Decimal(0)) or "0",
            on_change=STAGED,
        )
        closed = st.selectbox(
            "An entry while the market is closed",
            list(CLOSED),
            index=list(CLOSED).index(str(bot.when_closed)) if bot else 0,
            format_func=CLOSED.__getitem__,
            on_change=STAGED,
            key=form.key("when_closed"),
        )
        override = st.checkbox(
            "An alert may name its own size",
            value=bot.allow_alert_size if bot else False,
            on_change=STAGED,
            key=form.key("size_override"),
        )

    def read() -> dict[str, Any]:
        return {
            "daily_loss_limit": form.number("daily_loss_limit", loss),
            "max_position_size": form.number("max_position_size", most),
            "risk_limit_percent": form.number("risk_limit_percent", risk, most=100, percent=True),
            "orders_per_day": form.number("orders_per_day", count, most=100_000, whole=True),
            "cooldown_seconds": int(cool),
            "limit_offset_percent": form.number(
                "limit_offset_percent", offset, above=None, least=-50, most=50, percent=True
            )
            or "0",
            "size_override": override,
            "when_closed": closed,
        }

    return read


def _optional(
    form: Form, where: str, label: str, column: Any, now: Decimal | None, *, empty: str = "None", **more: Any
) -> str:
    return form.text(
        where, label, column, value=_written(now), placeholder=empty, max_chars=40, on_change=STAGED, **more
    )


def _stake(account: Account | None, symbol: str, kind: str, size: str) -> Stake:
    """Prices and equity are those of our own paper market: a venue is not waited for while somebody types."""
    price = equity = None
    if account is not None and account.broker == "paper":
        try:
            price = prices.mark_of(the_app(), account, Symbol.parse(symbol)) if kind == "quantity" else None
            state = prices.state_of(the_app(), account) if "percent" in kind else None
            equity = None if state is None or isinstance(state, BrokerError) else state.equity
        except Malformed:
            pass  # of the symbol, which is not typed to its end yet
    return Stake(
        kind=kind, size=exit_fields.readable(size, percent="percent" in kind), price=price, equity=equity
    )


def _window(form: Form, bot: Bot | None) -> Read:
    """One window is what most have; more of them can be set by the API, and are left alone here."""
    if bot is not None and len(bot.windows) > 1:
        st.caption(f"It has {len(bot.windows)} trading windows, set by the API; they stay as they are.")
        return dict
    first = bot.windows[0].written() if bot and bot.windows else None
    with st.expander("Trading hours", expanded=first is not None):
        on = st.checkbox(
            "Open positions only within these hours",
            value=first is not None,
            on_change=STAGED,
            key=form.key("hours"),
        )
        days = form.at("windows", "Trading hours").pills(
            "Days",
            list(DAYS),
            selection_mode="multi",
            default=first["days"] if first else list(DAYS[:5]),
            format_func=DAY_NAMES.__getitem__,
            on_change=STAGED,
            key=form.key("windows"),
        )
        left, middle, right = st.columns(3)
        since = form.text(
            "since",
            "From",
            left,
            value=str(first["from"]) if first else "09:30",
            max_chars=5,
            on_change=STAGED,
        )
        until = form.text(
            "until", "To", middle, value=str(first["to"]) if first else "16:00", max_chars=5, on_change=STAGED
        )
        own = bot.time_zone if bot and first else "America/New_York"
        zone = form.at("time_zone", "Time zone", right).selectbox(
            "Time zone",
            with_own(own),
            index=with_own(own).index(own),
            format_func=zone_label,
            filter_mode="contains",
            on_change=STAGED,
            key=form.key("time_zone"),
        )

    def read() -> dict[str, Any]:
        if not on:
            return {"windows": []}
        if not days:
            raise Malformed(
                "no day is chosen", where="windows", hint="Choose at least one, or untick the hours."
            )
        missing = "Enter a time such as 09:30, or untick the hours."
        hours = {
            "from": read_input.clock(since, "since", "From", missing=missing),
            "to": read_input.clock(until, "until", "To", missing=missing),
        }
        return {"windows": [{"days": list(days), **hours}], "time_zone": zone}

    return read


def _written(number: Decimal | None) -> str:
    return plain(number) if number is not None else ""
