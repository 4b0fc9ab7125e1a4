"""The text of each code, with its facts filled in: a template, or a function where the words depend on them.

Facts come as text, numbers exact; nested reasons as their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from dashtrade.domain.broker_words import BROKER_WORDS
from dashtrade.domain.mismatch_words import MISMATCH_WORDS
from dashtrade.domain.reasons import Code
from dashtrade.domain.story_words import STORY_WORDS
from dashtrade.domain.values import money as two_digits

C = Code
Facts = Mapping[str, Any]

SCOPES = {"all": "all trading", "user": "your trading", "account": "this account", "bot": "this bot"}
LOCKED = {"user": "all your bots", "account": "this account", "bot": "this bot"}


def money(text: str) -> str:
    return two_digits(Decimal(text))


def amount(number: int | str, what: str) -> str:
    return f"{number} {what if int(number) == 1 else what + 's'}"


def _size(f: Facts) -> str:
    value = f["size"]
    match f["kind"]:
        case "dollars":
            return f"${money(value)}"
        case "equity_percent":
            return f"{value}% of the equity"
        case "position_percent":
            return f"{value}% of the position"
        case "risk_dollars":
            return f"a risk of ${money(value)}"
        case "risk_percent":
            return f"a risk of {value}% of the equity"
    return str(value)


def _rounded(wanted: str, quantity: str) -> str:
    return quantity if wanted == quantity else f"{wanted}, rounded down to {quantity}"


def _asked_for(f: Facts) -> str:
    return f" (asked for {f['asked']}, the bot owns {f['owned']})" if f.get("asked") else ""


def _in_brackets(text: str | None) -> str:
    return f" ({text})" if text else ""


def _would_have(f: Facts) -> str:
    at = f" @ {f['limit']}" if f.get("limit") else ""
    return f"blocked order: {f['side']} {f['quantity']}{at}"


def _step(f: Facts) -> str:
    return f"{f['side']} {f['size']}{'; ' if f['notes'] else ''}{f['notes']}"


def _switch(f: Facts) -> str:
    return f"{SCOPES[f['scope']]} is switched to {f['switch'].replace('_', ' ')}"


def _locked(f: Facts) -> str:
    symbol = f" on {f['symbol']}" if f.get("symbol") else ""
    until = f"until {f['until']}" if f.get("until") else "until you unlock them"
    return f"entries of {LOCKED[f['scope']]}{symbol} are locked {until}"


def _buying_power(f: Facts) -> str:
    held = f" ({money(f['reserved'])} held for open orders)" if f.get("reserved") else ""
    return f"needs {money(f['needs'])} of {money(f['buying_power'])} buying power{held}"


def _drawdown(f: Facts) -> str:
    share = f", {f['percent']}% of {money(f['best'])}" if f.get("percent") else ""
    return (
        f"realised profit fell by {money(f['fall'])} from its peak and reached the limit of "
        f"{money(f['limit'])}{share}"
    )


def _exposure(f: Facts) -> str:
    share = f" ({f['percent']}% of {money(f['equity'])})" if f.get("percent") else ""
    return (
        f"{money(f['value'])} in {f['symbol']} with this entry exceeds the limit of "
        f"{money(f['limit'])}{share}"
    )


def _market_closed(f: Facts) -> str:
    opens = f"opens at {f['opens_at']}" if f.get("opens_at") else "opening time unknown"
    return f"the market for {f['symbol']} is closed: {opens}"


def _partly(f: Facts) -> str:
    return f"{f['filled']} of {f['quantity']} filled, the rest was {f['status']}{_because(f)}"


def _because(f: Facts) -> str:
    return f": {f['because']}" if f.get("because") else ""


_EXITS = {"stops": "a stop", "losses": "a loss", "exits": "an exit"}

WORDS: Mapping[Code, str | Callable[[Facts], str]] = {
    C.NONE: "",
    C.TEXT: lambda f: f["text"].strip().rstrip("."),
    C.ALL: "{reasons}",
    # --- effect of the alert on this position
    C.TOO_OLD: "the alert is too old: it expired at {good_until}, {late} s ago",
    C.ALREADY_OWNED: "already {side} {quantity}; ignored. Send ADD to increase the position",
    C.ENTRY_WORKING: "an order to {side} {quantity} is still open; no second order is added",
    C.SIDE_NOT_TRADED: "the bot trades {sides} only, and there is no position to close",
    C.OTHER_SIDE: "the bot is {side}, and the alert closes {only} positions only",
    C.CLOSE_QUEUED: "an order to {side} {quantity} is already queued at {broker} for the open",
    C.NOTHING_TO_CLOSE: "nothing to close: the bot has no position",
    C.NOTHING_TO_ADD_TO: "nothing to add to: the bot has no position",
    C.NOTHING_TO_REVERSE: "nothing to reverse: the bot has no position",
    C.NOTHING_TO_CANCEL: "nothing to cancel: no open orders",
    C.DUST: "remaining {left} is below the broker's minimum order of {least} and is treated as closed",
    C.FRACTION_BLOCKED_BY_SHORT: (
        "the {quantity} {symbol} left cannot be sold now: another bot of the account is short, so this would "
        "sell short, which {broker} does in whole shares only. Close the bot that is short, then this one"
    ),
    C.PART_TOO_SMALL: "the part to close is below the broker's minimum order of {least}",
    C.CANCELLED: lambda f: f"cancelled {amount(f['count'], 'order')}",
    C.CANCELLED_AND_FLAT: lambda f: f"cancelled {amount(f['count'], 'order')}; nothing is left to close",
    C.CANCELLED_WAITING_ENTRY: "cancelled the entry that was queued for the open",
    C.BROKER_HAS_LESS: (
        "the broker has only {left} of the {owned} {symbol} this bot owns, so the order is limited to "
        "that. Resolve the position mismatch: assign the difference to a bot, or keep it outside"
    ),
    C.NO_POSITION_FOR_STOP: "no stop to move to break-even: the bot has no position",
    C.BREAK_EVEN_NOT_REACHED: (
        "the price {mark} has not passed the entry price {price}: a stop there would close the position "
        "at once. To close, send CLOSE"
    ),
    C.BREAK_EVEN_ALREADY: "the stop is at {stop}, already at break-even or better",
    C.STOP_TO_ENTRY_PRICE: "the stop moves to the entry price, {price}",
    C.EXIT_ONLY: "exit only (entry blocked: {because})",
    C.SUPERSEDED: "a later alert replaced it before the market opened",
    # --- orders that are cancelled before the decision
    C.CANCEL_ASKED_BY_ALERT: "the alert asked for it",
    C.CANCEL_SET_BY_BOT: "the bot is set to cancel first",
    C.CANCEL_NEW_DIRECTION: "a new direction",
    C.CANCEL_FOR_CLOSE: "the position is being closed",
    C.CANCEL_FOR_REVERSE: "the position is being reversed",
    C.CANCEL_FOR_ADD: "the position grows, and its exits with it",
    C.CANCEL_FOR_STOP: "the stop is being moved",
    C.CANCEL_OTHERS_EXITS: ("the broker would refuse this order because of another bot's exits"),
    C.CANCEL_OTHERS_ORDER: "another bot's order blocks this exit",
    C.CANCELLED_FOR_ANOTHER: (
        "cancelled for an exit of {bot}: {broker} does not accept opposite orders in one account"
    ),
    # --- sizes, prices and exits of an order
    C.SIZED: lambda f: f"{_size(f)} at {f['price']} is {_rounded(f['wanted'], f['quantity'])}",
    C.SAME_SIZE: "the same quantity, {quantity}",
    C.WHOLE_POSITION: lambda f: f"all of {f['quantity']}{_asked_for(f)}",
    C.PART_OF_POSITION: lambda f: f"{_rounded(f['wanted'], f['quantity'])} of {f['owned']}",
    C.ALL_THAT_CAN_BE_ORDERED: lambda f: (
        f"{f['quantity']} of {f['owned']}, the most that can be ordered{_asked_for(f)}"
    ),
    C.ALL_THE_BROKER_HAS: "{quantity}: the broker has no more of the {owned} on record",
    C.STEP: _step,
    C.REST_OF_STEP: "the rest of it: {side} {quantity}",
    C.ONLY_PART_SENDABLE: "{quantity} now, as the rest cannot be sold short in whole shares",
    C.LIMIT_OUTSIDE_HOURS: "as a limit order at {limit}, so that it can fill outside regular hours",
    C.LIMIT_ROUNDED: "limit {given} rounded to {limit}",
    C.ALERT_SIZE_IGNORED: "the bot does not accept sizes from alerts",
    C.DAY_ORDER_FOR_FRACTION: "sent as a day order: {broker} takes fractions of a share only in day orders",
    C.OTHER_TIME_IN_FORCE: "as a {sent} order: {broker} takes no {asked} orders",
    C.EXITS_AT_BROKER: "exits at {prices} placed at {broker}",
    C.EXITS_BY_DASHTRADE: lambda f: f"exits managed by DashTrade{_in_brackets(f.get('because'))}",
    C.EXIT_TOO_NEAR: "{at} is too near to the price for {broker}",
    C.HOLDS_NONE_FOR_COINS: "{broker} takes no exits for coins",
    C.HOLDS_WHOLE_SHARES_ONLY: "{broker} takes exits for whole shares only",
    C.HOLDS_NONE_IN_EXTENDED_HOURS: "{broker} takes no exits in extended hours",
    C.HOLDS_WITH_OPENING_ONLY: "{broker} takes exits with an opening order only",
    C.HOLDS_NONE_WITH_TYPE: "{broker} takes no exits with a {type} entry",
    C.HOLDS_ONE_TAKE_PROFIT: "{broker} takes one take-profit for the whole position only",
    C.HOLDS_NO_TRAILING_STOP: "{broker} takes no trailing stop with an entry",
    C.HOLDS_ONLY_AS_LONG: "with the entry's time in force, {time_in_force}, {broker} would drop the exits",
    C.ANOTHER_BOT_ON_SYMBOL: "another bot of the account trades the symbol",
    C.SPLIT_AT_ZERO: (
        "the account holds only {first}, as other bots have opposite positions: {side} {first} now, and "
        "{rest} once that is filled"
    ),
    C.CROSSED: (
        "crossed inside the account: {quantity} {verb} the bot {bot}, which closes the opposite "
        "position, at the mid price {price}; no order is sent and no fee is due"
    ),
    C.SIZE_BELOW_MINIMUM: lambda f: (
        f"{_size(f)} at {f['price']} is below the broker's minimum order of {f['minimum']}"
    ),
    C.VALUE_BELOW_MINIMUM: lambda f: (
        f"{f['quantity']} at {f['price']} is worth {money(f['value'])}, below the broker's minimum order "
        f"value of {money(f['minimum'])}"
    ),
    C.PART_OF_NOTHING: lambda f: f"{_size(f)} was requested, and the bot has no position",
    C.RISK_SIZE_WITHOUT_STOP: "a size by risk needs a stop-loss, and there is none",
    C.EXIT_ON_WRONG_SIDE: "the {exit} {at} is not {where} the price {price} and would close at once",
    C.EXIT_OUT_OF_REACH: "the {exit} would be at {at}, which the price cannot reach",
    C.NO_EXTENDED_HOURS: "the market is closed, and {broker} does not trade outside regular hours",
    C.LIMIT_ONLY_OUTSIDE_HOURS: (
        "outside regular hours {broker} accepts limit orders only: send orderType limit"
    ),
    C.WOULD_HAVE: _would_have,
    # --- rules: passed or not
    C.BOT_ACTIVE: "the bot is active",
    C.BOT_PAUSED: lambda f: f"the bot is paused{_in_brackets(f.get('because'))}: resume it to let it trade",
    C.NO_SWITCH: "no switch is on",
    C.SWITCHED: lambda f: f"{_switch(f)}{_in_brackets(f.get('note'))}",
    C.PAUSED_BEFORE_SENDING: "the bot was paused before the order was sent",
    C.SWITCHED_BEFORE_SENDING: lambda f: f"{_switch(f)} since before the order was sent",
    C.NOT_FROZEN: "the symbol is not frozen",
    C.MARKET_OPEN: "the market is open",
    C.OUTSIDE_HOURS_ORDER: "the order is for extended hours",
    C.NOT_LOCKED: "nothing is locked",
    C.LOCKED: lambda f: f"{_locked(f)}: {f['because']}",
    C.NO_PROTECTION: "no protection blocks the entry",
    C.IN_WINDOW: "inside the trading window",
    C.OUTSIDE_WINDOWS: ("outside the bot's trading windows ({zone}): local time {local}, windows {windows}"),
    C.NO_COOLDOWN: "no cooldown is running",
    C.COOLDOWN_OVER: "the cooldown is over",
    C.COOLDOWN_RUNS: "the cooldown of {cooldown} s has {left} s left",
    C.NO_DAILY_ENTRIES_LIMIT: "no limit on entries a day",
    C.DAILY_ENTRIES: "{actual} of {limit} entries of the day",
    C.DAILY_ENTRIES_REACHED: "the limit of {limit} entries a day is reached",
    C.NO_POSITION_LIMIT: "no limit on the position's size",
    C.POSITION_WITHIN_LIMIT: lambda f: (
        f"a position of {money(f['value'])} is within the limit {money(f['limit'])}"
    ),
    C.POSITION_PAST_LIMIT: lambda f: (
        f"a position of {money(f['value'])} exceeds the limit {money(f['limit'])}"
    ),
    C.NO_DAILY_LOSS_LIMIT: "no daily loss limit",
    C.DAILY_LOSS_WITHIN: lambda f: f"daily loss {money(f['loss'])} is under the limit {money(f['limit'])}",
    C.DAILY_LOSS_REACHED: lambda f: f"daily loss {money(f['loss'])} reached the limit {money(f['limit'])}",
    C.NO_RISK_LIMIT: "no max loss per position",
    C.RISK_LIMIT_SET: "max loss per position {limit_percent}%",
    C.LOSS_WITHIN_RISK_LIMIT: "the position is {loss_percent}% down, under its max loss of {limit_percent}%",
    C.LOSS_PAST_RISK_LIMIT: "the position is {loss_percent}% down, past its max loss of {limit_percent}%",
    C.MONEY_ENOUGH: _buying_power,
    C.MONEY_LACKS: lambda f: f"{_buying_power(f)}: reduce the size or close something",
    C.BROKER_TAKES_IT: "{broker} accepts this order",
    C.NOT_TRADABLE: "{symbol} cannot be traded at {broker}",
    C.NO_SUCH_ORDER_TYPE: "{broker} has no {type} orders",
    C.NO_SUCH_TIME_IN_FORCE: "{broker} takes no {time_in_force} orders",
    C.NO_SHORTS: "{broker} cannot sell {symbol} short",
    C.FRACTION_BESIDE_SHORT: (
        "{quantity} {symbol} on this account is a fraction of a share, which could not be sold while the "
        "account is short: {broker} sells short in whole shares only. Close the fraction first, or use "
        "another account"
    ),
    C.LONG_BESIDE_SHORT: (
        "another bot of this account is short {symbol}, and {broker} does not accept new shorts of "
        "{symbol} now: a long position could not be closed while that short is open"
    ),
    C.FRACTION_LONG_BESIDE_SHORT: (
        "another bot of this account is short {symbol}: {quantity} could not be sold again, as {broker} "
        "sells short in whole shares only. Use a size in whole shares, or another account"
    ),
    # --- protections
    C.MARKET_CLOSED: _market_closed,
    C.COOLDOWN_AFTER_EXIT: lambda f: (
        f"{_EXITS[f['after']]} at {f['last']} is less than {f['minutes']} minutes ago"
    ),
    C.STOP_STREAK: lambda f: (
        f"{amount(f['count'], 'stop' if f['counts'] == 'stops' else 'losing exit')} within {f['minutes']} "
        f"minutes reached the limit of {f['limit']}"
    ),
    C.DRAWDOWN: _drawdown,
    C.LOSING_SYMBOL: lambda f: (
        f"{f['symbol']} lost {money(f['lost'])} in {amount(f['exits'], 'exit')} within {f['minutes']} "
        f"minutes, past the limit of {money(f['limit'])}"
    ),
    C.TOO_MANY_POSITIONS: lambda f: f"{amount(f['held'], 'open position')}, and the limit is {f['limit']}",
    C.EXPOSURE_PAST_LIMIT: _exposure,
    C.ORDER_RATE: lambda f: f"{amount(f['sent'], 'order')} within a minute reached the limit of {f['limit']}",
    C.STALE_PRICE: "the price of {symbol} is {age} s old, quoted at {quoted}; the limit is {limit} s",
    C.WIDE_SPREAD: "the spread of {symbol} is {spread}% ({bid} to {ask}); the limit is {limit}%",
    # --- waiting
    C.WAITS_FOR_OPEN: "queued until the market of {symbol} opens at {opens_at}; re-evaluated then",
    C.QUEUED_FOR_OPEN: "queued until the market of {symbol} opens, expected at {opens_at}",
    C.WAITS_FOR_OPEN_UNKNOWN: "queued until the market of {symbol} opens; DashTrade checks every minute",
    C.EXPIRES_BEFORE_OPEN: "{because}, and the alert expires at {good_until}",
    C.WAITS_FOR_OTHERS_EXIT: "waits until the exit of another bot of this account is filled",
    C.BROKER_ASKED_AGAIN: "retrying: {text}",
    C.WAITS_FOR_BROKER: "waits for the broker, which is unreachable: {text}",
    C.BROKER_UNREACHABLE: "the broker was unreachable for {seconds} s: {text}",
    C.UNEXPECTED_RETRIED: "unexpected error ({error}); DashTrade retries",
    C.UNEXPECTED: (
        "unexpected error ({error}), {tries} times; nothing was sent. Send the alert again, and check "
        "the log if this stays"
    ),
    # --- accounts and bots that do not trade
    C.PAUSED_BY_USER: "paused by the user",
    C.HALTED_BY_SWITCH: "halted by a switch",
    C.DELETED: "deleted",
    C.OWNER_DELETED: "its owner's account was deleted",
    C.OWNER_DEACTIVATED: "its owner's account was deactivated",
    C.KEY_REFUSED: "the broker refused the account's key",
    C.ACCOUNT_REMOVED: "the broker account was removed",
    C.ACCOUNT_DISABLED: "the broker account is disabled: {because}",
    C.ACCOUNT_UNCONFIRMED: (
        "live trading is not enabled for this account yet: enable it on the Setup page, or send "
        'acknowledge: "REAL MONEY"'
    ),
    C.SIMULATION_SWITCHED: "simulation mode was switched at this moment: send the alert again",
    C.KEY_NOT_TESTED: "the account's new key has not passed a connection test yet",
    # --- outcome of an order
    C.RESTING: "open at the broker",
    C.BOUGHT: "bought {quantity} at {price}",
    C.SOLD: "sold {quantity} at {price}",
    C.PARTLY_FILLED: _partly,
    C.ENDED_UNFILLED: lambda f: f"the order was {f['status']}{_because(f)}",
    C.STEP_BEFORE_ENDED: "the step before it was {status}",
    C.LOOKED_UP_AGAIN: "not found yet; looking up again",
    C.NOT_SENT_AGAIN: "not found at the broker and not sent again: {because}",
    C.FILLED_SO_FAR: "{quantity} at {price}",
    C.CANCELLED_BEFORE_SENDING: "cancelled before it was sent",
    C.UNEXPECTED_AT_BROKER: "unexpected error: {error}",
    C.PAPER_FAILED: (
        "the paper broker failed with an unexpected error ({error}), and nothing was traded. Send the "
        "alert again, and check the log if this stays"
    ),
    C.REFUSED_LOOK_UP_FAILED: (
        "the broker refused this attempt ({because}), and an earlier one could not be looked up: {error}"
    ),
    C.REFUSED_MAY_EXIST: "the broker refused this attempt ({because}), and an earlier one may still appear",
    C.NEEDS_A_LOOK: (
        "{because}. No more orders for {symbol} are sent on this account until you confirm this one"
    ),
    C.CANNOT_BE_LOOKED_UP: "the order cannot be looked up: {because}",
    C.MAY_BE_THERE: (
        "{broker} cannot tell whether it has the order, and sending the order again might double it"
    ),
    C.NOT_THERE_TOO_LATE: (
        "{broker} does not have the order; it was not sent again, as too much time has passed since"
    ),
    C.USER_LOOKS_AGAIN: "the user asked for another look-up",
    C.USER_SAYS_NOT_PLACED: "the user confirmed that the broker does not have the order",
    C.FOUND_AT_BROKER: "found at the broker, as sent before",
    C.TAKEN_OVER: (
        "found at the broker: the order carries this bot's id and was not on record here, as after a "
        "restored backup. The bot now has the order"
    ),
    C.NO_BOT_OF_THAT_ORDER: (
        "the order at the broker names bot {bot}, which does not trade {symbol} on this account here"
    ),
    C.ORDER_UNCONFIRMED: "an unconfirmed order comes first: {because}",
    C.FLAT: "flat",
    C.UNDER_WAY: "in progress",
    C.UNKNOWN_NOW: "what the bot would do is unknown now: {text}",
    C.CANCELS_FIRST: "waits for orders that are being cancelled",
    # --- exits and limits that were reached
    C.EXIT_REACHED: "the {exit} at {price} was reached at {mark}",
    C.TIME_LIMIT_REACHED: "the time limit was reached",
    C.EXIT_PLACED: "{exit} at {price}, placed at {broker}",
    C.EXIT_FILLED_AT_BROKER: "the {exit} at {price} was filled at the broker",
    C.EXIT_ENDED_AT_BROKER: "the {exit} order at the broker is {status}",
    C.RISK_LIMIT_PASSED: lambda f: (
        f"the position was {f['loss_percent']}% down ({money(f['loss'])}), past "
        f"its max loss of {f['limit_percent']}%"
    ),
    C.DAILY_LIMIT_REACHED: lambda f: (
        f"the day's loss of {money(f['loss'])} reached the daily limit of {money(f['limit'])}"
    ),
    # --- actions of limits, exits and protections
    C.POSITION_CLOSED: "position closed",
    C.POSITION_REDUCED: "position reduced",
    C.POSITION_SPLIT: "position split",
    C.BOT_CLOSED_AND_PAUSED: "position closed, bot paused",
    C.ENTRIES_LOCKED: _locked,
    **STORY_WORDS,
    **MISMATCH_WORDS,
    **BROKER_WORDS,
    # --- no matching bot
    C.NO_BOT_ON_SYMBOL: "no bot trades {symbol}",
    C.NO_BOT_ON_TIMEFRAME: "no bot trades {symbol} on {timeframe}",
    C.SEVERAL_TIMEFRAMES: "{symbol} has bots on several timeframes, and the alert names none",
    C.NO_SUCH_BOT: "there is no bot '{bot}'",
    C.SEVERAL_BOTS_OF_THAT_NAME: "several bots are called '{bot}': use the bot's id",
    C.BOT_TRADES_OTHER_SYMBOL: "bot '{bot}' trades {trades}, the alert is for {symbol}",
    C.BOT_ON_OTHER_TIMEFRAME: "bot '{bot}' trades on {works}, the alert is for {timeframe}",
}
