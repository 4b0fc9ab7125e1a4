"""What each broker said last of its account, read by the worker for everybody."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0012_account_readings"
down_revision = "0011_scope"


def upgrade() -> None:
    op.create_table(
        "account_readings",
        sa.Column("account_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("read_at", base.UtcTime(), nullable=True),
        sa.Column("money", base.Json(), nullable=True),
        sa.Column("positions", base.Json(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("failing_since", base.UtcTime(), nullable=True),
        sa.Column("tries", base.BigId, nullable=False),
        sa.Column("changed_at", base.UtcTime(), nullable=False),
        sa.Column("wanted_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["user_api_keys.id"], name=op.f("fk_account_readings_account_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_readings_user_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_account_readings")),
    )
    op.create_index(op.f("ix_account_readings_user_id"), "account_readings", ["user_id"], unique=False)
