"""Listens to brokers' order streams: a fill is booked as it happens, and its lane continues at once.

Nothing depends on a stream. Its reports are booked like polled ones, so repeats and old news change nothing;
the next poll finds what the stream missed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import partial

from bot_database import Database
from dashtrade.domain.accounts import Account
from dashtrade.domain.ports import Broker, OrderReport, Stream
from dashtrade.tables import accounts as account_table

log = logging.getLogger("dashtrade.streams")

MAX_STREAMS = 100  # each costs a thread and a connection; further accounts are only polled


class Streams:
    """One listener per account that may trade, at brokers with a stream. Each runs in a thread of its
    adapter."""

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
        """Start and stop listeners as accounts are added, removed, or given other keys."""
        with self._db.read() as conn:
            accounts = account_table.active_at_brokers(conn, self._kinds, MAX_STREAMS)
            wanted = {account.id: account for account in accounts if not account.simulated}
        for account_id in self._listening.keys() - wanted.keys():
            self._listening.pop(account_id).stop_listening()
            log.info("account %s: its stream ended", account_id)
        for account in wanted.values():
            stream = self._broker_of(account).offers.stream
            # new, or recreated with another key
            if stream is not None and self._listening.get(account.id) is not stream:
                stream.listen(partial(self._on_report, account.id))
                self._listening[account.id] = stream

    def is_live(self, account_id: int) -> bool:
        """Is the account's stream connected? A connection that died silently counts as connected for a
        while."""
        stream = self._listening.get(account_id)
        return stream is not None and stream.streaming

    def stop(self) -> None:
        while self._listening:
            self._listening.popitem()[1].stop_listening()
