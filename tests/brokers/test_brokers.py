"""The list of brokers: complete, true to the adapters, and made without their libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dashtrade.brokers import guide
from dashtrade.brokers.crypto.venues import EXCHANGES, capabilities_of
from dashtrade.brokers.registry import BROKERS
from dashtrade.cli import main
from dashtrade.context import App, broker_addresses
from dashtrade.domain.broker_kinds import BrokerChoice
from dashtrade.domain.values import Malformed
from dashtrade.settings import ROOT, BadSetting, Settings
from tests.support.installation import Installation

LISTED = guide.choices()


def test_every_broker_and_every_proven_exchange_is_listed_once():
    assert {broker for broker, _ in LISTED} == BROKERS.keys()
    exchanges = [choice.exchange for broker, choice in LISTED if broker == "crypto"]
    assert sorted(exchanges) == sorted([*EXCHANGES, ""])
    assert [choice.exchange for _, choice in LISTED if not choice.proven] == [""]
    assert len({choice.title for _, choice in LISTED}) == len(LISTED)


@pytest.mark.parametrize(("broker", "choice"), LISTED, ids=[choice.title for _, choice in LISTED])
class TestEach:
    def test_its_modes_are_those_an_account_may_have(self, broker: str, choice: BrokerChoice):
        kind = BROKERS[broker]
        assert set(choice.modes) <= set(kind.modes)
        if "paper" not in choice.modes and "paper" in kind.modes and choice.exchange:
            with pytest.raises(Malformed, match="no sandbox"):
                kind.check({"key": "k", "secret": "s"}, {"exchange": choice.exchange, "mode": "paper"})

    def test_its_credentials_are_those_an_account_needs(self, broker: str, choice: BrokerChoice):
        options = {"mode": choice.modes[-1], **choice.fixed}
        names = [each.name for each in choice.credentials]
        for name in [each.name for each in choice.credentials if each.required and choice.proven]:
            with pytest.raises(Malformed) as refused:
                BROKERS[broker].check({given: "x" for given in names if given != name}, options)
            assert refused.value.where.rpartition(".")[2] in names

    def test_an_account_of_it_is_recognised_by_its_options(self, broker: str, choice: BrokerChoice):
        options = {"quote": "EUR", "exchange": choice.exchange or "bitstamp"}
        assert BROKERS[broker].choice(options) is choice

    def test_its_addresses_are_settings_of_its_broker(self, broker: str, choice: BrokerChoice):
        known = BROKERS[broker].addresses
        for name in choice.settings:
            assert any(each.covers(name) or each.setting == name for each in known)


def test_the_capabilities_are_those_the_engine_goes_by():
    for _, choice in LISTED:
        if choice.exchange:
            assert choice.can == capabilities_of(choice.exchange)


def test_a_brokers_address_is_taken_and_checked(tmp_path: Path):
    given = {
        "ALPACA_API_URL": "http://127.0.0.1:9001/",
        "CCXT_URL_BINANCE": "http://127.0.0.1:9002",
        "REDIS_URL": "nowhere",
    }
    assert broker_addresses(Settings.load(given, tmp_path), BROKERS) == {
        "ALPACA_API_URL": "http://127.0.0.1:9001",
        "CCXT_URL_BINANCE": "http://127.0.0.1:9002",
    }
    with pytest.raises(BadSetting, match="SCHWAB_URL"):
        broker_addresses(Settings.load({"SCHWAB_URL": "nowhere"}, tmp_path), BROKERS)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_descriptor_loads_no_adapter_and_no_library(broker: str):
    heavy = ("ccxt", "alpaca", "requests", "urllib3", f"dashtrade.brokers.{broker}.adapter")
    script = (
        f"import sys, dashtrade.brokers.{broker}.descriptor; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_rest_api_lists_them_as_they_are(app: App):
    items = Installation(app).join().get("/brokers")["items"]
    assert items == json.loads(json.dumps([guide.as_json(*one) for one in LISTED]))
    binance = next(item for item in items if item["exchange"] == "binance")
    assert binance["capabilities"]["shorts"] is False and "market" in binance["capabilities"]["order_types"]
    assert [one["name"] for one in binance["credentials"]] == ["key", "secret"] and binance["settings"] == [
        "CCXT_URL_BINANCE"
    ]


def test_listing_them_loads_no_library():
    script = (
        "import sys; from dashtrade.brokers import guide; guide.as_markdown(); print([n for n in ('ccxt', "
        "'alpaca') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_the_command_prints_the_table_and_the_list(capsys: pytest.CaptureFixture[str]):
    assert main(["brokers", "--markdown"]) == 0
    assert capsys.readouterr().out == guide.as_markdown()
    assert main(["brokers"]) == 0
    assert "crypto binance" in capsys.readouterr().out
