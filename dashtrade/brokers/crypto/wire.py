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

from dashtrade.brokers.crypto.errors import Heard, reading
from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.domain.broker_kinds import Nonces
from dashtrade.domain.ports import Clock, RetryLater

log = logging.getLogger("dashtrade.crypto")

DAY = 86_400.0
MOST_AT_ONCE = 4  # clients per account, and so concurrent requests


class RequestBudget:
    """A bucket of request time, shared by an account's clients. It lets a burst through, then keeps the
    exchange's pace; a wait longer than `patience` raises instead of sleeping."""

    def __init__(self, burst: float, patience: float, venue: str) -> None:
        self._burst, self._patience, self._venue = burst * 1000, patience, venue
        self._left, self._at, self._lock = self._burst, time.monotonic(), threading.Lock()

    def take(self, milliseconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            self._left, self._at = min(self._burst, self._left + (now - self._at) * 1000), now
            wait = max(milliseconds - self._left, 0) / 1000 if milliseconds else 0.0
            if wait > self._patience:
                raise RetryLater(
                    (
                        f"{self._venue}'s rate limit is used up for {wait:.0f} s. This request was not "
                        "sent and is sent later."
                    ),
                    after=timedelta(seconds=wait),
                )
            self._left -= milliseconds
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
        self._timeout, self._pace = (
            timeout,
            RequestBudget(venue.burst, patience, venue.name) if paced else None,
        )
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(1 if venue.nonces else MOST_AT_ONCE):
            self._idle.put(None)
        self._first: Any = None
        self._nonces = nonces or OwnNonces()
        self._loading, self._loaded_at, self._ahead = threading.Lock(), 0.0, 0
        self._told = False  # whether the unusable file was logged

    @contextmanager
    def lent(self, *, markets: bool = True) -> Iterator[Any]:
        """A client for the duration of the block, with its record of the last request cleared."""
        try:
            client = self._idle.get(timeout=2 * self._timeout)
        except queue.Empty:
            raise RetryLater(
                f"{self.venue.name} is slow: earlier requests of this account are still running. This "
                "request is sent later."
            ) from None
        try:
            client = client or self._make()
            client.options["timeDifference"] = self._ahead
            if markets:
                self._load(client)
            client.heard = Heard()
            yield client
        finally:
            try:
                if client is not None:
                    client.turn.close()
            finally:
                self._idle.put(client)

    def close(self) -> None:
        for _ in range(self._idle.qsize()):
            try:
                client = self._idle.get_nowait()
            except queue.Empty:
                return
            if client is not None:
                client.session.close()
            self._idle.put_nowait(None)

    def resync(self, client: Any) -> None:
        """Our clock is off: measure the offset for all clients."""
        client.heard = Heard()
        self._ahead = client.load_time_difference() or 0
        log.warning(
            "%s: this machine's clock differs by %s ms; the difference is now taken into account",
            self.venue.name,
            self._ahead,
        )

    # --- making ---

    def _make(self) -> Any:
        import ccxt

        client = getattr(ccxt, self.venue.id)(
            {
                "apiKey": self._keys["key"],
                "secret": self._keys["secret"],
                "password": self._keys.get("passphrase") or None,
                "timeout": int(self._timeout * 1000),
                "enableRateLimit": self._pace is not None,
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
            client.urls["api"] = rewritten(client.urls["api"], self._url.rstrip("/"))
        if self._pace:
            client.throttle = lambda cost=None: self._pace.take(
                client.rateLimit * (1 if cost is None else cost)
            )
        if self.venue.nonces:
            client.nonce = lambda: self._next_nonce(client)
        client.jwt = _quick_jwt(client)
        client.fetch_markets = _listing(client)
        _listen(client)
        return client

    def _next_nonce(self, client: Any) -> int:
        """ccxt requests it while signing, right before sending; the turn ends with the answer."""
        client.turn.close()
        return client.turn.enter_context(self._nonces(client.milliseconds() - self._ahead))

    # --- markets ---

    def _load(self, client: Any) -> None:
        with self._loading:
            first = self._first
            if first is None or time.monotonic() - self._loaded_at > DAY:
                self._read_markets(client)
                self._first, self._loaded_at = client, time.monotonic()
            elif client is not first and client.markets is not first.markets:
                client.set_markets_from_exchange(first)
                client.options = {**first.options, **client.options}

    def _read_markets(self, client: Any) -> None:
        """From the disk if from today; else from the exchange, and from an old file if that is
        unreachable."""
        kept, age = self._kept()
        if kept and age < DAY and self._first is None:
            return self._use(client, kept)
        try:
            client.heard = Heard()
            client.load_markets(True)
        except Exception as error:
            if client.markets or kept:
                log.warning(
                    "%s: its list of markets cannot be read now, the last one stays in use: %s",
                    self.venue.name,
                    type(error).__name__,
                )
                if kept and not client.markets:
                    self._use(client, kept)
                return
            raise reading(self, client, error) from error
        self._keep(client)

    @staticmethod
    def _use(client: Any, kept: dict[str, Any]) -> None:
        client.set_markets(kept["markets"], kept["currencies"])
        client.options = {**client.options, **kept["options"]}

    def _kept(self) -> tuple[dict[str, Any] | None, float]:
        try:
            if self._cache is None:
                return None, 0.0
            kept = json.loads(self._cache.read_text())
            if (
                kept
                and kept["exchange"] == self.venue.id
                and kept["sandbox"] == self._sandbox
                and kept["url"] == self._url
                and _lists_spot(kept["markets"].values())
            ):
                return kept, self.clock.now().timestamp() - self._cache.stat().st_mtime
        except FileNotFoundError:  # no file yet: nothing to log
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            if not self._told:
                log.info("%s: the cached list of markets cannot be used and is read again", self.venue.name)
            self._told = True
        return None, 0.0

    def _keep(self, client: Any) -> None:
        if not self._cache:
            return
        options = {name: client.options[name] for name in ("marketsByAltname",) if name in client.options}
        kept = {
            "exchange": self.venue.id,
            "sandbox": self._sandbox,
            "url": self._url,
            "markets": client.markets,
            "currencies": client.currencies,
            "options": options,
        }
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._cache.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            fresh.write_text(json.dumps(kept))
            fresh.replace(self._cache)
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: its list of markets cannot be cached on disk: %s", self.venue.name, error)


def rewritten(urls: Any, base: str) -> Any:
    """Every address moved to another host; paths stay. OKX writes its host as {hostname}."""
    if isinstance(urls, dict):
        return {name: rewritten(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    path = urlsplit(urls.replace("{hostname}", "host")).path.rstrip("/")
    return base + path


def _lists_spot(markets: Iterable[Any]) -> bool:
    return any(market.get("spot") for market in markets)


def _listing(client: Any) -> Callable[..., Any]:
    """An answer that ccxt cannot read, such as an exchange's maintenance page, becomes a list without
    markets. Believed, it would refuse every order, exits too, for a day."""
    fetch = client.fetch_markets

    def fetch_markets(*args: Any, **rest: Any) -> Any:
        import ccxt

        found = fetch(*args, **rest)
        if not _lists_spot(found):
            raise ccxt.BadResponse("it lists no market")
        return found

    return fetch_markets


def _listen(client: Any) -> None:
    fetch, on_response = client.fetch, client.on_rest_response

    def sending(*args: Any, **rest: Any) -> Any:
        client.heard = Heard(left=True)
        with client.turn:
            return fetch(*args, **rest)

    def hearing(code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> Any:
        heard = client.heard
        heard.status, heard.body, heard.answer = code, body or "", _json(body)
        heard.retry_after = _seconds(headers.get("Retry-After"))
        return on_response(code, reason, url, method, headers, body, *rest)

    client.heard, client.turn, client.fetch, client.on_rest_response = Heard(), ExitStack(), sending, hearing


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


def _seconds(written: object) -> float | None:
    return min(float(str(written)), 3600.0) if re.fullmatch(r"\d{1,6}(\.\d+)?", str(written or "")) else None
