"""A database that cannot be used now, told apart from a statement that cannot be."""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc

AWAY = (exc.OperationalError, exc.TimeoutError, exc.InterfaceError, sqlite3.OperationalError)


class DatabaseUnavailable(Exception):
    """The database cannot be used now: locked, full or gone. Nothing was half done; the same call may be made
    again."""


def away(error: BaseException) -> DatabaseUnavailable:
    cause = getattr(error, "orig", None) or error
    detail = str(cause).splitlines()[0][:200] if str(cause) else type(cause).__name__
    return DatabaseUnavailable(f"the database cannot be used now ({detail})")


def is_bug(error: Exception) -> bool:
    """SQLite's general error is a statement that cannot be, not a database that is away."""
    return getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
