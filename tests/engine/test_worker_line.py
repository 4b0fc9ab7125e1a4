"""The event loop's connection to the worker: what threads have by `WorkerClient`, without threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dashtrade.processes import worker_line
from dashtrade.processes.frames import socket_file
from dashtrade.processes.worker_ipc import ClientConnection, WorkerServer
from dashtrade.processes.worker_line import WorkerLine
from tests.support.installation import wait_until


class Rooms:
    """A worker's socket that answers what it is told to answer."""

    def __init__(self, home: Path, answer: Any = "stored") -> None:
        self.heard: list[Any] = []
        self.answer = answer
        self.server = WorkerServer(home, self.accept, lambda lane: None, lambda owner, name: {"of": owner})

    def accept(self, asker: ClientConnection, number: int, alert: Any) -> None:
        self.heard.append(alert)
        if self.answer is not None:
            self.server.subscribe(asker, str(alert), owner=7)
            asker.tell("accepted", number, self.answer)


def story(home: Path, tell: Callable[[WorkerLine], Awaitable[None]]) -> None:
    async def run() -> None:
        line = WorkerLine(home)
        try:
            await tell(line)
        finally:
            line.close()

    asyncio.run(run())


def test_alerts_are_answered_each_with_its_own_reply_however_many_come_at_once(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path)

    async def tell(line: WorkerLine) -> None:
        long = "x" * 300_000  # arrives in several pieces
        assert await asyncio.gather(*(line.hand_over(n) for n in range(50))) == ["stored"] * 50
        assert await line.hand_over(long) == "stored"
        assert sorted(rooms.heard[:50]) == list(range(50)) and rooms.heard[50] == long

    story(tmp_path, tell)
    rooms.server.close()


def test_an_outcome_is_heard_before_and_after_somebody_waits_for_it(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path)

    async def tell(line: WorkerLine) -> None:
        await line.hand_over("s1")
        waiting = asyncio.create_task(line.change("s1", 5))
        await asyncio.sleep(0.05)
        rooms.server.tell("s1")
        assert await waiting == {"of": 7}
        await line.hand_over("s2")
        rooms.server.tell("s2")
        await asyncio.sleep(0.1)
        assert await line.change("s2", 0) == {"of": 7}
        assert await line.change("s3", 0.05) is None

    story(tmp_path, tell)
    rooms.server.close()


def test_of_an_alert_for_which_nobody_waits_no_outcome_is_sent(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path)

    async def tell(line: WorkerLine) -> None:
        await line.hand_over("s1")
        rooms.server.subscribe(next(iter(rooms.server._connections)), "s2", None)
        rooms.server.tell("s2")
        rooms.server.tell("s1")
        assert await line.change("s1", 5) == {"of": 7}
        assert await line.change("s2", 0) is None and "s2" not in line._outcomes

    story(tmp_path, tell)
    rooms.server.close()


def test_without_a_worker_nothing_is_waited_for(tmp_path: Path) -> None:
    async def tell(line: WorkerLine) -> None:
        began = time.monotonic()
        assert [await line.hand_over(1), await line.hand_over(2)] == [None, None]
        assert time.monotonic() - began < 0.5

    story(tmp_path, tell)


def test_a_worker_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_line, "RECONNECT_SECONDS", 0.05)

    async def tell(line: WorkerLine) -> None:
        for _ in range(2):  # and again, once it was gone
            assert await line.hand_over("s") is None
            rooms = Rooms(tmp_path)
            await asyncio.sleep(0.1)
            assert await line.hand_over("s") == "stored"
            rooms.server.close()
            await asyncio.sleep(0.1)

    story(tmp_path, tell)


def test_a_worker_that_goes_lets_everybody_go_at_once(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, answer=None)

    async def tell(line: WorkerLine) -> None:
        began = time.monotonic()
        waiting = [asyncio.create_task(line.hand_over(n)) for n in range(3)]
        await asyncio.to_thread(wait_until, lambda: len(rooms.heard) == 3)
        rooms.server.close()
        assert await asyncio.gather(*waiting) == [None] * 3
        assert time.monotonic() - began < 0.9  # sooner than by waiting for an answer

    story(tmp_path, tell)


def test_a_silent_worker_costs_a_second_once_and_is_then_left_alone(tmp_path: Path) -> None:
    rooms = Rooms(tmp_path, answer=None)

    async def tell(line: WorkerLine) -> None:
        assert await asyncio.gather(line.hand_over("s1"), line.hand_over("s2")) == [None, None]
        began = time.monotonic()
        assert await line.hand_over("s3") is None
        assert time.monotonic() - began < 0.5
        assert sorted(rooms.heard) == ["s1", "s2"]

    story(tmp_path, tell)
    rooms.server.close()


@pytest.mark.parametrize("said", [b"\xff\xff\xff\xff", b"\0\0\0\x05hello"])
def test_nonsense_ends_the_connection_and_lets_everybody_go(tmp_path: Path, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)

    async def tell(line: WorkerLine) -> None:
        server = await asyncio.start_unix_server(talk, socket_file(tmp_path))
        began = time.monotonic()
        assert await line.hand_over("s1") is None
        assert time.monotonic() - began < 0.9
        server.close()

    story(tmp_path, tell)
