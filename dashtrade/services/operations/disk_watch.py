"""The worker's look at the disk: the ballast is kept, and admins are told once when there is little room, and
once when there is again."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.disk import MB
from dashtrade.domain.values import iso
from dashtrade.tables import installation_settings
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table

log = logging.getLogger("dashtrade.disk")
_LOW_SINCE = "disk_low_since"  # a setting of the installation, so that a restart tells nobody again
_LOW = (
    "The disk is nearly full: entries are refused",
    "{free:,.0f} MB are free where the database is. Exits still pass, are sent and booked; everything else "
    "that comes by an alert is refused until there is room. Make room on that disk now; "
    "DASHTRADE_RETENTION_DAYS and DASHTRADE_USER_MB keep less.",
)
_WELL = (
    "There is room on the disk again",
    "{free:,.0f} MB are free where the database is, and entries are taken again.",
)


def look(app: App) -> None:
    low = app.disk.is_low()
    if not low:
        app.disk.take_ballast()
    with app.db.read() as conn:
        told = installation_settings.setting(conn, _LOW_SINCE) is not None
    if low is not told:
        _tell(app, low)


def _tell(app: App, low: bool) -> None:
    now, free = app.clock.now(), (app.disk.free() or 0) / MB
    title, text = _LOW if low else _WELL

    def work(conn: sa.Connection) -> None:
        if low:
            installation_settings.put_setting(conn, _LOW_SINCE, iso(now))
        else:
            installation_settings.drop_setting(conn, _LOW_SINCE)
        for user_id in people_table.admins(conn):
            message_table.send(
                conn,
                user_id,
                level="error" if low else "info",
                title=title,
                text=text.format(free=free),
                now=now,
            )

    app.db.write(work)
    log.warning("%s (%.0f MB free)", title, free)
