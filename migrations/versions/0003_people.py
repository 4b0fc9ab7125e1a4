"""People: the second factor, links that reset a password, demo accounts, removal, and an admin's view of
another's pages."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0003_people"
down_revision = "0002_reconcile"


def upgrade() -> None:
    op.add_column("users", sa.Column("totp_secret", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("totp_step", base.BigId, nullable=True))
    op.add_column("users", sa.Column("demo_until", base.UtcTime(), nullable=True))
    op.add_column("users", sa.Column("demo_address", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("removed_at", base.UtcTime(), nullable=True))
    op.create_index(
        "ix_users_demo",
        "users",
        ["demo_until"],
        unique=False,
        sqlite_where=sa.text("demo_until IS NOT NULL"),
        postgresql_where=sa.text("demo_until IS NOT NULL"),
    )
    op.add_column("sessions", sa.Column("viewing", base.BigId, nullable=True))
    op.create_table(
        "recovery_codes",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("used_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    op.create_index(op.f("ix_recovery_codes_user_id"), "recovery_codes", ["user_id"], unique=False)
    op.create_table(
        "reset_links",
        sa.Column("id", base.BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("made_by", base.BigId, nullable=False),
        sa.Column("created_at", base.UtcTime(), nullable=False),
        sa.Column("expires_at", base.UtcTime(), nullable=False),
        sa.Column("used_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reset_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reset_links")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_reset_links_code_hash")),
    )
    op.create_index(op.f("ix_reset_links_user_id"), "reset_links", ["user_id"], unique=False)
