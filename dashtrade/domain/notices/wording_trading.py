"""The words of notices about alerts, orders, exits and positions."""

from __future__ import annotations

from decimal import Decimal

from dashtrade.domain import protections, wording
from dashtrade.domain.exits.wording import exit_words
from dashtrade.domain.notices import trading as n
from dashtrade.domain.notices.wording_base import Words, words
from dashtrade.domain.position_mismatch import MismatchKind, mismatch_reason, ratio_words
from dashtrade.domain.reasons import Code, Fact, reason
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import OrderSide, money, plain
from dashtrade.domain.wording import sentence

_NAMED_POSITIONS = 5


def _short(symbol: str) -> str:
    return Symbol.parse(symbol).short


def _order(side: OrderSide, quantity: Decimal, symbol: str) -> str:
    return f"{side} {plain(quantity)} {_short(symbol)}"


def _traded(side: OrderSide) -> str:
    return "bought" if side is OrderSide.BUY else "sold"


def _price(price: Decimal) -> str:
    return plain(round(price, 8))


# --- alerts and orders --------------------------------------------------------------------------------------


@words.register
def _(notice: n.AlertFailed) -> Words:
    return Words(f"{_short(notice.symbol)}: an alert failed", sentence(notice.reason))


@words.register
def _(notice: n.ExitWaitsForBroker) -> Words:
    symbol = _short(notice.symbol)
    return Words(
        f"{symbol}: broker unreachable",
        f"Your {notice.action} of {symbol} waits for the broker ({wording.words(notice.problem)}) and is "
        "sent as soon as the broker answers. If that is too late for you, act at your broker.",
    )


@words.register
def _(notice: n.EntryWaitsForMarket) -> Words:
    symbol = _short(notice.symbol)
    return Words(
        f"{symbol}: the entry waits for the market",
        f"{notice.bot}: the market of {symbol} is closed. The entry is queued and re-evaluated at "
        f"{wording.moment(notice.retry_at)}. A later close, cancel or opposite entry replaces it.",
    )


@words.register
def _(notice: n.CloseWaitsForMarket) -> Words:
    symbol = _short(notice.symbol)
    return Words(
        f"{symbol}: the close waits for the market",
        f"{notice.bot}: the market of {symbol} is closed. The close is queued until the market opens; next "
        f"try at {wording.moment(notice.retry_at)}.",
    )


@words.register
def _(notice: n.OrderFilled) -> Words:
    what, traded = f"{plain(notice.quantity)} {_short(notice.symbol)}", _traded(notice.side)
    result = ""
    if notice.realized is not None:
        result = f"; realised {'profit' if notice.realized >= 0 else 'loss'} {money(abs(notice.realized))}"
    return Words(
        f"{traded.capitalize()} {what}", f"{notice.bot}: {traded} {what} at {_price(notice.price)}{result}."
    )


@words.register
def _(notice: n.OrderRefused) -> Words:
    order = _order(notice.side, notice.quantity, notice.symbol)
    return Words(
        f"Order refused: {order}",
        f"The broker refused the order to {order}: {wording.words(notice.reason)}. Nothing was traded.",
    )


@words.register
def _(notice: n.OrderUnconfirmed) -> Words:
    order = _order(notice.side, notice.quantity, notice.symbol)
    return Words(
        f'Action needed: confirm whether "{order}" reached your broker',
        f"{sentence(notice.reason)} Look for order {notice.order_id} at your broker, then confirm under Live "
        "positions whether it was placed.",
    )


@words.register
def _(notice: n.OrderCancelledForExit) -> Words:
    order = _order(notice.side, notice.quantity, notice.symbol)
    return Words(
        f"{notice.bot}: an order was cancelled",
        f"The order to {order} was cancelled for an exit of {notice.exiting_bot}: {notice.broker} does "
        "not take opposite orders in one account, or the order holds the shares. Send the alert again "
        "if you still want it.",
    )


@words.register
def _(notice: n.OrderRecovered) -> Words:
    order = _order(notice.side, notice.quantity, notice.symbol)
    return Words(
        f"{notice.bot}: an order was found at the broker",
        f"The order to {order} of {wording.moment(notice.placed_at)} carries this bot's id and was not on "
        "record here. The bot now has it, and its fills are booked. If you restored a backup, check the "
        "bot's history.",
    )


@words.register
def _(notice: n.OrderWithoutBot) -> Words:
    order = _order(notice.side, notice.quantity, notice.symbol)
    return Words(
        f"An order without a bot: {order}",
        f"{notice.account}: an order at the broker names bot {notice.bot_id}, which does not trade "
        f"{_short(notice.symbol)} on this account. The order is {notice.status}, {plain(notice.filled)} "
        "filled, and nothing was booked here. The bot was deleted, is missing in this backup, or belongs "
        "to another installation on the same account. Cancel the order at your broker if it still works; a "
        "difference in the position is shown as a position mismatch.",
    )


# --- exits, protections, positions --------------------------------------------------------------------------


@words.register
def _(notice: n.BotStopped) -> Words:
    return Words(
        f"{notice.bot} was stopped",
        f"{sentence(notice.reason)} Its position is being closed and the bot is paused. Review, then resume "
        "the bot.",
    )


@words.register
def _(notice: n.EntriesLocked) -> Words:
    facts: dict[str, Fact] = {"scope": str(notice.scope)}
    facts |= {"symbol": _short(notice.locked_symbol)} if notice.locked_symbol else {}
    facts |= {"until": notice.until} if notice.until else {}
    effect = wording.words(reason(Code.ENTRIES_LOCKED, **facts))
    return Words(
        f"{protections.KINDS[notice.protection].title}: entries are locked",
        (
            f"{notice.bot}: {wording.words(notice.reason)}. So {effect}; exits still pass. Unlock under "
            "Risk events, or wait."
        ),
    )


@words.register
def _(notice: n.ExitFailing) -> Words:
    return Words(
        f"{notice.bot}: the {notice.exit} could not be executed",
        f"The {notice.exit} at {plain(notice.price)} was reached, and closing failed {notice.tries} times "
        f"({wording.words(notice.reason)}). The position of {plain(notice.quantity)} "
        f"{_short(notice.symbol)} is still open. DashTrade keeps trying, at longer and longer intervals; if "
        "that is too late for you, close the position at your broker.",
    )


@words.register
def _(notice: n.ExitStepSkipped) -> Words:
    return Words(
        f"{notice.bot}: a {notice.exit} step was skipped",
        f"The step at {plain(notice.price)} was reached, and nothing was traded: "
        f"{wording.words(notice.reason)}. The other exits stay as they are.",
    )


@words.register
def _(notice: n.StopLimitUnfilled) -> Words:
    return Words(
        f"{notice.bot}: the stop-limit is not filled",
        f"The stop at {plain(notice.price)} was reached, and its limit order at {plain(notice.limit)} has "
        f"not been filled for {notice.seconds} s: the price has moved through the limit. The order stays "
        "working and is renewed when its day ends. Close the position to exit at market.",
    )


@words.register
def _(notice: n.ExitsTakenOver) -> Words:
    return Words(
        f"{notice.bot}: exits no longer placed at {notice.broker}",
        f"{notice.broker} no longer holds the exits of {plain(notice.quantity)} {_short(notice.symbol)} "
        f"({wording.words(notice.reason)}). DashTrade manages them from now on, while it runs"
        f"{': ' if notice.exits else ''}{'; '.join(exit_words(line) for line in notice.exits)}.",
    )


@words.register
def _(notice: n.PositionSplit) -> Words:
    symbol = _short(notice.symbol)
    return Words(
        f"{notice.bot}: {symbol} was split",
        f"{symbol} was split {ratio_words(notice.ratio)}. The bot now owns {plain(notice.after)} instead of "
        f"{plain(notice.before)}, at the same cost, and the exits managed by DashTrade were adjusted. Check "
        "orders working at the broker: their prices are from before the split.",
    )


@words.register
def _(notice: n.PositionMismatch) -> Words:
    symbol = Symbol.parse(notice.symbol)
    detail = mismatch_reason(
        MismatchKind(notice.difference),
        notice.ratio,
        symbol=symbol,
        bots_quantity=notice.bots,
        outside=notice.outside,
        broker_quantity=notice.broker,
    )
    meanwhile = (
        "bots sell no more than the broker holds for them, and otherwise trade on"
        if notice.ratio is None
        else "the exits managed by DashTrade pause, as their prices are from before the split"
    )
    return Words(
        f"{symbol.short}: position mismatch",
        f"{notice.account}: {wording.sentence(detail)} Until you resolve it, {meanwhile}. Assign the "
        "difference to a bot (a split: to all that hold it), keep it as your own, or freeze the symbol.",
    )


@words.register
def _(notice: n.MismatchGone) -> Words:
    symbol = _short(notice.symbol)
    return Words(
        f"{symbol}: the position mismatch is gone",
        f"Your broker reports {plain(notice.quantity)} {symbol}, as your bots and you together do. There is "
        "nothing left to resolve.",
    )


@words.register
def _(notice: n.MismatchAssigned) -> Words:
    what = f"{plain(notice.quantity)} {_short(notice.symbol)}"
    price = money(notice.price) if notice.price >= 1 else plain(notice.price)
    return Words(
        f"{notice.bot}: the position mismatch is resolved",
        f"You assigned the difference at the broker to this bot: it counts as if the bot had "
        f"{_traded(notice.side)} {what} at {price}. It now owns {plain(notice.position)}.",
    )


@words.register
def _(notice: n.FlattenIncomplete) -> Words:
    left = "; ".join(
        f"{_short(one.symbol)} (bot {one.bot_id}): {wording.words(one.reason)}"
        for one in notice.left[:_NAMED_POSITIONS]
    )
    return Words(
        "Not all positions could be closed",
        f"{notice.positions - len(notice.left)} of {notice.positions} positions are closed. Left: {left}. "
        "Close the rest at your broker, or try again.",
    )


@words.register
def _(notice: n.FlattenDone) -> Words:
    return Words(
        "All positions are closed", f"All {notice.positions} positions you asked to close are closed."
    )
