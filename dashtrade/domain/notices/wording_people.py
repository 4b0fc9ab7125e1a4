"""The words of notices about broker accounts, the user's own account and the installation."""

from __future__ import annotations

from dashtrade.domain.notices import people as n
from dashtrade.domain.notices.wording_base import Words, words
from dashtrade.domain.wording import sentence

_BYTES_PER_MB = 1024 * 1024  # as DASHTRADE_USER_MB counts
_OPERATOR = "The operator of this installation"
_NAMED_TOKENS = 5  # more are "and others"


# --- broker accounts ----------------------------------------------------------------------------------------


@words.register
def _(notice: n.KeyRefused) -> Words:
    return Words(
        f"{notice.account}: the broker refused the key",
        f"{sentence(notice.reason)} The account is stopped, and bots paused: {notice.paused_bots}. Open "
        "positions stay as they are at the broker. Replace the key under Setup and test the connection, "
        "then resume the bots.",
    )


@words.register
def _(notice: n.BrokerUnreachable) -> Words:
    meanwhile = (
        "Orders are still sent as they come"
        if notice.compared
        else "Nothing new is sent there until it answers"
    )
    return Words(
        f"{notice.account}: broker unreachable",
        f"For a minute its positions could not be read: {sentence(notice.problem)} {meanwhile}; DashTrade "
        "retries every few seconds. If that is too late for you, act at your broker.",
    )


@words.register
def _(notice: n.BrokerAnswers) -> Words:
    return Words(
        f"{notice.account}: broker reachable again",
        ("The account's positions are checked against the broker's, and waiting orders continue."),
    )


@words.register
def _(notice: n.SignInDue) -> Words:
    return Words(f"{notice.account}: sign in at {notice.broker} again", sentence(notice.detail))


# --- the user's own account ---------------------------------------------------------------------------------


@words.register
def _(notice: n.DemoStarted) -> Words:
    return Words(
        "Welcome to the demo",
        f"{notice.bots} sample bots have a week of trades behind them, on simulated prices. They act on "
        "alerts, as yours will: send one under Setup.",
    )


@words.register
def _(notice: n.PasswordLinkCreated) -> Words:
    return Words(
        "A link to change your password was created",
        f"{notice.by or _OPERATOR} created it. It works once, within a day. If you did not ask for the "
        "link, contact them, and change your password: that ends the link.",
    )


@words.register
def _(notice: n.PasswordChanged) -> Words:
    return Words("Your password was changed", "Every other device is signed out.")


@words.register
def _(notice: n.PasswordChangedTokensValid) -> Words:
    names, valid = notice.api_tokens, []
    if names:
        more = " and others" if len(names) > _NAMED_TOKENS else ""
        valid.append(f"the API token{'s' * (len(names) > 1)} {', '.join(names[:_NAMED_TOKENS])}{more}")
    if notice.webhook_token:
        valid.append("the webhook token")
    return Words(
        "Your password was changed",
        f"Every other device is signed out. Still valid: {' and '.join(valid)}. If somebody else knew the "
        "old password, revoke them too.",
    )


@words.register
def _(notice: n.RoleChanged) -> Words:
    return Words(
        f"Your role is now {notice.after}",
        f"{notice.by} changed it from {notice.before}. If you did not expect that, ask them.",
    )


@words.register
def _(notice: n.AccountReactivated) -> Words:
    return Words(
        "Your account is active again",
        "While your account was deactivated, all tokens were revoked, the webhook token too: create a new "
        "one under "
        "Setup and put it into your alerts. Your bots take no entries until you resume each of them.",
    )


@words.register
def _(notice: n.SecondFactorRemoved) -> Words:
    return Words(
        "Your two-factor authentication was removed",
        f"{notice.by or _OPERATOR} removed it: your password alone signs you in now. Set it up again on "
        "the Account page. If you did not ask for that, change your password and contact them.",
    )


@words.register
def _(notice: n.RecoveryCodeUsed) -> Words:
    return Words(
        "A recovery code was used",
        f"Someone signed in with one of your recovery codes; {notice.left} are left. If it was not you, "
        "change your password now.",
    )


@words.register
def _(notice: n.WrongCodes) -> Words:
    return Words(
        "Wrong codes were entered after your password",
        "Someone tried to sign in to your account with the right password and wrong codes. If it was not "
        "you, change your password now.",
    )


@words.register
def _(notice: n.SecondFactorRequired) -> Words:
    return Words(
        "Two-factor authentication is now required",
        "A superadmin requires two-factor authentication for all users. Set yours up: the dashboard asks "
        "for it at your next click. Until then you can only close positions and stop your bots. Alerts and "
        "API tokens work as before.",
    )


@words.register
def _(notice: n.SecondFactorStays) -> Words:
    return Words(
        "Two-factor authentication is now required",
        "A superadmin requires two-factor authentication for all users. You use it already, so nothing "
        "changes for you, but it cannot be switched off.",
    )


@words.register
def _(notice: n.SecondFactorVoluntary) -> Words:
    advice = "Yours stays on." if notice.has_one else "Two-factor authentication still protects your account."
    return Words(
        "Two-factor authentication is no longer required", f"A superadmin changed this setting. {advice}"
    )


# --- the installation ---------------------------------------------------------------------------------------


@words.register
def _(notice: n.StorageNearlyFull) -> Words:
    return Words(
        "Your storage is nearly full",
        f"{notice.used_bytes / _BYTES_PER_MB:,.0f} of {notice.limit_bytes / _BYTES_PER_MB:,.0f} MB are used "
        "by your alerts and their results; the texts of old alerts are already removed. Once all of it is "
        "used, entries are refused; exits still pass. Ask the operator of this installation for more "
        "(DASHTRADE_USER_MB).",
    )


@words.register
def _(notice: n.DiskLow) -> Words:
    return Words(
        "The disk is nearly full: entries are refused",
        f"{notice.free_bytes / _BYTES_PER_MB:,.0f} MB are free on the database's disk. Exits still pass; "
        "all other alerts are refused until there is space. Free space on that disk now; "
        "DASHTRADE_RETENTION_DAYS and DASHTRADE_USER_MB limit what is kept.",
    )


@words.register
def _(notice: n.DiskFree) -> Words:
    return Words(
        "The disk has free space again",
        (
            f"{notice.free_bytes / _BYTES_PER_MB:,.0f} MB are free on the database's disk. Entries are "
            "accepted again."
        ),
    )
