"""Rate and concurrency limits per user, per address, and for the whole process."""

from __future__ import annotations

import ipaddress
import resource
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Rate:
    """A token bucket per key: a rate per second, with a burst of some seconds' worth. Bounded in size."""

    def __init__(self, per_second: float, burst_seconds: float = 5, keys: int = 10_000) -> None:
        self.per_second, self.most, self._keys = per_second, max(per_second * burst_seconds, 1), keys
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: Hashable, cost: int = 1) -> float:
        """0: go on. Else the seconds to wait. A request that costs more than what is left passes, and the
        debt delays the next."""
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(key, (self.most, now))
            left = min(self.most, left + (now - at) * self.per_second)
            self._left[key] = (left - cost if left >= 1 else left, now)
            while len(self._left) > self._keys:
                self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self.per_second


class ConcurrencyLimit:
    """Limits concurrency, in total and per key. Refuses at once when full."""

    def __init__(self, in_all: int, of_one: int) -> None:
        self._in_all, self._of_one = in_all, of_one
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, key: Hashable) -> Iterator[bool]:
        with self._lock:
            free = self._taken.total() < self._in_all and self._taken[key] < self._of_one
            if free:
                self._taken[key] += 1
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._taken[key] -= 1
                    if not self._taken[key]:
                        del self._taken[key]


class BoundedQueue:
    """Heavy work: limited concurrency with a short queue."""

    def __init__(self, at_once: int, queue: int, patience_seconds: float) -> None:
        self._turns, self._room = threading.Semaphore(at_once), threading.Semaphore(at_once + queue)
        self._patience = patience_seconds

    @contextmanager
    def turn(self) -> Iterator[bool]:
        if not self._room.acquire(blocking=False):
            yield False
            return
        try:
            if not self._turns.acquire(timeout=self._patience):
                yield False
                return
            try:
                yield True
            finally:
                self._turns.release()
        finally:
            self._room.release()


def network_of(address: str) -> str:
    """The unit of limits per address: the owner of one IPv6 address has all of its /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


def room_for_connections(most: int, others: int) -> int:
    """The number of connections that the limit of open files allows, raised if possible, up to a useful
    maximum."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + others
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(most, soft - others), 50)


def exports() -> ConcurrencyLimit:
    """Files that are written while they are sent: one per user at a time, and few in total."""
    return ConcurrencyLimit(in_all=4, of_one=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverLimits:
    """The receiver's limits."""

    alerts: Rate  # per user
    # Per user, for exits when `alerts` is exhausted; each costs the number of bots that it exits. The burst
    # covers everything a user can hold (`services/operations/quotas.py`), so no flood of entries blocks an
    # exit.
    exits: Rate = field(default_factory=lambda: Rate(2.0, burst_seconds=250))
    # Changing requests per user: each adds a line to the audit log. Stopping and closing have their own
    # bucket.
    changes: Rate = field(default_factory=lambda: Rate(1.0, burst_seconds=2000))
    stops: Rate = field(default_factory=lambda: Rate(5.0, burst_seconds=200))
    waiting: ConcurrencyLimit = field(
        default_factory=lambda: ConcurrencyLimit(in_all=16, of_one=4)
    )  # requests with ?wait
    # Each is a hash that takes a third of a second.
    passwords: BoundedQueue = field(default_factory=lambda: BoundedQueue(2, 6, 2.0))
    passwords_of: Rate = field(default_factory=lambda: Rate(0.5, burst_seconds=40))  # per address
    explaining: BoundedQueue = field(default_factory=lambda: BoundedQueue(1, 4, 1.0))
    explaining_to: Rate = field(default_factory=lambda: Rate(5.0, burst_seconds=6))  # per address
    exports: ConcurrencyLimit = field(default_factory=exports)
