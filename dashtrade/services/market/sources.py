"""The sources of market data that a user can use: those without a key, with a key of one's own or the
operator's, and those that the user's own broker accounts open.

Adapters are made when they are first needed and shared by all users of the same key, as are its budget and
its circuit."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dashtrade.context import App, custom_addresses
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import Credential
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.feeds.kinds import Around, PriceSource, SourceKind, Tier
from dashtrade.feeds.registry import SOURCES
from dashtrade.feeds.router import Router
from dashtrade.services.market.source_gate import SharedGate
from dashtrade.services.operations.keys import SOURCE_KEY
from dashtrade.tables import accounts as account_table
from dashtrade.tables import installation_settings
from dashtrade.tables import source_keys as key_table

log = logging.getLogger("dashtrade.sources")

MOST_ADAPTERS = 200  # in one process; those not used for the longest time go first


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A source with what opens it."""

    kind: SourceKind
    tier: Tier
    credentials: Mapping[str, str] = field(repr=False)

    @property
    def secret(self) -> str:
        """What budget and circuit go by: without a key, the source itself."""
        given = {each.name: self.credentials.get(each.name, "") for each in self.kind.credentials}
        return sha256(json.dumps([self.kind.name, given], sort_keys=True))


class Sources:
    """Of one process."""

    def __init__(self, app: App, kinds: Mapping[str, SourceKind] = SOURCES) -> None:
        self._app, self._kinds = app, kinds
        known = [address for kind in kinds.values() for address in kind.addresses]
        known += [address for kind in app.brokers.kinds.values() for address in kind.addresses]
        self._addresses = custom_addresses(app.settings, known)
        self._made: OrderedDict[tuple[str, str, str], PriceSource] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, owner: int) -> dict[str, PriceSource]:
        """By their names in series. Of two ways to one source the newer prices count."""
        found: dict[str, PriceSource] = {}
        for access in self._access(owner):
            try:
                source = self._source(access)
            except Malformed as error:  # an exchange that ccxt no longer knows: the other sources stay
                log.warning("%s cannot be used: %s", access.kind.title, error.message)
                continue
            known = found.get(source.name)
            if known is None or source.tier.delay < known.tier.delay:
                found[source.name] = source
        return found

    def router(self, owner: int) -> Router:
        return Router(list(self.of(owner).values()), self._app.clock)

    def named(self, owner: int, name: str) -> PriceSource | None:
        return self.of(owner).get(name)

    def close(self) -> None:
        with self._lock:
            while self._made:
                self._made.popitem()[1].close()

    # --- whose ---

    def _access(self, owner: int) -> Iterator[Access]:
        with self._app.db.read() as conn:
            accounts = account_table.list_all(conn, owner)
            own = key_table.list_all(conn, owner)
            sealed = installation_settings.settings_below(conn, SOURCE_KEY)
        for row in own:
            if row.source in self._kinds:
                kind, credentials = self._kinds[row.source], self._app.vault.decrypt(row.credentials)
                yield Access(kind=kind, tier=kind.tier(row.plan), credentials=json.loads(credentials))
        for account in accounts:
            if account.is_active:
                yield from self._through(account)
        for kind in self._kinds.values():
            if not kind.credentials:
                yield Access(kind=kind, tier=kind.tiers[0], credentials={})
            elif f"{SOURCE_KEY}{kind.name}" in sealed:
                stored = json.loads(self._app.vault.decrypt(sealed[f"{SOURCE_KEY}{kind.name}"]))
                yield Access(kind=kind, tier=kind.tier(stored["tier"]), credentials=stored["credentials"])

    def _through(self, account: Account) -> Iterator[Access]:
        """An Alpaca account has Alpaca's prices; an account at an exchange names the exchange, whose prices
        need no key."""
        kind = self._kinds.get({"crypto": "ccxt"}.get(account.broker, account.broker))
        if kind is None:
            return
        if account.broker == "crypto":
            exchange = str(account.options.get("exchange", ""))
            if exchange not in self._kinds:  # Binance is a source by itself
                yield Access(kind=kind, tier=kind.tiers[0], credentials={"exchange": exchange})
        elif account.broker == "alpaca":
            credentials = json.loads(self._app.vault.decrypt(account.credentials))
            paid = account.options.get("feed") == "sip"
            for tier in ("sip",) if paid else ("delayed", "iex"):
                yield Access(kind=kind, tier=kind.tier(tier), credentials=credentials)

    # --- adapters ---

    def _source(self, access: Access) -> PriceSource:
        made_for = (access.kind.name, access.tier.name, access.secret)
        with self._lock:
            source = self._made.get(made_for)
            if source is None:
                source = self._made[made_for] = self._make(access)
            self._made.move_to_end(made_for)
            while len(self._made) > MOST_ADAPTERS:
                self._made.popitem(last=False)  # not closed: another thread may be using it
        return source

    def _make(self, access: Access) -> PriceSource:
        gate = SharedGate(
            self._app.db, self._app.clock, source=access.kind.title, key=access.secret, tier=access.tier
        )
        around = Around(clock=self._app.clock, gate=gate, address=self._addresses.get)
        return access.kind.make(access.kind, access.tier, access.credentials, around)


# --- the operator's keys ------------------------------------------------------------------------------------


def fields_of(source: str) -> tuple[Credential, ...]:
    """The parts of its key."""
    return _with_key(source).credentials


def put_operator_key(app: App, source: str, tier: str, credentials: Mapping[str, str]) -> None:
    """For all users of this installation. Stored sealed, and never shown again."""
    sealed = app.vault.encrypt(json.dumps({"tier": tier, "credentials": _checked(source, tier, credentials)}))
    app.db.write(lambda conn: installation_settings.put_setting(conn, f"{SOURCE_KEY}{source}", sealed))


def drop_operator_key(app: App, source: str) -> bool:
    return app.db.write(lambda conn: installation_settings.drop_setting(conn, f"{SOURCE_KEY}{source}"))


# --- a user's own keys --------------------------------------------------------------------------------------


def put_own_key(app: App, user: User, source: str, tier: str, credentials: Mapping[str, str]) -> None:
    """It comes before the operator's. Stored sealed, and never shown again."""
    sealed, now = app.vault.encrypt(json.dumps(_checked(source, tier, credentials))), app.clock.now()
    app.db.write(lambda conn: key_table.put(conn, user.id, source, tier, sealed, now))


def drop_own_key(app: App, user: User, source: str) -> bool:
    return app.db.write(lambda conn: key_table.drop(conn, user.id, source))


def own_keys(app: App, user: User) -> dict[str, str]:
    """Sources of which the user has a key, and the plan of each."""
    with app.db.read() as conn:
        return {row.source: row.plan for row in key_table.list_all(conn, user.id)}


def _checked(source: str, tier: str, credentials: Mapping[str, str]) -> dict[str, str]:
    kind = _with_key(source)
    if tier not in {each.name for each in kind.tiers}:
        hint = f"One of: {', '.join(each.name for each in kind.tiers)}."
        raise Malformed(f"{kind.title} has no plan {tier[:40]!r}", where="tier", hint=hint)
    given = {each.name: str(credentials.get(each.name, "")).strip() for each in kind.credentials}
    for name, value in given.items():
        if not value.isascii() or not value.isprintable() or not 1 <= len(value) <= 500:
            raise Malformed(f"the {name} is missing or cannot be one", where=f"credentials.{name}")
    return given


def _with_key(source: str) -> SourceKind:
    kind = SOURCES.get(source)
    if kind is None or not kind.needs_key:
        named = ", ".join(name for name, each in SOURCES.items() if each.needs_key)
        raise Malformed(f"there is no key for {source[:40]!r}", where="source", hint=f"One of: {named}.")
    return kind
