"""What an account should hold by DashTrade's own books at one moment: one side of the reconciliation."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.orders import UNCONFIRMED, Order, OrderStatus
from dashtrade.domain.position_mismatch import Drift, asset_of, by_asset
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.tables import drifts as table
from dashtrade.tables import orders as order_table
from dashtrade.tables.drifts import ReconciliationState

MARKET_ORDER_FILLS_WITHIN = timedelta(seconds=15)  # an order working longer than this is a resting order


@record
class ExpectedPositions:
    """The positions expected at one moment."""

    owned: dict[str, Decimal]
    cost: dict[str, Decimal]
    traded_symbols: dict[str, Symbol]  # asset -> symbol as traded, of active bots
    orders: dict[str, tuple[Any, ...]]
    in_flight: frozenset[str]  # assets with an order that may fill at any moment
    outside: dict[str, Decimal]
    drifts: dict[str, Drift]
    state: ReconciliationState | None

    def unchanged(self, other: ExpectedPositions, asset: str) -> bool:
        """Nothing was sent, filled or booked between the two."""
        return all(
            getattr(self, name).get(asset) == getattr(other, name).get(asset)
            for name in ("owned", "cost", "orders", "outside")
        )

    def symbol_of(self, asset: str) -> Symbol:
        """The symbol of a recorded difference, else the one the asset's name stands for."""
        drift = self.drifts.get(asset)
        if drift is not None:
            return drift.symbol
        if asset.startswith("CRYPTO:"):
            return Symbol(market="CRYPTO", base=asset.removeprefix("CRYPTO:"), quote="USD")
        return Symbol.parse(asset)


def read(conn: sa.Connection, account_id: int, now: datetime) -> ExpectedPositions:
    owned, orders = table.bots_with_positions(conn, account_id), order_table.open_in_account(conn, account_id)
    orders_by_asset: dict[str, tuple[Any, ...]] = {}
    for order in orders:
        if order.status is not OrderStatus.CREATED:
            asset_orders = orders_by_asset.get(asset_of(order.symbol), ())
            orders_by_asset[asset_of(order.symbol)] = (
                *asset_orders,
                (order.id, order.status, order.filled_quantity),
            )
    return ExpectedPositions(
        owned=by_asset((row.symbol, row.position_quantity) for row in owned),
        cost=by_asset((row.symbol, row.position_cost) for row in owned),
        traded_symbols={
            asset_of(row.symbol): row.symbol for row in reversed(owned) if row.deleted_at is None
        },
        orders=orders_by_asset,
        in_flight=frozenset(asset_of(order.symbol) for order in orders if _may_fill_soon(order, now)),
        outside=table.outside_by_asset(conn, account_id),
        drifts=table.unresolved_by_asset(conn, account_id),
        state=table.reconciliation_state(conn, account_id),
    )


def _may_fill_soon(order: Order, now: datetime) -> bool:
    """Could a fill be on its way? Resting orders were polled just before, and unsent orders cannot fill."""
    if order.status in UNCONFIRMED:
        return True
    return (
        order.status is OrderStatus.WORKING
        and not order.rests
        and now - order.created_at < MARKET_ORDER_FILLS_WITHIN
    )
