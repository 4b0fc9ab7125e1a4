"""The connection to one crypto exchange: ccxt clients, what they last heard, and what a failure of theirs means.

ccxt classes errors by what the exchange called them. What matters to us is whether an order may exist, and for that the
class is not enough: a parse error after a POST can come as a refusal, a time-out as a plain ExchangeError. So each client
notes whether a request left, and what came back; only a refusal in the exchange's own readable words is believed.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dashtrade.brokers.crypto_venues import Exchange
from dashtrade.domain.ports import BadCredentials, BrokerError, Clock, Rejected, RetryLater, Unavailable, Unknown

log = logging.getLogger("dashtrade.crypto")

DAY = 86_400.0
MOST_AT_ONCE = 4  # clients of one account: as many requests may be under way
_SAYS_WHERE = ("msg", "message", "error_description", "preview_failure_reason", "error", "reason")


@dataclass(slots=True)
class Heard:
    """The last exchange of one client: `left` once a request was handed to the network, `answer` if it was readable JSON."""

    left: bool = False
    status: int | None = None
    body: str = ""
    answer: Any = None
    retry_after: float | None = None


class Pace:
    """A bucket of request time, shared by an account's clients. It lets a burst through, then keeps the exchange's pace;
    a wait longer than `patience` is not slept but told."""

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
                    f"{self._venue} takes no more requests for {wait:.0f} s: its limit is reached. This one was not sent and goes later.",
                    after=timedelta(seconds=wait),
                )
            self._left -= milliseconds
        if wait:
            time.sleep(wait)


class Wire:
    """The ccxt clients of one account: made when needed, lent to one thread at a time, all with the same markets."""

    def __init__(self, venue: Exchange, keys: dict[str, str], *, sandbox: bool, url: str | None, cache: Path | None,
                 timeout: float, patience: float, paced: bool, clock: Clock) -> None:
        self.venue, self._keys, self._sandbox, self._url, self._cache, self._clock = venue, keys, sandbox, url, cache, clock
        self._timeout, self._pace = timeout, Pace(venue.burst, patience, venue.name) if paced else None
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(1 if venue.nonces else MOST_AT_ONCE):
            self._idle.put(None)
        self._first: Any = None
        self._loading, self._loaded_at, self._nonce, self._ahead = threading.Lock(), 0.0, 0, 0

    @contextmanager
    def lent(self, *, markets: bool = True) -> Iterator[Any]:
        """A client that is ours until the end of the block; it starts with having heard nothing."""
        try:
            client = self._idle.get(timeout=2 * self._timeout)
        except queue.Empty:
            raise RetryLater(f"{self.venue.name} is slow: earlier requests of this account are still under way. This one goes later.") from None
        try:
            client = client or self._make()
            client.options["timeDifference"] = self._ahead
            if markets:
                self._load(client)
            client.heard = Heard()
            yield client
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
        """Our clock is off by the exchange's: measure it, for all clients."""
        client.heard = Heard()
        self._ahead = client.load_time_difference() or 0
        log.warning("%s: this machine's clock differs by %s ms; the difference is now taken into account", self.venue.name, self._ahead)

    # --- making ---

    def _make(self) -> Any:
        import ccxt

        client = getattr(ccxt, self.venue.id)({
            "apiKey": self._keys["key"], "secret": self._keys["secret"], "password": self._keys.get("passphrase") or None,
            "timeout": int(self._timeout * 1000), "enableRateLimit": self._pace is not None,
        })  # fmt: skip
        client.number = str  # never a float on the way from the exchange to the ledger
        client.options = {**client.options, **self.venue.options, "maxRetriesOnFailure": 0, "timeDifference": 0}
        client.has = {**client.has, "fetchCurrencies": False}
        client.session.max_redirects = 0  # following one would turn our POST into a GET, and its answer into a refusal
        if self._sandbox:
            client.set_sandbox_mode(True)
        if self._url:
            client.urls["api"] = rewritten(client.urls["api"], self._url.rstrip("/"))
        if self._pace:
            client.throttle = lambda cost=None: self._pace.take(client.rateLimit * (1 if cost is None else cost))
        if self.venue.nonces:
            client.nonce = lambda: self._next_nonce(client)
        client.jwt = _quick_jwt(client)
        _listen(client)
        return client

    def _next_nonce(self, client: Any) -> int:
        self._nonce = max(self._nonce + 1, client.milliseconds() - self._ahead)
        return self._nonce

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
        """From the disk if that is of today; else from the exchange, and from an old file where it cannot be reached."""
        kept, age = self._kept()
        if kept and age < DAY and self._first is None:
            return self._use(client, kept)
        try:
            client.heard = Heard()
            client.load_markets(True)
        except Exception as error:
            if client.markets or kept:
                log.warning("%s: its list of markets cannot be read now, the last one stays in use: %s", self.venue.name, type(error).__name__)
                return None if client.markets else self._use(client, kept)
            raise reading(self, client, error) from error
        self._keep(client)

    @staticmethod
    def _use(client: Any, kept: dict[str, Any]) -> None:
        client.set_markets(kept["markets"], kept["currencies"])
        client.options = {**client.options, **kept["options"]}

    def _kept(self) -> tuple[dict[str, Any] | None, float]:
        try:
            kept = json.loads(self._cache.read_text()) if self._cache else None
            if kept and kept["exchange"] == self.venue.id and kept["sandbox"] == self._sandbox and kept["url"] == self._url:
                return kept, self._clock.now().timestamp() - self._cache.stat().st_mtime
        except (OSError, ValueError, KeyError, TypeError):
            log.info("%s: the kept list of markets cannot be used and is read anew", self.venue.name)
        return None, 0.0

    def _keep(self, client: Any) -> None:
        if not self._cache:
            return
        options = {name: client.options[name] for name in ("marketsByAltname",) if name in client.options}
        kept = {"exchange": self.venue.id, "sandbox": self._sandbox, "url": self._url, "markets": client.markets,
                "currencies": client.currencies, "options": options}  # fmt: skip
        try:
            self._cache.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._cache.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            fresh.write_text(json.dumps(kept))
            fresh.replace(self._cache)
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: its list of markets cannot be kept on disk: %s", self.venue.name, error)


def rewritten(urls: Any, base: str) -> Any:
    """Every address moved to another host; paths stay. OKX writes its host as {hostname}."""
    if isinstance(urls, dict):
        return {name: rewritten(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    path = urlsplit(urls.replace("{hostname}", "host")).path.rstrip("/")
    return base + path


def _listen(client: Any) -> None:
    fetch, on_response = client.fetch, client.on_rest_response

    def sending(*args: Any, **rest: Any) -> Any:
        client.heard = Heard(left=True)
        return fetch(*args, **rest)

    def hearing(code: int, reason: str, url: str, method: str, headers: Any, body: str, *rest: Any) -> Any:
        heard = client.heard
        heard.status, heard.body, heard.answer = code, body or "", _json(body)
        heard.retry_after = _seconds(headers.get("Retry-After"))
        return on_response(code, reason, url, method, headers, body, *rest)

    client.heard, client.fetch, client.on_rest_response = Heard(), sending, hearing


def _quick_jwt(client: Any) -> Callable[..., str]:
    """ccxt signs ES256 in plain Python, which costs Coinbase users 0.1 s of processor a request."""
    slow = client.jwt

    def jwt(claims: Any, secret: Any, algorithm: str = "sha256", is_rsa: bool = False, opts: Any = None) -> str:
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
        signed = serialization.load_pem_private_key(pem, None).sign(message, ec.ECDSA(hashes.SHA256()))
    except (ValueError, TypeError, AttributeError) as error:
        raise ccxt.AuthenticationError("its private key cannot be read") from error
    return b"".join(part.to_bytes(32, "big") for part in utils.decode_dss_signature(signed))


def _json(body: str) -> Any:
    try:
        found = json.loads(body)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, (dict, list)) else None


def _seconds(written: object) -> float | None:
    return min(float(str(written)), 3600.0) if re.fullmatch(r"\d{1,6}(\.\d+)?", str(written or "")) else None


# --- what a failure means ------------------------------------------------------------------------------------------------


def sending(wire: Wire, client: Any, error: Exception) -> BrokerError:
    """Of a request that would place an order: does one exist? Unless that is certain, Unknown."""
    if isinstance(error, BrokerError):
        return error
    venue, heard = wire.venue, client.heard
    sure = _sure(wire, client, error)
    if sure is not None:
        return sure
    if not heard.left:
        return Rejected(f"The order was not sent to {venue.name}: {_plain(error)}. Nothing was placed; check the bot's symbol, size and price.")
    if heard.answer is not None and (heard.status or 0) < 500 and _is_refusal(venue, heard, error):
        return Rejected(refusal(venue, heard, error))
    return Unknown(
        f"{venue.name} did not say whether it took the order ({_kind(error, heard)}). It may exist: it is being looked up, "
        "and it is not sent again on doubt."
    )


def reading(wire: Wire, client: Any, error: Exception) -> BrokerError:
    """Of a request that places nothing: whatever failed, nothing is known, least of all that something is absent."""
    if isinstance(error, BrokerError):
        return error
    sure = _sure(wire, client, error)
    if isinstance(sure, BadCredentials) or (isinstance(sure, RetryLater) and client.heard.status is not None):
        return sure
    return Unavailable(f"{wire.venue.name} could not be asked ({_kind(error, client.heard)}). Nothing is known from it now; it is asked again.")


def _sure(wire: Wire, client: Any, error: Exception) -> BrokerError | None:
    """What is certain whatever was asked."""
    import ccxt

    venue, heard = wire.venue, client.heard
    if heard.left and heard.status is None and _never_connected(error):
        return RetryLater(f"{venue.name} cannot be reached: no connection was made, and nothing was sent. It is tried again.", timedelta(seconds=2))
    if heard.status in (418, 429):
        after = heard.retry_after if heard.retry_after is not None else 60.0 if heard.status == 418 else 2.0
        return RetryLater(f"{venue.name} takes no more requests for {after:.0f} s: too many were sent. This one was not taken and goes later.",
                          timedelta(seconds=after))  # fmt: skip
    if heard.status is not None and heard.status >= 500:
        return None
    if venue.says("skewed", heard.body):
        _try_resync(wire, client)
        return RetryLater(f"{venue.name} says this machine's clock is off; the difference was measured, and the request goes again.")
    if venue.says("later", heard.body):
        return RetryLater(f"{venue.name} takes no more requests for a moment. This one was not taken and goes later.", timedelta(seconds=3))
    if venue.says("credentials", heard.body) or heard.status == 401 or _is_credentials(ccxt, heard, error):
        return BadCredentials(
            f"{venue.name} refused the key: {_said(heard) or 'it is wrong, was revoked, or may not do this'}. "
            "Nothing was placed. Make a new key that may read and trade, and save it under Setup."
        )
    return None


def _is_credentials(ccxt: Any, heard: Heard, error: Exception) -> bool:
    """Not its subclasses: ccxt also calls it PermissionDenied when an account may not trade one symbol."""
    return type(error) in (ccxt.AuthenticationError, ccxt.AccountSuspended) and (heard.answer is not None or not heard.left)


def _try_resync(wire: Wire, client: Any) -> None:
    if wire.venue.can_resync:
        try:
            wire.resync(client)
        except Exception as error:
            log.warning("%s: its clock could not be read: %s", wire.venue.name, type(error).__name__)


def _is_refusal(venue: Exchange, heard: Heard, error: Exception) -> bool:
    """A plain ExchangeError is what ccxt raises when it does not know the words: time-outs come as that, too."""
    import ccxt

    if venue.says("doubt", heard.body) or isinstance(error, ccxt.OperationFailed) or not isinstance(error, ccxt.ExchangeError):
        return False
    return type(error) is not ccxt.ExchangeError or venue.says("refused", heard.body)


def _never_connected(error: BaseException | None) -> bool:
    """The connection itself failed, so that not a byte of the request left."""
    from requests import exceptions as http
    from urllib3 import exceptions as net

    while error is not None:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(error, http.ConnectTimeout) or isinstance(reason, (net.NewConnectionError, net.ConnectTimeoutError, net.NameResolutionError)):
            return True
        error = error.__cause__
    return False


def refusal(venue: Exchange, heard: Heard, error: Exception) -> str:
    import ccxt

    said = _said(heard) or _plain(error)
    if isinstance(error, ccxt.InsufficientFunds):
        return f"{venue.name} refused the order: the account does not hold enough for it ({said}). Nothing was placed; make it smaller or pay in."
    if isinstance(error, ccxt.BadSymbol):
        return f"{venue.name} does not trade this symbol ({said}). Nothing was placed; choose another one."
    return f"{venue.name} refused the order: {said}. Nothing was placed; change it as that says."


def _said(heard: Heard) -> str:
    """The exchange's own words for people, out of its JSON."""
    return _clean(_dig(heard.answer))


def _dig(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, list):
        return next((words for item in answer if (words := _dig(item))), "")
    if not isinstance(answer, dict):
        return ""
    for inner in ("data", "error_response", "errors"):
        deeper = answer.get(inner)
        if isinstance(deeper, (dict, list)) and (words := _dig(deeper)):
            return words
    return next((words for name in ("sMsg", *_SAYS_WHERE) if (words := _dig(answer.get(name)))), "")


def _clean(words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[{}<>]", " ", words)).strip().rstrip(".")[:200]


def _plain(error: Exception) -> str:
    words = _clean(str(error).split("{")[0])
    return words if len(words) > 3 else "it does not fit this exchange"


def _kind(error: Exception, heard: Heard) -> str:
    if heard.status is None:
        return "no answer in time" if "Timeout" in type(error).__name__ else "the connection broke"
    if heard.answer is None:
        return f"an answer that cannot be read, status {heard.status}"
    return f"status {heard.status}: {_said(heard) or 'no words'}"

