"""Each limit that the database holds, tried by many at once in two processes' worth: no more pass.

Held elsewhere already: passwords of an account and codes of a user (test_throttle.py:
of_sixty_guesses_at_once, of_sixty_codes_at_once); accounts, bots, API tokens, protections, invitations,
sign-in tokens and sessions of a user (test_quotas.py: of_many_at_once, of_many_bots_at_once,
signing_in_by_a_program, of_many_sign_ins_at_once); the set-up code (test_rest_people.py:
of_two_who_use_the_code_at_once); demos of an address (test_ui_crowds.py: demos_of_one_address,
of_those_who_begin_in_several_processes); the same alert twice (test_webhook_repeats.py). What a process
holds by itself is in test_limit_races_local.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed, sha256
from dashtrade.services.demo import demo
from dashtrade.services.people import admin, credentials, invitations, second_factor, throttle, users
from dashtrade.services.people import passwords as password_service
from dashtrade.services.people import tokens as token_service
from dashtrade.services.refusals import Denied
from dashtrade.tables import attempts, installation_settings, second_factors
from dashtrade.tables import people as people_table
from tests.support.concurrency import accepted_results, run_together
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp
from tests.support.user_rows import reread

PASSWORD, OTHER = "correct horse battery", "three green owls"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
MANY = 24


@pytest.fixture
def apps(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> list[App]:
    """Two processes' worth on one database."""
    return [make_app(clock=clock, feed=feed, DASHTRADE_SIGNUP="open") for _ in range(2)]


@pytest.fixture
def superadmin(apps: list[App]) -> User:
    return Installation(apps[0]).join("superadmin@example.com", Role.SUPERADMIN).user


@pytest.fixture
def trader(apps: list[App], superadmin: User) -> User:
    return reread(apps[0], users.add_user(apps[0], email="ann@example.com", name="Ann", password=PASSWORD))


def many(apps: list[App], work: Callable[[App, int], Any], count: int = MANY) -> list[Any]:
    return run_together([lambda n=n: work(apps[n % 2], n) for n in range(count)])


# --- guessing -----------------------------------------------------------------------------------------------


def test_of_many_who_guess_at_many_accounts_from_one_address_few_are_looked_at(
    apps: list[App], trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(password_service, "matches", lambda word, stored: bool(looked.append(word)))
    answer = many(
        apps,
        lambda app, n: users.check_password(app, f"user{n}@example.com", "wrong", f"2001:db8::{n + 1:x}"),
        throttle.MAX_FAILURES_OF_NETWORK * 2,
    )
    assert not accepted_results(answer, Denied)
    assert len(looked) == throttle.MAX_FAILURES_OF_NETWORK


def test_of_many_guesses_on_a_known_device_few_are_looked_at(
    apps: list[App], trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = throttle.know_device(apps[0], trader.id, None)
    looked: list[str] = []
    monkeypatch.setattr(password_service, "matches", lambda word, stored: bool(looked.append(word)))
    many(apps, lambda app, n: users.check_password(app, trader.email, "wrong", "", device=device))
    assert len(looked) == throttle.MAX_FAILURES


def test_of_many_guesses_at_an_open_browser_few_are_looked_at(
    apps: list[App], trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(password_service, "matches", lambda word, stored: bool(looked.append(word)))
    answer = many(apps, lambda app, n: users.check_own_password(app, trader, "wrong", "", where="old"))
    assert not accepted_results(answer, (Denied, Malformed))  # type: ignore[arg-type]
    assert len(looked) == throttle.MAX_FAILURES


def test_codes_from_many_known_devices_at_once_end_at_fifty_in_a_row(
    apps: list[App], trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each device has attempts of its own; the number of wrong ones in a row is the user's."""
    apps[0].db.write(
        lambda conn: second_factors.put_factor(conn, trader.id, apps[0].vault.encrypt(SECRET), 1)
    )
    devices = [throttle.know_device(apps[0], trader.id, None) for _ in range(8)]
    user, looked = reread(apps[0], trader.id), list[str]()
    monkeypatch.setattr(totp, "step_of", lambda secret, code, now: looked.append(code))
    answer = many(
        apps,
        lambda app, n: second_factor.check(app, user, "123456", "", device=devices[n % 8]),
        8 * throttle.MAX_FAILURES,
    )
    assert not accepted_results(answer, Denied)
    assert len(looked) == second_factors.LOCKED_AFTER


def test_of_many_sign_ins_at_once_few_devices_stay_known(
    apps: list[App], trader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_DEVICES", 3)
    accepted_results(many(apps, lambda app, n: throttle.know_device(app, trader.id, None), 12), Denied)
    with apps[0].db.read() as conn:
        found = sa.select(sa.func.count()).where(attempts.devices.c.user_id == trader.id)
        assert conn.scalar(found) == 3


# --- what works once ----------------------------------------------------------------------------------------


def test_a_code_that_comes_many_times_at_once_is_taken_once(
    apps: list[App], trader: User, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_FAILURES", 1000)
    apps[0].db.write(
        lambda conn: second_factors.put_factor(conn, trader.id, apps[0].vault.encrypt(SECRET), 1)
    )
    user, code = reread(apps[0], trader.id), totp.code_at(SECRET, totp.step_at(clock.now()))
    devices = [throttle.know_device(apps[0], trader.id, None) for _ in range(MANY)]
    answer = many(apps, lambda app, n: second_factor.check(app, user, code, "", device=devices[n]) or "in")
    assert accepted_results(answer, Denied) == ["in"]


def test_a_recovery_code_that_comes_many_times_at_once_is_taken_once(apps: list[App], trader: User) -> None:
    hashes = [sha256("abcdefghijklmnop")]
    apps[0].db.write(
        lambda conn: second_factors.put_factor(conn, trader.id, apps[0].vault.encrypt(SECRET), 1)
    )
    apps[0].db.write(lambda conn: second_factors.put_codes(conn, trader.id, hashes))
    user = reread(apps[0], trader.id)
    devices = [throttle.know_device(apps[0], trader.id, None) for _ in range(MANY)]

    def use(app: App, number: int) -> str:
        second_factor.check(app, user, "abcd-efgh-ijkl-mnop", "", device=devices[number])
        return "in"

    assert accepted_results(many(apps, use), Denied) == ["in"]


def test_a_password_link_that_is_used_many_times_at_once_works_once(
    apps: list[App], superadmin: User, trader: User
) -> None:
    code = credentials.make_link(apps[0], superadmin, trader.id).partition("code=")[2]
    words = [f"three green owls {number}" for number in range(MANY)]

    def use(app: App, number: int) -> str:
        credentials.use_link(app, code, new=words[number], address="")
        return words[number]

    (set_by,) = accepted_results(many(apps, use), Denied)
    assert users.check_password(apps[0], trader.email, set_by, "").id == trader.id


def test_of_many_links_made_at_once_one_works(apps: list[App], superadmin: User, trader: User) -> None:
    """A link ends the ones before it."""
    answer = many(
        apps, lambda app, n: credentials.make_link(app, superadmin, trader.id).partition("code=")[2]
    )
    assert sum(_works(apps[0], code) for code in accepted_results(answer, Denied)) == 1


def _works(app: App, code: str) -> bool:
    try:
        return bool(credentials.user_of_link(app, code))
    except Denied:
        return False


def test_of_many_set_up_links_printed_at_once_one_works(apps: list[App]) -> None:
    """The supervisor prints one while somebody asks for another."""
    links = accepted_results(many(apps, lambda app, n: users.setup_link(app), 8), Denied)
    with apps[0].db.read() as conn:
        kept = installation_settings.setting(conn, users._SETUP)
    assert [sha256(link.partition("setup=")[2]) for link in links].count(kept) == 1


def test_an_invitation_that_is_used_many_times_at_once_makes_one_user(
    apps: list[App], superadmin: User
) -> None:
    admin.put_setting(apps[0], superadmin, invitations.SIGNUP, "invite")
    code = invitations.invite(apps[0], superadmin, email="", role=Role.STANDARD)
    answer = many(apps, lambda app, n: _join(app, f"new{n}@example.com", code))
    assert len(accepted_results(answer, Denied)) == 1


def test_an_email_that_is_taken_many_times_at_once_makes_one_user(apps: list[App], superadmin: User) -> None:
    answer = many(apps, lambda app, n: _join(app, "new@example.com", None))
    assert len(accepted_results(answer, Malformed)) == 1


def _join(app: App, email: str, code: str | None) -> int:
    made = users.register(app, email=email, password=OTHER, name="", code=code, address="")
    return made.user.id


def test_of_many_rotations_at_once_one_webhook_token_works(apps: list[App], trader: User) -> None:
    tokens = accepted_results(
        many(apps, lambda app, n: token_service.rotate_webhook_token(app, trader)), Denied
    )
    assert sum(token_service.by_webhook_token(apps[0], token) is not None for token in tokens) == 1


def test_of_superadmins_who_demote_each_other_at_once_one_is_left(apps: list[App], superadmin: User) -> None:
    bosses = [
        superadmin,
        *(Installation(apps[0]).join(f"superadmin{n}@example.com", Role.SUPERADMIN).user for n in range(3)),
    ]
    for _ in range(4):
        many(apps, lambda app, n: admin.set_role(app, bosses[n % 4], bosses[(n + 1) % 4].id, Role.ADMIN), 8)
        left = [one for one in bosses if reread(apps[0], one.id).role is Role.SUPERADMIN]
        assert left
        for one in bosses:
            apps[0].db.write(lambda conn, one=one: people_table.change(conn, one.id, role=Role.SUPERADMIN))


# --- so many and no more ------------------------------------------------------------------------------------


def test_a_demo_that_sent_many_alerts_at_once_sends_no_more(
    apps: list[App], superadmin: User, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those under way together may all pass (they have few threads); nothing comes behind them."""
    monkeypatch.setattr(demo, "MAX_ALERTS", 3)
    houses = [Installation(app) for app in apps]
    person = houses[0].join()
    person.bot()
    until = clock.now() + timedelta(days=1)
    apps[0].db.write(lambda conn: people_table.change(conn, person.user.id, demo_until=until))

    def send(app: App, number: int) -> int:
        client = houses[apps.index(app)].flask.test_client()
        body = {"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": f"n{number}"}
        return client.post("/webhook", json=body, query_string={"token": person.token}).status_code

    assert many(apps, send).count(202) >= 3
    assert set(many(apps, lambda app, n: send(app, n + MANY))) == {409}
