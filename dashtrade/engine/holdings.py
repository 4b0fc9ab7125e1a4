"""What an account holds of a symbol by DashTrade's books: its bots, its user's own holdings, and a known
difference."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import sqlalchemy as sa

from dashtrade.domain.decisions.netting import AccountHoldings
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.position_mismatch import Drift
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.tables import bot_positions
from dashtrade.tables import drifts as drift_table


def load(
    conn: sa.Connection,
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
    owned = bot_positions.quantities_on(conn, account_id, symbol)
    outside = drift_table.outside_quantity(conn, account_id, symbol)
    entries = [order.side.sign * order.remaining for order in under_way if not order.effect.reduces]
    others_quantities = [quantity for other_id, quantity in owned.items() if other_id != bot_id]
    return AccountHoldings(
        net=_net(owned, outside, drift),
        others=tuple(quantity for quantity in (*others_quantities, *entries, outside) if quantity),
    )


def account_net(conn: sa.Connection, account_id: int, symbol: Symbol) -> Decimal | None:
    """None for crypto: fees taken in the coin leave a little less than was bought."""
    if symbol.is_crypto:
        return None
    owned = bot_positions.quantities_on(conn, account_id, symbol)
    outside = drift_table.outside_quantity(conn, account_id, symbol)
    return _net(owned, outside, drift_table.unresolved_on(conn, account_id, symbol))


def _net(owned: dict[int, Decimal], outside: Decimal, drift: Drift | None) -> Decimal:
    """Bots, the user's own holdings and a known difference: what the broker should have."""
    return sum(owned.values(), ZERO) + outside + (drift.difference if drift is not None else ZERO)
