"""What is known of a broker before anybody has an account there, in one record.

A broker's package has one: `BROKER` in its `descriptor`. Forms, REST, the manual and the settings are drawn
from these, and a row in `brokers.registry` is all that the rest of the program is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from dashtrade.domain.accounts import Account
from dashtrade.domain.paper_account import PaperStore
from dashtrade.domain.ports import Broker, Capabilities, Clock, Feed

# A number of at least so much, and the turn to use it until the answer is here.
Nonces = Callable[[int], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    name: str
    help: str  # what to copy there, and from where
    label: str = ""  # of its field; without one no form asks for it
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOption:
    """A setting of an account. Its default is the adapter's; here it is what a form begins with."""

    name: str
    help: str
    label: str = ""  # of its field; without one no form asks for it
    default: str = ""
    unit: Literal["amount", "percent", "yes or no"] = "amount"
    missing: str = ""  # what is said where the field is left empty; without it that is 0
    folded: bool = False  # away, as few need it


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A setting for a server of one's own; `<…>` in its name stands for any letters."""

    setting: str
    default: str
    meaning: str

    def covers(self, name: str) -> bool:
        return re.fullmatch(re.sub("<[A-Z]+>", "[A-Z0-9]+", self.setting), name) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChoice:
    """What a person chooses: the broker, or one exchange of the broker `crypto`."""

    title: str
    exchange: str | None = None  # empty: any other
    can: Capabilities
    modes: tuple[str, ...]
    guide: str  # how to connect it, in a few sentences
    credentials: tuple[Credential, ...] = ()
    options: tuple[AccountOption, ...] = ()
    settings: tuple[str, ...] = ()  # of addresses
    proven: bool = True  # held to the contract tests, against a simulator of its wire

    @property
    def fixed(self) -> dict[str, str]:
        """The options that choosing it has set."""
        return {"exchange": self.exchange} if self.exchange else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSignIn:
    """A person signs in on the broker's own page, again and again; what comes back becomes the credential
    `token`."""

    every: str  # how often
    code_lives: str  # how long the address that one is sent back to may be used
    callback: str  # where people are sent back to, unless they registered another address
    setting: str  # of the address of that page
    # (key, callback, state=, verifier=, url=)
    page: Callable[..., str]
    # the code, in the address that a person was sent back to
    code_in: Callable[[str], str]
    # (key, secret, callback, code, verifier=, url=, clock=)
    exchange: Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an adapter may use of the application, for one account."""

    clock: Clock
    prices: Feed  # for a market of its own
    home: Path  # for what can be read again
    books: PaperStore  # of play money
    address: Callable[[str], str | None]  # by its setting; None: the broker's own
    nonces: Callable[[str], Nonces]  # of one key: they rise over all processes
    load_session: Callable[[], str]  # what the broker renewed last, by whatever process; empty: nothing yet
    save_session: Callable[[str], None]
    exclusive: Callable[[], AbstractContextManager[Any]]  # one process at a time
    owner_of: Callable[[str], str | None]  # our name of the order that has this number at the broker


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerKind:
    name: str
    modes: tuple[str, ...]
    # credentials, and options with the mode, before they are stored; raises Malformed
    check: Callable[[dict[str, str], dict[str, Any]], None]
    make: Callable[[Account, dict[str, str], Surroundings], Broker]
    choices: tuple[BrokerChoice, ...] = ()
    addresses: tuple[Address, ...] = ()
    sign_in: BrokerSignIn | None = None
    # why an account with these cannot be used yet
    lacks: Callable[[dict[str, str]], str] = lambda credentials: ""
    starting_cash: Callable[[dict[str, Any]], Decimal] | None = None  # of play money, which can be set back
    streams: bool = False  # its adapter offers a stream

    def choice(self, options: Mapping[str, Any]) -> BrokerChoice | None:
        """What was chosen for an account with these options; the last one fits what no other does."""
        fits = (each for each in self.choices if each.fixed.items() <= dict(options).items())
        return next(fits, None)
