"""Open orders: quantity, price, distance from the market, account, and cancelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import streamlit as st

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.orders import UNCONFIRMED, Order, OrderStatus
from dashtrade.domain.people import User
from dashtrade.domain.scope import MoneyScope
from dashtrade.domain.values import OrderSide, OrderType
from dashtrade.services.accounts import prices
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.bots.owned import bot_names
from dashtrade.services.trading import orders as service
from dashtrade.services.trading.scope import covered
from dashtrade.ui.kit.components import Cell, Column, Row, table
from dashtrade.ui.kit.format import MINUS, age, count, price, quantity, reason_words, span, text
from dashtrade.ui.shell.errors import trying
from dashtrade.ui.shell.page import get_app, guard, panel

TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "Stop limit",
    OrderType.TRAILING_STOP: "Trailing stop",
}
COLUMNS = [
    Column(label="Market"),
    Column(label="Side"),
    Column(label="Quantity", number=True, wide_only=True),
    Column(label="Type", wide_only=True),
    Column(label="Price", number=True),
    Column(label="Distance", number=True, wide_only=True),
    Column(label="Age", number=True, wide_only=True),
    Column(label="Placed at", wide_only=True),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOrder:
    """An open order with its bot, account and price."""

    order: Order
    account: Account | None
    bot: str

    @property
    def is_live(self) -> bool:
        return prices.real_money(self.account)

    @property
    def protects(self) -> bool:
        """Whether the order is an exit placed at the broker for a position."""
        return self.order.parent_id is not None


def of_user(
    app: App, user: User, *, bot_id: int | None = None, scope: MoneyScope | None = None
) -> list[OpenOrder]:
    """Live orders first, newest first."""
    found = service.open_orders(app, user, bot_id=bot_id)
    if not found:
        return []
    accounts, names = {account.id: account for account in accounts_of(app, user)}, bot_names(app, user)
    waiting = [
        OpenOrder(order=o, account=accounts.get(o.account_id), bot=names.get(o.bot_id, "A deleted bot"))
        for o in found
    ]
    if scope is not None:
        ids = {account.id for account in covered(scope, list(accounts.values()))}
        waiting = [one for one in waiting if one.order.account_id in ids]
    return sorted(waiting, key=lambda one: not one.is_live)


# --- one order ----------------------------------------------------------------------------------------------


def target(order: Order) -> Decimal | None:
    """The price the order waits for: a stop's trigger, else the limit."""
    return order.stop_price if order.stop_price is not None else order.limit_price


def lines(found: Sequence[OpenOrder]) -> list[tuple[float, str]]:
    """For a chart: (price, text). Exits placed at the broker are drawn as the position's stop and target."""
    shown = [(target(one.order), one.order) for one in found if not one.protects]
    return [(float(at), f"{order.side} {quantity(order.remaining)}") for at, order in shown if at is not None]


def price_words(order: Order) -> tuple[str, str]:
    if order.trail_percent is not None or order.trail_amount is not None:
        by = (
            f"{quantity(order.trail_percent)}%"
            if order.trail_percent is not None
            else price(order.trail_amount)
        )
        return f"trails {by}", f"now at {price(order.stop_price)}" if order.stop_price is not None else ""
    if order.stop_price is not None and order.limit_price is not None:
        return f"stop {price(order.stop_price)}", f"limit {price(order.limit_price)}"
    return ("at market", "") if target(order) is None else (price(target(order)), "")


def distance_cell(app: App, one: OpenOrder) -> Cell:
    """The distance from the market price."""
    live, target_price = f"od{one.order.id}", target(one.order)
    mark, old = (
        prices.price_of(app, one.account, one.order.symbol)
        if one.account is not None and target_price is not None
        else (None, None)
    )
    if mark is None or target_price is None or not mark:
        return Cell(text="–", live=live)
    percent = (target_price - mark) / mark * 100
    return Cell(
        text=f"{'+' if percent > 0 else MINUS if percent < 0 else ''}{abs(percent):.2f}%",
        sub=f"market {price(mark)}{age_text(old)}",
        live=live,
    )


def age_text(old: timedelta | None) -> str:
    return "" if old is None else f", {age(old)}"


def works_at(app: App, user: User, one: OpenOrder) -> Cell:
    order, account = one.order, one.account
    if account is None:
        return Cell(text="–")
    if order.cancel_requested:
        return Cell(text="Being cancelled", tone="warn")
    if order.status is OrderStatus.CREATED:
        return Cell(text="DashTrade", sub=reason_words(user, order.reason) or "not sent yet")
    name = (
        "Paper broker"
        if prices.is_local(account) or account.simulated
        else app.brokers.capabilities(account).name
    )
    if order.status in UNCONFIRMED:
        return Cell(text=name, sub="status not confirmed", tone="warn")
    return Cell(text=name, sub=account.label)


def row(app: App, user: User, one: OpenOrder) -> Row:
    order = one.order
    written, more = price_words(order)
    effect = "exit" if order.effect.reduces else "entry"
    if one.protects:
        effect = "take profit" if order.type is OrderType.LIMIT else "stop loss"
    filled = f"{quantity(order.filled_quantity)} filled" if order.filled_quantity else ""
    can_cancel = not order.cancel_requested and order.status is not OrderStatus.ATTENTION
    return Row(
        id=order.id,
        kind="live" if one.is_live else "",
        actions=(("cancel", "Cancel"),) if can_cancel else (),
        cells=[
            Cell(text=order.symbol.short, sub=f"{'LIVE · ' if one.is_live else ''}{one.bot}"),
            Cell(
                text=order.side.capitalize(),
                sub=f"{effect} of {quantity(order.remaining)}",
                tone="up" if order.side is OrderSide.BUY else "down",
                badge=True,
            ),
            Cell(text=quantity(order.quantity), sub=filled),
            Cell(text=TYPES[order.type], sub=str(order.time_in_force).upper()),
            Cell(text=written, sub=more),
            distance_cell(app, one),
            Cell(text=span(app.clock.now() - order.created_at)),
            works_at(app, user, one),
        ],
    )


# --- the list -----------------------------------------------------------------------------------------------


def show_list(app: App, user: User, *, bot_id: int | None = None, scope: MoneyScope | None = None) -> None:
    """Draws nothing without open orders."""
    found = of_user(app, user, bot_id=bot_id, scope=scope)
    if not found:
        return
    name = f"orders_{bot_id or 'all'}"
    with panel(key=f"{name}_panel"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(f"Open orders ({len(found)})", anchor=False, width="content")
            st.space("stretch")
            if len(found) > 1 and st.button(f"Cancel all {len(found)}", key=f"{name}_cancel_all"):
                ask([one.order.id for one in found])
        clicked = table(name, "Open orders", COLUMNS, [row(app, user, one) for one in found], opens=True)
    if clicked and clicked[1] == "cancel":
        ask([clicked[0]])
    elif clicked:
        signal = next((one.order.signal_id for one in found if one.order.id == clicked[0]), None)
        if signal:
            st.switch_page("pages/signals.py", query_params={"signal": signal})


def ask(order_ids: Sequence[str]) -> None:
    """Opens at the next full run: a part of the page that reruns itself would close the dialog."""
    st.session_state["cancelling"] = list(order_ids)
    st.rerun()


def show(user: User) -> None:
    """Called at the end of pages with a list of orders."""
    if "cancelling" in st.session_state:
        order_ids = st.session_state.pop("cancelling")
        found = [one for one in of_user(get_app(), user) if one.order.id in order_ids]
        if found:
            _question(found)
        else:
            st.toast("Nothing to cancel: these orders have already ended.")


@st.dialog("Cancel orders", icon=":material/cancel:")
def _question(found: Sequence[OpenOrder]) -> None:
    app = get_app()
    entries = [one for one in found if not one.order.effect.reduces]
    exits = [one for one in found if one.order.effect.reduces]
    chosen = list(found)
    if len(found) == 1:
        st.markdown(f"Cancel this order{_money(found)}?")
        st.markdown(_line(app, found[0]))
    else:
        live = sum(one.is_live for one in found)
        st.markdown(
            f"**{count(len(found), 'open order')}**"
            f"{f', {live} of them with real money' if live else ' on paper'}. Which should be cancelled?"
        )
        chosen = _ticked("entries", "Entries", entries) + _ticked("exits", "Exits", exits)
    if protecting := [one for one in chosen if one.protects]:
        st.warning(
            f"**{count(len(protecting), 'order')} at the broker "
            f"{'is the exit' if len(protecting) == 1 else 'are exits'} of an open position.** If "
            "cancelled, the broker no longer protects it: DashTrade manages its stop and target from then "
            "on, and only while it runs.",
            icon=":material/warning:",
        )
    elif any(one.order.effect.reduces for one in chosen):
        st.caption("Cancelling an exit leaves its position open.")
    with st.container(horizontal=True):
        words = "Cancel the order" if len(found) == 1 else f"Cancel {count(len(chosen), 'order')}"
        pressed = st.button(words, type="primary", key="cancel_orders_yes", disabled=not chosen)
        if st.button("Keep orders", key="cancel_orders_no"):
            st.rerun()
    if pressed:
        _cancel([one.order.id for one in chosen])


def _ticked(name: str, label: str, these: list[OpenOrder]) -> list[OpenOrder]:
    if not these:
        return []
    shown = ", ".join(dict.fromkeys(one.order.symbol.short for one in these))
    return (
        these
        if st.checkbox(
            f"{label} ({len(these)}): {text(shown)}", value=name == "entries", key=f"cancel_{name}"
        )
        else []
    )


def _money(found: Sequence[OpenOrder]) -> str:
    return " **with real money**" if any(one.is_live for one in found) else " on paper"


def _line(app: App, one: OpenOrder) -> str:
    order, (written, more) = one.order, price_words(one.order)
    what = f"{order.side.capitalize()} {quantity(order.remaining)} {order.symbol.short}"
    return (
        f"**{text(what)}** · {TYPES[order.type]} {text(written)}{f' {text(more)}' if more else ''} · "
        f"{text(one.bot)}"
    )


def _cancel(order_ids: Sequence[str]) -> None:
    user = guard()
    with trying() as attempt:
        cancelled_count = service.cancel_all(get_app(), user, order_ids)
    if attempt.ok:
        st.session_state["toast"] = (
            f"{count(cancelled_count, 'order')}: cancellation requested."
            if cancelled_count
            else "Nothing to cancel: these orders have already ended."
        )
        st.rerun()
