"""What we paid to find out about Schwab's sign-in, accounts and prices."""

from __future__ import annotations

import itertools
import json
import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from dashtrade.brokers.schwab.auth import Token, authorize_url, exchange_code, expires_in, warning
from dashtrade.brokers.schwab.capabilities import CAPABILITIES
from dashtrade.brokers.schwab.credentials import check
from dashtrade.domain.ports import BadCredentials, RetryLater, Unavailable, VenueStatus
from dashtrade.domain.reasons import Code
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import Malformed
from dashtrade.domain.wording import words
from tests.simulators.schwab import CALLBACK, CODE, HASH, KEY, NUMBER, SECRET
from tests.support.adapter_harness import AAPL

VERIFIER = "made up, as no challenge was given"

NOW = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)

# --- the sign-in --------------------------------------------------------------------------------------------


def test_a_token_about_to_end_is_renewed_once_and_given_back(harness):
    broker = harness.another(token=harness.front.token(life=timedelta(seconds=60)))
    threads = [threading.Thread(target=broker.positions) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert harness.front.refreshes == 1 and len(harness.saved) == 1
    kept = Token.read(harness.saved[0])
    assert kept.access == harness.front.access and kept.access_ends > datetime.now(UTC) + timedelta(
        minutes=29
    )


def test_renewing_does_not_move_the_seven_days(harness):
    created = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
    broker = harness.another(token=harness.front.token(created=created, life=timedelta(0)))
    broker.positions()
    assert Token.read(harness.saved[-1]).created == created
    assert timedelta(days=3, hours=23) < broker.expires_in() < timedelta(days=4)


def test_a_token_that_is_refused_early_is_renewed_and_the_order_goes_once(harness):
    harness.broker.rules(AAPL)
    harness.front.access = "another"
    assert harness.broker.submit(harness.request()).status is VenueStatus.FILLED
    assert len(harness.core.orders) == 1 and harness.front.refreshes == 1


def test_after_seven_days_nothing_is_asked_any_more(harness):
    ended = datetime.now(UTC) - timedelta(days=7, seconds=1)
    broker = harness.another(token=harness.front.token(created=ended, life=timedelta(0)))
    with pytest.raises(BadCredentials, match="seven days"):
        broker.submit(harness.request())
    assert harness.paths() == []


def test_a_sign_in_that_was_revoked_is_a_matter_of_credentials(harness):
    token = harness.front.token(life=timedelta(0))
    harness.front.refresh = "revoked"
    with pytest.raises(BadCredentials, match="Sign in"):
        harness.another(token=token).positions()
    assert not harness.saved


def test_a_sign_in_that_does_not_answer_means_later_as_nothing_was_sent(harness):
    broker = harness.another(token=harness.front.token(life=timedelta(0)))
    harness.simulator.fault("answer", on="sign_in", status=503, body="<html>")
    with pytest.raises(RetryLater):
        broker.submit(harness.request())
    assert not harness.core.orders and not harness.saved


def test_the_end_is_warned_of_days_before():
    token = json.dumps({"creation_timestamp": int(NOW.timestamp()), "token": {"refresh_token": "r"}})
    assert expires_in(token, NOW) == timedelta(days=7)
    due = {days: warning(token, NOW + timedelta(days=days)) for days in (0, 4.9, 5, 6, 6.99, 7)}
    assert not due[0] and not due[4.9]
    expires = {days: why.facts["hours"] for days, why in due.items() if why.code is Code.SIGN_IN_EXPIRES}
    assert expires == {5: 48, 6: 24, 6.99: 0} and due[7].code is Code.SIGN_IN_EXPIRED
    assert [re.search(r"expires in (.*?);", words(due[days]))[1] for days in expires] == [
        "2 days",
        "24 hours",
        "less than 2 hours",
    ]


def test_the_address_to_sign_in_at_names_key_and_callback():
    """The verifier and its challenge are the example of RFC 7636."""
    link = authorize_url("k&1", CALLBACK, state="s", verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert parse_qs(urlsplit(link).query) == {
        "client_id": ["k&1"],
        "redirect_uri": [CALLBACK],
        "response_type": ["code"],
        "state": ["s"],
        "code_challenge": ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"],
        "code_challenge_method": ["S256"],
    }


@pytest.mark.parametrize(
    "written", [CODE, CODE.replace("@", "%40"), f"{CALLBACK}?code={CODE.replace('@', '%40')}&session=1"]
)
def test_a_code_becomes_a_token_however_it_is_pasted(harness, written):
    text = exchange_code(KEY, SECRET, CALLBACK, written, verifier=VERIFIER, url=harness.simulator.url)
    check({"key": KEY, "secret": SECRET, "token": text}, {})
    assert harness.another(token=text).positions() == [] and expires_in(text, datetime.now(UTC)) > timedelta(
        days=6, hours=23
    )


def test_a_wrong_or_missing_code_is_explained(harness):
    with pytest.raises(BadCredentials):
        exchange_code(KEY, SECRET, CALLBACK, "C0.wrong@", verifier=VERIFIER, url=harness.simulator.url)
    with pytest.raises(Malformed, match="no code"):
        exchange_code(
            KEY, SECRET, CALLBACK, f"{CALLBACK}?error=denied", verifier=VERIFIER, url=harness.simulator.url
        )


def test_a_token_does_not_show_in_logs(harness):
    assert "refresh-1" not in repr(Token.read(harness.front.token())) and "access-1" not in repr(
        harness.broker.__dict__
    )


GOOD = {"key": KEY, "secret": SECRET, "token": '{"creation_timestamp": 1, "token": {"refresh_token": "r"}}'}


@pytest.mark.parametrize(
    ("change", "options", "where"),
    [
        ({"key": ""}, {}, "credentials.key"),
        ({"secret": " "}, {}, "credentials.secret"),
        ({"token": "{"}, {}, "credentials.token"),
        ({"token": "[]"}, {}, "credentials.token"),
        ({"token": '{"token": {}}'}, {}, "credentials.token"),
        (
            {"token": '{"creation_timestamp": 1e999, "token": {"refresh_token": "r"}}'},
            {},
            "credentials.token",
        ),
        ({}, {"mode": "paper"}, "mode"),
    ],
)
def test_unusable_credentials_are_refused_before_they_are_stored(change, options, where):
    check(GOOD, {})
    with pytest.raises(Malformed) as caught:
        check({**GOOD, **change}, options)
    assert caught.value.where == where and caught.value.hint


# --- the account and the prices -----------------------------------------------------------------------------


def test_every_path_names_the_account_by_its_hash(harness):
    harness.broker.account()
    assert (
        harness.paths() == ["/trader/v1/accounts/accountNumbers", f"/trader/v1/accounts/{HASH}"]
        and harness.broker.account().number == NUMBER
    )


def test_of_several_accounts_one_has_to_be_chosen(harness):
    harness.front.accounts["99998888"] = "FEDCBA"
    with pytest.raises(BadCredentials, match=r"several accounts.*…5678, …8888"):
        harness.another().submit(harness.request())
    assert harness.another(account="99998888").account().number == "99998888"
    with pytest.raises(BadCredentials):
        harness.another(account="1").account()


def test_an_answer_of_another_shape_is_unavailable(harness):
    harness.broker.account()
    for body in ("[]", "{}", '{"securitiesAccount": 7}', "null", "<html>"):
        harness.simulator.fault("answer", on="read", status=200, body=body)
        with pytest.raises(Unavailable):
            harness.broker.positions()


def test_a_price_is_as_old_as_schwab_says_and_never_of_the_future(harness):
    harness.front.quotes_late = 900.0
    assert timedelta(seconds=890) < datetime.now(UTC) - harness.broker.quote(AAPL).at < timedelta(seconds=910)
    harness.front.quotes_late = -60.0
    assert harness.broker.quote(AAPL).at <= datetime.now(UTC)


def test_on_a_holiday_the_market_is_closed(harness):
    harness.front.trades_today = False
    assert not harness.broker.market_open(AAPL)
    assert not harness.broker.market_open(AAPL) and harness.paths().count("/marketdata/v1/markets") == 1


def test_the_next_open_is_sought_day_by_day_over_a_long_weekend(harness):
    harness.front.trades_today, harness.front.closed_days = False, 4
    opens = harness.broker.opens_at(AAPL)
    assert timedelta(days=3, hours=22) < opens - datetime.now(UTC) < timedelta(days=4)
    asked = harness.paths().count("/marketdata/v1/markets")
    assert (
        asked == 5
        and harness.broker.opens_at(AAPL) == opens
        and harness.paths().count("/marketdata/v1/markets") == asked
    )
    harness.front.closed_days = 30
    assert harness.another().opens_at(AAPL) is None, "further ahead it is not known"


@pytest.mark.parametrize("frame", ["1h", "2h", "15m", "1d", "1w"])
def test_candles_that_schwab_lacks_are_put_together(harness, frame):
    candles = harness.broker.candles(AAPL, Timeframe.parse(frame), end=datetime.now(UTC), count=5)
    assert len(candles) == 5 and {(b.at - a.at) for a, b in itertools.pairwise(candles)} == {
        Timeframe.parse(frame).span
    }


def test_an_unavailable_timeframe_is_refused(harness):
    with pytest.raises(Unavailable, match="Use 1, 5"):
        harness.broker.candles(AAPL, Timeframe.parse("7s"), end=datetime.now(UTC), count=5)


def test_settling_may_be_set_for_one_account(harness):
    assert harness.another(settle=timedelta(0)).capabilities == replace(CAPABILITIES, settle=timedelta(0))
