"""What Alpaca's error responses mean: a refusal, a wait, a bad key, or nothing certain.

Pure: no connection, no clock, no client library. The library's own error classes are not used: reading their
code raises on a proxy's page and on a 401. Only Alpaca's own refusal is a refusal; the response of a proxy or
a broken server proves nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from dashtrade.domain.ports import (
    BadCredentials,
    BrokerError,
    NotOffered,
    OrderRequest,
    Rejected,
    RetryLater,
    Unavailable,
    Unknown,
)
from dashtrade.domain.record import record
from dashtrade.domain.values import ZERO, Malformed, exact, money, plain

DEFAULT_WAIT = timedelta(seconds=3)  # for a 429 without a time
MAX_WAIT = timedelta(minutes=2)


@record
class AlpacaErrorResponse:
    """An error response, unchanged."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """Empty unless the body is a JSON object, which a proxy's HTML page is not."""
        try:
            body = json.loads(self.text)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def code(self) -> int:
        """Alpaca's own code; 0 without one, as with a 401."""
        code = self.body.get("code")
        return code if isinstance(code, int) else 0

    @property
    def message(self) -> str:
        return clean(self.body.get("message", ""))


def clean(text: object) -> str:
    """Untrusted text made safe to show: one line, no markup, limited length."""
    return re.sub(r"[\s{}<>]+", " ", str(text)).strip()[:300]


def submit_error(answer: AlpacaErrorResponse, request: OrderRequest, now: datetime) -> BrokerError:
    """The meaning of an error response to a posted order. Only Alpaca's own refusal is a refusal; after the
    response of a proxy or a broken server, the order may still exist."""
    has_message = bool(answer.body.get("message"))
    if answer.status == 429:
        return rate_limited(answer, now, "No order was placed; DashTrade sends the order again.")
    if answer.status == 401:
        return key_refused()
    if answer.status == 403 and has_message:
        # 4031... is about an order (no money, too few shares, a wash trade); any other 403 is about the key.
        return (
            Rejected(refusal_text(answer, request))
            if answer.code // 10000 == 4031
            else key_refused(answer.message)
        )
    if answer.status in (400, 404, 405, 422) and has_message:
        return Rejected(refusal_text(answer, request))
    return unconfirmed(f"it answered with error {answer.status}")


def unconfirmed(what: str) -> Unknown:
    return Unknown(
        f"Alpaca did not confirm the order ({what}). The order may exist, so DashTrade looks it up and "
        "does not send it again."
    )


def read_error(answer: AlpacaErrorResponse, now: datetime) -> BrokerError:
    if answer.status == 429:
        return rate_limited(answer, now, "DashTrade retries then.")
    if answer.status == 401 or (answer.status == 403 and answer.body):
        return key_refused(answer.message)
    what = f"error {answer.status}" + (f": {answer.message}" if answer.message else "")
    if answer.status in (404, 405, 501):
        return NotOffered(
            f"Alpaca could not be read ({what}): its server has nothing at that address. Check "
            "ALPACA_API_URL and ALPACA_DATA_URL."
        )
    return unreadable(what)


def is_not_found(answer: AlpacaErrorResponse) -> bool:
    """Alpaca's own "not found", by its code or message; a 404 from another server proves nothing."""
    not_found = re.search(r"\b(order|position|asset)\b.*(not found|does not exist)", answer.message)
    return answer.status == 404 and (
        answer.code // 10000 == 4041 or (not answer.code and not_found is not None)
    )


def unreadable(what: str) -> Unavailable:
    return Unavailable(f"Alpaca could not be read ({what}). No current data; DashTrade retries.")


def key_refused(message: str = "") -> BadCredentials:
    return BadCredentials(
        f"Alpaca refused the key{f' (it says: {message})' if message else ''}: the key is wrong, revoked, "
        "not allowed to do this, or a paper key on a live account. Create a new key at Alpaca and replace "
        "the key under Setup."
    )


def rate_limited(answer: AlpacaErrorResponse, now: datetime, then: str) -> RetryLater:
    wait = _wait_from_headers(answer.headers, now)
    return RetryLater(f"Alpaca's rate limit is used up for {plain_seconds(wait)} more seconds. {then}", wait)


def plain_seconds(wait: timedelta) -> str:
    return f"{wait.total_seconds():.0f}"


def _wait_from_headers(headers: Mapping[str, str], now: datetime) -> timedelta:
    """Retry-After in seconds or as a date, else X-RateLimit-Reset as seconds since 1970; bounded both
    ways."""
    retry_after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    try:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", retry_after):
            wait = timedelta(seconds=float(retry_after))
        elif retry_after:
            wait = parsedate_to_datetime(retry_after).astimezone(UTC) - now
        else:
            wait = datetime.fromtimestamp(int(reset), UTC) - now if reset else DEFAULT_WAIT
    except (ValueError, OverflowError, OSError):
        wait = DEFAULT_WAIT
    return min(max(wait, timedelta(seconds=0.5)), MAX_WAIT)


def is_duplicate(answer: AlpacaErrorResponse) -> bool:
    """Our id exists already: an earlier attempt arrived."""
    return answer.status == 422 and "client_order_id must be unique" in answer.message


def refusal_text(answer: AlpacaErrorResponse, request: OrderRequest) -> str:
    """Why Alpaca refused, and what the user can do about it."""
    body, message, name = answer.body, answer.message, request.symbol.short
    if "buying power" in message:
        needs, has = body.get("cost_basis"), body.get("buying_power")
        figures = f": it needs {_money_text(needs)} and has {_money_text(has)}" if needs and has else ""
        return f"the buying power at Alpaca is too small{figures}. Reduce the size, or close something first."
    if "insufficient" in message and "available" in body:
        held = body.get("held_for_orders", "0")
        return (
            f"Alpaca has {clean(body['available'])} {name} free for this order, which needs "
            f"{plain(request.quantity or ZERO)}; "
            f"{clean(held)} are held by other open orders. Cancel those, or use a smaller size."
        )
    if "wash trade" in message:
        return (
            f"another order of this account on {name} is open in the opposite direction (order "
            f"{clean(body.get('existing_order_id', 'unknown'))}), which Alpaca refuses as a wash trade. "
            "Wait for it, or cancel it."
        )
    hint = next(
        (hint for phrase, hint in _HINTS.items() if phrase in message), "Change the order and send it again."
    )
    return f"Alpaca refused the order: {message}. {hint}"


_HINTS = {
    "sub-penny": "Use two decimals for prices of a dollar or more, four below.",
    "sold short": "Short whole shares of a stock that is easy to borrow.",
    "simple orders": "Use whole shares for orders with exits.",
    "fractional": "Use whole shares, or a day order.",
    "not found": "Check the symbol's spelling: Alpaca trades US-listed stocks and some coins.",
    "extended": "Outside regular hours Alpaca accepts limit orders only.",
    "unauthorized": "Check at Alpaca what this account may trade.",
}


def _money_text(number: object) -> str:
    try:
        return money(exact(number))
    except Malformed:
        return clean(number)
