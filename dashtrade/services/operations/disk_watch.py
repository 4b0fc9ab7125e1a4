"""The worker's disk check: keeps the ballast file, and notifies admins once when space is low and once
when it is back."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from dashtrade.context import App
from dashtrade.disk import MB
from dashtrade.domain.notices.people import DiskFree, DiskLow
from dashtrade.domain.values import iso
from dashtrade.tables import installation_settings
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table

log = logging.getLogger("dashtrade.disk")
_LOW_SINCE = "disk_low_since"  # stored, so that a restart does not notify again


def check(app: App) -> None:
    low = app.disk.is_low()
    if not low:
        app.disk.take_ballast()
    with app.db.read() as conn:
        told = installation_settings.setting(conn, _LOW_SINCE) is not None
    if low is not told:
        _notify(app, low)


def _notify(app: App, low: bool) -> None:
    now, free = app.clock.now(), app.disk.free() or 0
    notice = DiskLow(free_bytes=free) if low else DiskFree(free_bytes=free)

    def work(conn: sa.Connection) -> None:
        if low:
            installation_settings.put_setting(conn, _LOW_SINCE, iso(now))
        else:
            installation_settings.drop_setting(conn, _LOW_SINCE)
        for user_id in people_table.admins(conn):
            message_table.notify(conn, user_id, notice, now=now)

    app.db.write(work)
    log.warning("%s: %.0f MB free", "the disk is nearly full" if low else "the disk has room", free / MB)
