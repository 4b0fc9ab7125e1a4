"""The town whose people must not find each other's things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.town import BOTH, Town, houses, settle


@pytest.fixture(scope="module", params=BOTH)
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """For tests that leave everything as it is."""
    for installation in houses(request, tmp_path_factory.mktemp("town")):
        yield settle(installation)


@pytest.fixture(params=BOTH)
def fresh_town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    for installation in houses(request, tmp_path):
        yield settle(installation)
