"""What a stranger, or one user, cannot take from the others at the receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dashtrade.api import http, receiving
from dashtrade.domain.alerts.payload import MAX_FIELDS, MAX_TEXT, MAX_VALUES
from dashtrade.limits import BoundedQueue, ConcurrencyLimit, Rate, ReceiverLimits, network_of
from tests.support.databases import SqliteFiles
from tests.support.fakes import ManualClock, ManualFeed
from tests.support.installation import Installation, MakeApp, Trader, wait_until


@pytest.fixture
def database_url(sqlite_files: SqliteFiles) -> str:
    return sqlite_files.fresh()


@pytest.fixture
def trader(make_app: MakeApp, clock: ManualClock, feed: ManualFeed) -> Trader:
    person = Installation(make_app(clock=clock, feed=feed)).join()
    person.bot()
    return person


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """The bodies that anybody looked into."""
    seen: list[bytes] = []
    real = receiving.open_body
    monkeypatch.setattr(receiving, "open_body", lambda raw: (seen.append(raw), real(raw))[1])
    yield seen


def large() -> str:
    return json.dumps({"action": "buy", "symbol": "AAPL", "note": "x" * 6000})


def limits(person: Trader, **values: Any) -> None:
    person.installation.flask.config["LIMITS"] = ReceiverLimits(alerts=Rate(1000), **values)


def test_the_body_of_a_stranger_is_not_looked_into(trader: Trader, opened: list[bytes]) -> None:
    assert trader.alert(large(), token="usr_made_up").status_code == 401
    assert trader.alert(large(), token="").status_code == 401
    assert opened == []
    assert trader.alert(large()).status_code == 202 and len(opened) == 1


def test_a_token_in_the_body_still_tells_who_sends(trader: Trader) -> None:
    assert (
        trader.alert({"action": "buy", "symbol": "AAPL", "token": trader.token}, token="").status_code == 202
    )


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (json.dumps({f"f{number}": 1 for number in range(MAX_FIELDS + 1)}), "too many fields"),
        (json.dumps({"action": "buy", "symbol": "AAPL", "list": [1] * MAX_VALUES}), "too many values"),
        ("BUY AAPL " + "x" * MAX_TEXT, "too long"),
    ],
)
def test_a_body_that_is_too_much_is_refused_before_it_is_read_and_is_on_record(
    trader: Trader, body: str, what: str
) -> None:
    response = trader.alert(body)
    assert response.status_code == 400 and what in response.json["message"]
    assert trader.story(response.json["signal_id"])["status"] == "refused"


def test_a_user_has_few_places_to_wait_in_and_is_answered_202_beyond_them(trader: Trader) -> None:
    limits(trader, waiting=ConcurrencyLimit(in_all=16, of_one=0))
    response = trader.alert({"action": "buy", "symbol": "AAPL", "id": "w"}, wait="2")
    assert response.status_code == 202 and response.json["status"] == "accepted"


def test_places_are_counted_per_user_and_in_all_and_given_back() -> None:
    places = ConcurrencyLimit(in_all=3, of_one=2)
    with (
        places.place("a") as one,
        places.place("a") as two,
        places.place("a") as three,
        places.place("b") as four,
    ):
        assert (one, two, three, four) == (True, True, False, True)
        with places.place("c") as five:
            assert not five
    with places.place("c") as again:
        assert again


def test_too_many_sign_ins_at_once_are_answered_429(trader: Trader) -> None:
    limits(trader, passwords=BoundedQueue(0, 0, 0.05))
    response = trader.call(
        "POST", "/auth/login", {"email": "ann@example.com", "password": "wrong horse battery"}
    )
    assert (
        response.status_code == 429
        and response.json["error"] == "too_many_requests"
        and response.headers["Retry-After"]
    )


def test_one_address_that_guesses_passwords_is_slowed_down_and_others_are_not(trader: Trader) -> None:
    limits(trader, passwords_of=Rate(0.001, burst_seconds=1000))
    client = trader.installation.flask.test_client()

    def guess(address: str, number: int) -> int:
        body = {"email": f"nobody{number}@example.com", "password": "wrong horse battery"}
        return client.post("/api/v1/auth/login", json=body, environ_base={"REMOTE_ADDR": address}).status_code

    assert [guess("2001:db8::1", 1), guess("2001:db8::2", 2), guess("2001:db8:0:1::1", 3)] == [401, 429, 401]


def test_explanations_for_strangers_have_few_turns(trader: Trader) -> None:
    limits(trader, explaining=BoundedQueue(0, 0, 0.05))
    response = trader.installation.flask.test_client().post("/test-webhook", data="BUY AAPL")
    assert response.status_code == 429


def test_turns_let_a_few_wait_and_send_the_others_away() -> None:
    turns, inside, go = BoundedQueue(1, 1, 5), threading.Event(), threading.Event()
    answer: list[bool] = []

    def hold() -> None:
        with turns.turn() as on:
            inside.set()
            go.wait(5)
            answer.append(on)

    def queue() -> None:
        with turns.turn() as on:
            answer.append(on)

    first, second = threading.Thread(target=hold), threading.Thread(target=queue)
    first.start()
    assert inside.wait(5)
    second.start()
    wait_until(lambda: turns._room._value == 0)  # the second stands in the queue
    with turns.turn() as third:
        assert not third
    go.set()
    first.join(5)
    second.join(5)
    assert answer == [True, True]


def test_an_ipv6_address_stands_for_its_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("") == ""


def test_busy_says_how_long_to_wait() -> None:
    assert http.busy("sign-ins", 3.2).headers == {"Retry-After": "3"}


def test_recording_a_bad_alert_delays_no_other_user(trader: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written to the disk: alerts of others are read meanwhile."""
    other_trader = trader.installation.join("bob@example.com")
    other_trader.bot("MSFT")
    real, written, go_on = receiving._refused, threading.Event(), threading.Event()

    def slowly(*about: Any) -> Exception:
        written.set()
        go_on.wait(20)
        return real(*about)

    monkeypatch.setattr(receiving, "_refused", slowly)
    bad = threading.Thread(target=lambda: trader.alert("what is this"))
    bad.start()
    assert written.wait(20)
    answer: list[int] = []
    good = threading.Thread(
        target=lambda: answer.append(other_trader.alert({"action": "buy", "symbol": "MSFT"}).status_code)
    )
    good.start()
    good.join(10)
    meanwhile = list(answer)
    go_on.set()
    bad.join(10)
    good.join(10)
    assert meanwhile == [202]
