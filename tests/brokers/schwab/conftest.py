"""A simulated Schwab with an adapter on it."""

from __future__ import annotations

import pytest

from tests.support.schwab_harness import made


@pytest.fixture
def harness():
    with made() as one:
        yield one
