"""A user, as the layers above the database use it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from dashtrade.domain.access import Role
from dashtrade.domain.record import record


@record
class User:
    id: int
    email: str
    name: str
    role: Role
    is_active: bool
    time_zone: str
    tradingview_only: bool
    body_secret_hash: str | None
    max_alert_age: int | None
    created_at: datetime
    last_login_at: datetime | None
    second_factor: bool = False
    second_factor_due: bool = False  # the installation requires a second factor, and this user has none yet
    demo_until: datetime | None = None
    scope: str | None = None  # the scope of figures they chose last
    viewer: str = ""  # the admin who views this user's pages read-only

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of times in messages outside a browser."""
        return ZoneInfo(self.time_zone)
