"""What positions are worth and what brokers report: one place, so that every page, every pushed tick and
the API agree to the cent.

Nothing here waits for a broker. Account data is the worker's last reading (`engine/readings.py`), with its
age; anything else comes from `latest_answers.py`. The built-in paper broker's books are in the local
database and are read live."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import Bot
from dashtrade.domain.ports import (
    AccountState,
    BadCredentials,
    BrokerError,
    BrokerPosition,
    Candle,
    Quote,
    Unavailable,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO
from dashtrade.services.accounts.latest_answers import LatestAnswer, LatestAnswers
from dashtrade.tables import readings as reading_table
from dashtrade.tables.readings import AccountReading

PAPER_LIFE, READING_LIFE, QUOTE_LIFE, CANDLE_LIFE, HISTORY_LIFE = 0.9, 0.5, 3.0, 10.0, 600.0  # seconds
FRESH_FOR = timedelta(seconds=30)  # older readings are shown with their age
PAGE_VIEW_EVERY_SECONDS = 15.0  # seconds between two notes to the worker that a user is watching
NOT_READ_YET = "the account has not been read yet"


class TtlCache:
    """Caches an answer, or the error, for a short time."""

    def __init__(self, most: int = 4000) -> None:
        self._most = most
        self._known: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, life: float, ask: Callable[[], Any]) -> Any:
        with self._lock:
            found = self._known.get(key)
        if found is None or time.monotonic() - found[0] > life:
            try:
                answer = ask()
            except BrokerError as error:
                answer = error
            with self._lock:
                found = self._known[key] = (time.monotonic(), answer)
                self._known.move_to_end(key)
                while len(self._known) > self._most:
                    self._known.popitem(last=False)
        return found[1]


_known, _latest = TtlCache(), LatestAnswers()


def _key(app: App, account: Account, what: str, *more: Any) -> tuple[Any, ...]:
    return (
        app.engine.leases.owner,
        account.user_id,
        account.id,
        account.credentials,
        account.simulated,
        what,
        *more,
    )


def real_money(account: Account | None) -> bool:
    return account is not None and account.mode == "live" and not account.simulated


def money_badge(account: Account) -> tuple[str, Literal["green", "blue", "orange"]]:
    """The kind of money and the badge's colour, shown wherever an account is named."""
    if account.mode != "live":
        return "Paper", "green"
    return ("Live, simulated on paper", "blue") if account.simulated else ("Live money", "orange")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotHolding:
    """A bot and the value of its position. `mark` is None without a price; `old` is the price's age where
    it is not current."""

    bot: Bot
    account: Account | None
    mark: Decimal | None
    old: timedelta | None = None

    @property
    def currency(self) -> str:
        return self.bot.symbol.currency

    @property
    def unrealized(self) -> Decimal | None:
        if not self.bot.position.quantity:
            return ZERO
        return self.bot.position.unrealized(self.mark) if self.mark is not None else None

    @property
    def percent(self) -> Decimal | None:
        cost = abs(self.bot.position.cost)
        return None if self.unrealized is None or not cost else self.unrealized / cost * 100

    @property
    def value(self) -> Decimal | None:
        return None if self.mark is None else self.bot.position.quantity * self.mark


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAccount:
    """The last reading of an account. `state` and `positions` are None where none exists."""

    state: AccountState | None = None
    positions: Mapping[Symbol, BrokerPosition] | None = None
    read_at: datetime | None = None
    error: str = ""  # why the account cannot be read now
    error_code: str = ""
    failing_since: datetime | None = None
    fresh: bool = False  # read recently, and the broker answers

    @property
    def problem(self) -> BrokerError:
        return (BadCredentials if self.error_code == "credentials" else Unavailable)(
            self.error or NOT_READ_YET
        )


def is_local(account: Account) -> bool:
    """Whether the account's books and prices are local, so that reading them needs no network."""
    return account.built_in


def known_of(app: App, account: Account, *, cached: bool = True) -> KnownAccount:
    """Cached briefly, as pages ask several times a second."""
    if is_local(account):
        return _known_locally(app, account, PAPER_LIFE if cached else 0.0)
    return _known_from(
        app, account, _readings(app, account.user_id, READING_LIFE if cached else 0.0).get(account.id)
    )


def _readings(app: App, owner: int, life: float = READING_LIFE) -> dict[int, AccountReading]:
    def ask() -> dict[int, AccountReading]:
        with app.db.read() as conn:
            return reading_table.of_user(conn, owner)

    return _known.get((app.engine.leases.owner, owner, "readings"), life, ask)


def _known_from(app: App, account: Account, reading: AccountReading | None) -> KnownAccount:
    if reading is None or reading.simulated is not account.simulated:
        return KnownAccount()
    read = reading.read_at is not None
    return KnownAccount(
        state=reading.state,
        positions={position.symbol: position for position in reading.positions} if read else None,
        read_at=reading.read_at,
        error=reading.error,
        error_code=reading.error_code,
        failing_since=reading.failing_since,
        fresh=read and not reading.error_code and app.clock.now() - reading.read_at <= FRESH_FOR,  # type: ignore[operator]
    )


def _known_locally(app: App, account: Account, life: float) -> KnownAccount:
    """The paper broker answers at once, except where a price is missing."""

    def ask() -> KnownAccount:
        broker, now = app.brokers.of(account), app.clock.now()
        try:
            state, positions = (
                broker.account(),
                {position.symbol: position for position in broker.positions()},
            )
        except BrokerError as error:
            return KnownAccount(error=error.message, failing_since=now)
        return KnownAccount(state=state, positions=positions, read_at=now, fresh=True)

    return _known.get(_key(app, account, "books"), life, ask)


def positions_of(app: App, account: Account) -> Mapping[Symbol, BrokerPosition] | BrokerError:
    """All positions of the account, as last reported by the broker."""
    known = known_of(app, account)
    return known.problem if known.positions is None else known.positions


def state_of(app: App, account: Account) -> AccountState | BrokerError:
    """The account's money, as last reported by the broker."""
    known = known_of(app, account)
    return known.problem if known.state is None else known.state


def record_page_view(app: App, owner: int) -> None:
    """Makes the worker read this user's accounts more often for a while."""

    def note() -> None:
        if _readings(app, owner):
            app.db.write(lambda conn: reading_table.mark_watched(conn, owner, app.clock.now()))

    _known.get((app.engine.leases.owner, owner, "looks"), PAGE_VIEW_EVERY_SECONDS, note)


# --- prices -------------------------------------------------------------------------------------------------


def holding(app: App, bot: Bot, account: Account | None) -> BotHolding:
    mark, old = (
        price_of(app, account, bot.symbol) if account is not None and bot.position.quantity else (None, None)
    )
    return BotHolding(bot=bot, account=account, mark=mark, old=old)


def mark_of(app: App, account: Account, symbol: Symbol) -> Decimal | None:
    return price_of(app, account, symbol)[0]


def price_of(app: App, account: Account, symbol: Symbol) -> tuple[Decimal | None, timedelta | None]:
    """The broker's mark where its positions contain one (one call for all), else the mid price; and its
    age where it is not current."""
    known = None if is_local(account) else known_of(app, account)
    held = (known.positions or {}).get(symbol) if known is not None else None
    mark = held.mark if held is not None else None
    if known is not None and mark is not None and known.fresh:
        return mark, None
    answer = quote_of(
        app, account, symbol, wait=0.0 if known is not None and known.failing_since is not None else None
    )
    at = known.read_at if known is not None and mark is not None else None
    if answer is not None and (at is None or answer.at > at):
        mark, at = answer.value.mid, answer.at
    old = app.clock.now() - at if at is not None else timedelta(0)
    return mark, old if old > FRESH_FOR else None


def quote_of(app: App, account: Account, symbol: Symbol, *, wait: float | None = None) -> LatestAnswer | None:
    """The last known quote. With `wait`, waits up to that many seconds for a current one."""
    feed = app.brokers.feed(account)
    life = 0.0 if wait else QUOTE_LIFE
    return _answer(
        app, account, feed, ("quote", symbol.text), life, PAPER_LIFE, lambda: feed.quote(symbol), wait
    )


def quote_now(app: App, account: Account, symbol: Symbol, *, wait: float) -> Quote | None:
    """A current quote or None, for calculations."""
    asked = app.clock.now()
    answer = quote_of(app, account, symbol, wait=wait)
    return answer.value if answer is not None and answer.at >= asked - timedelta(seconds=QUOTE_LIFE) else None


def candles(
    app: App, account: Account, symbol: Symbol, timeframe: Timeframe, count: int
) -> LatestAnswer | None:
    """For a chart; None if none are known yet."""
    feed = app.brokers.feed(account)
    what = ("candles", symbol.text, timeframe.text, count)
    return _answer(
        app,
        account,
        feed,
        what,
        CANDLE_LIFE,
        PAPER_LIFE,
        lambda: feed.candles(symbol, timeframe, end=app.clock.now(), count=count),
    )


def daily_candles(app: App, account: Account, symbol: Symbol, count: int) -> Sequence[Candle]:
    """For comparisons over weeks; empty if the venue has none."""
    feed, day = app.brokers.feed(account), Timeframe(86400)
    ask = lambda: feed.candles(symbol, day, end=app.clock.now(), count=count)  # noqa: E731
    answer = _answer(app, account, feed, ("days", symbol.text, count), HISTORY_LIFE, HISTORY_LIFE, ask)
    return [] if answer is None else answer.value


def _answer(
    app: App,
    account: Account,
    feed: Any,
    what: tuple[Any, ...],
    life: float,
    life_here: float,
    ask: Callable[[], Any],
    wait: float | None = None,
) -> LatestAnswer | None:
    """The demo market is local and asked directly; a broker's prices are refreshed in the background."""
    key = _key(app, account, *what)
    if feed is not app.feed:
        return _latest.get(
            (app.engine.leases.owner, account.id, account.credentials), key, life, ask, app.clock, wait=wait
        )
    found = _known.get(key, 0.0 if wait else life_here, ask)
    return (
        None
        if isinstance(found, BrokerError)
        else LatestAnswer(value=found, at=app.clock.now(), age_from=0.0)
    )
