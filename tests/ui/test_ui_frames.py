"""Garbage on the pages' socket ends that socket, and costs a line of the log, not a traceback."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from dashtrade.ui.shell.socket_messages import NO_MESSAGE, NOT_TEXT, PAGES, Frames
from tests.support.ui_harness import DashboardHarness
from tests.ui.test_ui_gate import socket, why_closed

GARBAGE = [("a text", NOT_TEXT), (b"\xff\xff\xff\xff", NO_MESSAGE), ("", NOT_TEXT)]


@pytest.mark.parametrize(("sent", "code"), GARBAGE)
def test_garbage_of_a_signed_in_browser_is_one_line_without_a_traceback(
    harness: DashboardHarness, sent: str | bytes, code: int
):
    cookie = harness.sign_in(harness.person()).cookie
    before = len(harness.log)
    for _ in range(5):
        with socket(harness, cookie) as line:
            line.send(sent)
            assert why_closed(line) == code
    written = harness.log[before:]
    assert "Traceback" not in written and "Exception" not in written
    assert len(written.splitlines()) <= 1  # of an earlier case in the same minute it is counted


def test_a_page_still_runs_over_that_socket(harness: DashboardHarness):
    with socket(harness, harness.sign_in(harness.person()).cookie) as line:
        line.send(BackMsg(rerun_script={"query_string": ""}).SerializeToString())  # type: ignore[arg-type]
        assert line.recv(20)


def carried(messages: list[dict[str, Any]], path: str = PAGES) -> tuple[list[str], list[dict[str, Any]]]:
    """What the application behind it received, and what went out to the browser."""
    heard: list[str] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not heard or heard[-1] != "websocket.disconnect":
            heard.append((await receive())["type"])
        await send({"type": "websocket.send", "bytes": b"too late"})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Frames(app)({"type": "websocket", "path": path}, receive, send))
    return heard, sent


def test_the_application_hears_that_the_browser_left_and_nothing_follows(caplog: pytest.LogCaptureFixture):
    good = {"type": "websocket.receive", "bytes": BackMsg().SerializeToString()}
    text = {"type": "websocket.receive", "text": "x", "bytes": None}
    with caplog.at_level(logging.WARNING):
        heard, sent = carried([{"type": "websocket.connect"}, good, text])
    assert heard == ["websocket.connect", "websocket.receive", "websocket.disconnect"]
    assert sent == [{"type": "websocket.close", "code": NOT_TEXT}]
    assert len(caplog.records) == 1 and caplog.records[0].exc_info is None


def test_other_sockets_send_what_they_like():
    messages = [{"type": "websocket.receive", "text": "x"}, {"type": "websocket.disconnect"}]
    heard, sent = carried(messages, path="/live")
    assert heard == ["websocket.receive", "websocket.disconnect"]
    assert [message["type"] for message in sent] == ["websocket.send"]
