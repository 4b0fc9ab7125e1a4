"""Records differences between the broker's books and ours: opened, updated, ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from dashtrade.domain.accounts import Account
from dashtrade.domain.notices.trading import MismatchGone, PositionMismatch
from dashtrade.domain.ports import BrokerPosition
from dashtrade.domain.position_mismatch import (
    Drift,
    DriftStatus,
    by_asset,
    kind_of,
    mismatch_reason,
    split_ratio,
)
from dashtrade.domain.reasons import Code, reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO
from dashtrade.domain.wording import words
from dashtrade.engine.expected_positions import ExpectedPositions
from dashtrade.tables import accounts as account_table
from dashtrade.tables import drifts as table
from dashtrade.tables import messages as message_table

log = logging.getLogger("dashtrade.reconcile")


@record
class MismatchFinding:
    """A difference seen twice, or its end."""

    asset: str
    symbol: Symbol
    at_broker: Decimal
    average_price: Decimal | None
    mark: Decimal | None
    agrees: bool = False


def finding_of(
    asset: str, expected: ExpectedPositions, at_broker: Decimal, position: BrokerPosition | None
) -> MismatchFinding:
    """The broker's figure for an asset beside the expected one."""
    symbol = expected.traded_symbols.get(asset) or (
        position.symbol if position else expected.symbol_of(asset)
    )
    return MismatchFinding(
        asset=asset,
        symbol=symbol,
        at_broker=at_broker,
        average_price=position.average_price if position else None,
        mark=position.mark if position else None,
    )


def store_findings(
    conn: sa.Connection,
    account: Account,
    expected: ExpectedPositions,
    findings: Sequence[MismatchFinding],
    now: datetime,
) -> None:
    """Open, update or end a drift, unless something was booked since the comparison."""
    account_table.lock_account(conn, account.id)
    owned = by_asset(
        (row.symbol, row.position_quantity) for row in table.bots_with_positions(conn, account.id)
    )
    outside_holdings, drifts = (
        table.outside_by_asset(conn, account.id),
        table.unresolved_by_asset(conn, account.id),
    )
    for finding in findings:
        asset = finding.asset
        bots_quantity, outside, drift = (
            owned.get(asset, ZERO),
            outside_holdings.get(asset),
            drifts.get(asset),
        )
        if bots_quantity != expected.owned.get(asset, ZERO) or outside != expected.outside.get(asset):
            continue
        figures: dict[str, Any] = {
            "ours": bots_quantity,
            "outside": outside or ZERO,
            "theirs": finding.at_broker,
            "updated_at": now,
        }
        if not finding.agrees:
            figures |= _description_columns(
                finding, bots_quantity, outside or ZERO, expected.cost.get(asset, ZERO)
            )
            if drift is None:
                _open_drift(conn, account, asset, figures)
            else:
                table.change(conn, drift.id, **figures)
        elif drift is not None:
            _end_drift(conn, drift, figures)


def _description_columns(
    finding: MismatchFinding, bots_quantity: Decimal, outside: Decimal, cost: Decimal
) -> dict[str, Any]:
    symbol, at_broker = finding.symbol, finding.at_broker
    ratio = split_ratio(
        bots_quantity + outside,
        at_broker,
        cost / bots_quantity if bots_quantity else None,
        finding.average_price,
    )
    kind = kind_of(bots_quantity, outside, at_broker, ratio)
    return {
        "symbol": symbol,
        "kind": kind,
        "average_price": finding.average_price,
        "mark": finding.mark,
        "ratio": ratio,
        "detail": mismatch_reason(
            kind,
            ratio,
            symbol=symbol,
            bots_quantity=bots_quantity,
            outside=outside,
            broker_quantity=at_broker,
        ),
    }


def _open_drift(conn: sa.Connection, account: Account, asset: str, figures: dict[str, Any]) -> None:
    now = figures["updated_at"]
    drift_id = table.add(conn, account.user_id, account_id=account.id, asset=asset, opened_at=now, **figures)
    log.warning("account %s: drift %s: %s", account.id, drift_id, words(figures["detail"]))
    notice = PositionMismatch(
        account=account.label,
        symbol=figures["symbol"].text,
        difference=figures["kind"],
        ratio=figures["ratio"],
        bots=figures["ours"],
        outside=figures["outside"],
        broker=figures["theirs"],
    )
    message_table.notify(conn, account.user_id, notice, now=now)


def _end_drift(conn: sa.Connection, drift: Drift, figures: dict[str, Any]) -> None:
    """A frozen symbol stays frozen until its user resolves it."""
    if drift.status is DriftStatus.FROZEN:
        table.change(conn, drift.id, detail=reason(Code.MISMATCH_ENDED, because=drift.detail), **figures)
        return
    now = figures["updated_at"]
    table.change(conn, drift.id, status=DriftStatus.GONE, resolved_at=now, **figures)
    notice = MismatchGone(symbol=drift.symbol.text, quantity=figures["theirs"])
    message_table.notify(conn, drift.user_id, notice, now=now)
