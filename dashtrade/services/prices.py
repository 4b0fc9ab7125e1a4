"""What positions are worth and what brokers say of them: one place, so that every page, every pushed tick and the API agree to
the cent.

Answers are remembered for moments, under the user and the account they are of: a venue is asked once for all tabs, and one that
is away does not hold up every one of them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dashtrade.domain.bots import Bot
from dashtrade.domain.ports import AccountState, BrokerError, BrokerPosition, Candle
from dashtrade.domain.values import ZERO, Symbol, Timeframe
from dashtrade.tables.accounts import Account

if TYPE_CHECKING:
    from dashtrade.app import App

PAPER_LIFE, VENUE_LIFE, STATE_LIFE, HISTORY_LIFE = 0.9, 3.0, 15.0, 600.0  # seconds


class Brief:
    """Remembers an answer for a moment, errors too."""

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


_known = Brief()


def _key(app: App, account: Account, what: str, *more: Any) -> tuple[Any, ...]:
    return (id(app), account.user_id, account.id, account.credentials, account.simulated, what, *more)


def real_money(account: Account | None) -> bool:
    return account is not None and account.mode == "live" and not account.simulated


def money_badge(account: Account) -> tuple[str, str]:
    """What kind of money it is, and the badge's colour: said wherever an account is."""
    if account.mode != "live":
        return "Paper", "green"
    return ("Live, simulated on paper", "blue") if account.simulated else ("Live money", "orange")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A bot and what its position is worth now; `mark` is None where no price is to be had."""

    bot: Bot
    account: Account | None
    mark: Decimal | None

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


def holding(app: App, bot: Bot, account: Account | None) -> Holding:
    mark = mark_of(app, account, bot.symbol) if account is not None and bot.position.quantity else None
    return Holding(bot=bot, account=account, mark=mark)


def mark_of(app: App, account: Account, symbol: Symbol) -> Decimal | None:
    """The broker's own mark where its list of positions has one (a single call for all of them), else the middle of the market."""
    if account.broker != "paper":
        held = positions_of(app, account)
        if not isinstance(held, BrokerError) and symbol in held and held[symbol].mark is not None:
            return held[symbol].mark
    life = PAPER_LIFE if account.broker == "paper" else VENUE_LIFE
    answer = _known.get(_key(app, account, "quote", symbol.text), life, lambda: app.brokers.feed(account).quote(symbol).mid)
    return None if isinstance(answer, BrokerError) else answer


def positions_of(app: App, account: Account) -> dict[Symbol, BrokerPosition] | BrokerError:
    """Everything the account holds, straight from the broker."""

    def ask() -> dict[Symbol, BrokerPosition]:
        return {position.symbol: position for position in app.brokers.of(account).positions()}

    return _known.get(_key(app, account, "positions"), PAPER_LIFE if account.broker == "paper" else VENUE_LIFE, ask)


def state_of(app: App, account: Account) -> AccountState | BrokerError:
    """Money in the account, as the venue says."""
    life = PAPER_LIFE if account.broker == "paper" else STATE_LIFE
    return _known.get(_key(app, account, "state"), life, lambda: app.brokers.of(account).account())


def daily_candles(app: App, account: Account, symbol: Symbol, count: int) -> list[Candle]:
    """For comparisons over weeks; empty where the venue has none."""

    def ask() -> list[Candle]:
        return list(app.brokers.feed(account).candles(symbol, Timeframe(86400), end=app.clock.now(), count=count))

    answer = _known.get(_key(app, account, "days", symbol.text, count), HISTORY_LIFE, ask)
    return [] if isinstance(answer, BrokerError) else answer
