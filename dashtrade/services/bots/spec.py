"""Every setting of a bot, declared once: how it is parsed, what it is called, and what it does.

The service validates by it, REST and its description are derived from it, and the form, the bot's page and
its history are drawn from it. A new setting is an entry here, a field of `BotSettings`, a column in
`tables/bots.py` with its migration, and the engine code that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from dashtrade.domain.alerts.fields import TIMES_IN_FORCE, read_minutes, read_span
from dashtrade.domain.bots import Sides, WhenClosed
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import OrderType, exact
from dashtrade.services.bots.kinds import (
    ChoiceKind,
    ChoiceOption,
    Flag,
    Number,
    Parsed,
    Span,
    StopLoss,
    TakeProfits,
    Text,
    TimeOfDay,
    TimeZone,
    Unit,
    Windows,
    choice,
)
from dashtrade.services.bots.setting_spec import Group, SettingSpec
from dashtrade.services.refusals import NotFound

DAY, WEEK = 86_400, 7 * 86_400
MAX_LOSS_PER_POSITION = "Max loss per position"
PERCENT = Number(hint="A percentage above 0, up to 100.", unit=Unit.PERCENT, above=0, most=100)
MONEY = Number(hint="A number above 0.", unit=Unit.MONEY, above=0)


def _account_id(given: Any, where: str) -> int:
    number = exact(given, where)
    if number != int(number) or not 0 < number < 2**62:
        raise NotFound("account")
    return int(number)


SETTINGS = (
    SettingSpec(
        name="account_id",
        attribute="account_id",
        label="Account",
        help="The broker account that the bot trades on.",
        group=Group.PLACE,
        kind=Parsed(hint="The account's id.", parse=_account_id, write=int),
        accepts=str | int | float | None,
        needed=True,
        fixed=True,
    ),
    SettingSpec(
        name="symbol",
        attribute="symbol",
        label="Symbol",
        help="The symbol that the bot trades, as its alerts write it.",
        group=Group.PLACE,
        kind=Parsed(
            hint="Such as AAPL, NASDAQ:TSLA or BTCUSD.", parse=Symbol.parse, write=attrgetter("text")
        ),
        accepts=str | None,
        needed=True,
        fixed=True,
    ),
    SettingSpec(
        name="timeframe",
        attribute="timeframe",
        label="Timeframe",
        help="The timeframe of the bot's alerts, as they write it.",
        group=Group.PLACE,
        kind=Parsed(hint="Such as 15 Min, 1H or D.", parse=Timeframe.parse, write=attrgetter("shown")),
        accepts=str | int | None,
        needed=True,
        fixed=True,
    ),
    SettingSpec(
        name="name",
        attribute="name",
        label="Name",
        help="The bot's name; if omitted, its symbol and timeframe.",
        group=Group.PLACE,
        kind=Text(most=100),
    ),
    SettingSpec(
        name="position_size",
        attribute="size.value",
        label="Order size",
        help="How much one entry buys or sells.",
        group=Group.TRADE,
        kind=Number(hint='A number above 0; "5%" is a percentage of equity.', above=0),
        needed=True,
        at_broker=True,
    ),
    SettingSpec(
        name="position_size_type",
        attribute="size.kind",
        label="Size type",
        help="The unit of the size; with either of the last two, the amount that the stop-loss would lose.",
        group=Group.TRADE,
        kind=ChoiceKind(
            options={
                "dollars": ChoiceOption(value=SizeKind.DOLLARS, label="Dollars"),
                "quantity": ChoiceOption(value=SizeKind.QUANTITY, label="Shares or coins"),
                "percent_of_equity": ChoiceOption(value=SizeKind.EQUITY_PERCENT, label="% of equity"),
                "risk_dollars": ChoiceOption(value=SizeKind.RISK_DOLLARS, label="Risk per trade, $"),
                "risk_percent": ChoiceOption(
                    value=SizeKind.RISK_PERCENT, label="Risk per trade, % of equity"
                ),
            },
            also={"equity_percent": SizeKind.EQUITY_PERCENT},
        ),
        at_broker=True,
        page_hint="Choose a stop below, or let alerts set their own size.",
    ),
    SettingSpec(
        name="size_override",
        attribute="allow_alert_size",
        label="Use size from alerts",
        help="If the alert has a size, it replaces the bot's size.",
        group=Group.ORDERS,
        kind=Flag(),
    ),
    SettingSpec(
        name="risk_limit_percent",
        attribute="risk_limit_percent",
        label=MAX_LOSS_PER_POSITION,
        help=(
            "A position that has lost this share of its cost is closed at market, and the bot is paused "
            "until resumed. After a stop-loss the bot continues trading."
        ),
        group=Group.LIMITS,
        kind=PERCENT,
        nullable=True,
        empty="None",
        effect="closes and pauses",
    ),
    SettingSpec(
        name="daily_loss_limit",
        attribute="daily_loss_limit",
        label="Daily loss limit",
        help=(
            "Once the bot has lost this much in a day, its position is closed and the bot is paused until "
            "resumed."
        ),
        group=Group.LIMITS,
        kind=MONEY,
        nullable=True,
        empty="None",
    ),
    SettingSpec(
        name="max_position_size",
        attribute="max_position_size",
        label="Max position size",
        help="An entry that would make the position worth more is refused.",
        group=Group.LIMITS,
        kind=MONEY,
        nullable=True,
        empty="None",
    ),
    SettingSpec(
        name="sides",
        attribute="sides",
        label="Direction",
        help="Which positions the bot opens; if omitted on an account without short selling: long.",
        group=Group.TRADE,
        kind=choice({Sides.BOTH: "Long and short", Sides.LONG: "Long only", Sides.SHORT: "Short only"}),
        at_broker=True,
        page_hint="Choose Long only, or another symbol or account.",
    ),
    SettingSpec(
        name="order_type",
        attribute="order_type",
        label="Order type",
        help="The order type of entries, if the alert has none.",
        group=Group.TRADE,
        kind=choice({OrderType.MARKET: "Market", OrderType.LIMIT: "Limit"}),
        at_broker=True,
        page_hint="Choose the other order type, or another account.",
    ),
    SettingSpec(
        name="limit_offset_percent",
        attribute="limit_offset_percent",
        label="Limit price offset",
        help="How much better than the market price limit orders are placed; negative: worse.",
        group=Group.ORDERS,
        kind=Number(
            hint="From -50 to 50 percent; positive is a better price than the market's.",
            unit=Unit.PERCENT,
            least=-50,
            most=50,
        ),
    ),
    SettingSpec(
        name="cooldown_seconds",
        attribute="cooldown_seconds",
        label="Cooldown",
        help="Entries within this time after the last entry are refused.",
        group=Group.LIMITS,
        kind=Number(
            hint=f"A whole number from 0 to {WEEK}.", unit=Unit.SECONDS, least=0, most=WEEK, whole=True
        ),
        empty="None",
    ),
    SettingSpec(
        name="windows",
        attribute="windows",
        label="Trading hours",
        help="Positions are opened within these hours only; empty list: always.",
        group=Group.HOURS,
        kind=Windows(),
        empty="Always",
    ),
    SettingSpec(
        name="time_zone",
        attribute="time_zone",
        label="Time zone",
        help="Applies to the trading hours and to the time at which positions are closed.",
        group=Group.HOURS,
        kind=TimeZone(),
    ),
    SettingSpec(
        name="orders_per_day",
        attribute="orders_per_day",
        label="Max entries per day",
        help="Further entries on the same day are refused.",
        group=Group.LIMITS,
        kind=Number(hint="A whole number from 1 to 100000.", above=0, most=100_000, whole=True),
        nullable=True,
        empty="No limit",
    ),
    SettingSpec(
        name="when_closed",
        attribute="when_closed",
        label="Entries while the market is closed",
        help="What happens to an entry that arrives while the market is closed.",
        group=Group.ORDERS,
        kind=choice(
            {WhenClosed.REFUSE: "Refuse", WhenClosed.WAIT: "Queue until the market opens, then re-evaluate"}
        ),
    ),
    SettingSpec(
        name="take_profit",
        attribute="exit_plan.take_profits",
        label="Target",
        help="For entries whose alert has no take-profit.",
        group=Group.EXITS,
        kind=TakeProfits(),
        nullable=True,
        empty="None",
    ),
    SettingSpec(
        name="stop_loss",
        attribute="exit_plan.stop_loss",
        label="Stop",
        help="For entries whose alert has no stop-loss.",
        group=Group.EXITS,
        kind=StopLoss(),
        nullable=True,
        empty="None",
    ),
    SettingSpec(
        name="break_even",
        attribute="exit_plan.break_even",
        label="Break-even after the first target",
        help="After the first take-profit step, the stop moves to the entry price.",
        group=Group.EXITS,
        kind=Flag(),
        nullable=True,
        page_hint="Enter a target too, or untick it.",
    ),
    SettingSpec(
        name="close_after_minutes",
        attribute="exit_plan.close_after",
        label="Close the position after",
        help="A position is closed at market this long after its entry.",
        group=Group.EXITS,
        kind=Span(unit=Unit.MINUTES, reader=read_minutes, above=0, most=43_200),
        nullable=True,
        empty="Never",
    ),
    SettingSpec(
        name="close_at",
        attribute="exit_plan.close_at",
        label="Close the position at",
        help="A position is closed at market at this time of day, in the bot's time zone.",
        group=Group.EXITS,
        kind=TimeOfDay(),
        nullable=True,
        empty="Never",
    ),
    SettingSpec(
        name="time_in_force",
        attribute="order_defaults.time_in_force",
        label="Time in force",
        help=(
            "How long an entry order stays open, if the alert has no time in force; null: the default of "
            "the order type."
        ),
        group=Group.ORDERS,
        kind=choice({value: word.upper() for word, value in TIMES_IN_FORCE.items()}),
        nullable=True,
        at_broker=True,
        page_hint="Choose another time in force, or another account.",
    ),
    SettingSpec(
        name="extended_hours",
        attribute="order_defaults.extended_hours",
        label="Trade in extended hours",
        help="Entries may also fill before and after the regular session.",
        group=Group.ORDERS,
        kind=Flag(),
        nullable=True,
        at_broker=True,
        page_hint="Untick it, or choose another account.",
    ),
    SettingSpec(
        name="delay_seconds",
        attribute="order_defaults.delay",
        label="Delay entries by",
        help="Entries are executed this long after their alert.",
        group=Group.ORDERS,
        kind=Span(unit=Unit.SECONDS, reader=read_span(DAY, zero=True), least=0, most=DAY),
        nullable=True,
        if_none=0,
    ),
    SettingSpec(
        name="cancel_first",
        attribute="order_defaults.cancel_first",
        label="Cancel open orders before an entry",
        help="The bot's open orders are cancelled before an entry.",
        group=Group.ORDERS,
        kind=Flag(),
        nullable=True,
    ),
)
NEEDED = tuple(setting.name for setting in SETTINGS if setting.needed)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def of_group(group: Group) -> Iterator[SettingSpec]:
    return (setting for setting in SETTINGS if setting.group is group)
