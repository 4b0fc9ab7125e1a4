"""What a failure at a crypto exchange means.

ccxt classes errors by the exchange's names for them. What matters is whether an order may exist, and the
class cannot tell: a parse error after a POST can come as a refusal, a time-out as a plain ExchangeError. So
each client records whether a request was sent, and what came back; only a refusal in the exchange's own
readable JSON is believed."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from dashtrade.brokers.crypto.exchange import Exchange
from dashtrade.domain.ports import (
    BadCredentials,
    BrokerError,
    Clock,
    NotOffered,
    Rejected,
    RetryLater,
    Unavailable,
    Unknown,
)

log = logging.getLogger("dashtrade.crypto")

_SAYS_WHERE = (
    "msg",
    "message",
    "error_description",
    "error_details",
    "preview_failure_reason",
    "new_order_failure_reason",
    "error",
    "reason",
)
_NO_WORDS = re.compile(r"UNKNOWN_[A-Z_]+")  # placeholders that Coinbase sends in place of a reason


@dataclass(slots=True)
class Heard:
    """The last exchange of one client: `left` once a request was handed to the network, `answer` if it was
    readable JSON."""

    left: bool = False
    status: int | None = None
    body: str = ""
    answer: Any = None
    retry_after: float | None = None


class AtExchange(Protocol):
    """What the error classification needs to know of the client."""

    venue: Exchange
    clock: Clock

    def resync(self, client: Any) -> None: ...


def sending(wire: AtExchange, client: Any, error: Exception) -> BrokerError:
    """After a request that would place an order: does one exist? Unless that is certain, Unknown."""
    if isinstance(error, BrokerError):
        return error
    venue, heard = wire.venue, client.heard
    sure = _sure(wire, client, error)
    if sure is not None:
        return sure
    if not heard.left:
        return Rejected(
            f"The order was not sent to {venue.name}: {_plain(error)}. No order was placed; check the "
            "bot's symbol, size and price."
        )
    if heard.answer is not None and (heard.status or 0) < 500 and _is_refusal(venue, heard, error):
        return Rejected(refusal(venue, heard, error))
    return Unknown(
        f"{venue.name} did not confirm the order ({_kind(error, heard)}). The order may exist: DashTrade "
        "looks it up and does not send it again."
    )


def reading(wire: AtExchange, client: Any, error: Exception) -> BrokerError:
    """After a request that places nothing: any failure means that nothing is known, not that something is
    absent."""
    if isinstance(error, BrokerError):
        return error
    sure = _sure(wire, client, error)
    if isinstance(sure, BadCredentials) or (isinstance(sure, RetryLater) and client.heard.status is not None):
        return sure
    if not_offered(client, error):
        return NotOffered(
            f"{wire.venue.name} has no such service at its address ({_kind(error, client.heard)}). Check "
            f"CCXT_URL_{wire.venue.id.upper()}, if set."
        )
    return Unavailable(
        f"{wire.venue.name} could not be read ({_kind(error, client.heard)}). No current data; DashTrade "
        "retries."
    )


def not_offered(client: Any, error: Exception) -> bool:
    """The endpoint does not exist, or ccxt does not support the call: a retry will not help."""
    import ccxt

    return isinstance(error, ccxt.NotSupported) or client.heard.status in (404, 405, 501)


def _sure(wire: AtExchange, client: Any, error: Exception) -> BrokerError | None:
    """Errors that are certain whatever was requested."""
    import ccxt

    venue, heard = wire.venue, client.heard
    if heard.left and heard.status is None and _never_connected(error):
        return RetryLater(
            (
                f"{venue.name} cannot be reached: no connection was made, and nothing was sent. "
                "DashTrade retries."
            ),
            timedelta(seconds=2),
        )
    if heard.status in (418, 429):
        after = heard.retry_after if heard.retry_after is not None else 60.0 if heard.status == 418 else 2.0
        return RetryLater(
            (
                f"{venue.name}'s rate limit is used up for {after:.0f} s: too many requests were sent. "
                "This request was refused and is sent again later."
            ),
            timedelta(seconds=after),
        )
    if heard.status is not None and heard.status >= 500:
        return None
    if venue.says("skewed", heard.body):
        _try_resync(wire, client)
        return RetryLater(
            f"{venue.name} reports that this machine's clock is off; DashTrade measured the difference "
            "and sends the request again."
        )
    if venue.says("stale", heard.body):
        return RetryLater(
            f"{venue.name} refused this request's nonce, which must rise with each request: nothing was "
            "done, and DashTrade sends the request again. If this repeats, another program uses the same "
            "key, or this machine's clock is off: create a key for DashTrade only, and set the clock."
        )
    if venue.says("later", heard.body):
        after = _until(heard.body, wire.clock.now().timestamp())
        text = f"{venue.name}'s rate limit is used up for {after:.0f} s. The request is sent again later."
        return RetryLater(text, timedelta(seconds=after))
    if venue.says("credentials", heard.body) or heard.status == 401 or _is_credentials(ccxt, heard, error):
        return BadCredentials(
            f"{venue.name} refused the key: "
            f"{_said(heard) or 'the key is wrong, was revoked, or is not allowed to do this'}. No order "
            "was placed. Create a new key that can read and trade, and save the key under "
            f"Setup.{' ' if venue.refused_key else ''}{venue.refused_key}"
        )
    return None


def _until(body: str, now: float) -> float:
    """Seconds until the time that Kraken names, in seconds since 1970; three without one."""
    told = re.search(r"Throttled: ?(\d{10})\b", body)
    return min(max(int(told[1]) - now, 1.0), 60.0) if told else 3.0


def _is_credentials(ccxt: Any, heard: Heard, error: Exception) -> bool:
    """Not its subclasses: ccxt also raises PermissionDenied when an account may not trade one symbol."""
    return type(error) in (ccxt.AuthenticationError, ccxt.AccountSuspended) and (
        heard.answer is not None or not heard.left
    )


def _try_resync(wire: AtExchange, client: Any) -> None:
    if wire.venue.can_resync:
        try:
            wire.resync(client)
        except Exception as error:
            log.warning("%s: its clock could not be read: %s", wire.venue.name, type(error).__name__)


def _is_refusal(venue: Exchange, heard: Heard, error: Exception) -> bool:
    """A plain ExchangeError means that ccxt does not know the message: time-outs come as that, too."""
    import ccxt

    if venue.says("certain", heard.body):
        return True
    if (
        venue.says("doubt", heard.body)
        or isinstance(error, ccxt.OperationFailed)
        or not isinstance(error, ccxt.ExchangeError)
    ):
        return False
    return type(error) is not ccxt.ExchangeError or venue.says("refused", heard.body)


def _never_connected(error: BaseException | None) -> bool:
    """The connection itself failed, so no byte of the request was sent."""
    from requests import exceptions as http
    from urllib3 import exceptions as net

    while error is not None:
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(error, http.ConnectTimeout) or isinstance(
            reason, (net.NewConnectionError, net.ConnectTimeoutError, net.NameResolutionError)
        ):
            return True
        error = error.__cause__
    return False


def refusal(venue: Exchange, heard: Heard, error: Exception) -> str:
    import ccxt

    said = _said(heard) or _plain(error)
    if isinstance(error, ccxt.InsufficientFunds):
        return (
            f"{venue.name} refused the order: the account's balance is too low ({said}). No order was "
            "placed; reduce the size or deposit funds."
        )
    if isinstance(error, ccxt.BadSymbol):
        return (
            f"{venue.name} does not trade this symbol ({said}). No order was placed; choose another symbol."
        )
    return f"{venue.name} refused the order: {said}. No order was placed; change the order accordingly."


def _said(heard: Heard) -> str:
    """The exchange's own message for people, from its JSON."""
    return _clean(_dig(heard.answer))


def _dig(answer: Any) -> str:
    if isinstance(answer, str):
        return "" if _NO_WORDS.fullmatch(answer) else answer
    if isinstance(answer, list):
        return next((words for item in answer if (words := _dig(item))), "")
    if not isinstance(answer, dict):
        return ""
    for inner in ("data", "error_response", "errors"):
        deeper = answer.get(inner)
        if isinstance(deeper, (dict, list)) and (words := _dig(deeper)):
            return words
    words = next((words for name in ("sMsg", *_SAYS_WHERE) if (words := _dig(answer.get(name)))), "")
    details = _dig(answer.get("error_details"))
    return words if details in words else f"{words}: {details}"


def _clean(words: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[{}<>]", " ", words)).strip().rstrip(".")[:200]


def _plain(error: Exception) -> str:
    words = _clean(str(error).split("{")[0])
    return words if len(words) > 3 else "it does not match this exchange"


def _kind(error: Exception, heard: Heard) -> str:
    if heard.status is None:
        return "no answer in time" if "Timeout" in type(error).__name__ else "the connection broke"
    if heard.answer is None:
        return f"an answer that cannot be read, status {heard.status}"
    return f"status {heard.status}: {_said(heard) or 'no reason given'}"
