"""The worker's door: alerts handed over, outcomes told, and nothing lost when the worker does not answer."""

from __future__ import annotations

import json
import pickle
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.as_json import from_json, to_json
from dashtrade.domain.kernel.accepting import Alert
from dashtrade.engine.host import Host
from dashtrade.engine.intake import accept
from dashtrade.processes.frames import frame, socket_file
from dashtrade.processes.worker_ipc import ClientConnection, WorkerClient, WorkerServer, _PendingReply
from tests.support.hosts import StoringHost
from tests.support.installation import Installation


class Rooms:
    """What is behind the door in these tests: keeps what it hears, answers what it is told to answer."""

    def __init__(self, home: Path, answer: Any = "stored") -> None:
        self.heard: list[tuple[str, Any]] = []
        self.answer = answer
        self.looked_up: list[str] = []
        self.door = WorkerServer(
            home, self.accept, lambda lane: self.heard.append(("work", lane)), self.outcome
        )

    def outcome(self, owner: int, signal_id: str) -> dict[str, Any]:
        self.looked_up.append(signal_id)
        return {"of": owner, "id": signal_id}

    def accept(self, asker: ClientConnection, number: int, alert: Any) -> None:
        self.heard.append(("alert", alert))
        if self.answer is not None:
            self.door.subscribe(asker, alert, owner=7)
            asker.tell("accepted", number, self.answer)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[WorkerClient]:
    made = WorkerClient(tmp_path)
    yield made
    made.close()


def test_a_handed_over_alert_is_answered_and_its_outcome_sent(tmp_path: Path, caller: WorkerClient):
    rooms = Rooms(tmp_path)
    assert caller.hand_over("s1") == "stored"
    event = caller.watch("s1")
    rooms.door.tell("s1")
    assert event.wait(5)
    assert caller.outcome_of("s1") == {"of": 7, "id": "s1"}
    rooms.door.tell("s1")  # it changes on; whoever waited has his answer
    assert rooms.looked_up == ["s1"]
    rooms.door.close()


def test_an_answer_that_comes_when_its_alert_was_given_up_does_not_end_the_hearing(caller: WorkerClient):
    """Whoever hung up has told all who wait; what is still on the line is heard all the same."""
    here, there = socket.socketpair()
    answer = caller._pending[1] = _PendingReply()
    answer.done.release()
    for message in (["accepted", 1, "stored"], ["change", "s1", {"status": "filled"}]):
        there.sendall(frame(message))
    there.close()
    caller._listen(here)
    assert caller.outcome_of("s1") == {"status": "filled"}


def test_without_a_worker_nothing_is_waited_for(caller: WorkerClient):
    began = time.monotonic()
    assert caller.hand_over("s1") is None
    assert time.monotonic() - began < 0.5


def test_a_worker_that_goes_lets_everybody_go_at_once(tmp_path: Path, caller: WorkerClient):
    rooms = Rooms(tmp_path, answer=None)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(caller.hand_over("s1")))
    began = time.monotonic()
    waiting.start()
    while not rooms.heard and time.monotonic() - began < 5:
        time.sleep(0.01)
    rooms.door.close()
    waiting.join(5)
    assert answers == [None]
    assert time.monotonic() - began < 0.9  # sooner than by waiting for an answer


def test_a_silent_worker_costs_a_second_once_and_is_then_left_alone(tmp_path: Path, caller: WorkerClient):
    rooms = Rooms(tmp_path, answer=None)
    assert caller.hand_over("s1") is None
    began = time.monotonic()
    assert caller.hand_over("s2") is None
    assert time.monotonic() - began < 0.5
    assert rooms.heard == [("alert", "s1")]
    rooms.door.close()


def test_the_door_is_a_socket_that_its_user_alone_can_open(tmp_path: Path, caller: WorkerClient):
    rooms = Rooms(tmp_path)
    file = socket_file(tmp_path)
    assert stat.S_ISSOCK(file.stat().st_mode)
    assert file.stat().st_mode & 0o777 == 0o600
    rooms.door.close()
    assert not file.exists()  # nobody can wait there for those who look for a worker


def test_a_home_with_a_long_name_has_its_door_elsewhere(tmp_path: Path):
    home = tmp_path / ("long" * 30)
    home.mkdir()
    for _ in range(2):  # the second finds what one that was killed has left
        rooms = Rooms(home)
        elsewhere = socket_file(home).resolve()
        assert elsewhere.parent.stat().st_mode & 0o777 == 0o700
        caller = WorkerClient(home)
        assert caller.hand_over("s1") == "stored"
        caller.close()
    rooms.door.close()
    assert not elsewhere.exists()
    assert not elsewhere.parent.exists()
    assert not socket_file(home).is_symlink()


RAN: list[str] = []


def run_it() -> None:
    RAN.append("ran")


class Hostile:
    def __reduce__(self) -> Any:
        return run_it, ()


NONSENSE = [
    b"\0\0\0\x05hello",
    b"\0\0\0\x02[]",
    b"\xff\xff\xff\xff",
    b'\0\0\0\x07["what"',
    b"\0\0\0\x02{}",
    b"\0\0\0\x04null",
    b'\0\0\0\x0c["accept",1]',
    b"\0\0\0\x09" + b"[" * 9,
]


@pytest.mark.parametrize("said", NONSENSE)
def test_an_invalid_message_ends_only_its_own_connection(tmp_path: Path, caller: WorkerClient, said: bytes):
    rooms = Rooms(tmp_path)
    assert caller.hand_over("s1") == "stored"
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(5)
        other.connect(str(socket_file(tmp_path)))
        other.sendall(said)
        other.shutdown(socket.SHUT_WR)
        assert other.recv(10) == b""
    assert caller.hand_over("s2") == "stored"
    assert rooms.heard == [("alert", "s1"), ("alert", "s2")]
    rooms.door.close()


def test_nothing_that_passes_the_door_can_run(tmp_path: Path):
    rooms = Rooms(tmp_path)
    RAN.clear()
    body = pickle.dumps(Hostile())
    with socket.socket(socket.AF_UNIX) as other:
        other.settimeout(5)
        other.connect(str(socket_file(tmp_path)))
        other.sendall(len(body).to_bytes(4) + body)
        assert other.recv(10) == b""
    rooms.door.close()
    assert RAN == []
    pickle.loads(body)  # noqa: S301  the check can fail: who unpickles it runs it
    assert RAN == ["ran"]


def test_an_alert_written_down_twice_under_its_id_is_one_signal_and_no_repeat(app: App):
    """The worker stored it and died before it answered: the receiver writes it down again."""
    installation = Installation(app)
    person = installation.join()
    person.bot("AAPL", "15")
    handed: list[Alert] = []
    body = {"action": "buy", "symbol": "AAPL", "timeframe": "15"}

    def store_and_die(alert: Alert) -> None:
        handed.append(from_json(Alert, json.loads(json.dumps(to_json(alert)))))  # as it passes the door
        alert = handed[0]
        installation.app.db.write(lambda conn: accept(conn, alert))

    installation.app.engine.host = StoringHost(store_and_die)
    response = person.alert(body)
    assert response.status_code == 202
    assert response.json["duplicate"] is False
    assert response.json["signal_id"] == handed[0].id
    installation.app.engine.host = Host()
    assert person.alert(body).json == {"signal_id": handed[0].id, "status": "accepted", "duplicate": True}
