"""Accounts at Alpaca's simulator."""

from __future__ import annotations

from typing import Any

from tests.simulators.alpaca import AlpacaSimulator
from tests.support.installation import Trader


def addresses(sim: AlpacaSimulator) -> dict[str, str]:
    return {"ALPACA_API_URL": sim.url, "ALPACA_DATA_URL": sim.url, "ALPACA_STREAM_URL": sim.stream_url}


def account(person: Trader, sim: AlpacaSimulator, **more: Any) -> int:
    given = {
        "broker": "alpaca",
        "mode": "paper",
        "label": "Alpaca",
        "credentials": {"key": sim.key, "secret": sim.secret},
    }
    return person.request("POST", "/accounts", given | more)["id"]
