"""Making and changing a bot. The form says nothing about what is allowed: the service does, and knows the venue as well."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from dashtrade.domain.bots import DAYS, Bot
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.values import plain
from dashtrade.services import bots as service
from dashtrade.services.scope import covered, money_of
from dashtrade.ui import data, exit_fields, scope
from dashtrade.ui.errors import trying
from dashtrade.ui.page import guard, the_app
from dashtrade.ui.words import day_turn, text
from dashtrade.ui.zones import with_own, zone_label

SIZES = {
    "dollars": "Dollars", "quantity": "Shares or coins", "percent_of_equity": "% of equity", "risk_dollars": "Dollars lost at the stop",
    "risk_percent": "% of equity lost at the stop",
}  # fmt: skip
SIZE_NAMES = {
    SizeKind.DOLLARS: "dollars", SizeKind.QUANTITY: "quantity", SizeKind.EQUITY_PERCENT: "percent_of_equity", SizeKind.RISK_DOLLARS: "risk_dollars",
    SizeKind.RISK_PERCENT: "risk_percent",
}  # fmt: skip
SIDES = {"both": "Long and short", "long": "Long only", "short": "Short only"}
CLOSED = {"refuse": "Is refused", "wait": "Waits for the open, and is then looked at anew"}
TIMEFRAMES = ["1 Min", "5 Min", "15 Min", "30 Min", "1 Hour", "4 Hour", "1 Day", "1 Week"]
DAY_NAMES = dict(zip(DAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))


@st.dialog("New bot", width="medium")
def ask_new(like: Bot | None = None) -> None:
    """`like`: a bot to begin from."""
    accounts = {account.id: account for account in data.accounts(the_app(), guard()) if account.is_active}
    if not accounts:
        st.markdown("A bot trades on a broker account, and there is none yet.")
        if st.button("Open a paper account first", type="primary"):
            st.switch_page("pages/setup.py")
        return
    with st.form("new_bot_form", border=False, enter_to_submit=False):
        left, right = st.columns(2)
        symbol = left.text_input("Symbol", value=like.written_symbol if like else "", placeholder="AAPL, NASDAQ:TSLA, BTCUSD", max_chars=40)
        frames = TIMEFRAMES if like is None or like.timeframe.shown in TIMEFRAMES else [*TIMEFRAMES, like.timeframe.shown]
        timeframe = right.selectbox("Timeframe", frames, index=frames.index(like.timeframe.shown) if like else 2, accept_new_options=True, help="As the alert says it. Type your own if it is not here.")
        places = list(accounts)
        looked_at = [account.id for account in covered(scope.current(the_app(), guard()), list(accounts.values()))]
        place = places.index(like.account_id if like and like.account_id in accounts else next(iter(looked_at), places[0]))
        account = left.selectbox("Account", places, index=place, format_func=lambda key: scope.whose(accounts[key]))
        name = right.text_input("Name", placeholder="Symbol and timeframe", max_chars=100)
        fields = _fields(like)
        if like is not None:
            st.caption("An account has one bot for each symbol and timeframe: change one of the three.")
        sent = st.form_submit_button("Make the bot", type="primary")
    if sent:
        given = {"account_id": account, "symbol": symbol.strip(), "timeframe": timeframe or "", **fields()}
        if name.strip():
            given["name"] = name
        with trying() as attempt:
            unproven: list[str] = []
            bot_id = service.add_bot(the_app(), guard(), given, unproven.append)
        if attempt.ok:
            made = service.bot_of(the_app(), guard(), bot_id)
            if not scope.current(the_app(), guard()).covers(made.account_id, money_of(accounts[made.account_id])):
                scope.show(MoneyScope(money=money_of(accounts[made.account_id])))  # else the new bot would not be seen
            ready = f"{text(made.name)} is ready for its first alert."
            st.session_state["said"] = " ".join([ready, *map(text, unproven)])
            st.rerun()


@st.dialog("Change the bot", width="medium")
def ask_change(bot: Bot) -> None:
    with st.form("change_bot_form", border=False, enter_to_submit=False):
        name = st.text_input("Name", value=bot.name, max_chars=100)
        fields = _fields(bot)
        sent = st.form_submit_button("Save", type="primary")
    if sent:
        with trying() as attempt:
            unproven: list[str] = []
            service.change_bot(the_app(), guard(), bot.id, {"name": name, **fields()}, unproven.append)
        if attempt.ok:
            st.session_state["said"] = " ".join(["Saved. It holds from the next alert on.", *map(text, unproven)])
            st.rerun()


def _fields(bot: Bot | None) -> Any:
    """The fields that can be changed later; returns what reads them."""
    left, right = st.columns(2)
    size = left.text_input("Size of a trade", value=plain(bot.size.value) if bot else "5000")
    kinds = list(SIZES)
    kind = right.selectbox("Counted in", kinds, index=kinds.index(SIZE_NAMES[bot.size.kind]) if bot else 0, format_func=SIZES.__getitem__)
    sides = list(SIDES)
    side = left.selectbox("Direction", sides, index=sides.index(str(bot.sides)) if bot else 0, format_func=SIDES.__getitem__)
    orders = ["market", "limit"]
    order = right.selectbox("Orders", orders, index=orders.index(str(bot.order_type)) if bot else 0, format_func=str.capitalize)
    with st.expander("Limits", expanded=bot is not None):
        left, right = st.columns(2)
        turn = day_turn(guard(), the_app().clock.now())
        loss = left.text_input(
            "Daily loss limit, $", value=_written(bot.daily_loss_limit if bot else None), placeholder="None", help=f"Per {turn}.",
        )  # fmt: skip
        most = right.text_input("Largest position, $", value=_written(bot.max_position_size if bot else None), placeholder="None")
        risk = left.text_input("Stop loss, % of the position", value=_written(bot.risk_limit_percent if bot else None), placeholder="None")
        count = right.text_input("Entries a day", value=str(bot.orders_per_day or "") if bot else "", placeholder="No limit")
        cool = left.number_input("Pause between entries, seconds", min_value=0, max_value=7 * 86400, value=bot.cooldown_seconds if bot else 0, step=30)
        offset = right.text_input("Limit orders: % better than the market", value=_written(bot.limit_offset_percent if bot else Decimal(0)) or "0")
        closed = st.selectbox(
            "An entry while the market is closed", list(CLOSED), index=list(CLOSED).index(str(bot.when_closed)) if bot else 0,
            format_func=CLOSED.__getitem__,
        )
        override = st.checkbox("An alert may name its own size", value=bot.size_override if bot else False)
    exits = exit_fields.fields(bot)
    windows = _window(bot)

    def read() -> dict[str, Any]:
        return {
            "position_size": size.replace(",", "").strip(), "position_size_type": kind, "sides": side, "order_type": order,
            "daily_loss_limit": _number(loss), "max_position_size": _number(most), "risk_limit_percent": _number(risk),
            "orders_per_day": _number(count), "cooldown_seconds": int(cool), "limit_offset_percent": offset.strip() or "0",
            "size_override": override, "when_closed": closed, **exits(), **windows(),
        }  # fmt: skip

    return read


def _window(bot: Bot | None) -> Any:
    """One window is what most have; more of them can be set by the API, and are left alone here."""
    if bot is not None and len(bot.windows) > 1:
        st.caption(f"It has {len(bot.windows)} trading windows, set by the API; they stay as they are.")
        return dict
    first = bot.windows[0].written() if bot and bot.windows else None
    with st.expander("Trading hours", expanded=first is not None):
        on = st.checkbox("Open positions only within these hours", value=first is not None)
        days = st.pills("Days", list(DAYS), selection_mode="multi", default=first["days"] if first else list(DAYS[:5]), format_func=DAY_NAMES.__getitem__)
        left, middle, right = st.columns(3)
        since = left.text_input("From", value=str(first["from"]) if first else "09:30", max_chars=5)
        until = middle.text_input("To", value=str(first["to"]) if first else "16:00", max_chars=5)
        own = bot.time_zone if bot and first else "America/New_York"
        zone = right.selectbox("Time zone", with_own(own), index=with_own(own).index(own), format_func=zone_label, filter_mode="contains")

    def read() -> dict[str, Any]:
        if not on:
            return {"windows": []}
        return {"windows": [{"days": list(days), "from": since.strip(), "to": until.strip()}], "time_zone": zone}

    return read


def _written(number: Decimal | None) -> str:
    return plain(number) if number is not None else ""


def _number(written: str) -> str | None:
    return written.replace(",", "").strip() or None
