"""Books a broker's report in one commit."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.kernel import reporting
from dashtrade.domain.kernel.reporting import Booked
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import OrderReport
from dashtrade.engine.stored_books import on_books
from dashtrade.failpoints import failpoint
from dashtrade.tables import accounts as account_table


def apply_report(conn: sa.Connection, order: Order, report: OrderReport, now: datetime) -> Booked:
    account_table.lock_account(conn, order.account_id)
    booked = on_books(conn, lambda books: reporting.apply_report(books, order.id, report, now))
    failpoint("before_book_commit")
    return booked
