"""Steps of the kernel on the database: read within a transaction, and stored in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from dashtrade.domain.kernel.books import Books
from dashtrade.domain.kernel.lane import Lane
from dashtrade.domain.record import record
from dashtrade.engine.stored_books import StoredBooks
from dashtrade.engine.storing import store
from dashtrade.tables import accounts as account_table
from dashtrade.tables import lanes as lane_table

T = TypeVar("T")


class LaneLost(Exception):
    """Another worker has taken the lane: the pending write is dropped."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(f"{lane} was taken by another worker")


class AccountBusy(Exception):
    """Another works on the account, or on what accounts share. A commit of many steps never waits for it, as
    two that wait for each other would wait for ever: the step gets a transaction of its own."""


@record(kw_only=False)
class Lease:
    """A lane and its token: the lane is held as long as nobody has a later one."""

    lane: Lane
    token: int


@dataclass(slots=True)
class Step:
    """Run `fn` on the account's books in a durable transaction; with a lease, only while its lane is held.

    `fn` may be run again, so it must only use the books."""

    account_id: int
    fn: Callable[[Books], Any]
    lease: Lease | None = None

    def check(self, token: int | None) -> None:
        """The lane's token is this now."""
        if self.lease is not None and token != self.lease.token:
            raise LaneLost(self.lease.lane)

    def run(self, conn: sa.Connection) -> Any:
        if self.lease is not None:
            self.check(lane_table.token_of(conn, self.lease.lane))
        account_table.lock_account(conn, self.account_id)
        return on_books(conn, self.fn)


def on_books(conn: sa.Connection, fn: Callable[[Books], T]) -> T:
    """Run a step of the kernel in this transaction. The account must be locked."""
    books = Books(StoredBooks(conn))
    result = fn(books)
    store(conn, [books])
    return result
