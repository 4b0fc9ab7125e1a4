"""The live cells: their names and texts. Pages draw them once and the ticker pushes updates; both use this
module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.ports import AccountState, BrokerError, BrokerPosition
from dashtrade.domain.position_mismatch import asset_of
from dashtrade.domain.scope import MoneyKind, MoneyScope
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts.owned import accounts_of
from dashtrade.services.accounts.prices import BotHolding, positions_of, state_of
from dashtrade.services.trading import portfolio_summary
from dashtrade.services.trading.portfolio_summary import equity_by_currency, open_profit
from dashtrade.services.trading.scope import covered, of_account
from dashtrade.ui.kit.components import Cell
from dashtrade.ui.kit.format import age, money, percent, price, signed, tone
from dashtrade.ui.positions import open_orders


def mark(held: BotHolding) -> Cell:
    return Cell(
        text=price(held.mark),
        sub=age(held.old) if held.old is not None else "",
        flash=True,
        live=f"m{held.bot.id}",
    )


def profit(held: BotHolding) -> Cell:
    if not held.bot.position.quantity:
        return Cell(text="–")
    return Cell(
        text=signed(held.unrealized, held.currency),
        sub=percent(held.percent, sign=True),
        tone=tone(held.unrealized),
        live=f"u{held.bot.id}",
    )


def value(held: BotHolding) -> Cell:
    return Cell(
        text=money(abs(held.value), held.currency) if held.value is not None else "–", live=f"v{held.bot.id}"
    )


def outside_mark(account: Account, position: BrokerPosition) -> Cell:
    return Cell(text=price(position.mark), flash=True, live=f"om{account.id}:{position.symbol.text}")


def outside_profit(account: Account, position: BrokerPosition, outside: Decimal) -> Cell:
    """Profit of the quantity outside. The broker's average price is for the whole position, so this is an
    estimate where bots own a part."""
    gain = None
    if position.mark is not None and position.average_price:
        gain = (position.mark - position.average_price) * outside
    return Cell(
        text=signed(gain, position.symbol.currency),
        tone=tone(gain),
        live=f"ou{account.id}:{position.symbol.text}",
    )


def assets_of(at_broker: Mapping[Symbol, BrokerPosition]) -> dict[str, BrokerPosition]:
    """The broker's holdings by asset: BTC/USD and BTC/EUR are both BTC."""
    found: dict[str, BrokerPosition] = {}
    for symbol, position in at_broker.items():
        first = found.get(asset_of(symbol))
        found[asset_of(symbol)] = (
            position if first is None else replace(first, quantity=first.quantity + position.quantity)
        )
    return found


def outside_of(
    account: Account, held: Sequence[BotHolding], at_broker: Mapping[Symbol, BrokerPosition]
) -> list[tuple[BrokerPosition, Decimal]]:
    """What the broker holds and no bot owns (negative: the bots' books exceed the broker's). By asset: a
    venue holds SOL, not SOL/USDT beside SOL/USDC."""
    bots_quantity: dict[str, Decimal] = {}
    broker_assets = assets_of(at_broker)
    for h in held:
        if h.bot.account_id == account.id and h.bot.position.quantity:
            asset = asset_of(h.bot.symbol)
            bots_quantity[asset] = bots_quantity.get(asset, ZERO) + h.bot.position.quantity
            broker_assets.setdefault(asset, BrokerPosition(symbol=h.bot.symbol, quantity=ZERO))
    split = [
        (position, position.quantity - bots_quantity.get(asset, ZERO))
        for asset, position in sorted(broker_assets.items())
    ]
    return [(position, outside) for position, outside in split if outside]


def of_user(app: App, user: User) -> dict[str, list[str]]:
    """All live cells of the user as [text, tone, small text]."""
    accounts = accounts_of(app, user)
    held = portfolio_summary.holdings(app, user, open_only=True)
    found: dict[str, list[str]] = {}
    for h in held:
        for cell in (mark(h), profit(h), value(h)):
            found[cell.live] = [cell.text, cell.tone, cell.sub]
    states = {account.id: state_of(app, account) for account in accounts}
    for account in accounts:
        state = states[account.id]
        if not isinstance(state, BrokerError):
            found |= {
                f"eq{account.id}": [money(state.equity, state.currency), "", ""],
                f"cash{account.id}": [money(state.cash, state.currency), "", ""],
                f"bp{account.id}": [money(state.buying_power, state.currency), "", ""],
            }
        at_broker = positions_of(app, account)
        if not isinstance(at_broker, BrokerError):
            for position, quantity in outside_of(account, held, at_broker):
                for cell in (outside_mark(account, position), outside_profit(account, position, quantity)):
                    found[cell.live] = [cell.text, cell.tone, cell.sub]
    for one in open_orders.of_user(app, user):
        cell = open_orders.distance_cell(app, one)
        found[cell.live] = [cell.text, cell.tone, cell.sub]
    return found | _totals(accounts, states, held)


def _totals(
    accounts: Sequence[Account], states: Mapping[int, AccountState | BrokerError], held: Sequence[BotHolding]
) -> dict[str, list[str]]:
    """Equity and open profit of every scope that a tab may show, in each currency."""
    found: dict[str, list[str]] = {}
    for scope in [*(MoneyScope(money=kind) for kind in MoneyKind), *map(of_account, accounts)]:
        own = covered(scope, accounts)
        ids = {account.id for account in own}
        for currency, equity in equity_by_currency(states[account.id] for account in own).items():
            found[f"equity:{scope.text}:{currency}"] = [money(equity, currency), "", ""]
            found[f"open:{scope.text}:{currency}"] = [signed(ZERO, currency), "", ""]
        for currency, profit_ in open_profit([h for h in held if h.bot.account_id in ids]).items():
            found[f"open:{scope.text}:{currency}"] = [signed(profit_, currency), tone(profit_), ""]
    return found
