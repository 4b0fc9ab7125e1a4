"""The second factor: codes as RFC 6238 has them, each of which works once; recovery codes; and what one signs
in with."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.domain import totp
from dashtrade.domain.access import Role
from dashtrade.domain.notices.people import RecoveryCodeUsed, WrongCodes
from dashtrade.domain.people import User
from dashtrade.domain.values import Malformed
from dashtrade.services.bots.bots import Refusal
from dashtrade.services.operations import keys
from dashtrade.services.people import credentials, second_factor, sessions, tokens, users
from dashtrade.services.people.permission import Forbidden
from dashtrade.services.people.users import Denied
from dashtrade.services.refusals import CodeNeeded
from dashtrade.tables import second_factors
from encryption import Vault, new_key
from tests.support.fakes import ManualClock
from tests.support.installation import Installation
from tests.support.user_rows import reread

PASSWORD, OTHER = "correct horse battery", "four other long words"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", of RFC 6238


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_are_those_of_the_rfc(seconds: int, code: str):
    assert totp.code_at(RFC_SECRET, seconds // totp.SECONDS) == code
    assert (
        totp.step_of(RFC_SECRET, code, datetime.fromtimestamp(seconds).astimezone())
        == seconds // totp.SECONDS
    )


def test_a_phones_clock_may_be_off_by_one_step(clock: ManualClock):
    here = totp.step_at(clock.now())
    for off, fits in ((-2, False), (-1, True), (1, True), (2, False)):
        assert (
            totp.step_of(RFC_SECRET, totp.code_at(RFC_SECRET, here + off), clock.now()) is not None
        ) is fits


@pytest.fixture
def trader(app: App) -> User:
    return reread(app, users.add_user(app, email="ann@example.com", name="Ann", password=PASSWORD))


def now_code(app: App, secret: str = RFC_SECRET) -> str:
    return totp.code_at(secret, totp.step_at(app.clock.now()))


def switched_on(app: App, user: User) -> tuple[User, list[str]]:
    codes = second_factor.enable(
        app, user, secret=RFC_SECRET, code=now_code(app), password=PASSWORD, address="", token=None
    )
    return reread(app, user.id), codes


def test_it_is_switched_on_by_password_and_code(app: App, trader: User, clock: ManualClock):
    for wrong in ({"password": "wrong password"}, {"code": "000000"}):
        given = {
            "secret": RFC_SECRET,
            "code": now_code(app),
            "password": PASSWORD,
            "address": "",
            "token": None,
        } | wrong
        with pytest.raises(Malformed):
            second_factor.enable(app, trader, **given)  # type: ignore[arg-type]
    assert not reread(app, trader.id).second_factor
    elsewhere = sessions.begin(app, trader.id, device="", address="", remember=True)
    here = sessions.begin(app, trader.id, device="", address="", remember=True)
    codes = second_factor.enable(
        app, trader, secret=RFC_SECRET, code=now_code(app), password=PASSWORD, address="", token=here
    )
    assert len(set(codes)) == 10
    assert sessions.find(app, elsewhere) is None and sessions.find(app, here) is not None
    with app.db.read() as conn:
        stored = second_factors.factor(conn, trader.id)
        hashes = list(conn.scalars(sa.select(second_factors.recovery_codes.c.code_hash)))
    assert stored and RFC_SECRET not in stored and not set(codes) & set(hashes)


def test_a_code_works_once_and_no_older_one_after_it(app: App, trader: User, clock: ManualClock):
    user, _ = switched_on(app, trader)
    with pytest.raises(Denied, match="wrong or was used"):
        second_factor.check(app, user, now_code(app), "")  # it has switched the factor on
    clock.time += timedelta(seconds=totp.SECONDS)
    code, before = now_code(app), totp.code_at(RFC_SECRET, totp.step_at(app.clock.now()) - 1)
    second_factor.check(app, user, f" {code[:3]} {code[3:]} ", "")
    for used in (code, before):
        with pytest.raises(Denied):
            second_factor.check(app, user, used, "")


def test_a_recovery_code_works_once_and_tells_its_owner(app: App, trader: User):
    user, codes = switched_on(app, trader)
    second_factor.check(app, user, codes[0].upper(), "203.0.113.9")
    assert second_factor.codes_left(app, user) == 9
    with pytest.raises(Denied):
        second_factor.check(app, user, codes[0], "")
    renewed = second_factor.renew_codes(app, user, password=PASSWORD, address="")
    with pytest.raises(Denied):
        second_factor.check(app, user, codes[1], "")
    second_factor.check(app, user, renewed[1], "")
    from dashtrade.tables import messages

    with app.db.read() as conn:
        assert any(
            row.kind == RecoveryCodeUsed.kind
            for row in messages.list_page(conn, user.id, before=None, limit=9)
        )


def test_after_eight_wrong_codes_there_is_a_wait_and_the_owner_is_notified(
    app: App, trader: User, clock: ManualClock
):
    user, codes = switched_on(app, trader)
    for _ in range(8):
        with pytest.raises(Denied):
            second_factor.check(app, user, "123456", "")
    with pytest.raises(Denied, match="too many") as answer:
        second_factor.check(app, user, codes[0], "")
    assert answer.value.retry_after
    assert second_factor.codes_left(app, user) == 10, "the right code was not looked at, and not used up"
    from dashtrade.tables import messages

    with app.db.read() as conn:
        assert any(
            row.kind == WrongCodes.kind for row in messages.list_page(conn, user.id, before=None, limit=9)
        )


def test_no_code_is_asked_for_while_it_is_off(app: App, trader: User):
    second_factor.check(app, trader, "", "")
    user, _ = switched_on(app, trader)
    with pytest.raises(CodeNeeded):
        second_factor.check(app, user, "", "")
    second_factor.disable(app, user, password=PASSWORD, address="")
    second_factor.check(app, reread(app, user.id), "", "")
    with pytest.raises(Refusal):
        second_factor.renew_codes(app, reread(app, user.id), password=PASSWORD, address="")


def test_the_ticket_between_the_two_steps_is_sealed_and_short_lived(
    app: App, trader: User, clock: ManualClock
):
    ticket = second_factor.ticket(app, trader, remember=True)
    assert second_factor.user_of_ticket(app, ticket)[1] is True
    for wrong in ("", "made up", app.vault.encrypt('{"user": 1}'), ticket[:-4] + "AAAA"):
        with pytest.raises(Denied):
            second_factor.user_of_ticket(app, wrong)
    clock.time += timedelta(minutes=6)
    with pytest.raises(Denied, match="too long"):
        second_factor.user_of_ticket(app, ticket)


def test_a_program_signs_in_with_a_code_as_well(app: App, trader: User, clock: ManualClock):
    user, _ = switched_on(app, trader)
    client = Installation(app).flask.test_client()
    given = {"email": user.email, "password": PASSWORD}
    response = client.post("/api/v1/auth/login", json=given)
    assert response.status_code == 401 and response.json["error"] == "code_required"
    assert client.post("/api/v1/auth/login", json=given | {"code": "000000"}).json["error"] == "denied"
    clock.time += timedelta(seconds=totp.SECONDS)
    good = given | {"code": now_code(app)}
    assert client.post("/api/v1/auth/login", json=good).status_code == 200
    assert client.post("/api/v1/auth/login", json=good).status_code == 401


def test_a_new_key_reseals_the_second_factor(app: App, trader: User):
    user, _ = switched_on(app, trader)
    fresh = new_key()
    app.vault = Vault([fresh, *app.settings.encryption_keys])
    keys.rotate_all(app)
    app.vault = Vault([fresh])
    with app.db.read() as conn:
        assert app.vault.decrypt(second_factors.factor(conn, user.id) or "") == RFC_SECRET


# --- passwords, links, email --------------------------------------------------------------------------------


def boss_of(app: App, role: Role = Role.SUPERADMIN) -> User:
    return Installation(app).join(f"{role}@example.com", role).user


def test_a_link_makes_a_new_password_once(app: App, trader: User):
    superadmin = boss_of(app)
    session = sessions.begin(app, trader.id, device="", address="", remember=True)
    token = users.sign_in(app, trader.id).access_token
    first = credentials.make_link(app, superadmin, trader.id).rpartition("=")[2]
    code = credentials.make_link(app, superadmin, trader.id).rpartition("=")[2]
    with pytest.raises(Denied):
        credentials.user_of_link(app, first)  # the second link ended it
    with pytest.raises(Malformed):
        credentials.use_link(app, code, new="12345678", address="")
    credentials.use_link(app, code, new=OTHER, address="")
    assert users.check_password(app, trader.email, OTHER, "").id == trader.id
    assert sessions.find(app, session) is None and tokens.by_access_token(app, token) is None
    with pytest.raises(Denied):
        credentials.use_link(app, code, new=PASSWORD, address="")


def test_a_link_runs_out_after_a_day(app: App, trader: User, clock: ManualClock):
    code = credentials.make_link(app, boss_of(app), trader.id).rpartition("=")[2]
    clock.time += timedelta(hours=24, seconds=1)
    with pytest.raises(Denied):
        credentials.use_link(app, code, new=OTHER, address="")


def test_an_admin_makes_links_for_standard_users_alone(app: App, trader: User):
    superadmin, admin = boss_of(app), boss_of(app, Role.ADMIN)
    credentials.make_link(app, admin, trader.id)
    for actor, other in ((admin, superadmin), (trader, admin)):
        with pytest.raises(Forbidden):
            credentials.make_link(app, actor, other.id)


def test_changing_the_password_ends_other_sessions_and_sign_in_tokens_but_no_named_token(
    app: App, trader: User
):
    here, there = (sessions.begin(app, trader.id, device="", address="", remember=True) for _ in range(2))
    signed_in, named = (
        users.sign_in(app, trader.id).access_token,
        sessions.add_api_token(
            app, trader, name="report", days=9, scopes=["read"], password=PASSWORD, address=""
        ),
    )
    credentials.change_password(app, trader, old=PASSWORD, new=OTHER, address="", token=here)
    assert sessions.find(app, here) is not None and sessions.find(app, there) is None
    assert tokens.by_access_token(app, signed_in) is None and tokens.by_access_token(app, named) is not None


def test_an_email_is_changed_with_the_password_and_to_none_that_is_taken(app: App, trader: User):
    users.add_user(app, email="bob@example.com", name="Bob", password=PASSWORD)
    with pytest.raises(Malformed, match="password"):
        credentials.change_email(app, trader, email="new@example.com", password="wrong password", address="")
    with pytest.raises(Malformed, match="already"):
        credentials.change_email(app, trader, email="bob@example.com", password=PASSWORD, address="")
    credentials.change_email(app, trader, email="New@Example.com", password=PASSWORD, address="")
    assert users.check_password(app, "new@example.com", PASSWORD, "").id == trader.id


def test_the_machines_owner_can_restore_a_users_access(app: App, trader: User):
    switched_on(app, trader)
    code = credentials.rescue(app, trader.email).rpartition("=")[2]
    credentials.use_link(app, code, new=OTHER, address="")
    user = users.check_password(app, trader.email, OTHER, "")
    assert not user.second_factor


def test_a_ticket_is_worth_nothing_after_the_sign_in_it_led_to_nor_after_a_new_password(
    app: App, trader: User, clock: ManualClock
):
    first, second = (second_factor.ticket(app, trader, remember=False) for _ in range(2))
    assert second_factor.user_of_ticket(app, first)[0].id == trader.id
    clock.time += timedelta(seconds=1)
    sessions.begin(app, trader.id, device="", address="", remember=False)
    third = second_factor.ticket(app, trader, remember=False)
    credentials.change_password(app, trader, old=PASSWORD, new=OTHER, address="", token=None)
    for used in (first, second, third):
        with pytest.raises(Denied):
            second_factor.user_of_ticket(app, used)


def test_a_recovery_code_has_more_than_112_random_bits(app: App, trader: User):
    _, codes = switched_on(app, trader)
    assert all(len(code.replace("-", "")) * 5 >= 112 for code in codes)
