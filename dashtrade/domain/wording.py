"""The sentences of reasons: the one place that makes them, when somebody reads.

Each begins small and ends without a full stop, as it stands in lists, stories and within other sentences;
pages begin it with a capital. The texts themselves stand in `reason_words.py`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from dashtrade.domain.reason_words import WORDS
from dashtrade.domain.reasons import Fact, Reason
from dashtrade.domain.values import iso, plain


def words(given: Reason) -> str:
    made = WORDS[given.code]
    facts = {name: _as_text(fact) for name, fact in given.facts.items()}
    return made.format_map(facts) if isinstance(made, str) else made(facts)


def sentence(given: Reason) -> str:
    """On its own: with a capital and a full stop."""
    text = words(given)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}" if text else ""


def _as_text(fact: Fact) -> Any:
    match fact:
        case Decimal():
            return plain(fact)
        case datetime():
            return iso(fact)
        case Reason():
            return words(fact)
        case tuple():
            return "; ".join(words(one) for one in fact)
    return fact
