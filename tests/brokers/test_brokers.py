"""The list of brokers: complete, true to the adapters, and made without their libraries."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dashtrade.app import BROKERS
from dashtrade.brokers import guide
from dashtrade.brokers.crypto.venues import EXCHANGES, capabilities_of
from dashtrade.cli import main
from dashtrade.context import App
from dashtrade.domain.values import Malformed
from dashtrade.settings import ROOT
from tests.support.installation import House


@pytest.fixture(scope="module")
def listed() -> list[guide.Guide]:
    return list(guide.guides())


def test_every_broker_and_every_proven_exchange_is_listed_once(listed: list[guide.Guide]):
    assert {one.broker for one in listed} == BROKERS.keys()
    exchanges = [one.exchange for one in listed if one.broker == "crypto"]
    assert sorted(exchanges) == sorted([*EXCHANGES, ""]) and [
        one.exchange for one in listed if not one.proven
    ] == [""]


def test_the_modes_are_those_an_account_may_have(listed: list[guide.Guide]):
    for one in listed:
        assert set(one.modes) <= set(BROKERS[one.broker].modes)
        if "paper" not in one.modes and "paper" in BROKERS[one.broker].modes and one.exchange:
            with pytest.raises(Malformed, match="no sandbox"):
                BROKERS[one.broker].check(
                    {"key": "k", "secret": "s"}, {"exchange": one.exchange, "mode": "paper"}
                )


def test_the_credentials_it_names_are_those_an_account_needs(listed: list[guide.Guide]):
    for one in listed:
        options = {"mode": one.modes[-1]} | ({"exchange": one.exchange} if one.exchange else {})
        for name in one.credentials.keys() - set(one.optional) if one.exchange != "" else ():
            with pytest.raises(Malformed) as refused:
                BROKERS[one.broker].check({given: "x" for given in one.credentials if given != name}, options)
            assert refused.value.where.rpartition(".")[2] in one.credentials


def test_the_capabilities_are_those_the_engine_goes_by(listed: list[guide.Guide]):
    for one in listed:
        if one.exchange:
            assert one.can == capabilities_of(one.exchange)


def test_the_rest_api_lists_them_as_they_are(app: App):
    items = House(app).join().get("/brokers")["items"]
    assert items == json.loads(json.dumps([guide.as_json(one) for one in guide.guides()]))
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
