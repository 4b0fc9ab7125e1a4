"""Tabs without a browser: Streamlit's protocol and our live socket spoken directly, so that many can be had
on two cores."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


class Tab:
    """One user's open page: its stream, and the socket that prices come by."""

    def __init__(self, base: str, cookie: str, query: str = "") -> None:
        self.base, self.query = base, query
        self.headers = {"Cookie": f"dashtrade_session={cookie}"}
        self.stream: ClientConnection | None = None
        self.live: ClientConnection | None = None
        self.pushed = self.received = 0

    async def open(self) -> float:
        """Seconds until the page has run once."""
        address = self.base.replace("http", "ws")
        began = time.perf_counter()
        self.stream = await connect(
            f"{address}/_stcore/stream",
            subprotocols=["streamlit"],
            origin=self.base,
            additional_headers=self.headers,
            max_size=None,
            proxy=None,  # type: ignore[list-item,arg-type]
        )
        await self.rerun()
        self.live = await connect(
            f"{address}/live", origin=self.base, additional_headers=self.headers, max_size=None, proxy=None
        )  # type: ignore[arg-type]
        return time.perf_counter() - began

    async def rerun(self) -> float:
        """Seconds from asking for a full run to its end."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        assert self.stream is not None
        ask = BackMsg()
        ask.rerun_script.query_string = self.query
        began = time.perf_counter()
        await self.stream.send(ask.SerializeToString())
        while True:
            told = ForwardMsg()
            told.ParseFromString(await asyncio.wait_for(self.stream.recv(), 30))  # type: ignore[arg-type]
            self.received += told.ByteSize()
            if told.WhichOneof("type") == "script_finished":
                return time.perf_counter() - began

    async def listen(self, seconds: float) -> None:
        """As a browser does: takes in whatever comes."""
        assert self.stream is not None and self.live is not None
        await asyncio.gather(self._take(self.stream, seconds), self._take(self.live, seconds, pushed=True))

    async def _take(self, socket: ClientConnection, seconds: float, *, pushed: bool = False) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                data: Any = await asyncio.wait_for(socket.recv(), left)
            except TimeoutError:
                return
            self.pushed += len(data) if pushed else 0

    async def close(self) -> None:
        for socket in (self.live, self.stream):
            if socket is not None:
                await socket.close()
