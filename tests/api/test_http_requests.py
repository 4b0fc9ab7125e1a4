"""The receiver's HTTP server: how requests reach Flask, however they are framed, and how answers leave."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dashtrade import http_server
from dashtrade.http_server import HttpServer, listening_sockets
from tests.support.installation import wait_until

MAX_BODY = 64 * 1024
HOLD, INSIDE = threading.Event(), threading.Event()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    """Tells what it was asked."""
    if environ["PATH_INFO"] == "/hold":
        INSIDE.set()
        HOLD.wait(20)
    if environ["PATH_INFO"] == "/broken":
        raise RuntimeError("unexpected")
    if environ["PATH_INFO"] == "/endless":
        start_response("200 OK", [("Content-Type", "text/csv")])
        return (b"%d\n" % number for number in range(50_000))
    plain = {name: held for name, held in environ.items() if isinstance(held, str)}
    body = environ["wsgi.input"].read()
    told = json.dumps(plain | {"body": body.decode("latin-1"), "read": len(body)}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(told)))])
    return [told]


@contextmanager
def running() -> Iterator[HttpServer]:
    HOLD.clear()
    INSIDE.clear()
    made = HttpServer(application, host="127.0.0.1", port=0, max_body_bytes=MAX_BODY)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    wait_until(lambda: made.uvicorn.started)
    yield made
    HOLD.set()
    made.stop()
    thread.join(10)
    made.close()
    assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with running() as made:
        yield made


def exchange(server: HttpServer, *pieces: bytes) -> bytes:
    """All that is answered until the server closes, or says nothing more for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(0.02)
        line.settimeout(1)
        heard = b""
        try:
            while more := line.recv(65536):
                heard += more
        except TimeoutError:
            pass
    return heard


def told(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    read: dict[str, Any] = json.loads(body)
    return read


def test_what_was_asked_arrives(server: HttpServer) -> None:
    seen = told(
        exchange(
            server,
            b"POST /a%20b/%ff?x=%20&y HTTP/1.1\r\nHost: h:8080\r\nX-One: 1\r\nX-One: 2\r\nX_One: 3\r\n"
            b"Content-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        )
    )
    assert seen["REQUEST_METHOD"] == "POST" and seen["PATH_INFO"] == "/a b/\xff"
    assert seen["QUERY_STRING"] == "x=%20&y" and seen["HTTP_HOST"] == "h:8080"
    assert seen["HTTP_X_ONE"] == "1,2"  # and not what passes for it with a line in its name
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["body"]) == ("text/plain", "3", "abc")
    assert seen["REMOTE_ADDR"] == "127.0.0.1" and seen["wsgi.url_scheme"] == "http"


def test_a_body_in_chunks_is_whole(server: HttpServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    seen = told(exchange(server, head, b"3\r\nabc\r\n", b"2;x=y\r\nde\r\n", b"0\r\nTrailer: 1\r\n\r\n"))
    assert (seen["body"], seen["CONTENT_LENGTH"]) == ("abcde", "5")
    assert "HTTP_TRANSFER_ENCODING" not in seen


@pytest.mark.parametrize("declared", [True, False])
def test_of_a_body_that_is_too_large_no_more_than_that_is_kept(server: HttpServer, declared: bool) -> None:
    """The application refuses it by its length."""
    body = b"x" * (4 * MAX_BODY)
    framing = b"Content-Length: %d" % len(body) if declared else b"Transfer-Encoding: chunked"
    head = b"POST / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n"
    chunks = [b"1000\r\n" + body[:4096] + b"\r\n"] * (len(body) // 4096) + [b"0\r\n\r\n"]
    again = b"GET /again HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    first, second = exchange(server, head + (body if declared else b"".join(chunks)), again).split(
        b"HTTP/1.1 200"
    )[1:]
    seen = json.loads(first.partition(b"\r\n\r\n")[2])
    assert int(seen["CONTENT_LENGTH"]) > MAX_BODY and seen["read"] <= 2 * MAX_BODY
    assert b"/again" in second


def test_the_method_head_has_no_body(server: HttpServer) -> None:
    answer = exchange(server, b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and body == b""


def test_a_client_that_goes_while_requests_sent_ahead_are_answered_leaves_no_error(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends by a reset
    line.sendall(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n")
    assert INSIDE.wait(5)
    line.close()
    wait_until(lambda: not server.uvicorn.server_state.connections)
    HOLD.set()
    wait_until(lambda: not server.uvicorn.server_state.tasks)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_an_answer_without_a_length_is_sent_whole(server: HttpServer) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.request("GET", "/endless")
    lines = client.getresponse().read().splitlines()
    client.close()
    assert lines == [b"%d" % number for number in range(50_000)]


def test_requests_sent_ahead_are_answered_in_order(server: HttpServer) -> None:
    whole = b"".join(b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx" % n for n in range(5))
    heard = exchange(server, whole[:-10], whole[-10:])
    asked = [
        json.loads(b"{" + part.partition(b"{")[2])["PATH_INFO"] for part in heard.split(b"HTTP/1.1 200")[1:]
    ]
    assert asked == [f"/{n}" for n in range(5)]


def test_a_flood_of_requests_sent_ahead_ends_its_connection(server: HttpServer) -> None:
    one = b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(one * 500)
        assert INSIDE.wait(5)
        HOLD.set()
        heard = b""
        while more := line.recv(65536):
            heard += more
    assert heard.count(b"HTTP/1.1 200") == 1  # the one that was being handled


def test_after_garbage_the_request_before_it_still_has_its_answer(server: HttpServer) -> None:
    heard = exchange(server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x00\x01garbage\r\n\r\n")
    assert heard.count(b"HTTP/1.1 ") == 1 and heard.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"X: " + b"y" * 40_000 + b"\r\n\r\n"],
        [b"X: ", *[b"y" * 8000] * 6],
        [b"A: b\r\n" * 8000 + b"\r\n"],
        [b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", *[b"T: " + b"z" * 8000 + b"\r\n"] * 6],
        [b"Transfer-Encoding: chunked\r\n\r\n1;", *[b"x" * 8000] * 6],
    ],
)
def test_headers_have_a_size(server: HttpServer, pieces: list[bytes]) -> None:
    heard = exchange(server, b"POST / HTTP/1.1\r\nHost: h\r\n" + pieces[0], *pieces[1:])
    assert heard.startswith(b"HTTP/1.1 431") and b"headers_too_large" in heard and b"no-store" in heard


def test_an_address_has_a_size(server: HttpServer) -> None:
    assert exchange(server, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n").startswith(
        b"HTTP/1.1 431"
    )


def test_headers_up_to_that_size_pass(server: HttpServer) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + b"X: " + b"y" * 30_000 + b"\r\n\r\n"
    assert len(told(exchange(server, head[:15_000], head[15_000:]))["HTTP_X"]) == 30_000


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: chunked, gzip",
        b"X : y",
        b"X: y\r\n folded: z\x00",
    ],
)
def test_a_request_of_which_one_cannot_say_where_it_ends_is_refused(
    server: HttpServer, framing: bytes
) -> None:
    heard = exchange(server, b"POST / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert heard.startswith(b"HTTP/1.1 400") and heard.count(b"HTTP/1.1") == 1


def test_a_broken_chunk_ends_a_request_that_is_being_read(server: HttpServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(server, head, b"3\r\nabc\r\n", b"zz\r\n").startswith(b"HTTP/1.1 400")
    assert exchange(server, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )


def test_a_client_that_asks_first_whether_it_may_send_is_told_so(server: HttpServer) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\n"
    )
    first, _, second = exchange(server, head, b"abc").partition(b"\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue" and told(second)["body"] == "abc"


def test_after_a_body_that_was_refused_early_the_connection_still_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.3)
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"
    with running() as server, socket.create_connection(("127.0.0.1", server.port), timeout=5) as line:
        line.sendall(head)
        assert line.recv(65536).startswith(b"HTTP/1.1 200")
        line.sendall(b"x" * 200_000)
        assert line.recv(1) == b""


def test_an_unexpected_error_is_a_500_and_the_server_lives(server: HttpServer) -> None:
    assert exchange(server, b"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 500")
    assert exchange(server, b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 200"
    )


def test_when_it_is_to_end_a_request_in_progress_is_answered_and_no_other_begins() -> None:
    with running() as server:
        line = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        line.sendall(b"GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
        assert INSIDE.wait(5)
        server.stop()
        assert idle.recv(1) == b""
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        HOLD.set()
        heard = b""
        while more := line.recv(65536):
            heard += more
        assert told(heard)["PATH_INFO"] == "/hold" and b"connection: close" in heard
        line.close()
        idle.close()


def test_it_listens_on_every_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: found)
    made = listening_sockets("both", 0)
    try:
        assert [one.getsockname()[0] for one in made] == ["127.0.0.1", "::1"]
        assert made[1].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    finally:
        for one in made:
            one.close()


def test_a_port_that_is_taken_is_an_error_at_the_start(server: HttpServer) -> None:
    with pytest.raises(OSError):
        HttpServer(application, host="127.0.0.1", port=server.port, max_body_bytes=MAX_BODY)
