"""Simulated crypto exchanges with an adapter on each."""

from __future__ import annotations

import pytest

from tests.support.crypto_harness import FIVE, harness


@pytest.fixture
def binance():
    with harness("binance") as made:
        yield made


@pytest.fixture(params=FIVE)
def each(request):
    with harness(request.param) as made:
        yield made
