"""Whose figures a user looks at is remembered: those of real money, of paper money, or of one account."""

import sqlalchemy as sa
from alembic import op

revision = "0011_scope"
down_revision = "0010_crossings"


def upgrade() -> None:
    op.add_column("users", sa.Column("scope", sa.Text(), nullable=True))
