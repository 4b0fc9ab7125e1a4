"""Books a broker's report in one commit."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from dashtrade.domain.kernel import reporting
from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.reporting import Booked
from dashtrade.domain.orders import Order
from dashtrade.domain.ports import OrderReport
from dashtrade.engine.steps import Step
from dashtrade.failpoints import failpoint


def report_step(order: Order, report: OrderReport, now: datetime) -> Step:
    def book(books: Books) -> Booked:
        booked = reporting.apply_report(books, order.id, report, now)
        failpoint("before_book_commit")
        return booked

    return Step(order.account_id, book)


def apply_report(conn: sa.Connection, order: Order, report: OrderReport, now: datetime) -> Booked:
    booked: Booked = report_step(order, report, now).run(conn)
    return booked
