"""Tells an unavailable database from an invalid statement."""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc

UNAVAILABLE_ERRORS = (exc.OperationalError, exc.TimeoutError, exc.InterfaceError, sqlite3.OperationalError)


class DatabaseUnavailable(Exception):
    """The database cannot be used now: locked, full or gone. No partial change was made; the call may be
    repeated."""


def as_unavailable(error: BaseException) -> DatabaseUnavailable:
    cause = getattr(error, "orig", None) or error
    detail = str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
    return DatabaseUnavailable(f"the database cannot be used now ({detail})")


def is_bug(error: Exception) -> bool:
    """SQLite's general error means an invalid statement, not an unavailable database."""
    return getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
