"""The audit log's actions: their names are stored, so they stay."""

from __future__ import annotations

import hashlib

from dashtrade.domain.audit import AuditAction, label_of

NAMES = "0897bdcec60545f3"  # of all names; a new action changes it, a renamed one would orphan stored entries
COUNT = 74


def test_a_stored_name_stays():
    names = sorted(AuditAction)
    assert len(names) == COUNT, "an action was added or removed: are the others as they were?"
    assert hashlib.sha256("|".join(names).encode()).hexdigest()[:16] == NAMES


def test_pages_say_it_in_their_own_words():
    assert label_of(AuditAction.SECOND_FACTOR_SWITCHED_ON) == "two-factor authentication switched on"
    assert label_of(AuditAction.BOT_PAUSED) == "bot paused"
    assert label_of("of an older version") == "of an older version"
