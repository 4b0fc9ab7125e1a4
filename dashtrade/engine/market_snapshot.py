"""Account, price and rules for a decision, fetched before its transaction opens: from a remote broker in
parallel, and cached briefly.

With a broker 50 ms away, each order would otherwise cost three round trips, and three of the 200 requests a
minute that it allows. The account is cached for some seconds: a decision that fails because of it is made
again with a fresh snapshot, and the broker has the last word on money. A price is cached for half a second,
less than the age of the brokers' own prices. Adapters cache rules and hours. An entry in steady use is
refreshed at half of its maximum age, so that no decision waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from weakref import WeakKeyDictionary

from dashtrade.domain.kernel.deciding import MarketSnapshot
from dashtrade.domain.ports import AccountState, Broker, BrokerError, Clock, Feed, Quote, Rules
from dashtrade.domain.reasons import Code, Reason, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.symbols import Symbol

log = logging.getLogger("dashtrade.snapshots")

T = TypeVar("T")
S = TypeVar("S")
ACCOUNT_MAX_AGE, QUOTE_MAX_AGE = timedelta(seconds=5), timedelta(seconds=0.5)
MAX_THREADS = 64


@record(kw_only=False)
class _SymbolState:
    """Price, rules and market hours of a symbol."""

    quote: Quote
    rules: Rules
    is_open: bool
    opens_at: datetime | None


@dataclass(slots=True)
class _CachedAnswers:
    """One account's answers with their request times, and what is being refreshed."""

    account: tuple[datetime, AccountState] | None = None
    symbols: dict[Symbol, tuple[datetime, _SymbolState]] = field(default_factory=dict)
    refreshing: set[Symbol | None] = field(default_factory=set)  # symbols; None: the account


class Snapshots:
    """Thread-safe. Two simultaneous requests may both reach the broker; either answer will do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_broker: WeakKeyDictionary[Broker, _CachedAnswers] = WeakKeyDictionary()
        # its threads start with the first remote account
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="ask")

    def local(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """From a broker whose books are in this database: no network involved."""
        return _snapshot(
            broker,
            _read_symbol_state(broker, symbol, feed.quote),
            broker.account(),
            simulated=simulated,
            from_cache=False,
        )

    def cached(self, broker: Broker, feed: Feed, symbol: Symbol) -> MarketSnapshot | None:
        """A remote broker's snapshot if every part of it is cached and fresh. Never waits."""
        now, cached = self._clock.now(), self._by_broker.setdefault(broker, _CachedAnswers())
        account, symbol_state = (
            _if_fresh(cached.account, now, ACCOUNT_MAX_AGE),
            _if_fresh(cached.symbols.get(symbol), now, QUOTE_MAX_AGE),
        )
        if account is None or symbol_state is None or not _same_venue(feed, broker):
            return None
        if _if_fresh(cached.account, now, ACCOUNT_MAX_AGE / 2) is None:
            self._refresh_early(cached, None, lambda: self._read_account(cached, broker))
        if _if_fresh(cached.symbols.get(symbol), now, QUOTE_MAX_AGE / 2) is None:
            self._refresh_early(cached, symbol, lambda: self._read_symbol(cached, broker, feed, symbol))
        return _snapshot(broker, symbol_state, account, simulated=False, from_cache=True)

    def fetch(
        self, broker: Broker, feed: Feed, symbol: Symbol, *, fresh: bool, simulated: bool = False
    ) -> MarketSnapshot:
        """A remote broker's snapshot. `fresh`: ignore the cache."""
        now, cached = self._clock.now(), self._by_broker.setdefault(broker, _CachedAnswers())
        account = None if fresh else _if_fresh(cached.account, now, ACCOUNT_MAX_AGE)
        symbol_state = (
            None
            if fresh or not _same_venue(feed, broker)
            else _if_fresh(cached.symbols.get(symbol), now, QUOTE_MAX_AGE)
        )
        from_cache = account is not None or symbol_state is not None
        if account is None and symbol_state is None:
            account, symbol_state = self._in_parallel(
                lambda: self._read_account(cached, broker),
                lambda: self._read_symbol(cached, broker, feed, symbol),
            )
        account, symbol_state = (
            account or self._read_account(cached, broker),
            symbol_state or self._read_symbol(cached, broker, feed, symbol),
        )
        return _snapshot(broker, symbol_state, account, simulated=simulated, from_cache=from_cache)

    def without_price(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """For an exit without a price: the price is needed only for its description and rounding."""
        cached = self._by_broker.setdefault(broker, _CachedAnswers())
        account = self._read_account(cached, broker)
        try:
            symbol_state = self._read_symbol(cached, broker, feed, symbol)
        except BrokerError:
            mark = next((position.mark for position in broker.positions() if position.symbol == symbol), None)
            if mark is not None:
                note = Reason(Code.VALUATION_USED)
                symbol_state = _read_symbol_state(
                    broker,
                    symbol,
                    lambda _: Quote(symbol=symbol, bid=mark, ask=mark, at=self._clock.now(), note=note),
                )
            elif symbol in cached.symbols:
                at, stale = cached.symbols[symbol]
                symbol_state = replace(
                    stale, quote=replace(stale.quote, note=reason(Code.LAST_KNOWN_PRICE_USED, last=at))
                )
            else:
                raise
        return _snapshot(broker, symbol_state, account, simulated=simulated, from_cache=False)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _read_account(self, cached: _CachedAnswers, broker: Broker) -> AccountState:
        at, account = self._clock.now(), broker.account()
        cached.account = at, account
        return account

    def _read_symbol(
        self, cached: _CachedAnswers, broker: Broker, feed: Feed, symbol: Symbol
    ) -> _SymbolState:
        at, symbol_state = self._clock.now(), _read_symbol_state(broker, symbol, feed.quote)
        cached.symbols[symbol] = at, symbol_state
        return symbol_state

    def _refresh_early(
        self, cached: _CachedAnswers, symbol: Symbol | None, read: Callable[[], object]
    ) -> None:
        """Refresh in the background what is about to expire, so that a burst of alerts does not wait."""
        if symbol in cached.refreshing:
            return
        cached.refreshing.add(symbol)

        def work() -> None:
            try:
                read()
            except Exception as error:  # the next caller meets the same error
                log.debug("early refresh failed: %r", error)
            finally:
                cached.refreshing.discard(symbol)

        self._pool.submit(work)

    def _in_parallel(self, first_read: Callable[[], T], second_read: Callable[[], S]) -> tuple[T, S]:
        second = self._pool.submit(second_read)
        return first_read(), second.result()


def _same_venue(feed: object, broker: object) -> bool:
    """Do prices and orders come from the same broker?"""
    return feed is broker


def _if_fresh(cached: tuple[datetime, T] | None, now: datetime, max_age: timedelta) -> T | None:
    return cached[1] if cached is not None and timedelta(0) <= now - cached[0] < max_age else None


def _read_symbol_state(broker: Broker, symbol: Symbol, quote: Callable[[Symbol], Quote]) -> _SymbolState:
    rules, is_open = broker.rules(symbol), broker.market_open(symbol)
    return _SymbolState(quote(symbol), rules, is_open, None if is_open else broker.opens_at(symbol))


def _snapshot(
    broker: Broker, symbol_state: _SymbolState, account: AccountState, *, simulated: bool, from_cache: bool
) -> MarketSnapshot:
    return MarketSnapshot(
        rules=symbol_state.rules,
        quote=symbol_state.quote,
        account=account,
        capabilities=broker.capabilities,
        market_open=symbol_state.is_open,
        opens_at=symbol_state.opens_at,
        simulated=simulated,
        on_paper=broker.offers.on_paper,
        from_cache=from_cache,
    )
