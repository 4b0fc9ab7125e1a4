"""The highest nonce used under each exchange key."""

import sqlalchemy as sa
from alembic import op

revision = "0008_nonces"
down_revision = "0007_real_money"


def upgrade() -> None:
    op.create_table(
        "nonces",
        sa.Column("key_digest", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_nonces")),
    )
