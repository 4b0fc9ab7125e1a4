"""Whose turn it is: leases on lanes (account and symbol), shared by all workers through the database.

In one process a lane's work never runs twice at once; between processes the lease keeps them apart. A worker that was
stopped past its lease finds its token outdated at its next write, which is then refused.
"""

from __future__ import annotations

import threading
import time

import sqlalchemy as sa

from bot_database import Database
from dashtrade.engine.effects import Steps, Write
from dashtrade.tables import signals as table
from dashtrade.tables.signals import Lane

LEASE_SECONDS = 6.0


class LaneLost(Exception):
    """Another worker has this lane now: whatever we were about to write is its business."""


class Leases:
    def __init__(self, db: Database, owner: str, ttl: float = LEASE_SECONDS) -> None:
        self.db, self.owner, self.ttl = db, owner, ttl
        self._tokens: dict[Lane, int] = {}
        self._lock = threading.Lock()
        self._renewed = time.monotonic()

    def hold(self, lane: Lane) -> Steps[int | None]:
        """The lane's token, claimed now if need be; None while another worker has it."""
        token = self._tokens.get(lane)
        if token is not None and self.fresh():
            return token
        asked = time.monotonic()
        try:
            token = yield Write(lambda conn: table.claim(conn, lane, self.owner, self.ttl))
        except sa.exc.IntegrityError:  # two claimed a new lane at once, and the other was first
            return None
        if token is not None:
            with self._lock:
                if not self._tokens:
                    self._renewed = asked
                self._tokens[lane] = token
        return token

    def fresh(self) -> bool:
        """Is the lease surely still ours? By the monotonic clock: a wall clock may jump."""
        return time.monotonic() - self._renewed < self.ttl * 0.8

    def check(self, conn: sa.Connection, lane: Lane, token: int) -> None:
        if not table.holds(conn, lane, token):
            raise LaneLost(f"{lane} was taken by another worker")

    def drop(self, lane: Lane) -> None:
        with self._lock:
            self._tokens.pop(lane, None)

    def renew(self) -> None:
        """Called every third of a lease. After a pause longer than the lease nothing is ours any more."""
        asked = time.monotonic()
        if asked - self._renewed >= self.ttl * 0.8:
            with self._lock:
                self._tokens.clear()
        self.db.write(self._renew)
        self._renewed = asked

    def _renew(self, conn: sa.Connection) -> None:
        table.beat(conn, self.owner)
        if self._tokens:
            table.renew(conn, self.owner, self.ttl)

    def release(self) -> None:
        with self._lock:
            self._tokens.clear()
        self.db.write(lambda conn: table.release(conn, self.owner))
