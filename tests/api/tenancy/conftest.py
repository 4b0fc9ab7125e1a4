"""The town whose people must not find each other's things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.two_tenants import BOTH, TwoTenants, create_two_tenants, open_installation


@pytest.fixture(scope="module", params=BOTH)
def tenants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoTenants]:
    """For tests that leave everything as it is."""
    for installation in open_installation(request, tmp_path_factory.mktemp("town")):
        yield create_two_tenants(installation)


@pytest.fixture(params=BOTH)
def fresh_tenants(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TwoTenants]:
    for installation in open_installation(request, tmp_path):
        yield create_two_tenants(installation)
