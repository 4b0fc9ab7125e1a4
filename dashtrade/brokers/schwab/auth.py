"""Schwab's sign-in: an access token for 30 minutes, and a token that renews it for seven days.

After seven days a person has to sign in at Schwab again; no program can. The end is known, so users are
warned before it. The token is passed in and out as text: the app stores it encrypted, and this module writes
nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from dashtrade.domain.ports import BadCredentials, Clock, SystemClock, Unavailable
from dashtrade.domain.reasons import NO_REASON, Code, Reason, reason
from dashtrade.domain.record import record, replace
from dashtrade.domain.values import Malformed

API_URL = "https://api.schwabapi.com"
SIGN_IN_LASTS = timedelta(days=7)
WARN_BEFORE = timedelta(days=2)
RENEW_BEFORE = timedelta(
    seconds=90
)  # an access token is renewed early, so that it does not expire during an order
TOKEN_HINT = (
    'Sign in at Schwab again under Setup; the token is text like {"creation_timestamp": …, "token": {…}}.'
)
SIGN_IN_HINT = "Sign in at Schwab again under Setup; this is required every seven days."


@record
class Token:
    """The stored token. `created` is when a person signed in: renewing does not change it."""

    created: datetime
    values: dict[str, Any] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Token:
        try:
            found = json.loads(text)
            created, values = datetime.fromtimestamp(int(found["creation_timestamp"]), UTC), found["token"]
            if not (
                isinstance(values, dict)
                and values["refresh_token"]
                and float(values.get("expires_at", 0)) >= 0
            ):
                raise ValueError
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            raise Malformed(
                "this is not a Schwab token", where="credentials.token", hint=TOKEN_HINT
            ) from None
        return cls(created=created, values=values)

    @property
    def text(self) -> str:
        return json.dumps({"creation_timestamp": int(self.created.timestamp()), "token": self.values})

    @property
    def access(self) -> str:
        return str(self.values.get("access_token") or "")

    @property
    def access_ends(self) -> datetime:
        return datetime.fromtimestamp(float(self.values.get("expires_at") or 0), UTC)

    @property
    def ends(self) -> datetime:
        return self.created + SIGN_IN_LASTS

    def is_good(self, now: datetime, refused: str | None) -> bool:
        return bool(self.access) and self.access != refused and now < self.access_ends - RENEW_BEFORE


class SchwabSession:
    """Keeps one account signed in. Of several threads and processes one renews; the others use the token it
    stored."""

    def __init__(
        self,
        key: str,
        secret: str,
        load: Callable[[], str],
        save: Callable[[str], None],
        post: Callable[..., Any],
        clock: Clock,
        exclusive: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._key, self._secret, self._load, self._save, self._post, self._clock = (
            key,
            secret,
            load,
            save,
            post,
            clock,
        )
        self._exclusive, self._lock = exclusive, threading.Lock()
        self._token: Token | None = None

    def access(self, *, refused: str | None = None) -> str:
        """A valid token; not `refused`, which Schwab rejected although it should be valid."""
        with self._lock:
            now = self._clock.now()
            if self._token is not None and self._token.is_good(now, refused):
                return self._token.access
            with self._exclusive():
                token = self._token = self._load_token()  # renewed elsewhere, or a new sign-in
                if token.is_good(now, refused):
                    return token.access
                if now >= token.ends:
                    raise BadCredentials(
                        f"A sign-in at Schwab lasts seven days, and this one has expired. {SIGN_IN_HINT}"
                    )
                token = self._token = self._renew(token, now)
                self._save(token.text)
                return token.access

    def ends(self) -> datetime:
        return self._load_token().ends

    def _load_token(self) -> Token:
        text = self._load()
        if not text:
            raise BadCredentials(f"This account is not signed in at Schwab yet. {SIGN_IN_HINT}")
        return Token.read(text)

    def _renew(self, token: Token, now: datetime) -> Token:
        form = {"grant_type": "refresh_token", "refresh_token": token.values["refresh_token"]}
        answer = request_token(self._post, self._key, self._secret, form)
        values = {
            **token.values,
            **answer,
            "expires_at": (now + timedelta(seconds=int(answer.get("expires_in", 1800)))).timestamp(),
        }
        return replace(token, values=values)


def request_token(post: Callable[..., Any], key: str, secret: str, form: dict[str, str]) -> dict[str, Any]:
    """Request a token. `post(path, form, auth)` returns status and text, and raises errors meant for the
    caller."""
    status, text = post("/v1/oauth/token", form, (key, secret))
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict) and answer.get("access_token"):
        return answer
    if status in (400, 401, 403):
        raise BadCredentials(
            f"Schwab refused DashTrade: the key, its secret or the sign-in is no longer valid. {SIGN_IN_HINT}"
        )
    raise Unavailable(
        f"Schwab's sign-in returned an unexpected answer (status {status}). Nothing was sent; DashTrade "
        "retries."
    )


def authorize_url(key: str, callback: str, *, state: str, verifier: str, url: str | None = None) -> str:
    """Where a person signs in; Schwab then calls `callback`, exactly as registered there, with a code.
    Exchanging the code requires `verifier` (RFC 7636); servers without support for it must ignore it (RFC
    6749, 3.1)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    params = {
        "client_id": key,
        "redirect_uri": callback,
        "response_type": "code",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{(url or API_URL).rstrip('/')}/v1/oauth/authorize?{urlencode(params, quote_via=quote)}"


def code_in(text_or_address: str) -> str:
    """The code, given alone or in the callback address. It ends in @, which may come as %40."""
    text = text_or_address.strip()
    try:
        code = parse_qs(urlsplit(text).query).get("code", [""])[0] if "://" in text else unquote(text)
    except ValueError:  # "https://[" is no address
        code = ""
    if not code:
        raise Malformed(
            "there is no code in this address",
            where="code",
            hint="Paste the whole address of the page that Schwab sent you to, within 30 seconds.",
        )
    return code


def exchange_code(
    key: str,
    secret: str,
    callback: str,
    code: str,
    *,
    verifier: str,
    url: str | None = None,
    clock: Clock | None = None,
    timeout: float = 10.0,
) -> str:
    """A new token's text, good for seven days, for the code of a sign-in."""
    from dashtrade.brokers.schwab.wire import Http

    now = (clock or SystemClock()).now()
    http = Http((url or API_URL).rstrip("/"), timeout)
    try:
        form = {
            "grant_type": "authorization_code",
            "code": code_in(code),
            "redirect_uri": callback,
            "code_verifier": verifier,
        }
        answer = request_token(http.form, key, secret, form)
    finally:
        http.close()
    values = {
        **answer,
        "expires_at": (now + timedelta(seconds=int(answer.get("expires_in", 1800)))).timestamp(),
    }
    return Token(created=now, values=values).text


def expires_in(token: str, now: datetime) -> timedelta:
    return Token.read(token).ends - now


def warning(token: str, now: datetime, before: timedelta = WARN_BEFORE) -> Reason:
    """A message for the user when the end is near; else empty."""
    return warning_of(expires_in(token, now), before)


def warning_of(left: timedelta, before: timedelta = WARN_BEFORE) -> Reason:
    if left > before:
        return NO_REASON
    if left <= timedelta(0):
        return reason(Code.SIGN_IN_EXPIRED, broker="Schwab", days=SIGN_IN_LASTS.days)
    hours = int(left.total_seconds() // 3600)
    return reason(Code.SIGN_IN_EXPIRES, broker="Schwab", days=SIGN_IN_LASTS.days, hours=hours)
