"""What follows when a broker refuses an account's key, or its sign-in has expired."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.notices.people import KeyRefused
from dashtrade.domain.ports import Clock
from dashtrade.domain.reasons import Code, Reason
from dashtrade.engine.workflow import Workflow, Write
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import messages as message_table


def disable_account(clock: Clock, account_id: int, user_id: int, why: Reason) -> Workflow[None]:
    yield disabling(account_id, user_id, why, clock.now())


def disabling(account_id: int, user_id: int, why: Reason, now: datetime) -> Write:
    """Disable the account, pause its bots, notify its user once, stop calling the broker."""

    def work(conn: sa.Connection) -> None:
        account_table.lock_account(conn, account_id)
        account = account_table.load(conn, account_id)
        if not account.is_active:
            return
        account_table.change(conn, user_id, account_id, is_active=False, disabled_reason=why)
        paused = bot_table.pause_all(
            conn, user_id, reason=Reason(Code.KEY_REFUSED), now=now, account_id=account_id
        )
        message_table.notify(
            conn, user_id, KeyRefused(account=account.label, reason=why, paused_bots=paused), now=now
        )

    return Write(work)
