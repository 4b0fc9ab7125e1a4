"""Signing in at Schwab, which only a person can do, every seven days: where to go, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashtrade.app import App


def address(app: App, *, key: str, callback: str) -> str:
    from dashtrade.brokers.schwab_auth import authorize_url

    return authorize_url(key.strip(), callback.strip(), url=app.settings.broker_urls.get("SCHWAB_URL"))


def token(app: App, *, key: str, secret: str, callback: str, pasted: str) -> str:
    """The token for the address that Schwab sent the person back to. Raises Malformed, BadCredentials or Unavailable."""
    from dashtrade.brokers.schwab_auth import exchange_code

    url = app.settings.broker_urls.get("SCHWAB_URL")
    return exchange_code(key.strip(), secret.strip(), callback.strip(), pasted, url=url, clock=app.clock)
