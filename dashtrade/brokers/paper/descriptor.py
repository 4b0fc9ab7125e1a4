"""The built-in paper account, as forms, REST and the manual show it."""

from __future__ import annotations

from typing import Any

from dashtrade.brokers.paper.capabilities import capabilities_of
from dashtrade.domain.accounts import Account
from dashtrade.domain.broker_kinds import AccountOption, BrokerChoice, BrokerKind, Surroundings
from dashtrade.domain.paper_account import PaperSettings
from dashtrade.domain.ports import Broker


def _check(credentials: dict[str, str], options: dict[str, Any]) -> None:
    PaperSettings.from_options({name: value for name, value in options.items() if name != "mode"})


def _make(account: Account, credentials: dict[str, str], surroundings: Surroundings) -> Broker:
    from dashtrade.brokers.paper.adapter import PaperBroker

    settings = PaperSettings.from_options(account.options)
    return PaperBroker(
        surroundings.books,
        surroundings.prices,
        surroundings.clock,
        settings,
        lambda: surroundings.sessions("XNYS"),
    )


BROKER = BrokerKind(
    name="Paper",
    modes=("paper",),
    check=_check,
    make=_make,
    starting_cash=lambda options: PaperSettings.from_options(options).starting_cash,
    choices=(
        BrokerChoice(
            title="Paper, built in",
            can=capabilities_of(PaperSettings()),
            modes=("paper",),
            guide="Nothing to connect: paper money at demo prices, around the clock. Orders are filled as "
            "at a broker, and nothing leaves this machine.",
            options=(
                AccountOption(
                    name="starting_cash",
                    label="Starting money, in dollars",
                    help="starting balance, 100000",
                    default="100000",
                    missing="Enter the starting balance, such as 100,000.",
                ),
                AccountOption(
                    name="fee_per_order",
                    label="Fee per order, $",
                    help="dollars, 0",
                    default="0",
                    folded=True,
                ),
                AccountOption(
                    name="fee_percent",
                    label="Fee, % of the amount",
                    help="of the amount, 0",
                    default="0",
                    unit="percent",
                    folded=True,
                ),
                AccountOption(
                    name="slippage_percent",
                    label="Slippage, %",
                    help="of the price, against you, 0",
                    default="0",
                    unit="percent",
                    folded=True,
                ),
                AccountOption(
                    name="fill_percent", help="the share of a market order that fills at once, 100"
                ),
                AccountOption(name="leverage", label="Leverage", help="1", default="1", folded=True),
                AccountOption(
                    name="shorting",
                    label="Short selling allowed",
                    help="true",
                    default="yes",
                    unit="yes or no",
                    folded=True,
                ),
                AccountOption(
                    name="hours",
                    help="always, or exchange: stocks trade in New York's hours, with holidays and half days",
                ),
            ),
        ),
    ),
)
