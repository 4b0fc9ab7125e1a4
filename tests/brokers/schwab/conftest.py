"""A simulated Schwab with an adapter on it."""

from __future__ import annotations

import pytest

from tests.support.schwab_harness import new_harness


@pytest.fixture
def harness():
    with new_harness() as one:
        yield one
