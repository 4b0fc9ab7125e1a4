"""The worker's job: send due deliveries through their channels.

A delivery is sent before it is recorded. If the process ends in between, its claim expires and the
delivery is sent again with the same key."""

from __future__ import annotations

import logging

from dashtrade.context import App
from dashtrade.domain.channels import CHANNELS, Undelivered
from dashtrade.tables import deliveries as table
from dashtrade.tables import messages as message_table
from dashtrade.tables import people as people_table

log = logging.getLogger("dashtrade.deliveries")
MAX_CLAIMS = 20


def deliver_due(app: App) -> int:
    """Returns the number of attempts."""
    if not CHANNELS:
        return 0
    now, channels = app.clock.now(), tuple(CHANNELS)
    claims = app.db.write(lambda conn: table.claim_due(conn, channels, now=now, limit=MAX_CLAIMS))
    for claim in claims:
        _deliver(app, claim)
    return len(claims)


def _deliver(app: App, claim: table.Claim) -> None:
    error = _error_of(app, claim)
    now = app.clock.now()
    if error is None:
        app.db.write(lambda conn: table.mark_sent(conn, claim, now=now))
    else:
        log.warning("delivery %s by %s, try %s: %s", claim.id, claim.channel, claim.tries, error)
        app.db.write(lambda conn: table.mark_failed(conn, claim, error, now=now))


def _error_of(app: App, claim: table.Claim) -> str | None:
    """Send the delivery and return the error; None on success."""
    with app.db.read() as conn:
        user = people_table.by_id(conn, claim.user_id)
        message = message_table.get(conn, claim.user_id, claim.message_id)
    if user is None or message is None:
        return "the message or its user is gone"
    try:
        CHANNELS[claim.channel].send(user, message, message.words(user.zone), key=f"delivery-{claim.id}")
    except Undelivered as error:
        return str(error)
    except Exception as error:  # a bug in one channel must not hold up the others
        log.exception("delivery %s by %s", claim.id, claim.channel)
        return f"unexpected error ({type(error).__name__})"
    return None
