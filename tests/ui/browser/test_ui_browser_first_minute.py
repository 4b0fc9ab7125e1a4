"""The first minute of a new user, in a real browser: from the first steps to a fill."""

from __future__ import annotations

from typing import Any

import pytest

from dashtrade.context import App
from dashtrade.services.people import users
from dashtrade.tables import people as people_table
from tests.support.browser import PASSWORD, RunningDashTrade, alert, press, sign_in, wait_for_text

# --- the first minute ---------------------------------------------------------------------------------------


# What the page says of itself as each message leaves it. The order on the wire proves less: the server may
# begin a run in the very moment in which a part asks to be renewed.
STATES_AT_SENDING = """
  window.statesAtSending = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const state = document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState ?? '';
    if (this.url.includes('_stcore/stream')) window.statesAtSending.push(state);
    return send.call(this, data);
  };
"""


@pytest.fixture
def newcomer(home: RunningDashTrade, door: App, browser: Any) -> Any:
    """The tab of somebody who has just made an account, what goes over its wire, and how to send them an
    alert."""
    user_id = users.add_user(door, email="new@example.com", name="New", password=PASSWORD)
    with door.db.read() as conn:
        user = people_table.by_id(conn, user_id)
    assert user is not None
    tab = browser.new_context(viewport={"width": 1300, "height": 900}).new_page()
    tab.add_init_script(STATES_AT_SENDING)
    wire: list[str] = []
    tab.on("pageerror", lambda error: wire.append(f"page error: {error}"))
    tab.on("websocket", lambda socket: _record(socket, wire))
    sign_in(tab, home, "new@example.com")
    return tab, wire, user


def _record(socket: Any, wire: list[str]) -> None:
    from streamlit.proto.BackMsg_pb2 import BackMsg

    def went(frame: Any) -> None:
        message = BackMsg.FromString(frame if isinstance(frame, bytes) else frame.encode())
        widgets = message.rerun_script.widget_states.widgets
        pulses = any(
            "pulse_" in one.id and one.WhichOneof("value") == "json_trigger_value" for one in widgets
        )
        wire.append("renewed" if pulses else "other")

    if "_stcore/stream" in socket.url:
        socket.on("framesent", went)


def test_from_the_first_steps_to_the_form_and_to_the_first_fill_without_a_reload(
    home: RunningDashTrade, door: App, newcomer: Any
):
    """Each step shows as it is taken. And no part is renewed while its page is run: Streamlit's browser side
    took the ends of the two for one, and closed the form that "Create bot" had opened, or broke."""
    tab, wire, user = newcomer
    press(tab, "Open a paper account")
    wait_for_text(tab, "$100,000.00")
    press(tab, "Create bot")
    tab.get_by_label("Symbol").fill("BTCUSD")
    tab.wait_for_timeout(2500)  # as long as the next renewal may take
    assert tab.get_by_label("Symbol").input_value() == "BTCUSD"
    press(tab.get_by_role("dialog"), "Create bot")
    wait_for_text(tab, "BTC/USD 15 Min")
    tab.get_by_role("link", name="Overview").click()
    wait_for_text(tab, "Get started")
    alert(door, user, "buy", "BTCUSD")
    wait_for_text(tab, "Your first trade is complete")
    wait_for_text(tab, "ms after the alert came in")
    press(tab, "See each step")
    tab.get_by_role("heading", name="Signals", level=1).wait_for()
    # of one page: had it been loaded again, they would be fewer
    states = tab.evaluate("window.statesAtSending")
    sent = [event for event in wire if event in ("renewed", "other")][: len(states)]
    assert sent == wire[: len(states)], "no page error"
    assert len(wire) - len(states) in (0, 1), "one more may have left since"
    assert "renewed" in sent, "this is what it is about"
    assert {state for event, state in zip(sent, states, strict=True) if event == "renewed"} == {"notRunning"}
