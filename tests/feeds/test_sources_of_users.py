"""Which sources a user can use, and that keys are sealed and shared only as they are meant to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.audit import AuditAction
from dashtrade.domain.people import User
from dashtrade.domain.ports import NotOffered, RetryLater
from dashtrade.domain.reasons import NO_REASON
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import Malformed
from dashtrade.services.market import sources as service
from dashtrade.services.market.sources import (
    Sources,
    drop_operator_key,
    drop_own_key,
    own_keys,
    put_operator_key,
    put_own_key,
)
from dashtrade.services.operations import keys
from dashtrade.services.people import removal
from dashtrade.settings import BadSetting
from dashtrade.tables import accounts, installation_settings, source_keys
from encryption import Vault, new_key
from tests.simulators import source_alpaca, source_finnhub
from tests.simulators.source_binance import BinanceServer
from tests.simulators.source_server import Fault
from tests.support.fakes import MORNING, ManualClock, add_user
from tests.support.installation import MakeApp
from tests.support.user_rows import row_counts

AAPL, BTC = Symbol.parse("AAPL"), Symbol.parse("BTC/USDT")


@pytest.fixture
def sources(app: App) -> Iterator[Sources]:
    made = Sources(app)
    yield made
    made.close()


@pytest.fixture
def ann(app: App) -> User:
    return add_user(app, "ann@example.com")


def connect(app: App, user: User, broker: str, credentials: Any = None, **options: Any) -> int:
    values: dict[str, Any] = {
        "broker": broker,
        "mode": "paper",
        "label": broker,
        "credentials": app.vault.encrypt(json.dumps(credentials or {})),
        "options": options,
        "created_at": MORNING,
        "is_active": True,
        "disabled_reason": NO_REASON,
        "acknowledged_at": None,
        "second_factor_declined_at": None,
    }
    return app.db.write(lambda conn: accounts.add(conn, user.id, **values))


ALPACA = {"key": source_alpaca.KEY, "secret": source_alpaca.SECRET}


# --- whose ---


def test_without_any_key_there_are_the_sources_that_need_none(sources: Sources, ann: User):
    assert list(sources.of(ann.id)) == ["binance"]
    with pytest.raises(NotOffered):
        sources.router(ann.id).quote(AAPL)


def test_the_operators_key_is_everybodys(app: App, sources: Sources, ann: User):
    put_operator_key(app, "finnhub", "free", {"key": source_finnhub.KEY})
    bob = add_user(app, "bob@example.com")
    assert list(sources.of(ann.id)) == list(sources.of(bob.id)) == ["binance", "finnhub"]
    assert sources.named(ann.id, "finnhub") is sources.named(bob.id, "finnhub")
    assert drop_operator_key(app, "finnhub") and not drop_operator_key(app, "finnhub")
    assert list(sources.of(ann.id)) == ["binance"]


def test_an_alpaca_account_opens_alpacas_prices_for_its_owner_alone(app: App, sources: Sources, ann: User):
    connect(app, ann, "alpaca", ALPACA)
    bob = add_user(app, "bob@example.com")
    assert {name: source.tier.name for name, source in sources.of(ann.id).items()} == {
        "alpaca": "delayed",
        "alpaca-iex": "iex",
        "binance": "public",
    }
    assert list(sources.of(bob.id)) == ["binance"]


def test_a_paid_plan_of_alpaca_has_the_whole_market_at_once(app: App, sources: Sources, ann: User):
    connect(app, ann, "alpaca", ALPACA, feed="sip")
    assert {name: source.tier.name for name, source in sources.of(ann.id).items()} == {
        "alpaca": "sip",
        "binance": "public",
    }


def test_of_two_ways_to_one_source_the_newer_prices_count(app: App, sources: Sources, ann: User):
    connect(app, ann, "alpaca", ALPACA)
    put_operator_key(app, "alpaca", "sip", {"key": "PKOPERATOR", "secret": "operators-secret"})
    assert {name: source.tier.name for name, source in sources.of(ann.id).items()} == {
        "alpaca": "sip",
        "alpaca-iex": "iex",
        "binance": "public",
    }


def test_a_disabled_account_opens_nothing(app: App, sources: Sources, ann: User):
    account = connect(app, ann, "alpaca", ALPACA)
    app.db.write(lambda conn: accounts.change(conn, ann.id, account, is_active=False))
    assert list(sources.of(ann.id)) == ["binance"]


def test_an_account_at_an_exchange_names_a_source(app: App, sources: Sources, ann: User, caplog):
    for exchange in ("bitstamp", "binance", "nosuchexchange"):
        connect(app, ann, "crypto", {"key": "k", "secret": "s"}, exchange=exchange)
    connect(app, ann, "paper")
    assert sorted(sources.of(ann.id)) == ["binance", "ccxt-bitstamp"]
    assert "nosuchexchange" in caplog.text


# --- keys ---


@pytest.mark.parametrize(
    ("source", "tier", "credentials", "where"),
    [
        ("nosuch", "free", {"key": "k"}, "source"),
        ("binance", "public", {}, "source"),
        ("ccxt", "public", {"exchange": "kraken"}, "source"),
        ("finnhub", "gold", {"key": "k"}, "tier"),
        ("finnhub", "free", {}, "credentials.key"),
        ("finnhub", "free", {"key": "a\r\nHost: other"}, "credentials.key"),
        ("finnhub", "free", {"key": "ключ"}, "credentials.key"),
        ("finnhub", "free", {"key": "k" * 600}, "credentials.key"),
        ("alpaca", "iex", {"key": "k"}, "credentials.secret"),
    ],
)
def test_a_key_that_cannot_be_one_is_malformed(
    app: App, source: str, tier: str, credentials: Any, where: str
):
    with pytest.raises(Malformed) as raised:
        put_operator_key(app, source, tier, credentials)
    assert raised.value.where == where


def test_a_key_is_sealed_and_survives_a_new_encryption_key(app: App, ann: User):
    put_operator_key(app, "finnhub", "paid", {"key": source_finnhub.KEY})
    with app.db.read() as conn:
        stored = installation_settings.setting(conn, "source_key:finnhub") or ""
    assert source_finnhub.KEY not in stored
    assert source_finnhub.KEY in app.vault.decrypt(stored)
    fresh = new_key()
    app.vault = Vault([fresh, *app.settings.encryption_keys])
    assert keys.rotate_all(app) == 2
    app.vault = Vault([fresh])
    found = Sources(app).named(ann.id, "finnhub")
    assert found is not None and found.tier.name == "paid"


def test_a_new_key_is_used_at_once(app: App, sources: Sources, ann: User):
    put_operator_key(app, "finnhub", "free", {"key": "first"})
    first = sources.named(ann.id, "finnhub")
    put_operator_key(app, "finnhub", "free", {"key": "second"})
    assert sources.named(ann.id, "finnhub") is not first


def test_what_opens_a_source_shows_no_key(app: App):
    kind = service.SOURCES["finnhub"]
    access = service.Access(kind=kind, tier=kind.tiers[0], credentials={"key": "secret-key-1"})
    assert "secret-key-1" not in repr(access) + access.secret


def test_adapters_are_a_bounded_number(app: App, sources: Sources, ann: User, monkeypatch):
    monkeypatch.setattr(service, "MOST_ADAPTERS", 3)
    for number in range(9):
        put_operator_key(app, "finnhub", "free", {"key": f"key{number}"})
        sources.of(ann.id)
    assert len(sources._made) == 3


# --- on the wire, with the shared gate ---


def test_addresses_are_settings(make_app: MakeApp, ann: User):
    with pytest.raises(BadSetting):
        Sources(make_app(FINNHUB_URL="nowhere"))


def test_two_processes_share_what_a_source_asks_for(
    make_app: MakeApp, app: App, ann: User, clock: ManualClock
):
    with BinanceServer() as sim:
        sim.market.now = clock.time
        one, two = (Sources(make_app(clock=clock, BINANCE_DATA_URL=sim.url)) for _ in range(2))
        assert one.router(ann.id).quote(BTC).source == "binance"
        sim.fault(Fault(status=429, body={}, headers={"Retry-After": "40"}))
        for each in (one, two, two):
            with pytest.raises(RetryLater) as raised:
                each.router(ann.id).quote(BTC)
            assert raised.value.after == timedelta(seconds=40)
        assert len(sim.asked) == 2
        clock.forward(40)
        assert two.router(ann.id).quote(BTC).source == "binance"


# --- a user's own keys ---


def test_a_key_of_ones_own_opens_a_source_for_its_owner_alone_and_comes_first(
    app: App, sources: Sources, ann: User
):
    bob = add_user(app, "bob@example.com")
    put_own_key(app, ann, "finnhub", "paid", {"key": "anns-key"})
    assert own_keys(app, ann) == {"finnhub": "paid"} and own_keys(app, bob) == {}
    assert "finnhub" in sources.of(ann.id) and "finnhub" not in sources.of(bob.id)
    put_operator_key(app, "finnhub", "free", {"key": "operators-key"})
    assert [sources.of(user.id)["finnhub"].tier.name for user in (ann, bob)] == ["paid", "free"]
    assert not drop_own_key(app, bob, "finnhub") and drop_own_key(app, ann, "finnhub")
    assert sources.of(ann.id)["finnhub"] is sources.of(bob.id)["finnhub"]


def test_a_key_of_ones_own_is_sealed_replaced_and_resealed(app: App, ann: User):
    for key in ("first-key", "second-key"):
        put_own_key(app, ann, "finnhub", "free", {"key": key})
    with app.db.read() as conn:
        (row,) = source_keys.list_all(conn, ann.id)
    assert "second-key" not in row.credentials
    assert json.loads(app.vault.decrypt(row.credentials)) == {"key": "second-key"}
    fresh = new_key()
    app.vault = Vault([fresh, *app.settings.encryption_keys])
    keys.rotate_all(app)
    app.vault = Vault([fresh])
    assert "finnhub" in Sources(app).of(ann.id)


def test_a_key_of_ones_own_that_cannot_be_one_is_malformed(app: App, ann: User):
    with pytest.raises(Malformed):
        put_own_key(app, ann, "finnhub", "free", {"key": "a\nb"})


def test_keys_go_with_their_user(app: App, ann: User):
    put_own_key(app, ann, "finnhub", "free", {"key": "anns-key"})
    removal.remove(app, ann.id, actor=None, action=AuditAction.USER_DELETED)
    assert row_counts(app, ann.id) == {}
