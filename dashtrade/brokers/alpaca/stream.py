"""Alpaca's stream of trade updates, in its own thread: sooner than polling, but never the only source.

The library reconnects within seconds and replays nothing; the next poll finds what was missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from dashtrade.brokers.alpaca import wire
from dashtrade.domain.ports import OrderReport
from dashtrade.domain.values import ZERO, Malformed, exact

log = logging.getLogger("dashtrade.brokers.alpaca.adapter")

LOG_AGAIN_AFTER_ATTEMPTS = 16  # failed attempts before the first log line; then doubled each time
POSITION_MAX_AGE_SECONDS = 5.0  # seconds for which a streamed position is trusted: splits are not streamed

OnReport = Callable[[OrderReport], object]


class TradeUpdates:
    """One stream of one account. `start` and `stop` are idempotent."""

    def __init__(self, key: str, secret: str, paper: bool, url: str | None) -> None:
        self._stream_arguments = {
            "api_key": key,
            "secret_key": secret,
            "paper": paper,
            "url_override": url or None,
        }
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._stream: Any = None
        # symbol: connection, time, quantity
        self._positions: dict[str, tuple[Any, float, Decimal]] = {}

    @property
    def is_connected(self) -> bool:
        """Connected, as far as the library knows: it notices a dead connection after at most three
        minutes."""
        stream = self._stream
        return stream is not None and stream._running

    def position_of(self, name: str) -> Decimal | None:
        """The account's position, as streamed a moment ago; None where the stream may have missed
        something."""
        connection, received_at, quantity = self._positions.get(name, (None, 0.0, ZERO))
        if (
            connection is None
            or not self.is_connected
            or connection is not self._stream._ws
            or time.monotonic() - received_at > POSITION_MAX_AGE_SECONDS
        ):
            return None
        return quantity

    def _store_position(self, data: Any) -> None:
        if data.get("position_qty") is not None and self._stream is not None:
            self._positions[data["order"]["symbol"]] = (
                self._stream._ws,
                time.monotonic(),
                exact(data["position_qty"], "position_qty"),
            )

    def start(self, on_report: OnReport) -> None:
        with self._lock:
            if self._thread is not None:
                return
            ready = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(on_report, ready), name="alpaca-stream", daemon=True
            )
            self._thread.start()
            ready.wait(5)  # wait for the loop, so that `stop` can stop it

    def stop(self) -> None:
        with self._lock:
            thread, self._thread, self._stream = self._thread, None, None
            if thread is None or self._loop is None or self._stopped is None:
                return
            self._loop.call_soon_threadsafe(self._stopped.set)
            if thread is not threading.current_thread():  # a listener may close its own broker
                thread.join(2)

    def _run(self, on_report: OnReport, ready: threading.Event) -> None:
        try:
            asyncio.run(self._listen(on_report, ready))
        except Exception:
            log.exception("the stream of trade updates ended; updates come from polling only")
        finally:
            ready.set()

    async def _listen(self, on_report: OnReport, ready: threading.Event) -> None:
        stream = _stream_class()(**self._stream_arguments, raw_data=True)
        stream.subscribe_trade_updates(_handler(on_report, self._store_position))
        self._loop, self._stopped, self._stream = asyncio.get_running_loop(), asyncio.Event(), stream
        ready.set()
        # The library's `stop` fails before the loop runs and waits up to 5 s after; cancelling does neither.
        running = asyncio.create_task(stream._run_forever())
        await self._stopped.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with contextlib.suppress(Exception):  # a broken connection cannot be closed cleanly
            await asyncio.wait_for(stream.close(), 1)


@lru_cache(maxsize=1)
def _stream_class() -> Any:
    """The library's class logs a traceback for each failed attempt: here one line when the connection drops,
    few while it stays down, and one when it is back."""
    from alpaca.trading.stream import TradingStream

    logging.getLogger(TradingStream.__module__).addFilter(lambda record: record.levelno < logging.WARNING)

    class Stream(TradingStream):
        failed_attempts = 0  # consecutive failed attempts

        async def _start_ws(self) -> None:
            await super()._start_ws()
            if self.failed_attempts:
                log.info("the stream of trade updates is up again, after %s tries", self.failed_attempts)
            self.failed_attempts = 0

        async def _wait_before_reconnect(self, retries: int) -> None:
            self.failed_attempts += 1
            if self.failed_attempts == 1 or (
                self.failed_attempts >= LOG_AGAIN_AFTER_ATTEMPTS
                and self.failed_attempts & (self.failed_attempts - 1) == 0
            ):
                log.warning(
                    (
                        "the stream of trade updates is down (%s failed tries); updates come from polling "
                        "meanwhile"
                    ),
                    self.failed_attempts,
                )
            await super()._wait_before_reconnect(retries)

    return Stream


def _handler(on_report: OnReport, store_position: Callable[[Any], None]) -> Callable[[Any], Any]:
    async def handle(message: Any) -> None:
        try:
            order = message["data"]["order"]
            store_position(message["data"])
            if order.get("status") == "replaced":  # it continues under another id, which a poll follows
                return
            on_report(wire.report_of(order))
        except (Malformed, KeyError, TypeError, AttributeError):
            log.warning("an update of the stream could not be read; the next poll brings the same")
        except Exception:
            log.exception("handling an update of the stream failed; the next poll brings the same")

    return handle
