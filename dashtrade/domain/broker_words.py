"""The texts of what happens before an order and of what a broker lacks, as `reason_words.WORDS` has them for
all codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dashtrade.domain.reasons import Code as C

Facts = Mapping[str, Any]


def _rules_assumed(f: Facts) -> str:
    steps = "its finest steps" if f["fractions"] else "whole shares"
    return f"{f['broker']}'s server has no asset data: {steps} are assumed"


def _sign_in_expires(f: Facts) -> str:
    hours = int(f["hours"])
    when = f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours >= 2 else "less than 2 hours"
    return (
        f"the sign-in at {f['broker']} expires in {when}; afterwards orders there are not sent. {_again(f)}"
    )


def _sign_in_expired(f: Facts) -> str:
    return f"the sign-in at {f['broker']} has expired: orders there are not sent. {_again(f)}"


def _again(f: Facts) -> str:
    return f"Sign in at {f['broker']} again under Setup; this is required every {f['days']} days"


BROKER_WORDS: dict[C, str | Callable[[Facts], str]] = {
    C.WAITS_AS_SET: "waits {seconds} s, as set in the {by}",
    C.CANCELS_ORDERS: "cancels {count} order(s): {because}",
    C.RULES_ASSUMED: _rules_assumed,
    C.LAST_PRICE_USED: "no quote is available: the last price is used",
    C.LAST_KNOWN_PRICE_USED: "no price is available: the last known price, as of {last}, is used",
    C.VALUATION_USED: "no price is available: the broker's valuation of the position is used",
    C.SIGN_IN_EXPIRES: _sign_in_expires,
    C.SIGN_IN_EXPIRED: _sign_in_expired,
}
