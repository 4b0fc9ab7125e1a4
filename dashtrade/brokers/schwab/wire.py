"""Schwab's HTTP: requests, answers, and the meaning of failures. No client library: Schwab's leaves the
answers unparsed and its host cannot be changed."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from dashtrade.domain.ports import BadCredentials, BrokerError, Rejected, RetryLater, Unavailable, Unknown
from dashtrade.domain.record import record

CONNECT_SECONDS = 3.0


@record
class SchwabResponse:
    status: int
    text: str
    json: Any  # None: unreadable
    location: str
    retry_after: float | None
    date: datetime | None


class NoAnswer(Exception):
    """`maybe_sent`: the request may have arrived."""

    def __init__(self, maybe_sent: bool, message: str) -> None:
        super().__init__(message)
        self.maybe_sent, self.message = maybe_sent, message


class Http:
    """With time-outs; redirects are not followed, as that would turn a POST into a GET."""

    def __init__(self, url: str, timeout: float) -> None:
        import requests

        self._url, self._timeout, self._session, self._errors = (
            url,
            (min(CONNECT_SECONDS, timeout), timeout),
            requests.Session(),
            requests.exceptions,
        )

    def ask(self, method: str, path: str, **arguments: Any) -> SchwabResponse:
        try:
            response = self._session.request(
                method, self._url + path, timeout=self._timeout, allow_redirects=False, **arguments
            )
            text = response.content.decode("utf-8", "replace")
        except self._errors.RequestException as error:
            raise NoAnswer(
                not _never_connected(error),
                "no answer in time" if isinstance(error, self._errors.Timeout) else "the connection broke",
            ) from error
        headers = response.headers
        return SchwabResponse(
            status=response.status_code,
            text=text,
            json=_json(text),
            location=headers.get("Location", ""),
            date=_date(headers.get("Date")),
            retry_after=float(headers["Retry-After"])
            if re.fullmatch(r"\d{1,5}(\.\d+)?", headers.get("Retry-After", ""))
            else None,
        )

    def form(self, path: str, values: dict[str, str], auth: tuple[str, str]) -> tuple[int, str]:
        """For the sign-in: places nothing, so every failure is Unavailable."""
        try:
            response = self.ask("POST", path, data=values, auth=auth)
        except NoAnswer as error:
            raise Unavailable(
                f"Schwab's sign-in cannot be reached ({error.message}). Nothing was sent; DashTrade retries."
            ) from error
        return response.status, response.text

    def close(self) -> None:
        self._session.close()


def _json(text: str) -> Any:
    try:
        found = json.loads(text, parse_float=Decimal)
    except ValueError:
        return None
    return found if isinstance(found, (dict, list)) else None


def _date(text: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except (ValueError, TypeError):
        return None


def _never_connected(error: BaseException) -> bool:
    from requests.exceptions import ConnectTimeout
    from urllib3 import exceptions as net

    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, ConnectTimeout) or isinstance(
        reason, (net.NewConnectionError, net.ConnectTimeoutError, net.NameResolutionError)
    )


# --- meaning of answers -------------------------------------------------------------------------------------


def definite_error(answer: SchwabResponse) -> BrokerError | None:
    """Errors that are certain whatever was requested."""
    if answer.status == 429:
        after = answer.retry_after if answer.retry_after is not None else 10.0
        return RetryLater(
            (
                f"Schwab's rate limit is used up for {after:.0f} s: about 120 requests a minute are "
                "allowed. This request was refused and is sent again later."
            ),
            timedelta(seconds=after),
        )
    if answer.status == 401 and "Client not authorized" in answer.text:
        return BadCredentials(
            "Schwab refused this app, as a product is missing. No order was placed. Add both Accounts "
            "and Trading Production and Market Data Production to the app at developer.schwab.com; "
            "signing in again does not help."
        )
    if answer.status == 401 or (answer.status == 403 and answer.json is not None):
        return BadCredentials(
            "Schwab refused DashTrade access to this account. No order was placed. Sign in at Schwab "
            "again under Setup."
        )
    return None


def submit_error(answer: SchwabResponse) -> BrokerError:
    """After an order that was not answered with 201."""
    definite = definite_error(answer)
    if definite is not None:
        return definite
    if 400 <= answer.status < 500 and answer.status != 408 and answer.json is not None:
        return Rejected(
            f"Schwab refused the order: {schwab_message(answer)}. No order was placed; "
            "change the order accordingly."
        )
    return unconfirmed(f"status {answer.status}")


def unconfirmed(why: str) -> Unknown:
    return Unknown(
        f"Schwab did not confirm the order ({why}). The order may exist: DashTrade searches the "
        "account's orders and does not send the order again."
    )


def read_error(answer: SchwabResponse) -> BrokerError:
    definite = definite_error(answer)
    return definite or Unavailable(
        f"Schwab could not be read (status {answer.status}). No current data; DashTrade retries."
    )


Method = TypeVar("Method", bound=Callable[..., Any])


def read_errors_as_unavailable(method: Method) -> Method:
    """For reads: an answer of an unexpected shape means nothing is known, and must look like neither a bug
    nor a refusal."""

    @functools.wraps(method)
    def reads(*args: Any, **arguments: Any) -> Any:
        try:
            return method(*args, **arguments)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
            raise Unavailable(
                f"Schwab's answer cannot be read ({type(error).__name__}). No current data; DashTrade "
                "retries."
            ) from error

    return reads  # type: ignore[return-value]


def unreachable(error: NoAnswer) -> Unavailable:
    return Unavailable(f"Schwab could not be read ({error.message}). No current data; DashTrade retries.")


def schwab_message(answer: SchwabResponse) -> str:
    """Schwab's own message: `message` says that something is wrong, `errors` say what."""
    found = answer.json if isinstance(answer.json, dict) else {}
    listed = found.get("errors")
    errors = [_error_text(each) for each in (listed if isinstance(listed, list) else [listed])]
    message = _error_text(found.get("message"))
    why = "; ".join(dict.fromkeys(error for error in errors if error and error != message))
    return ": ".join(filter(None, (message, why)))[:300] or "no reason given"


def _error_text(error: object) -> str:
    if isinstance(error, dict):
        error = error.get("detail") or error.get("title")
    return re.sub(r"\s+", " ", re.sub(r"[{}<>]", " ", str(error or ""))).strip().rstrip(".")
