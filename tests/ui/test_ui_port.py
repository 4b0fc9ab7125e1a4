"""The dashboard's port under strangers: connections that drip, that say nothing, that do not read, and too
many of them."""

from __future__ import annotations

import http.client
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from dashtrade.doctor import check_files
from dashtrade.settings import ROOT, Settings
from dashtrade.ui.shell import http_port
from tests.support.free_port import free_port
from tests.support.installation import wait_until

LONG = 64 * 1024
PIECES = 1000


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while scope["method"] == "POST" and scope["path"] != "/refused" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(PIECES if scope["path"] == "/long" else 0):
        await send({"type": "http.response.body", "body": b"x" * LONG, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    for name, value in {
        "MAX_CONNECTIONS": 60,
        "ARRIVAL_SECONDS": 0.7,
        "UNREAD_SECONDS": 0.7,
        "BACKLOG": 16,
    }.items():
        monkeypatch.setattr(http_port, name, value)
    made = uvicorn.Server(
        uvicorn.Config(application, port=0, log_config=None, lifespan="off", **http_port.protocols())
    )
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    wait_until(lambda: made.started)
    yield made
    made.should_exit = made.force_exit = True
    thread.join(10)


def number(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


def status(at: int, path: str = "/", timeout: float = 5, method: str = "GET") -> int:
    line = http.client.HTTPConnection("127.0.0.1", at, timeout=timeout)
    try:
        line.request(method, path, b"a=b" if method == "POST" else None)
        return line.getresponse().status
    finally:
        line.close()


@contextmanager
def connections(at: int, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", at), timeout=5))
            if first:
                made[-1].send(first)
        yield made
    finally:
        for each in made:
            each.close()


def ends(one: socket.socket, drip: bytes = b"", within: float = 5) -> bool:
    end = time.monotonic() + within
    one.settimeout(0.2)
    while time.monotonic() < end:
        try:
            if drip:
                one.send(drip)
            if one.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


BROKEN = b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"


@pytest.mark.parametrize("path", [b"/refused", b"/read", b"/long"])
@pytest.mark.parametrize("pause", [0, 0.2])
def test_an_incomplete_body_is_no_server_error(
    server: uvicorn.Server, path: bytes, pause: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The request may be answered already, or be about to be, when its body turns out to be no body."""
    method = b"GET" if path == b"/long" else b"POST"
    whole = method + b" " + path + b" HTTP/1.1\r\n" + BROKEN
    with connections(number(server), 1, whole[:-4] if pause else whole) as [one]:
        time.sleep(pause)
        if pause:
            one.send(whole[-4:])
        assert ends(one, within=10)
    assert status(number(server)) == 200
    assert [line.getMessage() for line in caplog.records if line.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", b"x"),
    ],
)
def test_a_request_that_does_not_arrive_is_cut_off_however_busy_it_looks(
    server: uvicorn.Server, first: bytes, drip: bytes
) -> None:
    with connections(number(server), 1, first) as [one]:
        assert ends(one, drip)
    wait_until(lambda: not server.server_state.connections)


def test_one_that_waits_between_two_requests_is_kept(server: uvicorn.Server) -> None:
    line = http.client.HTTPConnection("127.0.0.1", number(server), timeout=5)
    for _ in range(2):
        line.request("POST", "/", b"a=b")
        assert line.getresponse().read() == b"ok"
        time.sleep(1)
    line.close()


def test_exhausted_connections_do_not_lock_out_other_clients(server: uvicorn.Server) -> None:
    with connections(number(server), 200, b"G"):
        # one that is closed counts until the loop's next turn
        wait_until(lambda: len(server.server_state.connections) <= 61)
        for method in ("GET", "POST") * 5:
            assert status(number(server), method=method) == 200


def test_a_client_that_does_not_read_its_response_is_disconnected(server: uvicorn.Server) -> None:
    with connections(number(server), 3, b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n"):
        wait_until(lambda: len(server.server_state.tasks) == 3)
        wait_until(lambda: not server.server_state.tasks)


def test_one_that_reads_slowly_gets_all_of_it(server: uvicorn.Server) -> None:
    line = http.client.HTTPConnection("127.0.0.1", number(server), timeout=5)
    line.request("GET", "/long")
    answer, size = line.getresponse(), 0
    while piece := answer.read(4 * 1024 * 1024):
        size += len(piece)
        time.sleep(0.1)
    assert size == LONG * PIECES + 2


# --- as it is served ----------------------------------------------------------------------------------------


def test_a_thousand_connections_that_drip_keep_no_visitor_out(tmp_path: Path) -> None:
    """With as few files open as a process often may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1300:
        if hard < 1300:
            pytest.skip("this process may not open so many connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (1300, hard))
    at = free_port()
    environ = {**os.environ, "DASHTRADE_HOME": str(tmp_path), "DASHTRADE_UI_PORT": str(at)}
    few = (
        "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)); "
        "runpy.run_module('dashtrade.ui.shell.serve', run_name='__main__')"
    )
    process = subprocess.Popen([sys.executable, "-c", few], cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _up(at), 40)
        with connections(at, 1050, b"GET / HTTP/1.1\r\nHost: a\r\nX: ") as lines:
            for _ in range(5):
                for line in lines:
                    with suppress(OSError):  # it had to go
                        line.send(b"x")
                assert status(at, "/auth/login", timeout=10) == 200
    finally:
        process.terminate()
        process.wait(20)


def _up(at: int) -> bool:
    try:
        return status(at, "/_stcore/health", 1) == 200
    except OSError:
        return False


def test_the_doctor_says_where_few_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load({}, tmp_path)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    [found] = check_files(settings)
    assert "1024" in found.what and "1600" in found.hint
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    [found] = check_files(settings)
    assert not found.hint
