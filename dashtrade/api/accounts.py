"""Broker accounts: add, test, change, remove."""

from __future__ import annotations

from typing import Any

import pydantic
from flask import Blueprint

from dashtrade.api.answers import Body
from dashtrade.api.http import endpoint, get_app
from dashtrade.domain.access import TokenScope
from dashtrade.domain.accounts import Account
from dashtrade.domain.people import User
from dashtrade.domain.values import iso
from dashtrade.domain.wording import words
from dashtrade.services.accounts import accounts as account_service
from dashtrade.services.accounts import connections, sign_in
from dashtrade.services.accounts import owned as owned_accounts

# --- accounts -----------------------------------------------------------------------------------------------


bp = Blueprint("accounts", __name__, url_prefix="/api/v1")


DECLINE = pydantic.Field(
    False,
    description="with acknowledge, for a user without two-factor authentication: true continues "
    "without it, so anyone who gets the password can trade the money. The decline is recorded, and ends "
    "once it is set up",
)


class NewAccount(Body):
    broker: str = pydantic.Field(max_length=40)
    mode: str = "paper"
    label: str = pydantic.Field("", max_length=80, pattern=r"^[^\x00-\x1f]*$")
    credentials: dict[str, str] = pydantic.Field(default_factory=dict)
    options: dict[str, Any] = pydantic.Field(default_factory=dict)
    acknowledge: str = pydantic.Field(
        "", max_length=40, description='"REAL MONEY": without this a live account does not trade yet'
    )
    decline_second_factor: bool = DECLINE


class SignInBody(Body):
    redirected_to: str = pydantic.Field("", max_length=4000)


class AccountChanges(Body):
    label: str | None = pydantic.Field(None, max_length=80, pattern=r"^[^\x00-\x1f]*$")
    credentials: dict[str, str] | None = None
    options: dict[str, Any] | None = None
    acknowledge: str | None = pydantic.Field(
        None, max_length=40, description='"REAL MONEY": a live account may trade from now on'
    )
    decline_second_factor: bool = DECLINE


def account_view(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "broker": account.broker,
        "mode": account.mode,
        "label": account.label,
        "options": account.options,
        "is_active": account.is_active,
        "disabled_reason": words(account.disabled_reason),
        "created_at": iso(account.created_at),
        "checked_at": iso(account.checked_at) if account.checked_at else None,
        "check_result": account.check_result,
        "acknowledged_at": iso(account.acknowledged_at) if account.acknowledged_at else None,
        "second_factor_declined_at": iso(account.second_factor_declined_at)
        if account.second_factor_declined_at
        else None,
        "problem": words(account.problem),
    }


@endpoint(bp, "GET", "/accounts")
def list_accounts(user: User) -> dict[str, Any]:
    """Your broker accounts. Credentials are never shown."""
    found = sorted(owned_accounts.accounts_of(get_app(), user), key=lambda account: account.id)
    return {"items": [account_view(account) for account in found], "next_cursor": None}


@endpoint(bp, "POST", "/accounts", body=NewAccount, status=201, scopes=[TokenScope.ADMIN])
def add_account(user: User, given: NewAccount) -> dict[str, Any]:
    """Add a broker account; its credentials are encrypted before they are stored."""
    app = get_app()
    account_id = account_service.add_account(
        app,
        user,
        broker=given.broker,
        mode=given.mode,
        label=given.label,
        credentials=given.credentials,
        options=given.options,
        acknowledge=given.acknowledge,
        decline_second_factor=given.decline_second_factor,
    )
    return account_view(owned_accounts.account_of(app, user, account_id))


@endpoint(bp, "GET", "/accounts/<int:account_id>")
def get_account(user: User, account_id: int) -> dict[str, Any]:
    """One broker account."""
    return account_view(owned_accounts.account_of(get_app(), user, account_id))


@endpoint(bp, "PATCH", "/accounts/<int:account_id>", body=AccountChanges, scopes=[TokenScope.ADMIN])
def change_account(user: User, given: AccountChanges, account_id: int) -> dict[str, Any]:
    """Rename an account, change its options, replace its credentials, or enable live trading."""
    account_service.change_account(get_app(), user, account_id, given.model_dump(exclude_unset=True))
    return account_view(owned_accounts.account_of(get_app(), user, account_id))


@endpoint(bp, "DELETE", "/accounts/<int:account_id>", scopes=[TokenScope.ADMIN])
def remove_account(user: User, account_id: int) -> dict[str, Any]:
    """Remove an account and its credentials; its history stays."""
    account_service.remove_account(get_app(), user, account_id)
    return {"id": account_id, "status": "removed"}


@endpoint(bp, "POST", "/accounts/<int:account_id>/test")
def test_account(user: User, account_id: int) -> dict[str, Any]:
    """Connect to the broker with the stored credentials, within ten seconds, and return its answer."""
    return connections.test(get_app(), user, account_id)


@endpoint(bp, "POST", "/accounts/<int:account_id>/renew", body=SignInBody, scopes=[TokenScope.ADMIN])
def renew_sign_in(user: User, given: SignInBody, account_id: int) -> dict[str, Any]:
    """Sign in at the broker again, where required: first get the address of the sign-in, then send the
    address that it led back to."""
    if not given.redirected_to:
        return {"id": account_id, "url": sign_in.renew_address(get_app(), user, account_id)}
    return {"id": account_id, **sign_in.renew(get_app(), user, account_id, given.redirected_to)}


@endpoint(bp, "POST", "/accounts/<int:account_id>/reset")
def reset_account(user: User, account_id: int) -> dict[str, Any]:
    """Reset the balance of a paper account; the history stays."""
    account_service.reset_paper(get_app(), user, account_id)
    return {"id": account_id, "status": "reset"}
