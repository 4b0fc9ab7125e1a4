"""What is recorded in the audit log, and what each entry is about."""

from __future__ import annotations

from enum import StrEnum


class AuditTopic(StrEnum):
    BOT = "bot"  # its settings; the bot's history lists these
    TRADING = "trading"
    ACCOUNT = "account"
    PEOPLE = "people"  # sign-ins, rights, refusals, and the installation itself


class AuditAction(StrEnum):
    """As stored, in REST and in the security log: a name stays. Pages show `label_of`."""

    # --- bots
    BOT_ADDED = "bot added"
    BOT_CHANGED = "bot changed"
    BOT_PAUSED = "bot paused"
    BOT_RESUMED = "bot resumed"
    BOT_DELETED = "bot deleted"

    # --- trading
    POSITION_HANDED_OVER = "position handed over"
    EXITS_CHANGED = "exits changed"
    FLATTEN = "flatten"
    SWITCH = "switch"
    DRIFT_RESOLVED = "drift resolved"
    SYMBOL_UNFROZEN = "symbol unfrozen"
    ORDER_CANCEL_ASKED = "order cancel asked"
    ORDERS_CANCEL_ASKED = "orders cancel asked"
    ORDER_RESOLVED = "order resolved"
    PROTECTION_ADDED = "protection added"
    PROTECTION_CHANGED = "protection changed"
    PROTECTION_REMOVED = "protection removed"
    PROTECTION_UNLOCKED = "protection unlocked"
    SIMULATION_MODE_SWITCHED_ON = "simulation mode switched on"
    SIMULATION_MODE_SWITCHED_OFF = "simulation mode switched off"

    # --- broker accounts
    ACCOUNT_ADDED = "account added"
    ACCOUNT_CHANGED = "account changed"
    ACCOUNT_REMOVED = "account removed"
    ACCOUNT_USABLE_AGAIN = "account usable again"
    ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR = "account goes without a second factor"

    # --- people and the installation
    SIGNED_IN_AT_THE_BROKER = "signed in at the broker"
    SIGNED_IN = "signed in"
    SIGNED_IN_OVER_REST = "signed in over REST"
    SIGNED_OUT = "signed out"
    SESSION_ENDED = "session ended"
    OTHER_SESSIONS_ENDED = "other sessions ended"
    SIGN_IN_FAILED = "sign-in failed"
    SIGN_IN_THROTTLED = "sign-in throttled"
    SIGN_UP_REFUSED = "sign-up refused"
    SIGN_UP_THROTTLED = "sign-up throttled"
    REFUSED = "refused"
    THROTTLED = "throttled"
    ALERT_REFUSED = "alert refused"
    LOOKED_AT_A_USER_S_PAGES = "looked at a user's pages"
    API_TOKEN_ADDED = "api token added"
    API_TOKEN_REVOKED = "api token revoked"
    WEBHOOK_TOKEN_ROTATED = "webhook token rotated"
    WEBHOOK_TOKEN_REVOKED = "webhook token revoked"
    SECOND_FACTOR_SWITCHED_ON = "second factor switched on"
    SECOND_FACTOR_SWITCHED_OFF = "second factor switched off"
    SECOND_FACTOR_TAKEN_OFF_BY_AN_ADMIN = "second factor taken off by an admin"
    SECOND_FACTOR_TAKEN_OFF_ON_THE_MACHINE = "second factor taken off on the machine"
    SECOND_FACTOR_REQUIRED = "second factor required of all users"
    SECOND_FACTOR_MADE_OPTIONAL = "second factor no longer required of all users"
    RECOVERY_CODE_USED = "recovery code used"
    RECOVERY_CODES_RENEWED = "recovery codes renewed"
    TOO_MANY_WRONG_CODES = "too many wrong codes"
    PASSWORD_CHANGED = "password changed"
    PASSWORD_SET_BY_A_LINK = "password set by a link"
    PASSWORD_LINK_MADE = "password link made"
    PASSWORD_LINK_REVOKED = "password link revoked"
    PASSWORD_LINK_REFUSED = "password link refused"
    EMAIL_CHANGED = "email changed"
    REGISTERED = "registered"
    USER_ADDED = "user added"
    USER_DELETED = "user deleted"
    USER_ACTIVATED = "user activated"
    USER_DEACTIVATED = "user deactivated"
    DELETED_THEIR_OWN_ACCOUNT = "deleted their own account"
    ROLE_GIVEN = "role given"
    INVITED = "invited"
    INVITATION_REVOKED = "invitation revoked"
    DEMO_STARTED = "demo started"
    DEMO_ENDED = "demo ended"
    DEMO_BECAME_AN_ACCOUNT = "demo became an account"
    SETTING_CHANGED = "setting changed"
    BACKUP_MADE = "backup made"
    DATA_EXPORTED = "data exported"
    DATABASE_RESTORED_FROM_A_BACKUP = "database restored from a backup"

    @property
    def topic(self) -> AuditTopic:
        return _TOPICS.get(self, AuditTopic.PEOPLE)


def actions_on(topic: AuditTopic) -> frozenset[AuditAction]:
    return frozenset(action for action in AuditAction if action.topic is topic)


_A = AuditAction
_TOPICS = (
    dict.fromkeys(
        (_A.BOT_ADDED, _A.BOT_CHANGED, _A.BOT_PAUSED, _A.BOT_RESUMED, _A.BOT_DELETED), AuditTopic.BOT
    )
    | dict.fromkeys(
        (
            _A.POSITION_HANDED_OVER,
            _A.EXITS_CHANGED,
            _A.FLATTEN,
            _A.SWITCH,
            _A.DRIFT_RESOLVED,
            _A.SYMBOL_UNFROZEN,
            _A.ORDER_CANCEL_ASKED,
            _A.ORDERS_CANCEL_ASKED,
            _A.ORDER_RESOLVED,
            _A.PROTECTION_ADDED,
            _A.PROTECTION_CHANGED,
            _A.PROTECTION_REMOVED,
            _A.PROTECTION_UNLOCKED,
            _A.SIMULATION_MODE_SWITCHED_ON,
            _A.SIMULATION_MODE_SWITCHED_OFF,
        ),
        AuditTopic.TRADING,
    )
    | dict.fromkeys(
        (
            _A.ACCOUNT_ADDED,
            _A.ACCOUNT_CHANGED,
            _A.ACCOUNT_REMOVED,
            _A.ACCOUNT_USABLE_AGAIN,
            _A.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR,
        ),
        AuditTopic.ACCOUNT,
    )
)


_LABELS = {
    str(_A.ACCOUNT_GOES_WITHOUT_A_SECOND_FACTOR): "account goes without two-factor authentication",
    str(_A.SECOND_FACTOR_SWITCHED_ON): "two-factor authentication switched on",
    str(_A.SECOND_FACTOR_SWITCHED_OFF): "two-factor authentication switched off",
    str(_A.SECOND_FACTOR_TAKEN_OFF_BY_AN_ADMIN): "two-factor authentication removed by an admin",
    str(_A.SECOND_FACTOR_TAKEN_OFF_ON_THE_MACHINE): "two-factor authentication removed on the machine",
    str(_A.SECOND_FACTOR_REQUIRED): "two-factor authentication required of all users",
    str(_A.SECOND_FACTOR_MADE_OPTIONAL): "two-factor authentication no longer required of all users",
}


def label_of(action: str) -> str:
    """In the words of the pages, where these differ. The action may be one of another version."""
    return _LABELS.get(action, action)
