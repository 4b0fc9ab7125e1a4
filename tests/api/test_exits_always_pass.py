"""No limit of the receiver stands between a user and the way out of what they hold."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dashtrade.limits import Rate, ReceiverLimits
from dashtrade.services.operations import quotas
from dashtrade.settings import Settings
from tests.support.databases import SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader


@pytest.fixture
def database_url(sqlite_files: SqliteFiles) -> str:
    return sqlite_files.fresh()


@pytest.fixture
def trader(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Trader:
    """She holds AAPL, is short of KO, and has a bot for MSFT that owns nothing."""
    person = Installation(make_app(clock=clock, feed=feed)).join()
    for symbol in ("AAPL", "KO", "MSFT"):
        person.bot(symbol)
    person.trades("buy", "AAPL")
    person.trades("sell", "KO")
    return person


def flooded(person: Trader, **values: Rate) -> None:
    """Their rate is used up, and does not come back while the test runs."""
    limits = ReceiverLimits(alerts=Rate(0.001, burst_seconds=1000), **values)
    person.installation.flask.config["LIMITS"] = limits
    limits.alerts.take(person.user.id)


def status(person: Trader, action: str, symbol: str, **more: object) -> int:
    return person.alert(
        {"action": action, "symbol": symbol, "id": f"{action} {symbol} {more}", **more}
    ).status_code


def test_a_user_may_send_20_alerts_a_second_and_one_for_each_bot_at_once(trader: Trader) -> None:
    rate = trader.installation.flask.config["LIMITS"].alerts
    assert rate.per_second == 20 and rate.most == quotas.BOTS.most
    assert next(row for row in Settings.TABLE if row.name == "DASHTRADE_WEBHOOK_RATE").default == "20"


@pytest.mark.parametrize(
    ("action", "symbol", "more"),
    [
        ("close", "AAPL", {}),
        ("reduce", "AAPL", {"quantity": "10%"}),
        ("sell", "AAPL", {}),
        ("buy", "KO", {}),
        ("close", "KO", {}),
        ("reverse", "AAPL", {}),
        ("breakeven", "AAPL", {}),
    ],
)
def test_beyond_the_rate_what_leads_out_of_a_position_passes(
    trader: Trader, action: str, symbol: str, more: dict[str, str]
) -> None:
    flooded(trader)
    assert status(trader, action, symbol, **more) == 202


@pytest.mark.parametrize(
    ("action", "symbol"),
    [
        ("buy", "AAPL"),
        ("sell", "KO"),
        ("buy", "MSFT"),
        ("sell", "MSFT"),
        ("add", "AAPL"),
        ("close", "MSFT"),
        ("close", "IBM"),
    ],
)
def test_beyond_the_rate_an_exit_without_a_position_is_refused_with_the_reason(
    trader: Trader, action: str, symbol: str
) -> None:
    flooded(trader)
    response = trader.alert({"action": action, "symbol": symbol})
    assert (
        response.status_code == 429
        and response.json["error"] == "too_many_alerts"
        and response.headers["Retry-After"]
    )
    assert "refused" in response.json["message"] and "Exits" in response.json["hint"]


def test_the_way_out_of_an_entry_that_waits_passes_too(trader: Trader) -> None:
    trader.send(action="buy", symbol="MSFT", delay=600)
    flooded(trader)
    assert status(trader, "cancel", "MSFT") == 202


def test_a_flood_of_entries_never_stands_before_an_exit(trader: Trader) -> None:
    flooded(trader)
    before = len(trader.get("/signals", limit=500)["items"])
    for number in range(300):
        assert trader.alert({"action": "buy", "symbol": "MSFT", "id": number}).status_code == 429
    assert status(trader, "close", "AAPL") == 202
    trader.installation.work()
    assert trader.holds(1) == 0
    assert len(trader.get("/signals", limit=500)["items"]) == before + 1, (
        "what was not taken left nothing behind"
    )


def test_exits_have_an_end_as_well_and_each_costs_as_many_as_the_bots_it_is_for(trader: Trader) -> None:
    trader.bot("AAPL", timeframe="1H")
    trader.trades("buy", "AAPL", timeframe="1H")
    flooded(trader, exits=Rate(0.001, burst_seconds=2000))  # two at once
    assert status(trader, "reduce", "KO", quantity="10%") == 202
    assert status(trader, "reduce", "AAPL", quantity="10%", timeframe="15 Min") == 202
    assert status(trader, "reduce", "KO", quantity="20%") == 429


def test_an_exit_for_many_bots_passes_whole_and_is_paid_for_afterwards() -> None:
    exits = Rate(0.001, burst_seconds=2000)
    assert exits.take("a", cost=500) == 0 < exits.take("a")


def test_a_long_body_beyond_the_rate_is_not_looked_into(trader: Trader) -> None:
    flooded(trader)
    body = json.dumps({"action": "close", "symbol": "AAPL", "note": "x" * 5000})
    assert trader.alert(body).status_code == 429


def test_what_cannot_be_read_beyond_the_rate_is_not_kept(trader: Trader) -> None:
    flooded(trader)
    before = len(trader.get("/signals", limit=500)["items"])
    assert trader.alert("hello").status_code == 429
    assert len(trader.get("/signals", limit=500)["items"]) == before


def test_a_demo_that_has_had_its_alerts_can_still_close(
    trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashtrade.services.demo import demo
    from dashtrade.services.people import tokens

    user = replace(trader.user, demo_until=trader.installation.app.clock.now())
    monkeypatch.setattr(demo, "MAX_ALERTS", 1)
    found = tokens.WebhookUser(user=user, touch=None)
    monkeypatch.setattr(tokens, "of_webhook_token", lambda app, conn, token: found)
    assert status(trader, "buy", "MSFT") == 409
    assert status(trader, "close", "AAPL") == 202
