"""The live cells: their names, and the words in them. A page draws them once, the ticker pushes them; both ask here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from dashtrade.app import App
from dashtrade.domain.drift import asset_of
from dashtrade.domain.ports import BrokerError, BrokerPosition
from dashtrade.domain.values import ZERO, Symbol
from dashtrade.tables.accounts import Account
from dashtrade.tables.people import User
from dashtrade.ui import data
from dashtrade.ui.parts import Cell
from dashtrade.services.prices import Holding, positions_of, state_of
from dashtrade.ui.standing import money_in, open_profit
from dashtrade.ui.words import money, percent, price, signed, tone


def mark(held: Holding) -> Cell:
    return Cell(text=price(held.mark), flash=True, live=f"m{held.bot.id}")


def profit(held: Holding) -> Cell:
    if not held.bot.position.quantity:
        return Cell(text="–")
    return Cell(text=signed(held.unrealized), sub=percent(held.percent, sign=True), tone=tone(held.unrealized), live=f"u{held.bot.id}")


def value(held: Holding) -> Cell:
    return Cell(text=money(abs(held.value)) if held.value is not None else "–", live=f"v{held.bot.id}")


def outside_mark(account: Account, position: BrokerPosition) -> Cell:
    return Cell(text=price(position.mark), flash=True, live=f"om{account.id}:{position.symbol.text}")


def outside_profit(account: Account, position: BrokerPosition, outside: Decimal) -> Cell:
    """Of what no bot owns. The broker's average price is that of the whole position, so it is an estimate where bots hold some of it."""
    gain = None
    if position.mark is not None and position.average_price:
        gain = (position.mark - position.average_price) * outside
    return Cell(text=signed(gain), tone=tone(gain), live=f"ou{account.id}:{position.symbol.text}")


def assets_of(at_broker: Mapping[Symbol, BrokerPosition]) -> dict[str, BrokerPosition]:
    """What the broker holds of each asset: BTC/USD and BTC/EUR are both BTC."""
    found: dict[str, BrokerPosition] = {}
    for symbol, position in at_broker.items():
        first = found.get(asset_of(symbol))
        found[asset_of(symbol)] = position if first is None else replace(first, quantity=first.quantity + position.quantity)
    return found


def outside_of(account: Account, held: Sequence[Holding], at_broker: dict[Symbol, BrokerPosition]) -> list[tuple[BrokerPosition, Decimal]]:
    """What the broker holds and no bot owns (negative: the bots' books say more than there is). By asset: a venue holds SOL, not
    SOL/USDT beside SOL/USDC."""
    ours: dict[str, Decimal] = {}
    theirs = assets_of(at_broker)
    for h in held:
        if h.bot.account_id == account.id and h.bot.position.quantity:
            asset = asset_of(h.bot.symbol)
            ours[asset] = ours.get(asset, ZERO) + h.bot.position.quantity
            theirs.setdefault(asset, BrokerPosition(symbol=h.bot.symbol, quantity=ZERO))
    split = [(position, position.quantity - ours.get(asset, ZERO)) for asset, position in sorted(theirs.items())]
    return [(position, outside) for position, outside in split if outside]


def of_user(app: App, user: User) -> dict[str, list[str]]:
    """Every live cell of the user's as [text, tone, small text]."""
    accounts = data.accounts(app, user)
    held = data.holdings(app, user, open_only=True)
    found: dict[str, list[str]] = {}
    for h in held:
        for cell in (mark(h), profit(h), value(h)):
            found[cell.live] = [cell.text, cell.tone, cell.sub]
    states = [state_of(app, account) for account in accounts]
    opened = open_profit(held)
    found["equity"] = [money(money_in(accounts, states).equity), "", ""]
    found["open"] = [signed(opened), tone(opened), ""]
    for account, state in zip(accounts, states, strict=True):
        if not isinstance(state, BrokerError):
            found |= {
                f"eq{account.id}": [money(state.equity), "", ""], f"cash{account.id}": [money(state.cash), "", ""],
                f"bp{account.id}": [money(state.buying_power), "", ""],
            }
        own = open_profit([h for h in held if h.bot.account_id == account.id])
        found[f"open{account.id}"] = [signed(own), tone(own), ""]
        at_broker = positions_of(app, account)
        if not isinstance(at_broker, BrokerError):
            for position, quantity in outside_of(account, held, at_broker):
                for cell in (outside_mark(account, position), outside_profit(account, position, quantity)):
                    found[cell.live] = [cell.text, cell.tone, cell.sub]
    return found
