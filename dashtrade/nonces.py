"""Numbers that rise from one request to the next, for exchanges that refuse any other: one source a key.

The worker and the dashboard send under the same key, and may run on several machines whose clocks differ. The
number is taken from a row of the database; and as a higher one may overtake a lower one on its way, a request
has its turn until it is answered."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bot_database import Database, DatabaseUnavailable
from dashtrade.domain.ports import RetryLater
from dashtrade.locks import NotMyTurn
from dashtrade.tables import nonces

log = logging.getLogger("dashtrade.nonces")
PATIENCE = 3.0  # seconds that a turn is waited for: another process's request may hang
# At PostgreSQL a turn holds a connection, and an exchange that hangs must not take them all.
_MOST_TURNS = threading.BoundedSemaphore(16)


class SharedNonces:
    """The numbers of one key. Whoever does not get a turn in time goes without: its number is right, and if
    another request overtakes it the exchange refuses it without looking at it."""

    def __init__(self, db: Database, exchange_and_key: str) -> None:
        self._db, self._digest = db, hashlib.sha256(exchange_and_key.encode()).hexdigest()[:32]

    @contextmanager
    def __call__(self, least: int) -> Iterator[int]:
        with ExitStack() as turn:
            try:
                self._await(turn)
                number = self._db.write_unasked(lambda conn: nonces.take(conn, self._digest, least))
            except DatabaseUnavailable as error:
                raise RetryLater(
                    f"The database returned no nonce for the request ({error}): nothing was sent; "
                    "DashTrade retries."
                ) from error
            yield number

    def _await(self, turn: ExitStack) -> None:
        if not _MOST_TURNS.acquire(blocking=False):
            return
        turn.callback(_MOST_TURNS.release)
        try:
            turn.enter_context(self._db.exclusive(f"nonce-{self._digest}", patience=PATIENCE))
        except NotMyTurn:
            log.info(
                "a request under the same key is not answered for %s s: the next one goes all the same",
                PATIENCE,
            )
