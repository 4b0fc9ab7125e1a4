"""Protections and their locks; what a bot does at a closed market."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0005_protections"
down_revision = "0004_exits"


def upgrade() -> None:
    op.create_table(
        "protections",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", base.BigId, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("settings", base.Json(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("updated_at", base.UtcTime(), nullable=False),
        sa.Column("deleted_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_protections_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protections")),
    )
    op.create_index(op.f("ix_protections_user_id"), "protections", ["user_id"], unique=False)
    op.create_table(
        "protection_locks",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("protection_id", base.BigId, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("scope_id", base.BigId, nullable=False),
        sa.Column("symbol", base.Instrument(), nullable=True),
        sa.Column("bot_id", base.BigId, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("numbers", base.Json(), nullable=False),
        sa.Column("since", base.UtcTime(), nullable=False),
        sa.Column("until", base.UtcTime(), nullable=True),
        sa.Column("unlocked_at", base.UtcTime(), nullable=True),
        sa.Column("unlocked_by", base.BigId, nullable=True),
        sa.ForeignKeyConstraint(
            ["protection_id"], ["protections.id"], name=op.f("fk_protection_locks_protection_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_protection_locks_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_protection_locks")),
    )
    op.create_index(
        op.f("ix_protection_locks_protection_id"), "protection_locks", ["protection_id"], unique=False
    )
    op.create_index("ix_protection_locks_user", "protection_locks", ["user_id", "id"], unique=False)
    op.create_index(
        "ix_protection_locks_standing",
        "protection_locks",
        ["user_id", "until"],
        unique=False,
        sqlite_where=sa.text("unlocked_at IS NULL"),
        postgresql_where=sa.text("unlocked_at IS NULL"),
    )
    op.add_column(
        "user_bot_configs", sa.Column("when_closed", sa.Text(), nullable=False, server_default="refuse")
    )
