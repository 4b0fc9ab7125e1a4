"""Why something was decided, refused, paused, locked or deferred: a code and its facts, as data.

Rules and records carry reasons; sentences are made of them on display (`wording.words`). So no code parses
text to learn what happened, and an improved sentence also applies to old records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias

from dashtrade.domain.record import record
from dashtrade.domain.values import iso, plain


class Code(StrEnum):
    """What happened. A new code needs a line here and its words in `reason_words.py`."""

    NONE = ""
    TEXT = "text"  # free text of a broker, a person, or a record older than the codes
    ALL = "all"  # several at once

    # --- effect of the alert on this position
    TOO_OLD = "too_old"
    ALREADY_OWNED = "already_owned"
    ENTRY_WORKING = "entry_working"
    SIDE_NOT_TRADED = "side_not_traded"
    OTHER_SIDE = "other_side"
    CLOSE_QUEUED = "close_queued"
    NOTHING_TO_CLOSE = "nothing_to_close"
    NOTHING_TO_ADD_TO = "nothing_to_add_to"
    NOTHING_TO_REVERSE = "nothing_to_reverse"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    DUST = "dust"
    PART_TOO_SMALL = "part_too_small"
    FRACTION_BLOCKED_BY_SHORT = "fraction_blocked_by_short"
    CANCELLED = "cancelled"
    CANCELLED_AND_FLAT = "cancelled_and_flat"
    CANCELLED_WAITING_ENTRY = "cancelled_waiting_entry"
    BROKER_HAS_LESS = "broker_has_less"
    NO_POSITION_FOR_STOP = "no_position_for_stop"
    BREAK_EVEN_NOT_REACHED = "break_even_not_reached"
    BREAK_EVEN_ALREADY = "break_even_already"
    STOP_TO_ENTRY_PRICE = "stop_to_entry_price"
    EXIT_ONLY = "exit_only"
    SUPERSEDED = "superseded"

    # --- orders that are cancelled before the decision
    CANCEL_ASKED_BY_ALERT = "cancel_asked_by_alert"
    CANCEL_SET_BY_BOT = "cancel_set_by_bot"
    CANCEL_NEW_DIRECTION = "cancel_new_direction"
    CANCEL_FOR_CLOSE = "cancel_for_close"
    CANCEL_FOR_REVERSE = "cancel_for_reverse"
    CANCEL_FOR_ADD = "cancel_for_add"
    CANCEL_FOR_STOP = "cancel_for_stop"
    CANCEL_OTHERS_EXITS = "cancel_others_exits"
    CANCEL_OTHERS_ORDER = "cancel_others_order"
    CANCELLED_FOR_ANOTHER = "cancelled_for_another"

    # --- sizes, prices and exits of an order
    SIZED = "sized"
    SAME_SIZE = "same_size"
    WHOLE_POSITION = "whole_position"
    PART_OF_POSITION = "part_of_position"
    ALL_THAT_CAN_BE_ORDERED = "all_that_can_be_ordered"
    ALL_THE_BROKER_HAS = "all_the_broker_has"
    STEP = "step"
    REST_OF_STEP = "rest_of_step"
    ONLY_PART_SENDABLE = "only_part_sendable"
    LIMIT_OUTSIDE_HOURS = "limit_outside_hours"
    LIMIT_ROUNDED = "limit_rounded"
    ALERT_SIZE_IGNORED = "alert_size_ignored"
    DAY_ORDER_FOR_FRACTION = "day_order_for_fraction"
    OTHER_TIME_IN_FORCE = "other_time_in_force"
    EXITS_AT_BROKER = "exits_at_broker"
    EXITS_BY_DASHTRADE = "exits_by_dashtrade"
    EXIT_TOO_NEAR = "exit_too_near"
    HOLDS_NONE_FOR_COINS = "holds_none_for_coins"
    HOLDS_WHOLE_SHARES_ONLY = "holds_whole_shares_only"
    HOLDS_NONE_IN_EXTENDED_HOURS = "holds_none_in_extended_hours"
    HOLDS_WITH_OPENING_ONLY = "holds_with_opening_only"
    HOLDS_NONE_WITH_TYPE = "holds_none_with_type"
    HOLDS_ONE_TAKE_PROFIT = "holds_one_take_profit"
    HOLDS_NO_TRAILING_STOP = "holds_no_trailing_stop"
    HOLDS_ONLY_AS_LONG = "holds_only_as_long"
    ANOTHER_BOT_ON_SYMBOL = "another_bot_on_symbol"
    SPLIT_AT_ZERO = "split_at_zero"
    CROSSED = "crossed"
    SIZE_BELOW_MINIMUM = "size_below_minimum"
    VALUE_BELOW_MINIMUM = "value_below_minimum"
    PART_OF_NOTHING = "part_of_nothing"
    RISK_SIZE_WITHOUT_STOP = "risk_size_without_stop"
    EXIT_ON_WRONG_SIDE = "exit_on_wrong_side"
    EXIT_OUT_OF_REACH = "exit_out_of_reach"
    NO_EXTENDED_HOURS = "no_extended_hours"
    LIMIT_ONLY_OUTSIDE_HOURS = "limit_only_outside_hours"
    WOULD_HAVE = "would_have"

    # --- rules: passed or not
    BOT_ACTIVE = "bot_active"
    BOT_PAUSED = "bot_paused"
    NO_SWITCH = "no_switch"
    SWITCHED = "switched"
    PAUSED_BEFORE_SENDING = "paused_before_sending"
    SWITCHED_BEFORE_SENDING = "switched_before_sending"
    NOT_FROZEN = "not_frozen"
    FROZEN = "frozen"
    MARKET_OPEN = "market_open"
    OUTSIDE_HOURS_ORDER = "outside_hours_order"
    NOT_LOCKED = "not_locked"
    LOCKED = "locked"
    NO_PROTECTION = "no_protection"
    IN_WINDOW = "in_window"
    OUTSIDE_WINDOWS = "outside_windows"
    NO_COOLDOWN = "no_cooldown"
    COOLDOWN_OVER = "cooldown_over"
    COOLDOWN_RUNS = "cooldown_runs"
    NO_DAILY_ENTRIES_LIMIT = "no_daily_entries_limit"
    DAILY_ENTRIES = "daily_entries"
    DAILY_ENTRIES_REACHED = "daily_entries_reached"
    NO_POSITION_LIMIT = "no_position_limit"
    POSITION_WITHIN_LIMIT = "position_within_limit"
    POSITION_PAST_LIMIT = "position_past_limit"
    NO_DAILY_LOSS_LIMIT = "no_daily_loss_limit"
    DAILY_LOSS_WITHIN = "daily_loss_within"
    DAILY_LOSS_REACHED = "daily_loss_reached"
    NO_RISK_LIMIT = "no_risk_limit"
    RISK_LIMIT_SET = "risk_limit_set"
    LOSS_WITHIN_RISK_LIMIT = "loss_within_risk_limit"
    LOSS_PAST_RISK_LIMIT = "loss_past_risk_limit"
    MONEY_ENOUGH = "money_enough"
    MONEY_LACKS = "money_lacks"
    BROKER_TAKES_IT = "broker_takes_it"
    NOT_TRADABLE = "not_tradable"
    NO_SUCH_ORDER_TYPE = "no_such_order_type"
    NO_SUCH_TIME_IN_FORCE = "no_such_time_in_force"
    NO_SHORTS = "no_shorts"
    FRACTION_BESIDE_SHORT = "fraction_beside_short"
    LONG_BESIDE_SHORT = "long_beside_short"
    FRACTION_LONG_BESIDE_SHORT = "fraction_long_beside_short"

    # --- protections
    MARKET_CLOSED = "market_closed"
    COOLDOWN_AFTER_EXIT = "cooldown_after_exit"
    STOP_STREAK = "stop_streak"
    DRAWDOWN = "drawdown"
    LOSING_SYMBOL = "losing_symbol"
    TOO_MANY_POSITIONS = "too_many_positions"
    EXPOSURE_PAST_LIMIT = "exposure_past_limit"
    ORDER_RATE = "order_rate"
    STALE_PRICE = "stale_price"
    WIDE_SPREAD = "wide_spread"

    # --- waiting
    WAITS_FOR_OPEN = "waits_for_open"
    WAITS_FOR_OPEN_UNKNOWN = "waits_for_open_unknown"
    QUEUED_FOR_OPEN = "queued_for_open"
    EXPIRES_BEFORE_OPEN = "expires_before_open"
    WAITS_FOR_OTHERS_EXIT = "waits_for_others_exit"
    WAITS_FOR_COMPARISON = "waits_for_comparison"  # of older records, with a text
    WAITS_FOR_FIRST_COMPARISON = "waits_for_first_comparison"
    WAITS_FOR_RECHECK = "waits_for_recheck"
    BROKER_ASKED_AGAIN = "broker_asked_again"
    WAITS_FOR_BROKER = "waits_for_broker"
    BROKER_UNREACHABLE = "broker_unreachable"
    UNEXPECTED_RETRIED = "unexpected_retried"
    UNEXPECTED = "unexpected"

    # --- accounts and bots that do not trade
    PAUSED_BY_USER = "paused_by_user"
    HALTED_BY_SWITCH = "halted_by_switch"
    DELETED = "deleted"
    OWNER_DELETED = "owner_deleted"
    OWNER_DEACTIVATED = "owner_deactivated"
    KEY_REFUSED = "key_refused"
    ACCOUNT_REMOVED = "account_removed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_UNCONFIRMED = "account_unconfirmed"
    SIMULATION_SWITCHED = "simulation_switched"
    KEY_NOT_TESTED = "key_not_tested"

    # --- outcome of an order
    RESTING = "resting"
    BOUGHT = "bought"
    SOLD = "sold"
    PARTLY_FILLED = "partly_filled"
    ENDED_UNFILLED = "ended_unfilled"
    STEP_BEFORE_ENDED = "step_before_ended"
    LOOKED_UP_AGAIN = "looked_up_again"
    NOT_SENT_AGAIN = "not_sent_again"
    FILLED_SO_FAR = "filled_so_far"
    CANCELLED_BEFORE_SENDING = "cancelled_before_sending"
    UNEXPECTED_AT_BROKER = "unexpected_at_broker"
    PAPER_FAILED = "paper_failed"
    REFUSED_LOOK_UP_FAILED = "refused_look_up_failed"
    REFUSED_MAY_EXIST = "refused_may_exist"
    NEEDS_A_LOOK = "needs_a_look"
    CANNOT_BE_LOOKED_UP = "cannot_be_looked_up"
    MAY_BE_THERE = "may_be_there"
    NOT_THERE_TOO_LATE = "not_there_too_late"
    USER_LOOKS_AGAIN = "user_looks_again"
    USER_SAYS_NOT_PLACED = "user_says_not_placed"
    FOUND_AT_BROKER = "found_at_broker"
    TAKEN_OVER = "taken_over"
    NO_BOT_OF_THAT_ORDER = "no_bot_of_that_order"
    DIFFERENCE_ASSIGNED = "difference_assigned"
    ORDER_UNCONFIRMED = "order_unconfirmed"
    FLAT = "flat"
    UNDER_WAY = "under_way"
    UNKNOWN_NOW = "unknown_now"
    CANCELS_FIRST = "cancels_first"

    # --- before an order, and what a broker lacks
    WAITS_AS_SET = "waits_as_set"
    CANCELS_ORDERS = "cancels_orders"
    RULES_ASSUMED = "rules_assumed"
    LAST_PRICE_USED = "last_price_used"
    LAST_KNOWN_PRICE_USED = "last_known_price_used"
    VALUATION_USED = "valuation_used"
    SIGN_IN_EXPIRES = "sign_in_expires"
    SIGN_IN_EXPIRED = "sign_in_expired"

    # --- position mismatches
    POSITION_MISMATCH = "position_mismatch"
    MISMATCH_ENDED = "mismatch_ended"
    SPLIT_APPLIED = "split_applied"

    # --- exits and limits that were reached
    EXIT_REACHED = "exit_reached"
    TIME_LIMIT_REACHED = "time_limit_reached"
    EXIT_PLACED = "exit_placed"
    EXIT_FILLED_AT_BROKER = "exit_filled_at_broker"
    EXIT_ENDED_AT_BROKER = "exit_ended_at_broker"
    RISK_LIMIT_PASSED = "risk_limit_passed"
    DAILY_LIMIT_REACHED = "daily_limit_reached"

    # --- actions of limits, exits and protections
    POSITION_CLOSED = "position_closed"
    POSITION_REDUCED = "position_reduced"
    POSITION_SPLIT = "position_split"
    BOT_CLOSED_AND_PAUSED = "bot_closed_and_paused"
    ENTRIES_LOCKED = "entries_locked"

    # --- steps of a signal's story
    ALERT_RECEIVED = "alert_received"
    ALERT_READ = "alert_read"
    ALERT_REPEATED = "alert_repeated"
    CHECKED = "checked"
    BOT_ACTS = "bot_acts"
    ORDER_STEP = "order_step"
    FILL = "fill"
    BOOKED = "booked"

    # --- no matching bot
    NO_BOT_ON_SYMBOL = "no_bot_on_symbol"
    NO_BOT_ON_TIMEFRAME = "no_bot_on_timeframe"
    SEVERAL_TIMEFRAMES = "several_timeframes"
    NO_SUCH_BOT = "no_such_bot"
    SEVERAL_BOTS_OF_THAT_NAME = "several_bots_of_that_name"
    BOT_TRADES_OTHER_SYMBOL = "bot_trades_other_symbol"
    BOT_ON_OTHER_TIMEFRAME = "bot_on_other_timeframe"


# The facts that are times, by name, so that they are read back as times.
MOMENTS = frozenset({"good_until", "last", "now", "opens_at", "quoted", "until"})

Fact: TypeAlias = "str | int | Decimal | datetime | Reason | tuple[Reason, ...]"


@record(kw_only=False, eq=False)
class Reason:
    code: Code
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Compared as stored: a number just decided equals the one read back."""
        return isinstance(other, Reason) and as_data(self) == as_data(other)

    def __hash__(self) -> int:
        return hash(stored(self))

    def __bool__(self) -> bool:
        return self.code is not Code.NONE

    def __format__(self, spec: str) -> str:
        raise TypeError("a reason is no text: wording.words(reason) makes its sentence")


NO_REASON = Reason(Code.NONE)


def reason(code: Code, **facts: Fact) -> Reason:
    return Reason(code, facts)


def quoted(text: str) -> Reason:
    """A message from outside, of a broker or a person, unchanged."""
    return Reason(Code.TEXT, {"text": text}) if text else NO_REASON


def several(reasons: tuple[Reason, ...]) -> Reason:
    return reasons[0] if len(reasons) == 1 else Reason(Code.ALL, {"reasons": reasons})


# --- storage ------------------------------------------------------------------------------------------------


def stored(given: Reason) -> str:
    """Empty for none, else JSON."""
    return json.dumps(as_data(given), ensure_ascii=False, separators=(",", ":")) if given else ""


def as_data(given: Reason) -> dict[str, Any]:
    """A code and its facts as plain values, exact: what REST returns beside the words."""
    return {
        "code": str(given.code),
        "facts": {name: _plain(name, fact) for name, fact in given.facts.items()},
    }


def numbers_of(given: Reason) -> dict[str, str]:
    """Its facts as a flat record, with those of the nested reason: what a decision stores beside prices."""
    found: dict[str, str] = {}
    for name, fact in given.facts.items():
        if isinstance(fact, Reason):
            found = numbers_of(fact) | found
        elif not isinstance(fact, tuple):
            found[name] = str(_plain(name, fact))
    return found


def _plain(name: str, fact: Fact) -> Any:
    match fact:
        case Decimal():
            return plain(fact)
        case datetime():
            if name not in MOMENTS:
                raise TypeError(f"a fact called {name} is no moment: name it in MOMENTS")
            return iso(fact)
        case Reason():
            return as_data(fact)
        case tuple():
            return [as_data(one) for one in fact]
    return fact


_CODES = {str(code): code for code in Code}
_OLD = {"paused by its user": Code.PAUSED_BY_USER, "halted by a switch": Code.HALTED_BY_SWITCH}


def read_stored(text: str) -> Reason:
    """Records older than the codes hold a sentence, which is returned unchanged."""
    if not text.startswith('{"code":'):
        return Reason(_OLD[text]) if text in _OLD else quoted(text)
    return from_data(json.loads(text))


def from_data(found: Mapping[str, Any]) -> Reason:
    """A code of a newer DashTrade is shown by its name."""
    code = _CODES.get(found["code"])
    if code is None:
        return quoted(str(found["code"]).replace("_", " "))
    return Reason(code, {name: _read(name, value) for name, value in found["facts"].items()})


def _read(name: str, value: Any) -> Fact:
    if name in MOMENTS:
        return datetime.fromisoformat(value)
    if isinstance(value, dict):
        return from_data(value)
    if isinstance(value, list):
        return tuple(from_data(one) for one in value)
    return value  # type: ignore[no-any-return]
