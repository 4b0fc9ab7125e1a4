"""What is stored of each user's alerts is counted; for those who are there, what they have."""

import sqlalchemy as sa
from alembic import op

from dashtrade.tables import base

revision = "0014_stored_bytes"
down_revision = "0013_sign_in"


def upgrade() -> None:
    op.create_table(
        "stored_bytes",
        sa.Column("user_id", base.BigId, autoincrement=False, nullable=False),
        sa.Column("bytes", base.BigId, nullable=False),
        sa.Column("forgotten_to", sa.Text(), nullable=False),
        sa.Column("told_at", base.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stored_bytes_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_stored_bytes")),
    )
    size = "octet_length(raw)" if op.get_bind().dialect.name == "postgresql" else "length(CAST(raw AS BLOB))"
    op.execute(
        "INSERT INTO stored_bytes (user_id, bytes, forgotten_to) SELECT s.user_id, s.texts + 3000 * "
        f"COALESCE(d.made, 0), '' FROM (SELECT user_id, SUM(500 + COALESCE({size}, 0)) AS texts FROM "
        "signals GROUP BY user_id) s LEFT JOIN (SELECT user_id, COUNT(*) AS made FROM decisions GROUP BY "
        "user_id) d ON d.user_id = s.user_id"
    )
