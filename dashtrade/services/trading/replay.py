"""Replay of a signal on a paper bot: its outcome now, without risk."""

from __future__ import annotations

from dataclasses import replace

from bot_engine import IntakeResult
from dashtrade.context import App
from dashtrade.domain.bots import Bot
from dashtrade.domain.people import User
from dashtrade.domain.signals import Origin
from dashtrade.engine.stored_books import signal_of
from dashtrade.services.bots.bots import NotFound, Refusal, bot_of
from dashtrade.services.operations import quotas
from dashtrade.tables import accounts as account_table
from dashtrade.tables import bots as bot_table
from dashtrade.tables import signals as signal_table


def bots_for(app: App, user: User, signal_id: str) -> list[Bot]:
    """Bots on paper accounts that trade the signal's symbol."""
    with app.db.read() as conn:
        row = signal_table.get(conn, user.id, signal_id)
        if row is None:
            raise NotFound("signal")
        if row.symbol is None:
            return []
        paper = {
            account.id
            for account in account_table.list_all(conn, user.id)
            if account.mode == "paper" and account.is_active
        }
        found = [
            bot_table.get(conn, user.id, heard.id)
            for heard in bot_table.listening_on(conn, user.id, row.symbol)
            if heard.account_id in paper
        ]
    return [bot for bot in found if bot is not None]


def on_paper(app: App, user: User, signal_id: str, *, bot_id: int, request_id: str) -> IntakeResult:
    """An ordinary new signal; two clicks on one form are one signal."""
    with app.db.read() as conn:
        row = signal_table.get(conn, user.id, signal_id)
        stored = signal_table.stored(conn, signal_id) if row is not None else None
    if row is None or stored is None:
        raise NotFound("signal")
    if row.symbol is None or not (stored.reading or stored.raw):
        raise Refusal(
            "the raw message is no longer stored, or could not be read", "Send the alert itself again."
        )
    if bot_id not in {bot.id for bot in bots_for(app, user, signal_id)}:
        bot_of(app, user, bot_id)
        raise Refusal(
            "the bot trades something else, or not on paper",
            "Choose a bot of a paper account that trades the alert's symbol.",
        )
    # for the chosen bot; the original time and expiry are dropped
    signal = replace(
        signal_of(stored),
        bot=str(bot_id),
        timeframe=None,
        key=f"replay-{signal_id[:16]}-{request_id}",
        sent_at=None,
        max_age=None,
    )
    return quotas.accept_alert(app, user, signal, origin=Origin.REPLAY, sender=f"replay of {signal_id}")
