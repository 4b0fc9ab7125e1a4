"""Runs a WSGI application (Flask) behind an ASGI server, in a bounded number of threads.

A thread is taken once a request has arrived in full, so no slow client holds one. An answer of known size is
gathered and sent by the event loop; an endless one is sent piece by piece, at the pace of its reader."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Any]
Wsgi = Callable[..., Iterable[bytes]]
GATHERED_BYTES = 256 * 1024  # up to which an answer is gathered
_NOT_HTTP = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class ClientGone(Exception):
    """Nobody reads the rest of the answer."""


@dataclass(slots=True)
class _Answer:
    """What the application answers with; `body` is None once pieces of it have been sent."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes | None = b""

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None and self.body is None:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _no_write

    @property
    def size(self) -> int | None:
        return next((int(value) for name, value in self.headers if name == b"content-length"), None)

    @property
    def head(self) -> dict[str, Any]:
        return {"type": "http.response.start", "status": self.status, "headers": self.headers}


def _no_write(_: bytes) -> None:
    raise RuntimeError("WSGI's write() is not offered: return the pieces")


class WsgiThreads:
    def __init__(self, application: Wsgi, threads: int, name: str) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, scope: Scope, body: bytes, receive: Callable[[], Any], send: Send) -> None:
        """`body`: the whole of it, or what is there of one that is too large."""
        loop = asyncio.get_running_loop()
        gone = loop.create_task(_until_gone(receive))

        def send_piece(message: dict[str, Any]) -> None:
            """For a thread: returns when the client has taken the piece."""
            if gone.done():
                raise ClientGone
            asyncio.run_coroutine_threadsafe(send(message), loop).result()

        try:
            answer = await loop.run_in_executor(
                self._threads, self._run, variables_of(scope, body), send_piece
            )
        except ClientGone:
            return
        finally:
            gone.cancel()
        if answer.body is not None:
            await send(answer.head)
        await send({"type": "http.response.body", "body": answer.body or b""})

    def _run(self, given: dict[str, Any], send_piece: Send) -> _Answer:
        answer = _Answer()
        pieces = self._application(given, answer.start)
        try:
            gathered: list[bytes] = []
            for piece in pieces:
                size = answer.size
                if size is not None and size <= GATHERED_BYTES:
                    gathered.append(piece)
                    continue
                if answer.body is not None:
                    answer.body = None
                    send_piece(answer.head)
                send_piece({"type": "http.response.body", "body": piece, "more_body": True})
            if answer.body is not None:
                answer.body = b"".join(gathered)
            return answer
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _until_gone(receive: Callable[[], Any]) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass


def variables_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """The request as WSGI has it (PEP 3333): text is bytes read as Latin-1."""
    server, client = scope.get("server") or ("", None), scope.get("client") or ("", 0)
    made: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or ""),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name == "transfer-encoding":  # X_Y would pass for X-Y; the body is whole
            continue
        key = _NOT_HTTP.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        made[key] = f"{made[key]},{value}" if key in made else value
    if body and "CONTENT_LENGTH" not in made:
        made["CONTENT_LENGTH"] = str(len(body))
    return made
