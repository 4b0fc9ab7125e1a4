"""Test Connection and keys: what is told of an account, what is warned of, what a refused key does, and
Schwab's sign-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dashtrade.brokers.schwab.auth import Token
from dashtrade.context import App
from dashtrade.domain.notices.people import KeyRefused, SignInDue
from dashtrade.domain.reasons import NO_REASON, Code
from dashtrade.services.accounts import connections, sign_in
from dashtrade.services.accounts.owned import account_of
from dashtrade.tables import accounts as account_table
from tests.simulators import schwab as schwab_sim
from tests.simulators.alpaca import AlpacaSimulator, Fault
from tests.simulators.exchanges import KEY, SECRET, ExchangeSimulator
from tests.support.at_alpaca import account, addresses
from tests.support.installation import MakeApp, Trader


@pytest.fixture
def sim() -> Iterator[AlpacaSimulator]:
    with AlpacaSimulator() as simulator:
        yield simulator


@pytest.fixture
def binance() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator("binance") as simulator:
        yield simulator


@pytest.fixture
def schwab() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator(schwab_sim.SchwabFront()) as simulator:
        yield simulator


@pytest.fixture
def app(
    make_app: MakeApp, sim: AlpacaSimulator, binance: ExchangeSimulator, schwab: ExchangeSimulator
) -> App:
    return make_app(**addresses(sim), CCXT_URL_BINANCE=binance.url, SCHWAB_URL=schwab.url)


def test_a_connection_tells_number_money_permissions_latency_and_clock(trader: Trader, sim: AlpacaSimulator):
    one = account(trader, sim)
    answer = trader.request("POST", f"/accounts/{one}/test")
    assert (
        answer["ok"]
        and answer["number"].endswith("ATOR")
        and "•" in answer["number"]
        and "PA3" not in answer["number"]
    )
    assert (answer["equity"], answer["buying_power"], answer["warnings"]) == ("100000", "200000", [])
    assert (
        0 <= answer["latency_ms"] < 1000
        and abs(answer["clock_skew_ms"]) < 1000
        and "trade" in answer["permissions"]
    )
    assert trader.get(f"/accounts/{one}")["check_result"] == answer


def test_a_clock_that_is_off_is_warned_of(trader: Trader, sim: AlpacaSimulator):
    sim.clock_ahead = timedelta(seconds=42)
    (warning,) = trader.request("POST", f"/accounts/{account(trader, sim)}/test")["warnings"]
    assert "42 s behind" in warning


def test_a_venue_that_hangs_is_given_up_in_bounded_time(
    trader: Trader, sim: AlpacaSimulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connections, "TIMEOUT_SECONDS", 0.3)
    one = account(trader, sim)
    sim.inject(Fault("slow", method="GET", path="/v2", times=0, seconds=5))
    began = time.monotonic()
    answer = trader.request("POST", f"/accounts/{one}/test")
    assert not answer["ok"] and "did not answer" in answer["message"] and time.monotonic() - began < 2
    sim.clear_faults()


def test_a_wrong_key_is_explained(trader: Trader, sim: AlpacaSimulator):
    one = account(trader, sim, credentials={"key": "PKWRONG", "secret": "nothing"})
    answer = trader.request("POST", f"/accounts/{one}/test")
    assert not answer["ok"] and "refused the key" in answer["message"]


@pytest.mark.parametrize("may", [True, False])
def test_a_key_that_may_withdraw_is_warned_of_where_the_venue_tells(
    trader: Trader, binance: ExchangeSimulator, may: bool
):
    binance.front.can_withdraw = may
    one = at_binance(trader)
    answer = trader.request("POST", f"/accounts/{one}/test")
    assert answer["ok"] and answer["can_withdraw"] is may and abs(answer["clock_skew_ms"]) < 1000
    assert bool(answer["warnings"]) is may and (not may or "can withdraw" in answer["warnings"][0])


def at_binance(trader: Trader) -> int:
    given = {
        "broker": "crypto",
        "mode": "live",
        "label": "B",
        "credentials": {"key": KEY, "secret": SECRET},
        "options": {"exchange": "binance"},
        "acknowledge": "real money",
        "decline_second_factor": True,
    }
    return trader.request("POST", "/accounts", given)["id"]


def test_a_live_account_wants_its_money_called_by_its_name(trader: Trader, sim: AlpacaSimulator):
    given = {
        "broker": "alpaca",
        "mode": "live",
        "label": "L",
        "credentials": {"key": sim.key, "secret": sim.secret},
    }
    refused = trader.call("POST", "/accounts", given | {"acknowledge": "yes"})
    assert refused.status_code == 400 and "REAL MONEY" in refused.json["hint"]
    assert (
        trader.request(
            "POST", "/accounts", given | {"acknowledge": "REAL MONEY", "decline_second_factor": True}
        )["problem"]
        == ""
    )
    silent = trader.request("POST", "/accounts", given)
    assert silent["acknowledged_at"] is None and "REAL MONEY" in silent["problem"]
    trader.bot(account=silent["id"])
    story = trader.trades("buy")
    assert (
        story["status"] == "refused"
        and "live trading is not enabled" in story["reason"]
        and not sim.requests("POST", "/v2/orders")
    )
    assert trader.request("POST", f"/accounts/{silent['id']}/test")["ok"]
    assert trader.call("PATCH", f"/accounts/{silent['id']}", {"acknowledge": "sure"}).status_code == 400
    assert (
        trader.request(
            "PATCH", f"/accounts/{silent['id']}", {"acknowledge": "real money", "decline_second_factor": True}
        )["problem"]
        == ""
    )
    assert trader.trades("buy")["status"] in ("filled", "working")


def test_a_revoked_key_pauses_all_bots_tells_once_and_leaves_the_venue_alone(
    trader: Trader, sim: AlpacaSimulator
):
    one = account(trader, sim)
    symbols = [f"SYM{chr(65 + n)}" for n in range(12)]
    for symbol in symbols:
        sim.set_price(symbol, 100)
        trader.bot(symbol, account=one)
    sim.seen.clear()
    sim.inject(Fault("bad_key", method="*", path="/", times=0))
    for symbol in symbols:
        trader.send(action="buy", symbol=symbol)
    trader.installation.work()
    asked = len(sim.seen)
    for symbol in symbols:
        trader.send(action="buy", symbol=symbol)
    trader.installation.work()
    assert len(sim.seen) == asked <= 4, "after the first refusal nobody asks any more"
    assert len(trader.notices(KeyRefused)) == 1
    assert (
        not any(bot["is_active"] for bot in trader.get("/bots")["items"])
        and not trader.get(f"/accounts/{one}")["is_active"]
    )


def test_a_new_key_makes_the_account_usable_after_a_test_and_bots_are_resumed_by_hand(
    trader: Trader, sim: AlpacaSimulator
):
    one = account(trader, sim, credentials={"key": "PKOLD", "secret": "old"})
    bot = trader.bot(account=one)
    trader.send(action="buy")
    trader.installation.work()
    assert not trader.get(f"/accounts/{one}")["is_active"]
    still = trader.request("PATCH", f"/accounts/{one}", {"credentials": {"key": "PKALSO", "secret": "wrong"}})
    assert (
        not still["is_active"]
        and "not passed a connection test" in still["disabled_reason"]
        and not still["check_result"]["ok"]
    )
    again = trader.request(
        "PATCH", f"/accounts/{one}", {"credentials": {"key": sim.key, "secret": sim.secret}}
    )
    assert again["is_active"] and again["disabled_reason"] == "" and again["check_result"]["ok"]
    assert not trader.get(f"/bots/{bot}")["is_active"]
    trader.request("POST", f"/bots/{bot}/resume")
    assert trader.trades("buy")["status"] == "filled"


# --- Schwab -------------------------------------------------------------------------------------------------


def at_schwab(trader: Trader, **keys: str) -> int:
    given = {
        "broker": "schwab",
        "mode": "live",
        "label": "Schwab",
        "acknowledge": "REAL MONEY",
        "decline_second_factor": True,
        "options": {"callback": schwab_sim.CALLBACK},
        "credentials": {"key": schwab_sim.KEY, "secret": schwab_sim.SECRET} | keys,
    }
    return trader.request("POST", "/accounts", given)["id"]


def back(trader: Trader, schwab: ExchangeSimulator, number: int) -> str:
    """The address that Schwab sends a person back to."""
    return schwab.front.sent_back(trader.request("POST", f"/accounts/{number}/renew", {})["url"])


def test_schwab_is_signed_in_at_by_link_and_pasted_address(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    one = at_schwab(trader)
    waits = trader.get(f"/accounts/{one}")
    assert not waits["is_active"] and "is not signed in" in waits["disabled_reason"]
    answer = trader.request("POST", f"/accounts/{one}/renew", {"redirected_to": back(trader, schwab, one)})
    assert answer["ok"] and trader.get(f"/accounts/{one}")["is_active"]
    with app.db.read() as conn:
        kept = account_table.load(conn, one)
    assert "refresh-1" not in (kept.session or "") and Token.read(
        app.vault.decrypt(kept.session)
    ).ends > app.clock.now() + timedelta(days=6)


def test_a_wrong_or_foreign_address_is_explained(trader: Trader, schwab: ExchangeSimulator):
    one, other = at_schwab(trader), at_schwab(trader)
    foreign = trader.call("POST", f"/accounts/{one}/renew", {"redirected_to": back(trader, schwab, other)})
    assert foreign.status_code == 400 and "another account" in foreign.json["message"]
    link = trader.request("POST", f"/accounts/{one}/renew", {})["url"]
    wrong = trader.call(
        "POST", f"/accounts/{one}/renew", {"redirected_to": schwab.front.sent_back(link, "C0.wrong")}
    )
    assert 400 <= wrong.status_code < 500 and "Sign in again" in wrong.json["hint"]
    assert not trader.get(f"/accounts/{one}")["is_active"]


def test_only_an_account_that_a_person_signs_in_at_has_a_link(trader: Trader, sim: AlpacaSimulator):
    assert trader.call("POST", f"/accounts/{account(trader, sim)}/renew", {}).status_code in (400, 409, 422)


def test_an_ending_sign_in_is_notified_once_a_day_and_then_stops_the_account(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    begun = datetime.now(UTC) - timedelta(days=5, hours=12)
    one = at_schwab(trader, token=schwab.front.token(created=begun))
    for _ in range(3):
        sign_in.remind(app)
    assert len(trader.notices(SignInDue)) == 1
    assert any(
        "expires in" in warning for warning in trader.request("POST", f"/accounts/{one}/test")["warnings"]
    )
    assert trader.get(f"/accounts/{one}")["check_result"]["warnings"] == [], "it would be untrue tomorrow"
    ended = schwab.front.token(created=begun - timedelta(days=2))
    app.db.write(lambda conn: account_table.put_session(conn, one, None, app.vault.encrypt(ended)))
    sign_in.remind(app)
    stopped = trader.get(f"/accounts/{one}")
    assert not stopped["is_active"] and "has expired" in stopped["disabled_reason"]
    trader.request("POST", f"/accounts/{one}/renew", {"redirected_to": back(trader, schwab, one)})
    assert trader.get(f"/accounts/{one}")["is_active"]


def test_a_new_key_without_a_sign_in_is_notified_and_delays_no_other_reminder(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    ending = schwab.front.token(created=datetime.now(UTC) - timedelta(days=5, hours=12))
    first, _ = (at_schwab(trader, token=ending) for _ in range(2))
    trader.request(
        "PATCH", f"/accounts/{first}", {"credentials": {"key": schwab_sim.KEY, "secret": schwab_sim.SECRET}}
    )
    sign_in.remind(app)
    told = trader.notices(SignInDue)
    assert len(told) == 2 and {one.detail.code for one in told} == {Code.SIGN_IN_EXPIRES, Code.TEXT}
    (missing,) = [one.detail for one in told if one.detail.code is Code.TEXT]
    assert "is not signed in" in str(missing.facts["text"])
    trader.request("POST", f"/accounts/{first}/renew", {"redirected_to": back(trader, schwab, first)})
    assert app.brokers.sign_in_warning(account_of(app, trader.user, first)) == NO_REASON


def test_of_two_processes_one_renews_and_the_other_takes_what_it_kept(
    app: App, make_app: MakeApp, trader: Trader, schwab: ExchangeSimulator
):
    one = at_schwab(trader, token=schwab.front.token(life=timedelta(0)))
    other = make_app(SCHWAB_URL=schwab.url)
    with app.db.read() as conn:
        kept = account_table.load(conn, one)
    threads = [
        threading.Thread(target=each.brokers.venue(kept).positions) for each in (app, other) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert schwab.front.refreshes == 1


def test_a_sign_in_made_in_one_process_is_found_by_the_others(
    app: App, make_app: MakeApp, trader: Trader, schwab: ExchangeSimulator
):
    one = at_schwab(
        trader, token=schwab.front.token(created=datetime.now(UTC) - timedelta(days=8), life=timedelta(0))
    )
    other = make_app(SCHWAB_URL=schwab.url)
    with app.db.read() as conn:
        kept = account_table.load(conn, one)
    worker = other.brokers.venue(kept)
    assert worker.warning().code is Code.SIGN_IN_EXPIRED
    trader.request("POST", f"/accounts/{one}/renew", {"redirected_to": back(trader, schwab, one)})
    assert not worker.warning() and worker.positions() == []
