"""Log lines: one per change of state, with the ids that lead on; what proves who somebody is never stands in them."""

from __future__ import annotations

import logging
import sys

from dashtrade.redaction import redacted

class Redacting(logging.Formatter):
    """The last gate: whatever a line or a traceback holds, tokens and keys leave it."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def set_up(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting("%(asctime)s.%(msecs)03d %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("apscheduler", "alembic", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every queued request
