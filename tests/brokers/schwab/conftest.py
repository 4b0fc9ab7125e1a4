"""A simulated Schwab with an adapter on it."""

from __future__ import annotations

import pytest

from tests.support.schwab_desk import made


@pytest.fixture
def desk():
    with made() as one:
        yield one
