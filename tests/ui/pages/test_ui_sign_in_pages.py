"""What opens an account, on the pages: tokens with scopes, what a new password ends, invitations and links
that are revoked."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashtrade.context import App
from dashtrade.domain.access import Role, TokenScope
from dashtrade.services.people import credentials, invitations, sessions, tokens
from dashtrade.ui.admin import people as admin_people
from dashtrade.ui.shell import runtime
from tests.support.installation import Installation
from tests.support.pages import opened, words  # noqa: F401
from tests.ui.pages.test_ui_people import PASSWORD, button, cy

OTHER = "four other long words"


@pytest.fixture(autouse=True)
def from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest has no address of a browser's."""
    monkeypatch.setattr(runtime, "address", lambda: "")


def field(tab: AppTest, label: str) -> Any:
    return next(one for one in tab.text_input if one.label == label)


def test_the_form_for_a_token_asks_for_the_password_and_offers_to_read_alone(app: App, seen_as: Any):
    seen_as(cy(app))
    tab = opened("account")
    tab.button(key="new_token").click().run()
    assert not tab.exception and not tab.error
    assert field(tab, "Your password").proto.type == field(tab, "Your password").proto.PASSWORD
    assert tab.multiselect(key="token_scopes").value == [TokenScope.READ]
    assert len(tab.multiselect(key="token_scopes").options) == len(TokenScope)


@pytest.mark.parametrize("end", [False, True])
def test_a_new_password_ends_the_tokens_that_are_ticked(app: App, seen_as: Any, end: bool):
    user = cy(app)
    named = sessions.add_api_token(
        app, user, name="report", days=9, scopes=["read"], password=PASSWORD, address=""
    )
    webhook = tokens.rotate_webhook_token(app, user)
    seen_as(user)
    tab = opened("account")
    for label, value in {
        "Current password": PASSWORD,
        "New password": OTHER,
        "Repeat the new password": OTHER,
    }.items():
        field(tab, label).set_value(value)
    for key in ("password_end_tokens", "password_rotate"):
        tab.checkbox(key=key).set_value(end)
    button(tab, "Change password").click().run()
    assert not tab.exception and not tab.error
    assert (tokens.by_access_token(app, named) is None, tokens.by_webhook_token(app, webhook) is None) == (
        end,
        end,
    )
    assert ("All API tokens are revoked" in tab.success[0].value) is end


@pytest.mark.parametrize("what", ["invitation", "link"])
def test_an_open_invitation_or_link_is_listed_and_revoked(
    app: App, installation: Installation, seen_as: Any, monkeypatch: pytest.MonkeyPatch, what: str
):
    superadmin, trader = (
        installation.join("superadmin@example.com", Role.SUPERADMIN).user,
        installation.join().user,
    )
    invitations.invite(app, superadmin, email="new@example.com", role=Role.ADMIN)
    credentials.make_link(app, superadmin, trader.id)
    shown: list[str] = []
    click = [what]

    def table(key: str, caption: str, columns: Any, rows: Any, **other: Any) -> tuple[str, str] | None:
        """A browser in which somebody clicks once."""
        if key != "handed_out_list":
            return None
        shown.extend(row.cells[0].text for row in rows)
        row = next((row for row in rows if row.id.startswith(click[0])), None) if click else None
        click.clear()
        return (row.id, "revoke") if row else None

    monkeypatch.setattr(admin_people, "table", table)
    seen_as(superadmin)
    tab = opened("admin", part="Users")
    assert not tab.exception and not tab.error
    assert shown[:2] == ["Invitation: new@example.com", "Password link: ann@example.com"]
    left = (len(invitations.open_invitations(app, superadmin)), len(credentials.open_links(app, superadmin)))
    assert left == ((0, 1) if what == "invitation" else (1, 0))
