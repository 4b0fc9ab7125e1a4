"""The connection to one crypto exchange: its ccxt clients, their pace, and the list of its markets."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dashtrade.brokers.crypto.errors import LastResponse, read_error
from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.domain.broker_kinds import Nonces
from dashtrade.domain.ports import Clock, RetryLater

log = logging.getLogger("dashtrade.crypto")

DAY_SECONDS = 86_400.0
MAX_CLIENTS = 4  # clients per account, and so concurrent requests


class RequestBudget:
    """A bucket of request time, shared by an account's clients. It lets a burst through, then keeps the
    exchange's pace; a wait longer than `patience` raises instead of sleeping."""

    def __init__(self, burst: float, patience: float, venue: str) -> None:
        self._burst, self._patience, self._venue = burst * 1000, patience, venue
        self._available, self._refilled_at, self._lock = self._burst, time.monotonic(), threading.Lock()

    def take(self, milliseconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            self._available, self._refilled_at = (
                min(self._burst, self._available + (now - self._refilled_at) * 1000),
                now,
            )
            wait = max(milliseconds - self._available, 0) / 1000 if milliseconds else 0.0
            if wait > self._patience:
                raise RetryLater(
                    (
                        f"{self._venue}'s rate limit is used up for {wait:.0f} s. This request was not "
                        "sent and is sent later."
                    ),
                    after=timedelta(seconds=wait),
                )
            self._available -= milliseconds
        if wait:
            time.sleep(wait)


class OwnNonces:
    """For a key that no other process uses."""

    def __init__(self) -> None:
        self._last = 0

    @contextmanager
    def __call__(self, least: int) -> Iterator[int]:
        self._last = max(self._last + 1, least)
        yield self._last


class Wire:
    """The ccxt clients of one account: created when needed, lent to one thread at a time, all with the same
    markets."""

    def __init__(
        self,
        venue: Exchange,
        keys: dict[str, str],
        *,
        sandbox: bool,
        url: str | None,
        cache: Path | None,
        timeout: float,
        patience: float,
        paced: bool,
        clock: Clock,
        nonces: Nonces | None = None,
    ) -> None:
        self.venue, self._keys, self._sandbox, self._url, self._cache, self.clock = (
            venue,
            keys,
            sandbox,
            url,
            cache,
            clock,
        )
        self._timeout, self._budget = (
            timeout,
            RequestBudget(venue.burst, patience, venue.name) if paced else None,
        )
        self._idle_clients: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(1 if venue.nonces else MAX_CLIENTS):
            self._idle_clients.put(None)
        self._first_client: Any = None
        self._nonces = nonces or OwnNonces()
        self._loading, self._loaded_at, self._clock_offset = threading.Lock(), 0.0, 0
        self._logged_unusable = False  # whether the unusable file was logged

    @contextmanager
    def borrow(self, *, markets: bool = True) -> Iterator[Any]:
        """A client for the duration of the block, with its record of the last request cleared."""
        try:
            client = self._idle_clients.get(timeout=2 * self._timeout)
        except queue.Empty:
            raise RetryLater(
                f"{self.venue.name} is slow: earlier requests of this account are still running. This "
                "request is sent later."
            ) from None
        try:
            client = client or self._make_client()
            client.options["timeDifference"] = self._clock_offset
            if markets:
                self._load_markets(client)
            client.last_response = LastResponse()
            yield client
        finally:
            try:
                if client is not None:
                    client.turn.close()
            finally:
                self._idle_clients.put(client)

    def close(self) -> None:
        for _ in range(self._idle_clients.qsize()):
            try:
                client = self._idle_clients.get_nowait()
            except queue.Empty:
                return
            if client is not None:
                client.session.close()
            self._idle_clients.put_nowait(None)

    def resync(self, client: Any) -> None:
        """Our clock is off: measure the offset for all clients."""
        client.last_response = LastResponse()
        self._clock_offset = client.load_time_difference() or 0
        log.warning(
            "%s: this machine's clock differs by %s ms; the difference is now taken into account",
            self.venue.name,
            self._clock_offset,
        )

    # --- making ---

    def _make_client(self) -> Any:
        import ccxt

        client = getattr(ccxt, self.venue.id)(
            {
                "apiKey": self._keys["key"],
                "secret": self._keys["secret"],
                "password": self._keys.get("passphrase") or None,
                "timeout": int(self._timeout * 1000),
                "enableRateLimit": self._budget is not None,
            }
        )
        client.logger.setLevel(logging.INFO)  # at DEBUG it logs keys and signatures
        client.number = str  # no float between the exchange and the ledger
        client.options = {
            **client.options,
            **self.venue.options,
            "maxRetriesOnFailure": 0,
            "timeDifference": 0,
        }
        client.has = {**client.has, "fetchCurrencies": False}
        # a followed redirect would turn our POST into a GET, and its answer into a refusal
        client.session.max_redirects = 0
        if self._sandbox:
            client.set_sandbox_mode(True)
        if self._url:
            client.urls["api"] = move_host(client.urls["api"], self._url.rstrip("/"))
        if self._budget:
            client.throttle = lambda cost=None: self._budget.take(
                client.rateLimit * (1 if cost is None else cost)
            )
        if self.venue.nonces:
            client.nonce = lambda: self._next_nonce(client)
        client.jwt = _quick_jwt(client)
        client.fetch_markets = _checked_listing(client)
        _record_responses(client)
        return client

    def _next_nonce(self, client: Any) -> int:
        """ccxt requests it while signing, right before sending; the turn ends with the answer."""
        client.turn.close()
        return client.turn.enter_context(self._nonces(client.milliseconds() - self._clock_offset))

    # --- markets ---

    def _load_markets(self, client: Any) -> None:
        with self._loading:
            first = self._first_client
            if first is None or time.monotonic() - self._loaded_at > DAY_SECONDS:
                self._read_markets(client)
                self._first_client, self._loaded_at = client, time.monotonic()
            elif client is not first and client.markets is not first.markets:
                client.set_markets_from_exchange(first)
                client.options = {**first.options, **client.options}

    def _read_markets(self, client: Any) -> None:
        """From the disk if from today; else from the exchange, and from an old file if that is
        unreachable."""
        cached, age = self._read_cache()
        if cached and age < DAY_SECONDS and self._first_client is None:
            return self._use_markets(client, cached)
        try:
            client.last_response = LastResponse()
            client.load_markets(True)
        except Exception as error:
            if client.markets or cached:
                log.warning(
                    "%s: its list of markets cannot be read now, the last one stays in use: %s",
                    self.venue.name,
                    type(error).__name__,
                )
                if cached and not client.markets:
                    self._use_markets(client, cached)
                return
            raise read_error(self, client, error) from error
        self._write_cache(client)

    @staticmethod
    def _use_markets(client: Any, cached: dict[str, Any]) -> None:
        client.set_markets(cached["markets"], cached["currencies"])
        client.options = {**client.options, **cached["options"]}

    def _read_cache(self) -> tuple[dict[str, Any] | None, float]:
        try:
            if self._cache is None:
                return None, 0.0
            cached = json.loads(self._cache.read_text())
            if (
                cached
                and cached["exchange"] == self.venue.id
                and cached["sandbox"] == self._sandbox
                and cached["url"] == self._url
                and _lists_spot(cached["markets"].values())
            ):
                return cached, self.clock.now().timestamp() - self._cache.stat().st_mtime
        except FileNotFoundError:  # no file yet: nothing to log
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            if not self._logged_unusable:
                log.info("%s: the cached list of markets cannot be used and is read again", self.venue.name)
            self._logged_unusable = True
        return None, 0.0

    def _write_cache(self, client: Any) -> None:
        if not self._cache:
            return
        options = {name: client.options[name] for name in ("marketsByAltname",) if name in client.options}
        cached = {
            "exchange": self.venue.id,
            "sandbox": self._sandbox,
            "url": self._url,
            "markets": client.markets,
            "currencies": client.currencies,
            "options": options,
        }
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._cache.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            temporary.write_text(json.dumps(cached))
            temporary.replace(self._cache)
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: its list of markets cannot be cached on disk: %s", self.venue.name, error)


def move_host(urls: Any, base: str) -> Any:
    """Every address moved to another host; paths stay. OKX writes its host as {hostname}."""
    if isinstance(urls, dict):
        return {name: move_host(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    path = urlsplit(urls.replace("{hostname}", "host")).path.rstrip("/")
    return base + path


def _lists_spot(markets: Iterable[Any]) -> bool:
    return any(market.get("spot") for market in markets)


def _checked_listing(client: Any) -> Callable[..., Any]:
    """An answer that ccxt cannot read, such as an exchange's maintenance page, becomes a list without
    markets. Believed, it would refuse every order, exits too, for a day."""
    fetch = client.fetch_markets

    def fetch_markets(*args: Any, **kwargs: Any) -> Any:
        import ccxt

        markets = fetch(*args, **kwargs)
        if not _lists_spot(markets):
            raise ccxt.BadResponse("it lists no market")
        return markets

    return fetch_markets


def _record_responses(client: Any) -> None:
    fetch, on_response = client.fetch, client.on_rest_response

    def record_and_fetch(*args: Any, **kwargs: Any) -> Any:
        client.last_response = LastResponse(sent=True)
        with client.turn:
            return fetch(*args, **kwargs)

    def record_response(
        code: int, reason: str, url: str, method: str, headers: Any, body: str, *kwargs: Any
    ) -> Any:
        reply = client.last_response
        reply.status, reply.body, reply.answer = code, body or "", _json(body)
        reply.retry_after = _seconds(headers.get("Retry-After"))
        return on_response(code, reason, url, method, headers, body, *kwargs)

    client.last_response, client.turn, client.fetch, client.on_rest_response = (
        LastResponse(),
        ExitStack(),
        record_and_fetch,
        record_response,
    )


def _quick_jwt(client: Any) -> Callable[..., str]:
    """ccxt signs ES256 in plain Python, which costs Coinbase users 0.1 s of CPU per request."""
    slow = client.jwt

    def jwt(
        claims: Any, secret: Any, algorithm: str = "sha256", is_rsa: bool = False, opts: Any = None
    ) -> str:
        opts = opts or {}
        if opts.get("alg") != "ES256":
            return slow(claims, secret, algorithm, is_rsa, opts)
        parts = ({"alg": "ES256", "typ": "JWT", "kid": opts.get("kid"), "nonce": opts.get("nonce")}, claims)
        token = ".".join(client.urlencode_base64(client.encode(client.json(part))) for part in parts)
        return f"{token}.{client.urlencode_base64(_es256(token.encode(), secret))}"

    return jwt


def _es256(message: bytes, pem: bytes) -> bytes:
    import ccxt
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ccxt.AuthenticationError("its private key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ccxt.AuthenticationError("its private key is of the wrong kind for this exchange")
    signed = key.sign(message, ec.ECDSA(hashes.SHA256()))
    return b"".join(part.to_bytes(32, "big") for part in utils.decode_dss_signature(signed))


def _json(body: str) -> Any:
    try:
        found = json.loads(body)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, (dict, list)) else None


def _seconds(text: object) -> float | None:
    return min(float(str(text)), 3600.0) if re.fullmatch(r"\d{1,6}(\.\d+)?", str(text or "")) else None
