"""An alert sent once more on paper: a signal of its own, never anything on a live account."""

from __future__ import annotations

import pytest

from dashtrade.context import App
from dashtrade.services.bots import bots as bot_service
from dashtrade.services.bots.bots import NotFound, Refusal
from dashtrade.services.trading import replay
from tests.support.installation import Installation, Trader


def story_after_work(trader: Trader, signal_id: str) -> dict:
    trader.installation.work()
    return trader.story(signal_id)


@pytest.mark.parametrize(
    "body",
    [
        {"action": "buy", "symbol": "AAPL", "timeframe": "15", "id": "one", "quantity": "3"},
        "BUY 3 AAPL",
        {
            "ticker": "AAPL",
            "action": "buy",
            "quantity": "3",
            "time": "2026-01-05T10:00:00Z",
            "signalPrice": "100",
        },
    ],
)
def test_the_same_message_in_any_dialect_comes_to_the_same_order_on_the_chosen_bot(
    trader: Trader, app: App, body: object
):
    first, other = trader.bot("AAPL", size_override=True), trader.bot("AAPL", "1 Hour", size_override=True)
    body = {**body, "bot": str(first)} if isinstance(body, dict) else f"{body} 15 Min"
    signal = trader.alert(body).json["signal_id"]
    trader.installation.work()
    answer = replay.on_paper(app, trader.user, signal, bot_id=other, request_id="r1")
    again = story_after_work(trader, answer.signal_id)
    assert answer.signal_id != signal and again["status"] == "filled", again["reason"]
    assert (trader.holds(first), trader.holds(other)) == (3, 3)
    assert (again["origin"], again["sender"]) == ("replay", f"replay of {signal}")


def test_pressed_twice_it_is_one_signal(trader: Trader, app: App):
    bot = trader.bot("AAPL")
    signal = trader.send(action="close", symbol="AAPL")
    one, two = (replay.on_paper(app, trader.user, signal, bot_id=bot, request_id="same") for _ in range(2))
    assert one.signal_id == two.signal_id and two.duplicate


def test_a_bot_of_a_live_account_is_never_offered_nor_taken(trader: Trader, app: App):
    bot = trader.bot("AAPL")
    signal = trader.send(action="buy", symbol="AAPL")
    from dashtrade.tables import accounts

    app.db.write(lambda conn: accounts.change(conn, trader.user.id, trader.paper, mode="live"))
    assert replay.bots_for(app, trader.user, signal) == []
    with pytest.raises(Refusal, match="not on paper"):
        replay.on_paper(app, trader.user, signal, bot_id=bot, request_id="r1")


def test_what_is_anothers_is_not_there(installation: Installation, trader: Trader, app: App):
    other_trader = installation.join("bob@example.com")
    trader.bot("AAPL")
    theirs = other_trader.bot("AAPL")
    signal = trader.send(action="buy", symbol="AAPL")
    with pytest.raises(NotFound):
        replay.on_paper(app, other_trader.user, signal, bot_id=theirs, request_id="r1")
    with pytest.raises(NotFound):
        replay.on_paper(app, trader.user, signal, bot_id=theirs, request_id="r1")


def test_a_message_that_is_forgotten_cannot_be_replayed(trader: Trader, app: App):
    bot = trader.bot("AAPL")
    signal = trader.alert("nonsense").json
    with app.db.read() as conn:
        from dashtrade.tables import signals

        row = signals.list_page(conn, trader.user.id, before=None, limit=1)[0]
    assert row.symbol is None, signal
    with pytest.raises(Refusal, match="could not be read"):
        replay.on_paper(app, trader.user, row.id, bot_id=bot, request_id="r1")


def test_a_part_of_a_position_is_closed_by_its_share(trader: Trader, app: App):
    bot = trader.bot("AAPL", position_size="8", position_size_type="quantity")
    trader.trades("buy")
    for _ in range(2):
        bot_service.close_bot(app, trader.user, bot, request_id="asked-once", part="25%")
    trader.installation.work()
    assert trader.holds(bot) == 6
