"""The texts of position mismatches, as `reason_words.WORDS` has them for all codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from dashtrade.domain.position_mismatch import MismatchKind, ratio_words
from dashtrade.domain.reasons import Code as C

Facts = Mapping[str, Any]

_GUESS = {
    MismatchKind.CLOSED: "the position was probably closed manually at the broker",
    MismatchKind.LESS: "a part was probably sold (or, if short, bought back) manually at the broker",
    MismatchKind.MORE: "more was probably traded manually at the broker",
    MismatchKind.APPEARED: (
        "the holding was probably bought manually at the broker, assigned, or transferred in"
    ),
    MismatchKind.TURNED: "the position at the broker has changed sides: a manual trade, or an assignment",
}


def _mismatch(f: Facts) -> str:
    """What differs, and what it looks like."""
    outside = f" and {f['outside']} are held outside DashTrade" if f.get("outside") else ""
    kind = MismatchKind(f["kind"])
    guess = f"probably a split {_ratio(f)}" if kind is MismatchKind.SPLIT else _GUESS[kind]
    figures = f"the broker has {f['broker']} {f['symbol']}; your bots own {f['bots']}{outside}"
    return f"{figures}. {guess[0].upper()}{guess[1:]}"


def _ratio(f: Facts) -> str:
    return ratio_words(Decimal(f["ratio"]))


def _first_comparison(f: Facts) -> str:
    why = f": {f['because']}" if f.get("because") else ", as always after a start"
    return f"waits until the account's positions are compared with the broker's{why}"


def _assigned(f: Facts) -> str:
    """Older records hold the mismatch as a text that ends with a full stop."""
    return (
        f"{f['detail'].rstrip('.')}. The user assigned the difference to this bot, at {f['price']}; "
        "nothing is sent to the broker"
    )


MISMATCH_WORDS: dict[C, str | Callable[[Facts], str]] = {
    C.POSITION_MISMATCH: _mismatch,
    C.MISMATCH_ENDED: "{because}. Since then the positions match again",
    C.DIFFERENCE_ASSIGNED: _assigned,
    C.SPLIT_APPLIED: lambda f: f"{f['symbol']} was split {_ratio(f)}",
    C.FROZEN: (
        "{symbol} is frozen: the broker has {broker}, the bots own {bots}. Resolve the difference, or "
        "unfreeze the symbol"
    ),
    C.WAITS_FOR_COMPARISON: "{text}",
    C.WAITS_FOR_FIRST_COMPARISON: _first_comparison,
    C.WAITS_FOR_RECHECK: (
        "waits a few seconds: the broker's {symbol} position is compared again, as it differs or has just "
        "traded"
    ),
}
