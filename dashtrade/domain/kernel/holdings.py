"""What an account holds of a symbol by DashTrade's books: its bots, its user's own holdings, and a known
difference."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from dashtrade.domain.decisions.netting import AccountHoldings
from dashtrade.domain.kernel.source import BooksSource
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO


def account_holdings(
    source: BooksSource,
    account_id: int,
    symbol: Symbol,
    bot_id: int,
    can: Capabilities,
    drift: Drift | None,
    under_way: Iterable[Order],
) -> AccountHoldings | None:
    """The account's holdings for a decision. None where one order may take the account from long to short,
    and for crypto, which cannot be short."""
    if can.crosses_zero or symbol.is_crypto:
        return None
    owned = _owned(source, account_id, symbol)
    outside = source.outside_quantity(account_id, symbol)
    entries = [order.side.sign * order.remaining for order in under_way if not order.effect.reduces]
    others_quantities = [quantity for other_id, quantity in owned.items() if other_id != bot_id]
    return AccountHoldings(
        net=_net(owned, outside, drift),
        others=tuple(quantity for quantity in (*others_quantities, *entries, outside) if quantity),
    )


def account_net(source: BooksSource, account_id: int, symbol: Symbol) -> Decimal | None:
    """None for crypto: fees taken in the coin leave a little less than was bought."""
    if symbol.is_crypto:
        return None
    owned = _owned(source, account_id, symbol)
    return _net(owned, source.outside_quantity(account_id, symbol), source.drift(account_id, symbol))


def _owned(source: BooksSource, account_id: int, symbol: Symbol) -> dict[int, Decimal]:
    bots = source.bots_on(account_id, symbol)
    return {bot.id: bot.position.quantity for bot in bots if bot.position.quantity}


def _net(owned: dict[int, Decimal], outside: Decimal, drift: Drift | None) -> Decimal:
    """Bots, the user's own holdings and a known difference: what the broker should have."""
    return sum(owned.values(), ZERO) + outside + (drift.difference if drift is not None else ZERO)
