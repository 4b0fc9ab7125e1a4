"""Alerts on the event loop, over the wire: what only this way does. All else that is said of alerts is tried
on both ways by the other files here (`way` in conftest.py)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from dashtrade.api.direct_alerts import DirectAlerts
from dashtrade.api.receiving import TRADINGVIEW_ADDRESSES
from dashtrade.context import App
from dashtrade.http_server import HttpServer
from dashtrade.services.people import tokens
from tests.support.databases import sqlite
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, MakeApp, Trader, wait_until
from tests.support.webhook import BUY
from webhook_server import MAX_BODY_BYTES

pytestmark = sqlite


@pytest.fixture(autouse=True)
def way() -> str:
    return "over the wire"


@contextmanager
def served(installation: Installation) -> Iterator[HttpServer]:
    direct = DirectAlerts(installation.app, installation.flask.config["LIMITS"])
    server = HttpServer(
        installation.flask, host="127.0.0.1", port=0, max_body_bytes=MAX_BODY_BYTES, direct=direct
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.uvicorn.started)
    yield server
    server.stop()
    thread.join(10)
    server.close()
    direct.close()
    assert not thread.is_alive()


def post(server: HttpServer, path: str, body: Any = BUY, *, method: str = "POST", **headers: str) -> Any:
    """Status, headers and body; the connection is closed afterwards."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Connection: close", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in ({"Host": "h"} | headers).items()]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode() + data)
        heard = b""
        while more := line.recv(65536):
            heard += more
    head, _, told = heard.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    pairs = [line.partition(": ")[::2] for line in rest]
    return int(first.split(" ")[1]), {name.lower(): value for name, value in pairs}, json.loads(told)


def url(trader: Trader, more: str = "") -> str:
    return f"/webhook?token={quote(trader.token)}{more}"


def through_flask(trader: Trader, body: Any, **given: Any) -> Any:
    answer = trader.installation.flask.test_client().post("/webhook", data=body, **given)
    return answer.status_code, {name.lower(): value for name, value in answer.headers}, answer.json


def test_both_ways_answer_alike_down_to_the_headers(trader: Trader) -> None:
    varies = {"date", "connection", "content-length"}
    with served(trader.installation) as server:
        for path, body in {
            url(trader): json.dumps(BUY).encode(),
            url(trader, "&wait=x"): json.dumps(BUY).encode(),
            url(trader, "&wait=0"): b"nothing that one could read",
            "/webhook?token=usr_made_up": json.dumps(BUY).encode(),
            "/webhook": json.dumps(BUY | {"symbol": "NONE", "token": trader.token}).encode(),
            url(trader, "&x=1"): b"x" * (MAX_BODY_BYTES + 1),
        }.items():
            _, _, query = path.partition("?")
            status, headers, told = post(server, path, body)
            wanted = through_flask(trader, body, query_string=query)
            for answer in (told, wanted[2]):
                answer.pop("signal_id", None), answer.pop("duplicate", None)
            assert (status, told) == (wanted[0], wanted[2]), path
            assert headers | dict.fromkeys(varies) == wanted[1] | dict.fromkeys(varies), path


def test_it_is_the_way_that_an_alert_takes(trader: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trader.installation, "flask", Refusing(trader.installation.flask.config))
    with served(trader.installation) as server:
        assert post(server, url(trader))[0] == 202
        assert post(server, "/webhook/?token=" + trader.token, BUY | {"id": "2"})[0] == 202
        for method, path, body in (
            ("GET", url(trader), b""),
            ("POST", "/health", b""),
            ("POST", url(trader), b"x" * (MAX_BODY_BYTES + 1)),
        ):
            assert post(server, path, body, method=method)[0] == 418


class Refusing:
    """In place of Flask."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def __call__(self, environ: Any, start_response: Any) -> Any:
        start_response("418 I'M A TEAPOT", [("Content-Length", "2")])
        return [b"{}"]


def test_a_token_that_is_revoked_elsewhere_is_refused_at_once(trader: Trader, make_app: MakeApp) -> None:
    other = make_app()
    with served(trader.installation) as server:
        for number in range(20):
            assert post(server, url(trader), BUY | {"id": f"{number}"})[0] == 202
            if number % 2:
                tokens.revoke_webhook_tokens(other, trader.user)
                assert post(server, url(trader), BUY | {"id": f"r{number}"})[0] == 401
                trader.token = tokens.rotate_webhook_token(other, trader.user)


def test_waiting_takes_neither_a_thread_nor_a_turn(running: Trader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit order far away stays open, so each of these waits to the end."""
    monkeypatch.setattr("dashtrade.http_server.ALERTS_AT_ONCE", 1)
    monkeypatch.setattr("dashtrade.context.App.read_outcome", lambda *given: None)
    monkeypatch.setattr("dashtrade.context.App.is_pending", lambda *given: True)
    answers: list[Any] = []
    with served(running.installation) as server:

        def send(number: int) -> None:
            answers.append(post(server, url(running, "&wait=2"), BUY | {"id": f"w{number}"}))

        waiting = [threading.Thread(target=send, args=(number,)) for number in range(4)]
        for thread in waiting:
            thread.start()
        limit = running.installation.flask.config["LIMITS"].waiting
        wait_until(lambda: limit._taken.total() == 4)
        threads = [one.name for one in threading.enumerate() if one.name.startswith("alert_")]
        assert threads == [] and not answers
        assert post(server, url(running), BUY | {"id": "another"})[0] == 202
        for thread in waiting:
            thread.join(10)
    assert [status for status, _, _ in answers] == [200] * 4


def test_behind_a_proxy_the_sender_is_whom_the_proxy_names(
    make_app: MakeApp, clock: ManualClock, feed: Any
) -> None:
    app: App = make_app(clock=clock, feed=feed, DASHTRADE_PROXY_HOPS="1")
    trader = Installation(app).join()
    trader.bot("AAPL", "15 Min")
    trader.request("PATCH", "/users/me", {"tradingview_only": True})
    real = min(TRADINGVIEW_ADDRESSES)
    with served(trader.installation) as server:
        status, headers, _ = post(server, url(trader), X_Forwarded_For=real, X_Forwarded_Proto="https")
        assert status == 202 and "max-age" in headers["strict-transport-security"]
        assert post(server, url(trader), X_Forwarded_For=f"{real}, 203.0.113.7")[0] == 401
        status, headers, _ = post(
            server, url(trader), X_Forwarded_For="203.0.113.7", X_Forwarded_Proto="http"
        )
        assert status == 401 and "strict-transport-security" not in headers
    [first, *_] = trader.get("/signals")["items"]
    assert first["sender"] == real
