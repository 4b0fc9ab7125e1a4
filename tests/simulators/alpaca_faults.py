"""What goes wrong on demand, and how an answer looks then."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

BEFORE = {"rate_limited": 429, "server_error": 500, "bad_key": 401, "forbidden": 403}  # nothing is done
AFTER = (
    "time_out",
    "gateway_error",
    "garbage",
    "empty",
    "cut_off",
    "redirect",
    "drop",
    "unknown_status",
    "numbers",
    "no_route",
)
# lost: nothing arrives; stale: the answer to the same question before
OTHER = ("late_visibility", "slow", "lost", "stale")
KINDS = (*BEFORE, *AFTER, *OTHER)


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with requests of that method ("*": any) whose path begins so: the `after`-th next and
    `times` of them (0: for ever). Those of `AFTER` spoil the answer when the work is done, so an order
    exists."""

    kind: str
    method: str = "POST"
    path: str = "/v2/orders"
    after: int = 0
    times: int = 1
    seconds: float = 0.0  # Retry-After, how late an order is seen, how long an answer takes

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}: one of {', '.join(KINDS)}")

    def fits(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and path.startswith(self.path)


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: str
    at: float = field(default_factory=time.monotonic)  # by a clock that all processes of this machine share

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def refusing(fault: Fault) -> Reply:
    if fault.kind == "rate_limited":
        seconds = fault.seconds or 1
        headers = (
            (("Retry-After", str(int(seconds))),)
            if fault.seconds != -1
            else (
                ("X-RateLimit-Limit", "200"),
                ("X-RateLimit-Remaining", "0"),
                ("X-RateLimit-Reset", str(int(time.time()) + 5)),
            )
        )
        return Reply(429, {"code": 42910000, "message": "rate limit exceeded"}, headers)
    message = {
        "server_error": "internal server error occurred",
        "bad_key": "unauthorized.",
        "forbidden": "forbidden.",
    }[fault.kind]
    return Reply(
        BEFORE[fault.kind],
        {"code": 50010000, "message": message} if fault.kind == "server_error" else {"message": message},
    )


def _other_status(body: Any) -> Any:
    if isinstance(body, list):
        return [_other_status(each) for each in body]
    return (
        {**body, "status": "resting_in_the_cloud"}
        if isinstance(body, dict) and "filled_qty" in body
        else body
    )


def _as_numbers(body: Any) -> Any:
    """Amounts as JSON numbers instead of text."""
    if isinstance(body, list):
        return [_as_numbers(each) for each in body]
    names = ("qty", "notional", "filled_qty", "filled_avg_price")
    return {key: float(value) if key in names and value is not None else value for key, value in body.items()}


SPOILS = {
    "gateway_error": lambda reply: Reply(504, "<html><body><h1>504 Gateway Time-out</h1></body></html>"),
    "garbage": lambda reply: Reply(200, "<html><body>We will be back soon</body></html>"),
    "empty": lambda reply: Reply(200, ""),
    "cut_off": lambda reply: Reply(200, json.dumps(reply.body)[: len(json.dumps(reply.body)) // 2]),
    "no_route": lambda reply: Reply(404, "<html><body><h1>404 Not Found</h1></body></html>"),
    "redirect": lambda reply: Reply(301, "", (("Location", "https://127.0.0.1:1/v2/orders"),)),
    "unknown_status": lambda reply: replace(reply, body=_other_status(reply.body)),
    "numbers": lambda reply: replace(reply, body=_as_numbers(reply.body)),
}
