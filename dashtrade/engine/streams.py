"""Listening to the venues that tell of orders by themselves: a fill is booked as it happens, and the lane
behind it goes on.

Nothing depends on it. What a stream tells goes through the same booking as what a poll tells, so that a
repeat or an old piece of news changes nothing; what it does not tell, the next poll does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.ports import Broker, OrderReport, Stream
from dashtrade.tables import accounts as account_table

log = logging.getLogger("dashtrade.streams")

MOST = 100  # each costs a thread and a connection; the accounts beyond are polled alone


class Streams:
    """One listener per account that may trade, at venues that have a stream. Each is driven by a thread of
    its adapter's."""

    def __init__(
        self,
        db: Database,
        kinds: Collection[str],
        broker_of: Callable[[Account], Broker],
        on_report: Callable[[int, OrderReport], None],
    ) -> None:
        self._db, self._kinds, self._broker_of, self._on_report = db, kinds, broker_of, on_report
        self._listening: dict[int, Stream] = {}

    def refresh(self) -> None:
        """Listen to whom there is to listen to, and to nobody else: accounts come, go, and get other keys."""
        with self._db.read() as conn:
            found = account_table.active_at(conn, self._kinds, MOST)
            wanted = {account.id: account for account in found if not account.simulated}
        for account_id in self._listening.keys() - wanted.keys():
            self._listening.pop(account_id).stop_listening()
            log.info("account %s: its stream ended", account_id)
        for account in wanted.values():
            stream = self._broker_of(account).offers.stream
            # new, or made anew with another key
            if stream is not None and self._listening.get(account.id) is not stream:
                stream.listen(partial(self._on_report, account.id))
                self._listening[account.id] = stream

    def is_live(self, account_id: int) -> bool:
        """Does news of this account come by themselves now? A line that died unnoticed looks up for a
        while."""
        stream = self._listening.get(account_id)
        return stream is not None and stream.streaming

    def stop(self) -> None:
        while self._listening:
            self._listening.popitem()[1].stop_listening()
