"""Leases on lanes (account and symbol), shared by all workers through the database.

Within a process a lane never runs twice at once; between processes the lease keeps them apart. A worker that
stalled past its lease has an outdated token, so its next write is refused."""

from __future__ import annotations

import threading
import time

import sqlalchemy as sa

from dashtrade.domain.kernel.lane import Lane
from dashtrade.engine.steps import Lease
from dashtrade.engine.store import Store
from dashtrade.engine.workflow import Workflow

LEASE_SECONDS = 6.0


class Leases:
    def __init__(self, store: Store, owner: str, ttl: float = LEASE_SECONDS) -> None:
        self._store, self.owner, self.ttl = store, owner, ttl
        # token, and the time just before the claim, from which the lease counts
        self._held: dict[Lane, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def held(self, lane: Lane) -> Lease | None:
        """The lane's lease, if it is certainly still valid."""
        held = self._held.get(lane)
        return Lease(lane, held[0]) if held is not None and self.is_fresh(lane) else None

    def acquire(self, lane: Lane) -> Workflow[Lease | None]:
        """The lane's lease, claimed now if necessary; None while another worker has it."""
        held = self.held(lane)
        if held is not None:
            return held
        asked_at = time.monotonic()
        try:
            token = yield self._store.claim(lane, self.owner, self.ttl)
        except sa.exc.IntegrityError:  # another worker claimed the new lane first
            return None
        with self._lock:
            if token is None:
                self._held.pop(lane, None)
            else:
                self._held[lane] = (token, asked_at)
        return Lease(lane, token) if token is not None else None

    def is_fresh(self, lane: Lane) -> bool:
        """Is the lease certainly still valid? By the monotonic clock, as a wall clock may jump."""
        held = self._held.get(lane)
        return held is not None and time.monotonic() - held[1] < self.ttl * 0.8

    def drop(self, lane: Lane) -> None:
        with self._lock:
            self._held.pop(lane, None)

    def renew(self) -> None:
        """Called every third of a lease. A lease not renewed in time expires, and is claimed again when
        needed."""
        asked_at = time.monotonic()
        with self._lock:
            self._held = {
                lane: held for lane, held in self._held.items() if asked_at - held[1] < self.ttl * 0.8
            }
            renewed = list(self._held)
        self._store.renew(self.owner, self.ttl if renewed else None)
        with self._lock:
            for lane in renewed:
                if lane in self._held:
                    self._held[lane] = (self._held[lane][0], max(self._held[lane][1], asked_at))

    def release(self) -> None:
        with self._lock:
            self._held.clear()
        self._store.release(self.owner)
