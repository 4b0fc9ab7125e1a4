"""The receiver's HTTP server under strangers: connections that drip, that say nothing, that do not read, and
too many of them."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dashtrade import http_server
from dashtrade.http_server import FairQueue, HttpServer, Turns, sender_of
from tests.support.installation import wait_until

Wsgi = Callable[..., Any]
LONG = 64 * 1024 * 1024


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    path = environ["PATH_INFO"]
    if path == "/slow":
        environ["test.release"] = None
        RELEASE.wait(20)
    size = LONG if path == "/long" else 2
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    if path == "/long":
        return pieces(path)
    environ["wsgi.input"].read()
    return [b"ok"]


def pieces(path: str) -> Iterator[bytes]:
    BEING_SENT[path] += 1
    try:
        for _ in range(LONG // 65536):
            yield b"x" * 65536
    finally:
        BEING_SENT[path] -= 1


RELEASE = threading.Event()
BEING_SENT: Counter[str] = Counter()


@contextmanager
def running(handles: Wsgi = application) -> Iterator[HttpServer]:
    made = HttpServer(handles, host="127.0.0.1", port=0, max_body_bytes=64 * 1024)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    wait_until(lambda: made.uvicorn.started)
    yield made
    RELEASE.set()
    made.stop()
    thread.join(10)
    made.close()
    assert not thread.is_alive()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpServer]:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 60)
    monkeypatch.setattr(http_server, "ARRIVAL_SECONDS", 0.7)
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.7)
    monkeypatch.setattr(http_server, "UNREAD_SECONDS", 0.7)
    RELEASE.clear()
    with running() as made:
        yield made


def answer(server: HttpServer, path: str = "/webhook", timeout: float = 5) -> int:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        client.request("POST", path, b"BUY AAPL")
        return client.getresponse().status
    finally:
        client.close()


@contextmanager
def connections(server: HttpServer, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    made = []
    for _ in range(count):
        made.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        if first:
            made[-1].send(first)
    try:
        yield made
    finally:
        for each in made:
            each.close()


def closed(one: socket.socket, within: float = 5) -> bool:
    one.settimeout(within)
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_exhausted_connections_do_not_lock_out_other_clients(server: HttpServer) -> None:
    with connections(server, 200, b"P"):
        for _ in range(10):
            assert answer(server) == 200


def test_a_request_that_drips_is_cut_off_however_busy_it_looks(server: HttpServer) -> None:
    with connections(server, 1, b"POST /webhook HTTP/1.1\r\nHost: a\r\n") as [dripping]:
        until = time.monotonic() + 5
        gone = False
        while not gone and time.monotonic() < until:
            time.sleep(0.2)
            try:
                dripping.send(b"X")
            except OSError:
                gone = True
        assert gone, "a byte now and then kept it alive"


def test_a_connection_that_says_nothing_is_closed(server: HttpServer) -> None:
    with connections(server, 1) as [silent]:
        assert closed(silent)


def test_a_client_that_does_not_read_is_disconnected_and_frees_its_thread(server: HttpServer) -> None:
    with connections(server, 3, b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"):
        wait_until(lambda: BEING_SENT == {"/long": 3})
        wait_until(lambda: not BEING_SENT.total())


def test_alerts_are_answered_while_everything_else_hangs(server: HttpServer) -> None:
    asked = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    with connections(server, http_server.OTHER_THREADS + 10, asked):
        time.sleep(0.3)
        began = time.monotonic()
        assert answer(server) == 200
        assert time.monotonic() - began < 2
        RELEASE.set()


@pytest.mark.parametrize(
    "line", [b"get / HTTP/1.1", b"GET /a b HTTP/1.1", b"\xc3\x84 / HTTP/1.1", b"GET / HTTP/1.1\r\n: no name"]
)
def test_an_invalid_request_is_refused(server: HttpServer, line: bytes) -> None:
    """It has no path by which its threads could be chosen."""
    with connections(server, 1, line + b"\r\n\r\n") as [bad]:
        bad.settimeout(5)
        assert bad.recv(4096).split(b" ")[1] == b"400"


def test_descriptors_beyond_a_thousand_and_twenty_four_are_no_end(server: HttpServer) -> None:
    """select() cannot hold them; poll() can."""
    pairs = [socket.socketpair() for _ in range(540)]
    try:
        assert max(one.fileno() for pair in pairs for one in pair) > 1024
        assert answer(server) == 200
    finally:
        for one, other in pairs:
            one.close()
            other.close()


def test_a_crowd_that_comes_at_once_is_taken_in_within_few_passes(server: HttpServer) -> None:
    """One at each pass of the loop would keep an alert behind a thousand strangers waiting for seconds."""
    loop, busy, counts = server.uvicorn.loop, threading.Event(), []

    def count(left: int) -> None:
        counts.append(len(server.uvicorn.server_state.connections))
        if left:
            loop.call_soon(count, left - 1)

    loop.call_soon_threadsafe(busy.wait, 5)
    with connections(server, 50):
        loop.call_soon_threadsafe(count, 6)
        busy.set()
        wait_until(lambda: len(counts) == 7)
        assert counts[-1] == 50


def test_what_is_no_request_is_answered_with_the_headers_of_all_answers(server: HttpServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n")
        answer = line.makefile("rb").read().decode()
    assert (
        answer.startswith("HTTP/1.1 400")
        and "Cache-Control: no-store" in answer
        and "X-Content-Type-Options: nosniff" in answer
    )


def scope(query: str, address: str = "203.0.113.9", authorization: str = "") -> dict[str, Any]:
    headers = [(b"authorization", authorization.encode())] if authorization else []
    return {"query_string": query.encode(), "headers": headers, "client": (address, 1)}


def test_senders_take_turns_and_each_is_served_in_order():
    """A flood waits for itself: whoever else sends an alert is next."""
    waiting: FairQueue[int] = FairQueue()
    for number in range(100):
        waiting.append(sender_of(scope("token=usr_flood&wait=2")), number)
    waiting.append(sender_of(scope("wait=2&token=usr_ann")), 1000)
    waiting.append(sender_of(scope("", authorization="Bearer usr_bob")), 2000)
    waiting.append(sender_of(scope("", address="203.0.113.7")), 3000)
    assert [waiting.popleft() for _ in range(6)] == [0, 1000, 2000, 3000, 1, 2]
    assert [waiting.popleft() for _ in range(97)] == list(range(3, 100))
    assert not waiting
    with pytest.raises(KeyError):
        waiting.popleft()


def test_who_gives_up_waiting_leaves_the_turn_to_the_next():
    served: list[str] = []

    async def ask(turns: Turns, sender: str, hold: asyncio.Event) -> None:
        turn = await turns.take(sender)
        served.append(sender)
        await hold.wait()
        turn.end()

    async def story() -> None:
        turns, hold = Turns(1), asyncio.Event()
        tasks = [asyncio.create_task(ask(turns, sender, hold)) for sender in ("ann", "bob", "cem", "dan")]
        await asyncio.sleep(0)
        tasks[1].cancel()
        hold.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns.take("eve")
        served.append("eve")

    asyncio.run(story())
    assert served == ["ann", "cem", "dan", "eve"]


def test_a_turn_that_ends_before_the_answer_is_free_once():
    async def story() -> None:
        turns = Turns(1)
        turn = await turns.take("ann")
        turn.end()
        await turns.take("bob")
        turn.end()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await turns.take("cem")

    asyncio.run(story())


def test_few_turns_begin_in_one_pass_of_the_loop():
    """Between them it looks who else is there."""

    async def story() -> None:
        turns, began = Turns(100), []

        async def one(number: int) -> None:
            await turns.take(number)
            began.append(number)

        tasks = [asyncio.create_task(one(number)) for number in range(50)]
        counts = []
        while len(began) < 50:
            await asyncio.sleep(0)
            counts.append(len(began))
        assert max(after - before for before, after in zip([0, *counts], counts, strict=False)) <= 4
        assert began == list(range(50)) and all(task.done() for task in tasks[:-4])

    asyncio.run(story())
