"""Increasing numbers for exchanges that refuse any other order of requests: one source per key.

The worker and the dashboard use the same key, and may run on several machines whose clocks differ. The number
comes from a row of the database; as a higher one may overtake a lower one on the network, a request holds the
turn until it is answered."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.ports import RetryLater
from dashtrade.locks import LockTimeout
from dashtrade.tables import nonces

log = logging.getLogger("dashtrade.nonces")
TURN_TIMEOUT_SECONDS = 3.0  # seconds to wait for a turn: another process's request may hang
# In PostgreSQL a turn holds a connection, and a hanging exchange must not take them all.
_CONNECTION_LIMIT = threading.BoundedSemaphore(16)


class SharedNonces:
    """The numbers of one key. A request without a turn in time is sent anyway: its number is valid, and if
    another request overtakes it the exchange refuses it unprocessed."""

    def __init__(self, db: Database, exchange_and_key: str) -> None:
        self._db, self._digest = db, hashlib.sha256(exchange_and_key.encode()).hexdigest()[:32]

    @contextmanager
    def __call__(self, least: int) -> Iterator[int]:
        with ExitStack() as turn:
            try:
                self._await(turn)
                number = self._db.write_unchecked(lambda conn: nonces.take(conn, self._digest, least))
            except DatabaseUnavailable as error:
                raise RetryLater(
                    f"The database returned no nonce for the request ({error}): nothing was sent; "
                    "DashTrade retries."
                ) from error
            yield number

    def _await(self, turn: ExitStack) -> None:
        if not _CONNECTION_LIMIT.acquire(blocking=False):
            return
        turn.callback(_CONNECTION_LIMIT.release)
        try:
            turn.enter_context(
                self._db.exclusive(f"nonce-{self._digest}", timeout_seconds=TURN_TIMEOUT_SECONDS)
            )
        except LockTimeout:
            log.info(
                "a request under the same key is not answered for %s s: the next one goes all the same",
                TURN_TIMEOUT_SECONDS,
            )
