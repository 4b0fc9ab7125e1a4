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

_MESSAGE_FIELDS = (
    "msg",
    "message",
    "error_description",
    "error_details",
    "preview_failure_reason",
    "new_order_failure_reason",
    "error",
    "reason",
)
_PLACEHOLDER = re.compile(r"UNKNOWN_[A-Z_]+")  # placeholders that Coinbase sends in place of a reason


@dataclass(slots=True)
class LastResponse:
    """The last exchange of one client: `left` once a request was handed to the network, `answer` if it was
    readable JSON."""

    sent: bool = False
    status: int | None = None
    body: str = ""
    answer: Any = None
    retry_after: float | None = None


class ErrorContext(Protocol):
    """What the error classification needs to know of the client."""

    venue: Exchange
    clock: Clock

    def resync(self, client: Any) -> None: ...


def submit_error(wire: ErrorContext, client: Any, error: Exception) -> BrokerError:
    """After a request that would place an order: does one exist? Unless that is certain, Unknown."""
    if isinstance(error, BrokerError):
        return error
    venue, reply = wire.venue, client.last_response
    definite = _definite_error(wire, client, error)
    if definite is not None:
        return definite
    if not reply.sent:
        return Rejected(
            f"The order was not sent to {venue.name}: {_short_text(error)}. No order was placed; check the "
            "bot's symbol, size and price."
        )
    if reply.answer is not None and (reply.status or 0) < 500 and _is_refusal(venue, reply, error):
        return Rejected(refusal_text(venue, reply, error))
    return Unknown(
        f"{venue.name} did not confirm the order ({_failure_kind(error, reply)}). The order may exist: "
        "DashTrade looks it up and does not send it again."
    )


def read_error(wire: ErrorContext, client: Any, error: Exception) -> BrokerError:
    """After a request that places nothing: any failure means that nothing is known, not that something is
    absent."""
    if isinstance(error, BrokerError):
        return error
    definite = _definite_error(wire, client, error)
    if isinstance(definite, BadCredentials) or (
        isinstance(definite, RetryLater) and client.last_response.status is not None
    ):
        return definite
    if not_offered(client, error):
        return NotOffered(
            f"{wire.venue.name} has no such service at its address "
            f"({_failure_kind(error, client.last_response)}). Check CCXT_URL_{wire.venue.id.upper()}, if set."
        )
    return Unavailable(
        f"{wire.venue.name} could not be read ({_failure_kind(error, client.last_response)}). "
        "No current data; DashTrade retries."
    )


def not_offered(client: Any, error: Exception) -> bool:
    """The endpoint does not exist, or ccxt does not support the call: a retry will not help."""
    import ccxt

    return isinstance(error, ccxt.NotSupported) or client.last_response.status in (404, 405, 501)


def _definite_error(wire: ErrorContext, client: Any, error: Exception) -> BrokerError | None:
    """Errors that are certain whatever was requested."""
    import ccxt

    venue, reply = wire.venue, client.last_response
    if reply.sent and reply.status is None and _never_connected(error):
        return RetryLater(
            (
                f"{venue.name} cannot be reached: no connection was made, and nothing was sent. "
                "DashTrade retries."
            ),
            timedelta(seconds=2),
        )
    if reply.status in (418, 429):
        after = reply.retry_after if reply.retry_after is not None else 60.0 if reply.status == 418 else 2.0
        return RetryLater(
            (
                f"{venue.name}'s rate limit is used up for {after:.0f} s: too many requests were sent. "
                "This request was refused and is sent again later."
            ),
            timedelta(seconds=after),
        )
    if reply.status is not None and reply.status >= 500:
        return None
    if venue.matches("skewed", reply.body):
        _try_resync(wire, client)
        return RetryLater(
            f"{venue.name} reports that this machine's clock is off; DashTrade measured the difference "
            "and sends the request again."
        )
    if venue.matches("stale", reply.body):
        return RetryLater(
            f"{venue.name} refused this request's nonce, which must rise with each request: nothing was "
            "done, and DashTrade sends the request again. If this repeats, another program uses the same "
            "key, or this machine's clock is off: create a key for DashTrade only, and set the clock."
        )
    if venue.matches("try_again", reply.body):
        after = _seconds_until_allowed(reply.body, wire.clock.now().timestamp())
        text = f"{venue.name}'s rate limit is used up for {after:.0f} s. The request is sent again later."
        return RetryLater(text, timedelta(seconds=after))
    if venue.matches("credentials", reply.body) or reply.status == 401 or _is_credentials(ccxt, reply, error):
        return BadCredentials(
            f"{venue.name} refused the key: "
            f"{_exchange_message(reply) or 'the key is wrong, was revoked, or is not allowed to do this'}"
            ". No order was placed. Create a new key that can read and trade, and save the key under "
            f"Setup.{' ' if venue.refused_key else ''}{venue.refused_key}"
        )
    return None


def _seconds_until_allowed(body: str, now: float) -> float:
    """Seconds until the time that Kraken names, in seconds since 1970; three without one."""
    match = re.search(r"Throttled: ?(\d{10})\b", body)
    return min(max(int(match[1]) - now, 1.0), 60.0) if match else 3.0


def _is_credentials(ccxt: Any, reply: LastResponse, error: Exception) -> bool:
    """Not its subclasses: ccxt also raises PermissionDenied when an account may not trade one symbol."""
    return type(error) in (ccxt.AuthenticationError, ccxt.AccountSuspended) and (
        reply.answer is not None or not reply.sent
    )


def _try_resync(wire: ErrorContext, client: Any) -> None:
    if wire.venue.can_resync:
        try:
            wire.resync(client)
        except Exception as error:
            log.warning("%s: its clock could not be read: %s", wire.venue.name, type(error).__name__)


def _is_refusal(venue: Exchange, reply: LastResponse, error: Exception) -> bool:
    """A plain ExchangeError means that ccxt does not know the message: time-outs come as that, too."""
    import ccxt

    if venue.matches("certain", reply.body):
        return True
    if (
        venue.matches("unclear", reply.body)
        or isinstance(error, ccxt.OperationFailed)
        or not isinstance(error, ccxt.ExchangeError)
    ):
        return False
    return type(error) is not ccxt.ExchangeError or venue.matches("refused", reply.body)


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


def refusal_text(venue: Exchange, reply: LastResponse, error: Exception) -> str:
    import ccxt

    message = _exchange_message(reply) or _short_text(error)
    if isinstance(error, ccxt.InsufficientFunds):
        return (
            f"{venue.name} refused the order: the account's balance is too low ({message}). No order was "
            "placed; reduce the size or deposit funds."
        )
    if isinstance(error, ccxt.BadSymbol):
        return (
            f"{venue.name} does not trade this symbol ({message}). No order was placed; "
            "choose another symbol."
        )
    return f"{venue.name} refused the order: {message}. No order was placed; change the order accordingly."


def _exchange_message(reply: LastResponse) -> str:
    """The exchange's own message for people, from its JSON."""
    return _clean(_find_message(reply.answer))


def _find_message(answer: Any) -> str:
    if isinstance(answer, str):
        return "" if _PLACEHOLDER.fullmatch(answer) else answer
    if isinstance(answer, list):
        return next((text for item in answer if (text := _find_message(item))), "")
    if not isinstance(answer, dict):
        return ""
    for inner in ("data", "error_response", "errors"):
        deeper = answer.get(inner)
        if isinstance(deeper, (dict, list)) and (text := _find_message(deeper)):
            return text
    text = next(
        (text for name in ("sMsg", *_MESSAGE_FIELDS) if (text := _find_message(answer.get(name)))), ""
    )
    details = _find_message(answer.get("error_details"))
    return text if details in text else f"{text}: {details}"


def _clean(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[{}<>]", " ", text)).strip().rstrip(".")[:200]


def _short_text(error: Exception) -> str:
    text = _clean(str(error).split("{")[0])
    return text if len(text) > 3 else "it does not match this exchange"


def _failure_kind(error: Exception, reply: LastResponse) -> str:
    if reply.status is None:
        return "no answer in time" if "Timeout" in type(error).__name__ else "the connection broke"
    if reply.answer is None:
        return f"an answer that cannot be read, status {reply.status}"
    return f"status {reply.status}: {_exchange_message(reply) or 'no reason given'}"
