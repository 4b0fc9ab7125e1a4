"""Simulated crypto exchanges with an adapter on each."""

from __future__ import annotations

import pytest

from tests.support.crypto_desk import FIVE, desk


@pytest.fixture
def binance():
    with desk("binance") as made:
        yield made


@pytest.fixture(params=FIVE)
def each(request):
    with desk(request.param) as made:
        yield made
