"""Requests to a market data source: counted, limited in time and size, and without keys in any message.

No client library of a source: they retry by themselves, hide pages and give an empty list for an error. A
source's adapter reads the answers; what an answer means that everybody gives (429, a page of HTML, none at
all) is decided here."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dashtrade.domain.ports import BadCredentials, BrokerError, NotOffered, RetryLater, Unavailable
from dashtrade.feeds.kinds import Around

T = TypeVar("T")
V = TypeVar("V")
HIDDEN = "•••"
# A call that takes longer has failed: others may wait for its caller.
CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 3.0, 10.0, 20.0
MOST_BYTES = 32 * 1024 * 1024
DEFAULT_WAIT, LONGEST_WAIT = timedelta(seconds=60), timedelta(days=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    text: str
    json: Any  # None: unreadable
    headers: Mapping[str, str]
    at: datetime  # when it was made: by the source's clock or ours, whichever is behind

    @property
    def message(self) -> str:
        """The source's own words, from the fields that sources use for them."""
        found = self.json if isinstance(self.json, dict) else {}
        names = ("error", "message", "msg", "Information", "Note", "Error Message")
        return clean(next((found[name] for name in names if isinstance(found.get(name), str)), ""))


class Calls:
    """Requests to one source under one key: each passes the gate, and no message of theirs holds the key."""

    def __init__(self, title: str, around: Around, secrets: tuple[str, ...] = ()) -> None:
        self.title, self.around = title, around
        self._secrets = [secret for secret in secrets if secret]

    def carry_out(self, call: Callable[[], T]) -> T:
        """One request."""
        self.around.gate.enter()
        try:
            found = call()
        except BrokerError as error:
            error.message = self._masked(error.message)
            error.args = (error.message,)
            self.around.gate.leave(error)
            raise
        self.around.gate.leave(None)
        return found

    def reading(self, read: Callable[[V], T], answer: V) -> T:
        try:
            return read(answer)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as error:
            raise self.unavailable(f"its answer cannot be read: {type(error).__name__}") from None

    def unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            f"{self.title} could not be read ({why}). No data from there now; DashTrade retries."
        )

    def limited(self, after: timedelta = DEFAULT_WAIT, said: str = "") -> RetryLater:
        words, seconds = f" ({said})" if said else "", f"{after.total_seconds():.0f}"
        return RetryLater(
            f"{self.title}'s rate limit is used up for {seconds} s{words}. Asked again later.", after
        )

    def made_at(self, headers: Mapping[str, str]) -> datetime:
        """A candle is taken for complete by this: with our clock ahead, half of one would be."""
        ours = self.around.clock.now()
        try:
            return min(ours, parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC))
        except (ValueError, TypeError):
            return ours

    def close(self) -> None:
        """Release connections."""

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class Web(Calls):
    """Over HTTP. `refused` reads an answer that is an error, whatever its status; None: it is none."""

    def __init__(
        self,
        title: str,
        base: str,
        around: Around,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        refused: Callable[[Reply], BrokerError | None] = lambda reply: None,
    ) -> None:
        import requests
        from requests.utils import get_environ_proxies
        from urllib3.exceptions import HTTPError

        super().__init__(title, around, secrets)
        self._base, self._refused = base.rstrip("/"), refused
        self._failures = (requests.exceptions.RequestException, HTTPError, OSError)
        self._session = requests.Session()
        self._session.headers.update(headers or {})
        self._session.proxies = get_environ_proxies(self._base)
        # else a file of passwords on this machine (.netrc) would take the place of the key
        self._session.trust_env = False

    def ask(self, path: str, params: Mapping[str, str], read: Callable[[Reply], T]) -> T:
        """The answer as `read` reads it, which may raise what the source said in it."""

        def call() -> T:
            reply = self._get(path, params)
            error = self._error(reply)
            if error is not None:
                raise error
            return self.reading(read, reply)

        return self.carry_out(call)

    def follow_up(self, address: str) -> str:
        """The path of the next page, at our own address of the source: the key goes nowhere else."""
        parts = urlsplit(address)
        return f"{parts.path}?{parts.query}"

    def close(self) -> None:
        self._session.close()

    # --- one request ---

    def _get(self, path: str, params: Mapping[str, str]) -> Reply:
        until = time.monotonic() + WHOLE_SECONDS
        try:
            with self._session.get(
                self._base + path, params=params, timeout=time_outs(), allow_redirects=False, stream=True
            ) as response:
                text = read_body(response, until).decode("utf-8", "replace")
                status, headers = response.status_code, dict(response.headers)
        except self._failures as error:
            slow = "Timeout" in type(error).__name__ or "timed out" in str(error).lower()
            # not `from error`: its text holds the address, and so the key
            raise self.unavailable("no answer in time" if slow else "the connection broke") from None
        return Reply(status=status, text=text, json=_json(text), headers=headers, at=self.made_at(headers))

    # --- what everybody's answers mean ---

    def _error(self, reply: Reply) -> BrokerError | None:
        if reply.status in (418, 429):
            return self.limited(retry_after(reply.headers, reply.at), reply.message)
        error = self._refused(reply)
        if error is not None:
            return error
        said = f", and said: {reply.message}" if reply.message else ""
        if reply.status == 401:
            return BadCredentials(f"{self.title} refused the key{said}. Enter a valid one.")
        if reply.status in (402, 403) and reply.json is not None:
            return NotOffered(f"{self.title} does not give this to this key{said}. It may need a paid plan.")
        if reply.status in (404, 405, 501):
            return NotOffered(f"{self.title} has nothing at this address (status {reply.status}{said}).")
        if reply.status != 200:
            return self.unavailable(f"status {reply.status}{said}")
        return None if reply.json is not None else self.unavailable("its answer is no JSON")


def time_outs() -> tuple[float, float]:
    """To connect, and between two pieces of an answer."""
    return min(CONNECT_SECONDS, WHOLE_SECONDS), min(READ_SECONDS, WHOLE_SECONDS)


def read_body(response: Any, until: float) -> bytes:
    """In the pieces in which it comes: a source that sends a byte now and then keeps every single read short
    of its time-out. Raises what `requests` raises."""
    from requests.exceptions import ReadTimeout

    body = bytearray()
    while part := response.raw.read1(65_536, decode_content=True):
        body += part
        if len(body) > MOST_BYTES or time.monotonic() > until:
            raise ReadTimeout("timed out: it does not end")
    return bytes(body)


def clean(text: object) -> str:
    """Untrusted text made safe to show: one line, no markup, limited length."""
    return re.sub(r"[\s{}<>]+", " ", str(text)).strip()[:300]


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta:
    """In seconds or as a date; bounded both ways."""
    text = headers.get("Retry-After", "")
    try:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
            wait = timedelta(seconds=float(text))
        else:
            wait = parsedate_to_datetime(text).astimezone(UTC) - now
    except (ValueError, TypeError, OverflowError):
        wait = DEFAULT_WAIT
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)
