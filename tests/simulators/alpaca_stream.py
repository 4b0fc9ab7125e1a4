"""Alpaca's trade_updates stream: authenticate, authorization, listen, then a binary frame for each event;
nothing is replayed."""

from __future__ import annotations

import json
import queue
import threading
import uuid
from typing import TYPE_CHECKING, Any

from tests.simulators.alpaca_orders import Order, stamp

if TYPE_CHECKING:
    from tests.simulators.alpaca import AlpacaSimulator

MOST_WAITING = 10_000


class StreamServer:
    """Uses the websockets package, which alpaca-py brings; without it there is no stream, as the REST side
    needs none."""

    def __init__(self, sim: AlpacaSimulator, port: int) -> None:
        self._sim, self._port = sim, port
        self._events: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue(MOST_WAITING)
        self._listening: dict[Any, str] = {}  # connection: its key
        self._connected: set[Any] = set()
        self._server: Any = None
        self.url = ""

    def start(self) -> None:
        try:
            from websockets.sync.server import serve
        except ImportError:
            return
        self._server = serve(self._talk, "127.0.0.1", self._port)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/stream"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._send, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._events.put(None)
            self.drop()
            self._server.shutdown()

    def drop(self) -> None:
        """The connection breaks off, as networks do: no closing words."""
        for connection in list(self._connected):
            connection.socket.close()
            connection.close_socket() if hasattr(connection, "close_socket") else None

    @property
    def listeners(self) -> int:
        return len(self._listening)

    def tell(self, event: str, order: Order, more: dict[str, Any]) -> None:
        if self._listening:
            at = stamp(self._sim.market.now())
            data = {
                "event": event,
                "execution_id": str(uuid.uuid4()),
                "timestamp": at,
                "order": order.wire(),
                **more,
            }
            self._events.put_nowait((order.owner, {"stream": "trade_updates", "data": data}))

    def _send(self) -> None:
        from websockets.exceptions import WebSocketException

        while (told := self._events.get()) is not None:
            owner, event = told
            frame = json.dumps(event).encode()
            for connection, key in list(self._listening.items()):
                try:
                    if key == owner:
                        connection.send(frame)
                except (WebSocketException, OSError):
                    self._listening.pop(connection, None)

    def _talk(self, connection: Any) -> None:
        from websockets.exceptions import WebSocketException

        self._connected.add(connection)
        try:
            key = self._authorized(connection)
            if key:
                for message in connection:
                    self._heard(connection, key, json.loads(message))
        except (WebSocketException, OSError, ValueError, KeyError, TypeError):
            return
        finally:
            self._connected.discard(connection)
            self._listening.pop(connection, None)

    def _authorized(self, connection: Any) -> str:
        asked = json.loads(connection.recv(timeout=10))
        given = asked.get("data", {})
        key = str(given.get("key_id"))
        good = self._sim.knows(key, given.get("secret_key")) and asked.get("action") == "authenticate"
        status = "authorized" if good else "unauthorized"
        connection.send(
            json.dumps(
                {"stream": "authorization", "data": {"status": status, "action": "authenticate"}}
            ).encode()
        )
        return key if good else ""

    def _heard(self, connection: Any, key: str, message: dict[str, Any]) -> None:
        if message["action"] == "listen":
            streams = [name for name in message["data"]["streams"] if name == "trade_updates"]
            if streams:
                self._listening[connection] = key
            connection.send(json.dumps({"stream": "listening", "data": {"streams": streams}}).encode())
