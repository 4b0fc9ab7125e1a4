"""The title and text of every kind of notice, made only here."""

from __future__ import annotations

from datetime import tzinfo

# imported to register their words
from dashtrade.domain.notices import wording_base, wording_people, wording_trading  # noqa: F401
from dashtrade.domain.notices.base import Notice
from dashtrade.domain.notices.wording_base import Words
from dashtrade.domain.wording import in_zone


def words(notice: Notice, zone: tzinfo) -> Words:
    """With times in the reader's zone."""
    return wording_base.words(in_zone(notice, zone))
