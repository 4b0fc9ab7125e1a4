"""Installations on which a second factor may be required."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.domain.access import Role
from dashtrade.services.people import tokens, users
from tests.support.fakes import ManualClock
from tests.support.installation import Installation, ScriptedBroker, Trader
from tests.support.second_factor import PASSWORD


@pytest.fixture
def app(make_app: Any, clock: ManualClock, feed: Any) -> App:
    """With a broker that has live accounts."""
    kinds = {name: replace(kind, modes=("paper", "live")) for name, kind in ScriptedBroker().kind().items()}
    return make_app(clock=clock, feed=feed, brokers=kinds)


@pytest.fixture
def superadmin(installation: Installation) -> Trader:
    return installation.join("superadmin@example.com", Role.SUPERADMIN)


@pytest.fixture
def trader(installation: Installation) -> Trader:
    """With a password, and the token of a sign-in over REST."""
    made = installation.join()
    user_id = users.add_user(installation.app, email="annie@example.com", name="Annie", password=PASSWORD)
    signed_in = users.sign_in(installation.app, user_id)
    return replace(
        made,
        user=signed_in.user,
        access=signed_in.access_token,
        token=tokens.rotate_webhook_token(installation.app, signed_in.user),
    )
