"""What the tests of the REST API share."""

from __future__ import annotations

import pytest

from dashtrade.services.people import passwords


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real number of rounds is checked once, by a test of passwords."""
    monkeypatch.setattr(passwords, "_ROUNDS", 4)
    monkeypatch.setattr(passwords, "NOBODY", passwords.hashed("nobody"))
