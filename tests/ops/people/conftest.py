"""A superadmin, for tests of users and what may be done to them."""

from __future__ import annotations

import pytest

from dashtrade.domain.access import Role
from dashtrade.domain.people import User
from tests.support.installation import Installation


@pytest.fixture
def superadmin(installation: Installation) -> User:
    return installation.join("superadmin@example.com", Role.SUPERADMIN).user
