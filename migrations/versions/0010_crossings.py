"""What bots of one account settled among themselves, and an index for deleted bots that are not flat yet."""

import sqlalchemy as sa
from alembic import op

revision = "0010_crossings"
down_revision = "0009_round_trips"


def upgrade() -> None:
    op.add_column("orders", sa.Column("crossed_with", sa.Text(), nullable=True))
    op.add_column("bot_trades", sa.Column("crossed", sa.Boolean(), nullable=False, server_default=sa.false()))
    left = sa.text("deleted_at IS NOT NULL AND status != 'READY'")
    op.create_index(
        "ix_user_bot_configs_left",
        "user_bot_configs",
        ["account_id", "symbol"],
        sqlite_where=left,
        postgresql_where=left,
    )
