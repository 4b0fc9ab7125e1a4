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
ACCOUNT_GOOD, QUOTE_GOOD = timedelta(seconds=5), timedelta(seconds=0.5)
ASKERS = 64


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a venue says of a symbol."""

    quote: Quote
    rules: Rules
    is_open: bool
    opens_at: datetime | None


@dataclass(slots=True)
class _Kept:
    """Of one account: what it said, and when it was asked; and what it is being asked anew."""

    account: tuple[datetime, AccountState] | None = None
    scenes: dict[Symbol, tuple[datetime, _Scene]] = field(default_factory=dict)
    coming: set[Symbol | None] = field(default_factory=set)  # scenes; None: the account


class Snapshots:
    """Safe to use from several threads: what two ask for at the same time is asked twice, and either answer
    will do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: WeakKeyDictionary[Broker, _Kept] = WeakKeyDictionary()
        # its threads come with the first account far away
        self._pool = ThreadPoolExecutor(ASKERS, thread_name_prefix="ask")

    def local(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """Of a broker in our own database, where nothing is far."""
        return _market(
            broker, _scene(broker, symbol, feed.quote), broker.account(), simulated=simulated, kept=False
        )

    def cached(self, broker: Broker, feed: Feed, symbol: Symbol) -> MarketSnapshot | None:
        """Of a venue, if all of it is kept and good. Never waits."""
        now, kept = self._clock.now(), self._of.setdefault(broker, _Kept())
        account, scene = (
            _young(kept.account, now, ACCOUNT_GOOD),
            _young(kept.scenes.get(symbol), now, QUOTE_GOOD),
        )
        if account is None or scene is None or not _is(feed, broker):
            return None
        if _young(kept.account, now, ACCOUNT_GOOD / 2) is None:
            self._ahead(kept, None, lambda: self._account(kept, broker))
        if _young(kept.scenes.get(symbol), now, QUOTE_GOOD / 2) is None:
            self._ahead(kept, symbol, lambda: self._look(kept, broker, feed, symbol))
        return _market(broker, scene, account, simulated=False, kept=True)

    def fetch(
        self, broker: Broker, feed: Feed, symbol: Symbol, *, fresh: bool, simulated: bool = False
    ) -> MarketSnapshot:
        """Of a venue. `anew`: nothing that was kept will do."""
        now, kept = self._clock.now(), self._of.setdefault(broker, _Kept())
        account = None if fresh else _young(kept.account, now, ACCOUNT_GOOD)
        scene = None if fresh or not _is(feed, broker) else _young(kept.scenes.get(symbol), now, QUOTE_GOOD)
        known = account is not None or scene is not None
        if account is None and scene is None:
            account, scene = self._both(
                lambda: self._account(kept, broker), lambda: self._look(kept, broker, feed, symbol)
            )
        account, scene = (
            account or self._account(kept, broker),
            scene or self._look(kept, broker, feed, symbol),
        )
        return _market(broker, scene, account, simulated=simulated, kept=known)

    def without_price(self, broker: Broker, feed: Feed, symbol: Symbol, *, simulated: bool) -> MarketSnapshot:
        """For a way out, which is not held up by a price that nobody tells: it needs one for its words and
        its rounding alone."""
        kept = self._of.setdefault(broker, _Kept())
        account = self._account(kept, broker)
        try:
            scene = self._look(kept, broker, feed, symbol)
        except BrokerError:
            mark = next((position.mark for position in broker.positions() if position.symbol == symbol), None)
            if mark is not None:
                note = "no price is told: what the broker values the position at stands in for it"
                scene = _scene(
                    broker,
                    symbol,
                    lambda _: Quote(symbol=symbol, bid=mark, ask=mark, at=self._clock.now(), note=note),
                )
            elif symbol in kept.scenes:
                at, last = kept.scenes[symbol]
                scene = replace(
                    last,
                    quote=replace(
                        last.quote,
                        note=f"no price is told: the last known one, of {iso(at)}, stands in for it",
                    ),
                )
            else:
                raise
        return _market(broker, scene, account, simulated=simulated, kept=False)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _account(self, kept: _Kept, broker: Broker) -> AccountState:
        at, account = self._clock.now(), broker.account()
        kept.account = at, account
        return account

    def _look(self, kept: _Kept, broker: Broker, feed: Feed, symbol: Symbol) -> _Scene:
        at, scene = self._clock.now(), _scene(broker, symbol, feed.quote)
        kept.scenes[symbol] = at, scene
        return scene

    def _ahead(self, kept: _Kept, what: Symbol | None, ask: Callable[[], object]) -> None:
        """Where alerts come one upon the other, what is about to be too old is asked for before somebody
        waits for it."""
        if what in kept.coming:
            return
        kept.coming.add(what)

        def work() -> None:
            try:
                ask()
            except Exception as error:  # whoever needs it asks himself, and meets it
                log.debug("nothing was learned ahead: %r", error)
            finally:
                kept.coming.discard(what)

        self._pool.submit(work)

    def _both(self, one: Callable[[], T], other: Callable[[], S]) -> tuple[T, S]:
        coming = self._pool.submit(other)
        return one(), coming.result()


def _is(feed: object, broker: object) -> bool:
    """Prices and orders come from one and the same venue."""
    return feed is broker


def _young(known: tuple[datetime, T] | None, now: datetime, good: timedelta) -> T | None:
    return known[1] if known is not None and timedelta(0) <= now - known[0] < good else None


def _scene(broker: Broker, symbol: Symbol, quote: Callable[[Symbol], Quote]) -> _Scene:
    rules, is_open = broker.rules(symbol), broker.market_open(symbol)
    return _Scene(quote(symbol), rules, is_open, None if is_open else broker.opens_at(symbol))


def _market(
    broker: Broker, scene: _Scene, account: AccountState, *, simulated: bool, kept: bool
) -> MarketSnapshot:
    return MarketSnapshot(
        rules=scene.rules,
        quote=scene.quote,
        account=account,
        capabilities=broker.capabilities,
        open=scene.is_open,
        opens_at=scene.opens_at,
        simulated=simulated,
        kept=kept,
    )
