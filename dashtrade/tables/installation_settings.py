"""Installation-wide settings, changed by superadmins (`system_settings`)."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dashtrade.tables.base import is_postgres, metadata, text_column

system_settings = sa.Table(
    "system_settings", metadata, sa.Column("name", sa.Text, primary_key=True), text_column("value")
)

# the setting, and its value while a second factor is required of everybody
SECOND_FACTOR, REQUIRED = "second_factor", "required"


SYSTEM = {"drop_setting", "put_setting", "setting", "settings_below"}


def setting(conn: sa.Connection, name: str) -> str | None:
    return conn.scalar(sa.select(system_settings.c.value).where(system_settings.c.name == name))


def settings_below(conn: sa.Connection, prefix: str) -> dict[str, str]:
    """Every setting whose name begins so."""
    found = sa.select(system_settings).where(system_settings.c.name.startswith(prefix, autoescape=True))
    return {row.name: row.value for row in conn.execute(found.order_by(system_settings.c.name))}


def put_setting(conn: sa.Connection, name: str, value: str) -> None:
    insert = postgresql.insert if is_postgres(conn) else sqlite.insert
    row = insert(system_settings).values(name=name, value=value)
    conn.execute(row.on_conflict_do_update(index_elements=[system_settings.c.name], set_={"value": value}))


def drop_setting(conn: sa.Connection, name: str) -> bool:
    return conn.execute(sa.delete(system_settings).where(system_settings.c.name == name)).rowcount == 1
