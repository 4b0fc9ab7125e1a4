"""Notices of broker accounts, of the user's own account, and of the installation."""

from __future__ import annotations

from dataclasses import dataclass

from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.reasons import Reason

# --- broker accounts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeyRefused(Notice):
    kind, level, page = "key_refused", Level.ERROR, Page.SETUP
    account: str
    reason: Reason
    paused_bots: int


@dataclass(frozen=True)
class BrokerUnreachable(Notice):
    """`compared`: whether the account's positions were read since the worker's start; until then nothing new
    is sent."""

    kind, level, page = "broker_unreachable", Level.ERROR, Page.SETUP
    account: str
    problem: Reason
    compared: bool


@dataclass(frozen=True)
class BrokerAnswers(Notice):
    kind, level, page = "broker_answers", Level.INFO, Page.SETUP
    account: str


@dataclass(frozen=True)
class SignInDue(Notice):
    kind, level, page = "sign_in_due", Level.WARNING, Page.SETUP
    account: str
    broker: str
    detail: Reason


# --- the user's own account ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class DemoStarted(Notice):
    kind, level, page = "demo_started", Level.INFO, Page.SETUP
    bots: int


@dataclass(frozen=True)
class PasswordLinkCreated(Notice):
    """`by`: the admin's email; None: the command line."""

    kind, level, page = "password_link_created", Level.WARNING, Page.ACCOUNT
    by: str | None


@dataclass(frozen=True)
class PasswordChanged(Notice):
    kind, level, page = "password_changed", Level.INFO, Page.ACCOUNT


@dataclass(frozen=True)
class PasswordChangedTokensValid(Notice):
    """API tokens by name, and the webhook token, that may have been created with the old password."""

    kind, level, page = "password_changed_tokens_valid", Level.WARNING, Page.ACCOUNT
    api_tokens: tuple[str, ...]
    webhook_token: bool


@dataclass(frozen=True)
class RoleChanged(Notice):
    kind, level, page = "role_changed", Level.WARNING, Page.ACCOUNT
    before: str
    after: str
    by: str


@dataclass(frozen=True)
class AccountReactivated(Notice):
    kind, level, page = "account_reactivated", Level.WARNING, Page.SETUP


@dataclass(frozen=True)
class SecondFactorRemoved(Notice):
    """`by` as in PasswordLinkCreated."""

    kind, level, page = "second_factor_removed", Level.WARNING, Page.ACCOUNT
    by: str | None


@dataclass(frozen=True)
class RecoveryCodeUsed(Notice):
    kind, level, page = "recovery_code_used", Level.WARNING, Page.ACCOUNT
    left: int


@dataclass(frozen=True)
class WrongCodes(Notice):
    """The password was right."""

    kind, level, page = "wrong_codes", Level.ERROR, Page.ACCOUNT


@dataclass(frozen=True)
class SecondFactorRequired(Notice):
    """To users without a second factor."""

    kind, level, page = "second_factor_required", Level.WARNING, Page.ACCOUNT


@dataclass(frozen=True)
class SecondFactorStays(Notice):
    """A second factor became required, and the user already has one."""

    kind, level, page = "second_factor_stays", Level.INFO, Page.ACCOUNT


@dataclass(frozen=True)
class SecondFactorVoluntary(Notice):
    kind, level, page = "second_factor_voluntary", Level.INFO, Page.ACCOUNT
    has_one: bool


# --- the installation ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StorageNearlyFull(Notice):
    kind, level, page = "storage_nearly_full", Level.WARNING, Page.ACCOUNT
    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class DiskLow(Notice):
    kind, level, page = "disk_low", Level.ERROR, Page.ADMIN
    free_bytes: int


@dataclass(frozen=True)
class DiskFree(Notice):
    kind, level, page = "disk_free", Level.INFO, Page.ADMIN
    free_bytes: int
