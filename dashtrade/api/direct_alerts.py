"""Alerts on the event loop, past Flask: for the receiver on SQLite, whose worker stores them.

The steps are those of Flask's view (`receiving.receive`). Reads take microseconds on a connection that is
kept; what may wait goes to a thread, and neither the worker's reply nor an outcome holds one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from bot_engine import IntakeResult
from dashtrade.api.answers import Answer
from dashtrade.api.error_answers import answer_to, audit_action
from dashtrade.api.http import bearer_of
from dashtrade.api.receiving import AlertRequest, AwaitOutcome, Block, HandOver, Steps, receive
from dashtrade.context import POLL_SECONDS, App
from dashtrade.database.kept_reader import KeptReader
from dashtrade.domain.as_json import from_named_json, to_json
from dashtrade.domain.signal_outcome import SignalOutcome
from dashtrade.http_headers import DATA, strict_transport
from dashtrade.limits import ReceiverLimits
from dashtrade.processes.worker_line import WorkerLine

log = logging.getLogger("dashtrade.webhook")
BLOCKING_THREADS = 8
METHOD_AND_PATH = "POST /webhook"
_HEADERS = [
    (name.lower().encode(), value.encode()) for name, value in (("Content-Type", "application/json"), *DATA)
]
Headers = dict[bytes, bytes]
Sent = tuple[int, list[tuple[bytes, bytes]], bytes]


class DirectAlerts:
    """Of one event loop."""

    def __init__(self, app: App, limits: ReceiverLimits) -> None:
        self._app, self.limits = app, limits
        self._behind_proxy = bool(app.settings.proxy_hops)
        self._reader = KeptReader(app.db.engine)
        self._worker = WorkerLine(app.settings.home)
        self._threads = ThreadPoolExecutor(BLOCKING_THREADS, thread_name_prefix="alert-blocking")

    async def __call__(self, scope: Any, body: bytes, end_turn: Callable[[], None]) -> Sent:
        """Status, headers and body of the answer. `end_turn`: from now on it only waits."""
        headers: Headers = dict(scope["headers"])
        token, wait = _query(scope["query_string"])
        asked = AlertRequest(
            token=token or bearer_of(headers.get(b"authorization", b"").decode("latin-1")),
            wait=wait,
            content_length=len(body),
            body=lambda: body,
            sender=self._sender(scope),
        )
        try:
            answer = await self._run(receive(self._app, self.limits, asked, self._reader.read), end_turn)
        except Exception as error:
            action = audit_action(error)
            if action is not None:
                about: dict[str, Any] = (
                    {"actor": asked.user.id, "who": asked.user.email} if asked.user is not None else {}
                )
                self._app.notes.note(action, reason=METHOD_AND_PATH, address=asked.sender, **about)
            answer = answer_to(error, METHOD_AND_PATH)
        return self._sent(answer, self._scheme(scope, headers), headers.get(b"host", b"").decode("latin-1"))

    # --- the steps ------------------------------------------------------------------------------------------

    async def _run(self, steps: Steps, end_turn: Callable[[], None]) -> Answer:
        try:
            effect = next(steps)
            while True:
                try:
                    result = await self._carry_out(effect, end_turn)
                except Exception as error:
                    effect = steps.throw(error)
                else:
                    effect = steps.send(result)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        finally:
            steps.close()

    async def _carry_out(self, effect: Block | HandOver | AwaitOutcome, end_turn: Callable[[], None]) -> Any:
        match effect:
            case HandOver():
                reply = await self._worker.hand_over(to_json(effect.alert))
                return None if reply is None else from_named_json(IntakeResult, reply)
            case Block():
                return await self._in_thread(effect.fn)
            case AwaitOutcome():
                end_turn()
                return await self._outcome(effect)

    async def _in_thread(self, fn: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, fn)

    async def _outcome(self, wanted: AwaitOutcome) -> SignalOutcome | None:
        """As `App.wait`, without a thread."""
        loop = asyncio.get_running_loop()
        end = loop.time() + wanted.seconds
        while True:
            if wanted.fresh:
                left = max(min(POLL_SECONDS, end - loop.time()), 0)
                told = await self._worker.change(wanted.signal_id, left)
                outcome = self._app.read_outcome(wanted.signal_id, told)
                if outcome is not None:
                    return outcome
            else:  # a repeat: it may have ended long ago
                wanted.fresh = True
            pending = await self._in_thread(lambda: self._app.is_pending(wanted.owner, wanted.signal_id))
            if not pending or loop.time() >= end:
                return None

    # --- the request and the answer -------------------------------------------------------------------------

    def _sender(self, scope: Any) -> str:
        address = scope["client"][0] if scope["client"] else ""
        return (self._last(scope, b"x-forwarded-for") or address) if self._behind_proxy else address

    def _scheme(self, scope: Any, headers: Headers) -> str:
        told = self._last(scope, b"x-forwarded-proto") if self._behind_proxy else ""
        return told or str(scope["scheme"])

    @staticmethod
    def _last(scope: Any, wanted: bytes) -> str:
        """What the proxy wrote: the last of all values, as werkzeug's ProxyFix takes it."""
        told = [value for name, value in scope["headers"] if name == wanted]
        return told[-1].rpartition(b",")[2].strip().decode("latin-1") if told else ""

    def _sent(self, answer: Answer, scheme: str, host: str) -> Sent:
        body = answer.encoded
        headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
        headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        transport = strict_transport(scheme, host, self._app.settings.public_url)
        if transport is not None:
            headers.append((b"strict-transport-security", transport.encode()))
        return answer.status, headers, body

    def close(self) -> None:
        self._worker.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._reader.close()


@lru_cache(1024)
def _query(text: bytes) -> tuple[str, str]:
    """The first token and the first wait of the address, which a sender repeats."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        found.setdefault(name, value)
    return found.get("token", ""), found.get("wait", "")
