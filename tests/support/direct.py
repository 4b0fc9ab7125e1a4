"""Alerts by the way past Flask (`DirectAlerts`), as the receiver on SQLite takes them, for tests that send
them to Flask's view."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response

from dashtrade.api.direct_alerts import DirectAlerts
from webhook_server import MAX_BODY_BYTES


class Answered(Response):
    """With what werkzeug's test client adds."""

    @property
    def text(self) -> str:
        return self.get_data(as_text=True)


class DirectClient:
    """An event loop of its own, and the alerts on it."""

    def __init__(self, flask: Flask) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.direct = DirectAlerts(flask.config["DASHTRADE"], flask.config["LIMITS"])
        self.flask = flask
        self.turns_ended = 0

    def post(self, path: str, **given: Any) -> Any:
        """What werkzeug's test client takes, as far as alerts need it."""
        assert path == "/webhook"
        if len(given.get("data") or b"") > MAX_BODY_BYTES:
            return self.flask.test_client().post(path, **given)  # as `http_server` does
        future = asyncio.run_coroutine_threadsafe(self._post(**given), self._loop)
        status, headers, body = future.result(60)
        told = [(name.decode(), value.decode()) for name, value in headers]
        return Answered(body, status=status, headers=told)

    async def _post(
        self,
        *,
        data: Any = b"",
        query_string: Any = (),
        headers: dict[str, str] | None = None,
        environ_base: dict[str, str] | None = None,
    ) -> Any:
        sender = (environ_base or {}).get("REMOTE_ADDR", "127.0.0.1")
        scope = {
            "query_string": urlencode(query_string).encode(),
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in (headers or {}).items()],
            "client": (sender, 1),
            "scheme": "http",
        }
        self.direct.limits = self.flask.config["LIMITS"]  # a test may have set others
        return await self.direct(scope, data.encode() if isinstance(data, str) else data or b"", self._end)

    def _end(self) -> None:
        self.turns_ended += 1

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self.direct.close()
        await asyncio.sleep(0)
