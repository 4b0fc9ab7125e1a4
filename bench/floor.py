"""The yardstick of bench.webhook: a bare Flask app under waitress that makes one durable SQLite commit a
POST.

    python -m bench.floor PORT FILE
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import sys
import threading

import waitress
from flask import Flask, request


def create(path: str) -> Flask:
    flask = Flask("floor")
    local = threading.local()
    with contextlib.closing(sqlite3.connect(path)) as first:
        first.execute("PRAGMA journal_mode=WAL")
        first.execute("CREATE TABLE IF NOT EXISTS alerts (id INTEGER PRIMARY KEY, body TEXT)")

    def connection() -> sqlite3.Connection:
        if not hasattr(local, "conn"):
            local.conn = sqlite3.connect(path, timeout=10, isolation_level=None)
            local.conn.execute("PRAGMA synchronous=FULL")
        return local.conn

    @flask.post("/webhook")
    def receive() -> tuple[dict[str, str], int]:
        connection().execute("INSERT INTO alerts (body) VALUES (?)", (request.get_data(as_text=True),))
        return {"status": "accepted"}, 202

    @flask.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return flask


if __name__ == "__main__":
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    waitress.serve(
        create(sys.argv[2]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        threads=16,
        connection_limit=1000,
        _quiet=True,
    )
