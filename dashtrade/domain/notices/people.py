"""Notices of broker accounts, of the user's own account, and of the installation."""

from __future__ import annotations

from dashtrade.domain.notices.base import Level, Notice, Page
from dashtrade.domain.reasons import Reason
from dashtrade.domain.record import record

# --- broker accounts ----------------------------------------------------------------------------------------


@record(kw_only=False)
class KeyRefused(Notice):
    kind, level, page = "key_refused", Level.ERROR, Page.SETUP
    account: str
    reason: Reason
    paused_bots: int


@record(kw_only=False)
class BrokerUnreachable(Notice):
    """`compared`: whether the account's positions were read since the worker's start; until then nothing new
    is sent."""

    kind, level, page = "broker_unreachable", Level.ERROR, Page.SETUP
    account: str
    problem: Reason
    compared: bool


@record(kw_only=False)
class BrokerAnswers(Notice):
    kind, level, page = "broker_answers", Level.INFO, Page.SETUP
    account: str


@record(kw_only=False)
class SignInDue(Notice):
    kind, level, page = "sign_in_due", Level.WARNING, Page.SETUP
    account: str
    broker: str
    detail: Reason


# --- the user's own account ---------------------------------------------------------------------------------


@record(kw_only=False)
class DemoStarted(Notice):
    kind, level, page = "demo_started", Level.INFO, Page.SETUP
    bots: int


@record(kw_only=False)
class PasswordLinkCreated(Notice):
    """`by`: the admin's email; None: the command line."""

    kind, level, page = "password_link_created", Level.WARNING, Page.ACCOUNT
    by: str | None


@record(kw_only=False)
class PasswordChanged(Notice):
    kind, level, page = "password_changed", Level.INFO, Page.ACCOUNT


@record(kw_only=False)
class PasswordChangedTokensValid(Notice):
    """API tokens by name, and the webhook token, that may have been created with the old password."""

    kind, level, page = "password_changed_tokens_valid", Level.WARNING, Page.ACCOUNT
    api_tokens: tuple[str, ...]
    webhook_token: bool


@record(kw_only=False)
class RoleChanged(Notice):
    kind, level, page = "role_changed", Level.WARNING, Page.ACCOUNT
    before: str
    after: str
    by: str


@record(kw_only=False)
class AccountReactivated(Notice):
    kind, level, page = "account_reactivated", Level.WARNING, Page.SETUP


@record(kw_only=False)
class SecondFactorRemoved(Notice):
    """`by` as in PasswordLinkCreated."""

    kind, level, page = "second_factor_removed", Level.WARNING, Page.ACCOUNT
    by: str | None


@record(kw_only=False)
class RecoveryCodeUsed(Notice):
    kind, level, page = "recovery_code_used", Level.WARNING, Page.ACCOUNT
    left: int


@record(kw_only=False)
class WrongCodes(Notice):
    """The password was right."""

    kind, level, page = "wrong_codes", Level.ERROR, Page.ACCOUNT


@record(kw_only=False)
class SecondFactorRequired(Notice):
    """To users without a second factor."""

    kind, level, page = "second_factor_required", Level.WARNING, Page.ACCOUNT


@record(kw_only=False)
class SecondFactorStays(Notice):
    """A second factor became required, and the user already has one."""

    kind, level, page = "second_factor_stays", Level.INFO, Page.ACCOUNT


@record(kw_only=False)
class SecondFactorVoluntary(Notice):
    kind, level, page = "second_factor_voluntary", Level.INFO, Page.ACCOUNT
    has_one: bool


# --- the installation ---------------------------------------------------------------------------------------


@record(kw_only=False)
class StorageNearlyFull(Notice):
    kind, level, page = "storage_nearly_full", Level.WARNING, Page.ACCOUNT
    used_bytes: int
    limit_bytes: int


@record(kw_only=False)
class DiskLow(Notice):
    kind, level, page = "disk_low", Level.ERROR, Page.ADMIN
    free_bytes: int


@record(kw_only=False)
class DiskFree(Notice):
    kind, level, page = "disk_free", Level.INFO, Page.ADMIN
    free_bytes: int
