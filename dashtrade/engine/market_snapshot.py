"""What the outside world says, asked for before a transaction opens: of a venue far away in parallel, and not
twice in a moment.

A venue 50 ms away would otherwise cost each order three such ways, and three of the 200 requests a minute
that it allows. Kept are the account, for some seconds, as a decision that goes wrong by it is made again with
what is asked anew, and the venue has the last word on money; and a price for half a second, which is less
than the venues' own prices age. Adapters keep rules and hours. What is in steady use is asked for again when
it has reached half of its age, so that nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from weakref import WeakKeyDictionary

from dashtrade.domain.ports import AccountState, Broker, BrokerError, Clock, Feed, Quote, Rules
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import iso
from dashtrade.engine.deciding import MarketSnapshot

log = logging.getLogger("dashtrade.asking")

T = TypeVar("T")
S = TypeVar("S")
ACCOUNT_MAX_AGE, QUOTE_MAX_AGE = timedelta(seconds=5), timedelta(seconds=0.5)
MAX_THREADS = 64


@dataclass(frozen=True, slots=True)
class _SymbolState:
    """What a venue says of a symbol."""

    quote: Quote
    rules: Rules
    is_open: bool
    opens_at: datetime | None


@dataclass(slots=True)
class _CachedAnswers:
    """Of one account: what it said, and when it was asked; and what it is being asked anew."""

    account: tuple[datetime, AccountState] | None = None
    symbols: dict[Symbol, tuple[datetime, _SymbolState]] = field(default_factory=dict)
    refreshing: set[Symbol | None] = field(default_factory=set)  # scenes; None: the account


class Snapshots:
    """Safe to use from several threads: what two ask for at the same time is asked twice, and either answer
    will do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_broker: WeakKeyDictionary[Broker, _CachedAnswers] = WeakKeyDictionary()
        # its threads come with the first account far away
        self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="ask")

    def local(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """Of a broker in our own database, where nothing is far."""
        return _market(
            broker,
            _read_symbol_state(broker, symbol, feed.quote),
            broker.account(),
            simulated=simulated,
            from_cache=False,
        )

    def cached(self, broker: Broker, feed: Feed, symbol: Symbol) -> MarketSnapshot | None:
        """Of a venue, if all of it is kept and good. Never waits."""
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
        return _market(broker, symbol_state, account, simulated=False, from_cache=True)

    def fetch(
        self, broker: Broker, feed: Feed, symbol: Symbol, *, fresh: bool, simulated: bool = False
    ) -> MarketSnapshot:
        """Of a venue. `anew`: nothing that was kept will do."""
        now, cached = self._clock.now(), self._by_broker.setdefault(broker, _CachedAnswers())
        account = None if fresh else _if_fresh(cached.account, now, ACCOUNT_MAX_AGE)
        symbol_state = (
            None
            if fresh or not _same_venue(feed, broker)
            else _if_fresh(cached.symbols.get(symbol), now, QUOTE_MAX_AGE)
        )
        known = account is not None or symbol_state is not None
        if account is None and symbol_state is None:
            account, symbol_state = self._in_parallel(
                lambda: self._read_account(cached, broker),
                lambda: self._read_symbol(cached, broker, feed, symbol),
            )
        account, symbol_state = (
            account or self._read_account(cached, broker),
            symbol_state or self._read_symbol(cached, broker, feed, symbol),
        )
        return _market(broker, symbol_state, account, simulated=simulated, from_cache=known)

    def without_price(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """For a way out, which is not held up by a price that nobody tells: it needs one for its words and
        its rounding alone."""
        cached = self._by_broker.setdefault(broker, _CachedAnswers())
        account = self._read_account(cached, broker)
        try:
            symbol_state = self._read_symbol(cached, broker, feed, symbol)
        except BrokerError:
            mark = next((position.mark for position in broker.positions() if position.symbol == symbol), None)
            if mark is not None:
                note = "no price is told: what the broker values the position at stands in for it"
                symbol_state = _read_symbol_state(
                    broker,
                    symbol,
                    lambda _: Quote(symbol=symbol, bid=mark, ask=mark, at=self._clock.now(), note=note),
                )
            elif symbol in cached.symbols:
                at, last = cached.symbols[symbol]
                symbol_state = replace(
                    last,
                    quote=replace(
                        last.quote,
                        note=f"no price is told: the last known one, of {iso(at)}, stands in for it",
                    ),
                )
            else:
                raise
        return _market(broker, symbol_state, account, simulated=simulated, from_cache=False)

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

    def _refresh_early(self, cached: _CachedAnswers, what: Symbol | None, ask: Callable[[], object]) -> None:
        """Where alerts come one upon the other, what is about to be too old is asked for before somebody
        waits for it."""
        if what in cached.refreshing:
            return
        cached.refreshing.add(what)

        def work() -> None:
            try:
                ask()
            except Exception as error:  # whoever needs it asks himself, and meets it
                log.debug("nothing was learned ahead: %r", error)
            finally:
                cached.refreshing.discard(what)

        self._pool.submit(work)

    def _in_parallel(self, one: Callable[[], T], other: Callable[[], S]) -> tuple[T, S]:
        coming = self._pool.submit(other)
        return one(), coming.result()


def _same_venue(feed: object, broker: object) -> bool:
    """Prices and orders come from one and the same venue."""
    return feed is broker


def _if_fresh(known: tuple[datetime, T] | None, now: datetime, max_age: timedelta) -> T | None:
    return known[1] if known is not None and timedelta(0) <= now - known[0] < max_age else None


def _read_symbol_state(broker: Broker, symbol: Symbol, quote: Callable[[Symbol], Quote]) -> _SymbolState:
    rules, is_open = broker.rules(symbol), broker.market_open(symbol)
    return _SymbolState(quote(symbol), rules, is_open, None if is_open else broker.opens_at(symbol))


def _market(
    broker: Broker, symbol_state: _SymbolState, account: AccountState, *, simulated: bool, from_cache: bool
) -> MarketSnapshot:
    return MarketSnapshot(
        rules=symbol_state.rules,
        quote=symbol_state.quote,
        account=account,
        capabilities=broker.capabilities,
        open=symbol_state.is_open,
        opens_at=symbol_state.opens_at,
        simulated=simulated,
        from_cache=from_cache,
    )
