"""Ends decisions that cannot be made."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.kernel import settlement
from dashtrade.domain.reasons import Reason
from dashtrade.engine.stored_books import DecidedElsewhere, on_books


def refuse_undecided(
    conn: sa.Connection,
    decision_id: int,
    signal_id: str,
    *,
    sole_recipient: bool,
    reason: Reason,
    now: datetime,
) -> bool:
    """End a decision that was never made. False: it was decided meanwhile."""
    try:
        on_books(
            conn,
            lambda books: settlement.refuse(
                books, decision_id, signal_id, reason, sole_recipient=sole_recipient, now=now
            ),
        )
    except DecidedElsewhere:
        return False
    return True
