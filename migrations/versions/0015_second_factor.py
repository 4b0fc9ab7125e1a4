"""An account with real money is confirmed with a second factor, or its owner declines one. Those confirmed
before trade on, and their owners are told what they may do."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0015_second_factor"
down_revision = "0014_stored_bytes"

TITLE = "Real money asks for a second factor now"
TEXT = (
    "Your live accounts trade on as before. Set up two-factor sign-in on the Account page, so that a "
    "password alone does not open them; or say under Setup, at each account, that you go on without it."
)


def upgrade() -> None:
    op.add_column("user_api_keys", sa.Column("second_factor_declined_at", base.UtcTime(), nullable=True))
    accounts = sa.table(
        "user_api_keys", *map(sa.column, ("user_id", "mode", "acknowledged_at", "deleted_at"))
    )
    users = sa.table("users", *map(sa.column, ("id", "totp_secret", "removed_at")))
    outbox = sa.table("outbox", *map(sa.column, ("user_id", "created_at", "level", "title", "text")))
    a = accounts.c
    live = sa.select(a.user_id).where(
        a.mode == "live", a.acknowledged_at.is_not(None), a.deleted_at.is_(None)
    )
    now = sa.literal(datetime.now(UTC), base.UtcTime)
    said = sa.select(
        users.c.id, now, sa.literal("warning", sa.Text), sa.literal(TITLE, sa.Text), sa.literal(TEXT, sa.Text)
    )
    said = said.where(users.c.id.in_(live), users.c.totp_secret.is_(None), users.c.removed_at.is_(None))
    op.execute(outbox.insert().from_select(["user_id", "created_at", "level", "title", "text"], said))
