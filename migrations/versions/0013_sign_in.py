"""Attempts to sign in are counted here, devices are known, wrong codes in a row are counted, and API tokens
have scopes."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0013_sign_in"
down_revision = "0012_account_readings"


def upgrade() -> None:
    op.create_table(
        "sign_in_attempts",
        sa.Column("key_digest", sa.Text(), nullable=False),
        sa.Column("failed", base.BigId, nullable=False),
        sa.Column("locked_until", base.UtcTime(), nullable=True),
        sa.Column("forget_at", base.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_sign_in_attempts")),
    )
    op.create_table(
        "known_devices",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("user_id", base.BigId, nullable=False),
        sa.Column("seen_at", base.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_known_devices_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_known_devices")),
    )
    op.create_index(op.f("ix_known_devices_user_id"), "known_devices", ["user_id"])
    op.add_column("users", sa.Column("wrong_codes", base.BigId, nullable=False, server_default="0"))
    op.add_column(
        "api_tokens", sa.Column("scopes", sa.Text(), nullable=False, server_default="read trade stop admin")
    )
    op.add_column("audit_log", sa.Column("collapse_key", sa.Text(), nullable=True))
    op.create_index(op.f("ix_audit_log_collapse_key"), "audit_log", ["collapse_key"])
