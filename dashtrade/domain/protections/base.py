"""Shared by all protections: their inputs, their results, and how their settings are read.

A protection checks an entry against past events (`ProtectionInputs`) and returns None or a `Lock`. It is a
pure function of these, so that a backtest runs the same code. Exits are not checked: reducing risk is never
stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from dashtrade.domain.bots import Switch
from dashtrade.domain.decisions.steps import Step
from dashtrade.domain.ports import Quote
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, Malformed, exact, plain

T = TypeVar("T")
MONTH = 30 * 24 * 60  # in minutes: no protection looks back further


class Scope(StrEnum):
    """Whose trading a protection watches and locks."""

    BOT = "bot"
    ACCOUNT = "account"
    USER = "user"


class Needs(StrEnum):
    """The data a protection needs; data that none needs is not read."""

    EXITS = "exits"
    ORDERS = "orders"
    HOLDINGS = "holdings"


class LockTarget(StrEnum):
    """What a lock blocks: everything in the protection's scope, or only one symbol or one bot there."""

    SCOPE = "scope"
    SYMBOL = "symbol"
    BOT = "bot"


@record
class PastExit:
    """An order that closed or reduced a position, and its profit after its fee."""

    bot_id: int
    account_id: int
    symbol: Symbol
    at: datetime
    profit: Decimal
    stopped: bool  # by a stop-loss or a loss limit


@record
class SentEntry:
    """A decided order, entry or exit."""

    bot_id: int
    account_id: int
    at: datetime


@record
class OtherHolding:
    """The position or pending entry of another bot. Quantities are unsigned."""

    bot_id: int
    account_id: int
    symbol: Symbol
    quantity: Decimal


@record
class ProtectionInputs:
    """Events within a protection's scope, up to now and since its last unlocking."""

    now: datetime
    bot_id: int
    symbol: Symbol
    quote: Quote
    equity: Decimal
    owned: Decimal  # by the entry's own bot after the exits before the entry; unsigned
    market_open: bool = True
    opens_at: datetime | None = None
    exits: tuple[PastExit, ...] = ()  # oldest first
    sent: tuple[SentEntry, ...] = ()
    others: tuple[OtherHolding, ...] = ()  # one for each other bot of the scope


@record
class Lock:
    """Entries are blocked until a time, or until unlocked by hand (None). A lock that ends now blocks this
    entry only."""

    reason: Reason
    until: datetime | None
    limit: Decimal = ZERO  # the setting and the measured value, in the protection's own unit
    actual: Decimal = ZERO
    target: LockTarget = LockTarget.SCOPE

    def lasts(self, now: datetime) -> bool:
        return self.until is None or self.until > now


class Protection(Protocol):
    """One kind, with its settings as the fields of a frozen dataclass."""

    kind: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[Needs | None]

    def judge(self, entry: Step, seen: ProtectionInputs) -> Lock | None: ...


@record
class Guard:
    """An active protection: whose trading it watches, and the events there."""

    id: int  # 0: a default, which holds for all users
    scope: Scope
    scope_id: int
    rule: Protection
    exits: tuple[PastExit, ...] = ()
    sent: tuple[SentEntry, ...] = ()
    others: tuple[OtherHolding, ...] = ()


@record
class ProtectionLock:
    """A protection that blocked an entry."""

    guard: Guard
    lock: Lock


@record
class ActiveLock:
    """A lock that is active now."""

    id: int
    protection_id: int
    kind: str
    scope: Scope
    symbol: Symbol | None
    reason: Reason
    until: datetime | None


@record
class ActiveProtection:
    """A protection that its user has turned on."""

    id: int
    kind: str
    scope: Scope
    scope_id: int
    settings: dict[str, Any]


@record
class BotRestrictions:
    """All restrictions of a bot."""

    switches: tuple[Switch, ...]
    locks: tuple[ActiveLock, ...]
    protections: tuple[ActiveProtection, ...]


def lock_end(since: datetime, minutes: int | None) -> datetime | None:
    return None if minutes is None else since + timedelta(minutes=minutes)


def recent(seen: ProtectionInputs, minutes: int) -> tuple[PastExit, ...]:
    """Its exits of the last minutes."""
    since = seen.now - timedelta(minutes=minutes)
    return tuple(one for one in seen.exits if one.at > since)


def within(exits: tuple[PastExit, ...], per: str, seen: ProtectionInputs) -> tuple[PastExit, ...]:
    """Those of the entry's own bot, of its symbol, or all of the scope's."""
    match LockTarget(per):
        case LockTarget.BOT:
            return tuple(one for one in exits if one.bot_id == seen.bot_id)
        case LockTarget.SYMBOL:
            return tuple(one for one in exits if one.symbol == seen.symbol)
    return exits


def counting(exits: tuple[PastExit, ...], counts: str) -> tuple[PastExit, ...]:
    """`stops`, `losses` or all `exits`."""
    return tuple(
        one for one in exits if counts == "exits" or (one.stopped if counts == "stops" else one.profit < 0)
    )


# --- settings -----------------------------------------------------------------------------------------------


@record
class SettingRule:
    """How one setting is parsed and described."""

    words: str
    of: tuple[str, ...] = ()  # one of these words
    least: Decimal = ZERO
    most: Decimal = ZERO
    whole: bool = False
    empty: str = ""  # what null means; without it, null is refused

    def read(self, value: object, where: str) -> Any:
        if value is None and self.empty:
            return None
        if self.of:
            if value not in self.of:
                raise Malformed(
                    f"{where} cannot be {str(value)[:30]!r}",
                    where=where,
                    hint=f"One of: {', '.join(self.of)}.",
                )
            return value
        if value is None:
            raise Malformed(f"{where} is null", where=where, hint=f"{self.range} Omit it to use the default.")
        number = exact(value, where)
        if not self.least <= number <= self.most or (self.whole and number != int(number)):
            raise Malformed(f"{where} cannot be {plain(number)}", where=where, hint=self.range)
        return int(number) if self.whole else number

    @property
    def range(self) -> str:
        more = f", or null: {self.empty}" if self.empty else ""
        return (
            f"A {'whole ' if self.whole else ''}number from {plain(self.least)} to {plain(self.most)}{more}."
        )


def counted(default: int | None, least: int, most: int, words: str, *, empty: str = "") -> Any:
    return field(
        default=default,
        metadata={
            "setting": SettingRule(
                words=words, least=Decimal(least), most=Decimal(most), whole=True, empty=empty
            )
        },
    )


def measured(default: str | None, least: str, most: str, words: str, *, empty: str = "") -> Any:
    value = None if default is None else Decimal(default)
    return field(
        default=value,
        metadata={"setting": SettingRule(words=words, least=Decimal(least), most=Decimal(most), empty=empty)},
    )


def chosen(default: str, of: tuple[str, ...], words: str) -> Any:
    return field(default=default, metadata={"setting": SettingRule(words=words, of=of)})


def locking(default: int | None, *, least: int = 1) -> Any:
    """How long entries stay locked. 0, where allowed, refuses only the current entry."""
    words = "lock for (minutes)" + ("; 0: refuse this entry only" if least == 0 else "")
    return counted(default, least, MONTH, words, empty="until unlocked")


def settings_of(made: type) -> dict[str, SettingRule]:
    return {one.name: one.metadata["setting"] for one in fields(made)}


def read_settings(made: type[T], given: Mapping[str, Any]) -> T:
    """The protection with these settings; raises Malformed with a hint."""
    known = settings_of(made)
    kind: str = made.kind  # type: ignore[attr-defined]
    values = {}
    for name, value in given.items():
        if name not in known:
            close = get_close_matches(name, known, 1)
            has = f"It has: {', '.join(known)}." if known else "It has no settings."
            raise Malformed(
                f"{kind} has no setting {name[:60]!r}",
                where=f"settings.{name[:60]}",
                hint=f"Did you mean {close[0]}?" if close else has,
            )
        values[name] = known[name].read(value, f"settings.{name}")
    return made(**values)


def written_settings(protection: Any) -> dict[str, Any]:
    """As stored and shown: numbers that are not whole as text."""
    values = {one.name: getattr(protection, one.name) for one in fields(protection)}
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in values.items()}
