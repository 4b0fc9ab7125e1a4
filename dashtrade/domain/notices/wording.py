"""The words of every kind of notice: the one place that makes them."""

from __future__ import annotations

# imported to register their words
from dashtrade.domain.notices import wording_people, wording_trading  # noqa: F401
from dashtrade.domain.notices.wording_base import Words, words

__all__ = ["Words", "words"]
