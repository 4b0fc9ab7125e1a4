"""Signing in at Schwab: what comes back is taken from whoever began, for what they began it, once, and for a
while."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashtrade.brokers.schwab.auth import Token, exchange_code
from dashtrade.context import App
from dashtrade.domain.ports import BadCredentials
from dashtrade.domain.values import Malformed
from dashtrade.services.accounts import sign_in
from dashtrade.services.bots.bots import Refusal
from dashtrade.tables import installation_settings
from tests.simulators import schwab as schwab_sim
from tests.simulators.exchanges import ExchangeSimulator
from tests.support.fakes import ManualClock
from tests.support.installation import MakeApp, Trader

KEYS = {"broker": "schwab", "key": schwab_sim.KEY, "callback": schwab_sim.CALLBACK}


@pytest.fixture
def schwab() -> Iterator[ExchangeSimulator]:
    with ExchangeSimulator(schwab_sim.SchwabFront()) as simulator:
        yield simulator


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def app(make_app: MakeApp, schwab: ExchangeSimulator, clock: ManualClock) -> App:
    return make_app(clock=clock, SCHWAB_URL=schwab.url)


def exchanged(app: App, person: Trader, pasted: str, account_id: int | None = None) -> str:
    return sign_in.token(
        app, person.user, secret=schwab_sim.SECRET, pasted=pasted, account_id=account_id, **KEYS
    )


def refused(app: App, person: Trader, pasted: str, account_id: int | None = None) -> Malformed:
    with pytest.raises(Malformed) as caught:
        exchanged(app, person, pasted, account_id)
    assert caught.value.where in ("redirected_to", "code")
    return caught.value


def test_what_comes_back_is_taken_once(app: App, trader: Trader, schwab: ExchangeSimulator):
    link = sign_in.begin(app, trader.user, **KEYS)
    pasted = schwab.front.sent_back(link)
    assert sign_in.is_pending(app, trader.user, "schwab", link)
    assert Token.read(exchanged(app, trader, f"  {pasted}\n")).access
    assert not sign_in.is_pending(app, trader.user, "schwab", link)
    assert "was used before" in refused(app, trader, pasted).message


def test_of_many_at_once_one_is_taken(app: App, trader: Trader, schwab: ExchangeSimulator):
    pasted = schwab.front.sent_back(sign_in.begin(app, trader.user, **KEYS))

    def attempt(_: int) -> bool:
        try:
            return bool(exchanged(app, trader, pasted))
        except Malformed:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, range(6))) == 1


def test_it_is_taken_neither_from_another_user_nor_for_another_account(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    other_trader = trader.installation.join("bob@example.com")
    pasted = schwab.front.sent_back(sign_in.begin(app, trader.user, **KEYS))
    refused(app, other_trader, pasted)
    sign_in.begin(app, other_trader.user, **KEYS)
    refused(app, other_trader, pasted)
    refused(app, trader, pasted, account_id=7)
    assert exchanged(app, trader, pasted), "those tries have not used it up"


def test_it_is_taken_for_a_quarter_of_an_hour(
    app: App, trader: Trader, schwab: ExchangeSimulator, clock: ManualClock
):
    link = sign_in.begin(app, trader.user, **KEYS)
    clock.forward(14 * 60)
    assert sign_in.is_pending(app, trader.user, "schwab", link)
    clock.forward(2 * 60)
    assert not sign_in.is_pending(app, trader.user, "schwab", link)
    assert "older than 15 minutes" in refused(app, trader, schwab.front.sent_back(link)).message


def test_a_new_beginning_takes_the_place_of_the_one_before(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    first, second = (sign_in.begin(app, trader.user, **KEYS) for _ in range(2))
    refused(app, trader, schwab.front.sent_back(first))
    assert exchanged(app, trader, schwab.front.sent_back(second))


@pytest.mark.parametrize(
    "pasted",
    [
        schwab_sim.CODE,
        f"{schwab_sim.CALLBACK}?code={schwab_sim.CODE}",
        f"{schwab_sim.CALLBACK}?code={schwab_sim.CODE}&state=",
        "https://[",
        f"{schwab_sim.CALLBACK}?code={schwab_sim.CODE}&state=guessed",
        f"{schwab_sim.CALLBACK}?error=denied",
        "",
        "x" * 4000,
    ],
)
def test_what_does_not_name_the_sign_in_that_was_begun_is_refused(app: App, trader: Trader, pasted: str):
    sign_in.begin(app, trader.user, **KEYS)
    refused(app, trader, pasted)


def test_a_refused_code_uses_it_up_and_says_what_to_do(app: App, trader: Trader, schwab: ExchangeSimulator):
    link = sign_in.begin(app, trader.user, **KEYS)
    with pytest.raises(Refusal, match="Schwab refused this sign-in"):
        exchanged(app, trader, schwab.front.sent_back(link, "C0.wrong@"))
    assert not sign_in.is_pending(app, trader.user, "schwab", link)


def test_a_code_alone_is_worth_nothing_without_what_was_kept_here(
    app: App, trader: Trader, schwab: ExchangeSimulator
):
    """The simulator checks the verifier as RFC 7636 has it."""
    schwab.front.sent_back(sign_in.begin(app, trader.user, **KEYS))
    given: Any = {"url": schwab.url, "clock": app.clock}
    with pytest.raises(BadCredentials):
        exchange_code(
            schwab_sim.KEY,
            schwab_sim.SECRET,
            schwab_sim.CALLBACK,
            schwab_sim.CODE,
            verifier="guessed",
            **given,
        )
    with app.db.read() as conn:
        kept = installation_settings.setting(conn, f"schwab_sign_in:{trader.user.id}:new") or ""
    link = sign_in.begin(app, trader.user, **KEYS)
    assert kept and "code_challenge=" in link and "state=" in link
    assert not [part for part in link.replace("&", "=").split("=") if len(part) > 20 and part in kept]


def test_a_sign_in_lasts_seven_days_from_the_exchange(
    app: App, trader: Trader, schwab: ExchangeSimulator, clock: ManualClock
):
    text = exchanged(app, trader, schwab.front.sent_back(sign_in.begin(app, trader.user, **KEYS)))
    assert timedelta(days=6, hours=23) < Token.read(text).ends - clock.now() <= timedelta(days=7)
