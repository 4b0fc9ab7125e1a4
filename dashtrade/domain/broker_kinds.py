"""A broker's static description, in one record.

A broker's package has one: `BROKER` in its `descriptor`. Forms, REST, the manual and the settings are
generated from it; `brokers.registry` lists it for the rest of the program."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from dashtrade.domain.accounts import Account
from dashtrade.domain.paper_account import PaperStore
from dashtrade.domain.ports import Broker, Capabilities, Clock, Feed
from dashtrade.domain.record import record
from dashtrade.domain.sessions import Sessions

# A context that yields a number of at least the given value, exclusive until the answer has arrived.
Nonces = Callable[[int], AbstractContextManager[int]]


@record
class Credential:
    name: str
    help: str  # what to copy, and from where
    label: str = ""  # of the form field; without one the field is not shown
    secret: bool = False
    required: bool = True


@record
class AccountOption:
    """A setting of an account. The adapter has its own default; this default is the form's."""

    name: str
    help: str
    label: str = ""  # of the form field; without one the field is not shown
    default: str = ""
    unit: Literal["amount", "percent", "yes or no"] = "amount"
    missing: str = ""  # what an empty field means; without this text it means 0
    folded: bool = False  # hidden under advanced settings


@record
class Address:
    """A setting for a custom server; `<…>` in its name stands for any letters."""

    setting: str
    default: str
    meaning: str

    def covers(self, name: str) -> bool:
        return re.fullmatch(re.sub("<[A-Z]+>", "[A-Z0-9]+", self.setting), name) is not None


@record
class BrokerChoice:
    """A choice in the form: the broker, or one exchange of the broker `crypto`."""

    title: str
    exchange: str | None = None  # empty: any other
    can: Capabilities
    modes: tuple[str, ...]
    guide: str  # how to connect, in a few sentences
    credentials: tuple[Credential, ...] = ()
    options: tuple[AccountOption, ...] = ()
    settings: tuple[str, ...] = ()  # names of the address settings
    proven: bool = True  # passes the contract tests, against a simulator of its API

    @property
    def fixed(self) -> dict[str, str]:
        """The options fixed by this choice."""
        return {"exchange": self.exchange} if self.exchange else {}


@record
class BrokerSignIn:
    """A recurring sign-in on the broker's own page; its result becomes the credential `token`."""

    every: str  # how often
    code_lives: str  # how long the callback address may be used
    callback: str  # the default callback address
    setting: str  # setting with the address of that page
    # (key, callback, state=, verifier=, url=)
    page: Callable[..., str]
    # the code from the callback address
    code_in: Callable[[str], str]
    # (key, secret, callback, code, verifier=, url=, clock=)
    exchange: Callable[..., str]


@record
class Surroundings:
    """The parts of the application that an adapter may use, for one account."""

    clock: Clock
    prices: Feed  # for a simulated market
    home: Path  # folder for caches
    books: PaperStore  # of simulated money
    address: Callable[[str], str | None]  # by its setting; None: the broker's own
    nonces: Callable[[str], Nonces]  # of one key: increasing across all processes
    load_session: Callable[[], str]  # what was last renewed, by any process; empty: nothing yet
    save_session: Callable[[str], None]
    exclusive: Callable[[], AbstractContextManager[Any]]  # one process at a time
    owner_of: Callable[[str], str | None]  # our id of the order with this broker number
    sessions: Callable[[str], Sessions]  # a calendar's trading days


@record
class BrokerKind:
    name: str
    modes: tuple[str, ...]
    # credentials, and options with the mode, before they are stored; raises Malformed
    check: Callable[[dict[str, str], dict[str, Any]], None]
    make: Callable[[Account, dict[str, str], Surroundings], Broker]
    choices: tuple[BrokerChoice, ...] = ()
    addresses: tuple[Address, ...] = ()
    sign_in: BrokerSignIn | None = None
    # why an account with these credentials cannot be used yet
    lacks: Callable[[dict[str, str]], str] = lambda credentials: ""
    starting_cash: Callable[[dict[str, Any]], Decimal] | None = None  # of simulated money, which can be reset
    streams: bool = False  # its adapter offers a stream

    def choice(self, options: Mapping[str, Any]) -> BrokerChoice | None:
        """The choice that these options stand for; the last one matches any options."""
        fits = (each for each in self.choices if each.fixed.items() <= dict(options).items())
        return next(fits, None)
