"""A user, as everything above the database knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dashtrade.domain.access import Role


@dataclass(frozen=True, slots=True, kw_only=True)
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
    second_factor_due: bool = False  # the installation requires one of everybody, and this user has none yet
    demo_until: datetime | None = None
    scope: str | None = None  # whose figures they chose to see last
    viewer: str = ""  # the admin who looks at this user's pages, and may not act on them

    @property
    def zone(self) -> ZoneInfo:
        """In which moments are told to them outside of a browser."""
        return ZoneInfo(self.time_zone)
