"""What one user may have of everything, counted in the write: of many at once no more pass than are
allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain.access import Role, TokenScope
from dashtrade.domain.people import User
from dashtrade.domain.protections import Scope
from dashtrade.limits import Rate, ReceiverLimits
from dashtrade.services.accounts import accounts
from dashtrade.services.bots import bots
from dashtrade.services.operations import quotas
from dashtrade.services.operations.quotas import Quota
from dashtrade.services.people import invitations, passwords, sessions, users
from dashtrade.services.people import tokens as token_service
from dashtrade.services.people.users import Denied
from dashtrade.services.refusals import Refusal
from dashtrade.services.trading import protections
from dashtrade.tables import tokens as token_table
from dashtrade.tables.quotas import count
from tests.support.concurrency import accepted_results, run_together
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader

SYMBOLS = ["AAPL", "MSFT", "KO", "PEP", "NVDA", "AMD", "INTC", "IBM", "ORCL", "CSCO", "QCOM", "TXN"]
PASSWORD = "three green owls"


@pytest.fixture
def trader(app: App, monkeypatch: pytest.MonkeyPatch) -> Trader:
    # a hash takes a third of a second
    monkeypatch.setattr(users, "check_own_password", lambda *args, **more: None)
    return Installation(app).join(role=Role.SUPERADMIN)


def _account(app: App, user: User, number: int) -> Any:
    return accounts.add_account(
        app, user, broker="paper", mode="paper", label=f"P{number}", credentials={}, options={}
    )


def _token(app: App, user: User, number: int) -> Any:
    return sessions.add_api_token(
        app, user, name=f"t{number}", days=1, scopes=[TokenScope.READ], password="", address=""
    )


def _protection(app: App, user: User, number: int) -> Any:
    return protections.add(
        app, user, kind="cooldown", scope=Scope.USER, scope_id=None, settings={"minutes": number + 1}
    )


MAKES: dict[str, Callable[[App, User, int], Any]] = {
    "ACCOUNTS": _account,
    "API_TOKENS": _token,
    "PROTECTIONS": _protection,
    "INVITATIONS": lambda app, user, number: invitations.invite(app, user, email="", role=Role.STANDARD),
}


@pytest.mark.parametrize("name", MAKES)
def test_of_many_at_once_no_more_are_made_than_a_user_may_have(
    trader: Trader,
    make_app: MakeApp,
    clock: ManualClock,
    feed: ManualFeed,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quota: Quota = replace(getattr(quotas, name), most=3)
    monkeypatch.setattr(quotas, name, quota)
    apps = [trader.installation.app, make_app(clock=clock, feed=feed)]  # two processes' worth
    # the one to test with counts, too
    apps[0].db.write(lambda conn: conn.execute(sa.delete(token_table.api_tokens)))
    answer = run_together([lambda n=n: MAKES[name](apps[n % 2], trader.user, n) for n in range(12)])
    assert len(accepted_results(answer, Refusal)) == 3
    assert all("you have 3 " in one.message and one.hint for one in answer if isinstance(one, Refusal))
    with apps[0].db.read() as conn:
        assert count(conn, trader.user.id, quota.kind, clock.now()) == 3


def test_of_many_bots_at_once_no_more_are_made_than_a_user_may_have(
    trader: Trader, make_app: MakeApp, clock: ManualClock, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "BOTS", replace(quotas.BOTS, most=3))
    account = trader.account()
    apps = [trader.installation.app, make_app(clock=clock, feed=feed)]
    wanted = [
        {"account_id": account, "symbol": symbol, "timeframe": "15", "position_size": "100"}
        for symbol in SYMBOLS
    ]
    answer = run_together([lambda n=n: bots.add_bot(apps[n % 2], trader.user, wanted[n]) for n in range(12)])
    made = accepted_results(answer, Refusal)
    assert len(made) == 3
    bots.delete_bot(trader.installation.app, trader.user, made[0], position=None, hand_to=None)
    left = next(given for given, one in zip(wanted, answer, strict=True) if isinstance(one, Refusal))
    assert bots.add_bot(trader.installation.app, trader.user, left)  # a deleted one makes room


def test_the_numbers_are_those_that_are_promised() -> None:
    assert (quotas.ACCOUNTS.most, quotas.BOTS.most) == (50, 500)


def test_over_rest_a_quota_is_a_conflict_that_says_what_to_do(
    trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "BOTS", replace(quotas.BOTS, most=1))
    trader.bot()
    response = trader.call(
        "POST",
        "/bots",
        {"account_id": trader.paper, "symbol": "KO", "timeframe": "15", "position_size": "100"},
    )
    assert response.status_code == 409 and response.json["error"] == "conflict"
    assert (
        response.json["message"] == "You have 1 bots, the maximum per user; none was added."
        and "Delete" in response.json["hint"]
    )


def test_making_and_deleting_has_an_end_within_a_day(
    trader: Trader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "PROTECTIONS", replace(quotas.PROTECTIONS, a_day=2))
    app = trader.installation.app
    for number in range(2):
        protections.remove(app, trader.user, _protection(app, trader.user, number))
    with pytest.raises(Refusal, match="within a day"):
        _protection(app, trader.user, 3)
    clock.forward(86401)
    assert _protection(app, trader.user, 3)


def test_who_had_more_before_there_was_a_quota_keeps_it(
    trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [trader.bot(symbol) for symbol in SYMBOLS[:3]]
    monkeypatch.setattr(quotas, "BOTS", replace(quotas.BOTS, most=2))
    assert len(trader.get("/bots")["items"]) == 3
    assert trader.trades("buy", "AAPL", timeframe="15 Min")["status"] == "filled" and trader.holds(made[0])


def test_signing_in_by_a_program_keeps_the_tokens_used_last(
    trader: Trader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "MAX_SIGN_IN_TOKENS", 3)
    app, tokens = trader.installation.app, []
    for _ in range(3):
        tokens.append(users.sign_in(app, trader.user.id).access_token)
        clock.forward(120)
    assert token_service.by_access_token(app, tokens[0])  # this one is in use
    answer = accepted_results(
        run_together([lambda: users.sign_in(app, trader.user.id).access_token for _ in range(2)]), Refusal
    )
    with app.db.read() as conn:
        named = [row.name for row in token_table.list_api_tokens(conn, trader.user.id)]
    assert named.count(token_service.SIGN_IN) == 3 and "test" in named
    alive = [bool(token_service.by_access_token(app, token)) for token in (*tokens, *answer)]
    assert alive == [True, False, False, True, True]


def test_of_many_sign_ins_at_once_no_more_sessions_stay_than_are_allowed(
    trader: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "MAX_SESSIONS", 3)
    app = trader.installation.app
    begun = run_together(
        [
            lambda: sessions.begin(app, trader.user.id, device="", address="", remember=False)
            for _ in range(12)
        ]
    )
    assert len(accepted_results(begun, Refusal)) == 12
    assert len(sessions.list_sessions(app, trader.user, None)) == 3


def test_webhook_tokens_are_not_rotated_without_end(
    trader: Trader, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "WEBHOOK_TOKENS", replace(quotas.WEBHOOK_TOKENS, a_day=2))
    token_service.rotate_webhook_token(trader.installation.app, trader.user)
    with pytest.raises(Refusal, match="within a day"):
        token_service.rotate_webhook_token(trader.installation.app, trader.user)
    token_service.revoke_webhook_tokens(trader.installation.app, trader.user)  # that never waits
    clock.forward(timedelta(days=1, seconds=1).total_seconds())
    assert token_service.rotate_webhook_token(trader.installation.app, trader.user)


def test_with_sign_up_open_one_address_does_not_make_accounts_without_end(
    make_app: MakeApp, clock: ManualClock, feed: ManualFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(clock=clock, feed=feed, DASHTRADE_SIGNUP="open")
    monkeypatch.setattr(passwords, "hashed", lambda word: "-")
    Installation(app).join(role=Role.SUPERADMIN)

    def register(number: int, address: str) -> Any:
        return users.register(
            app, email=f"p{number}@example.com", password=PASSWORD, name="", code=None, address=address
        )

    for number in range(20):
        register(number, f"2001:db8::{number + 1}")
    with pytest.raises(Denied, match="too many"):
        register(21, "2001:db8::ffff")
    assert register(22, "2001:db8:0:1::1")
    with app.db.read() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM users")) == 22


def test_changes_by_rest_have_a_rate_and_what_stops_has_its_own(trader: Trader) -> None:
    bot = trader.bot()
    limits = ReceiverLimits(alerts=Rate(1000), changes=Rate(0.001, burst_seconds=2000))
    trader.installation.flask.config["LIMITS"] = limits
    answer = [trader.call("PATCH", f"/bots/{bot}", {"name": f"n{number}"}).status_code for number in range(3)]
    assert answer == [200, 200, 429]
    assert trader.call("POST", f"/bots/{bot}/pause").status_code == 200
    assert trader.call("POST", f"/bots/{bot}/close", {}).status_code == 202
    assert trader.call("GET", "/bots").status_code == 200
