"""Every broker, what it can do and how to connect it: for the API, the dashboard and docs/brokers.md, without
loading its library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashtrade.domain.ports import Capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """One row: a broker, or one exchange of the broker `crypto`."""

    broker: str
    exchange: str | None = None
    can: Capabilities
    modes: tuple[str, ...]
    credentials: dict[str, str]  # field: what to copy there, and from where
    options: dict[str, str]
    optional: tuple[str, ...] = ()  # credentials that may be left out
    settings: tuple[str, ...] = ()  # of addresses, for a server of one's own
    steps: str  # how to connect it, in a few sentences
    proven: bool = True  # held to the contract tests, against a simulator of its wire


def guides() -> tuple[Guide, ...]:
    return (_paper(), _alpaca(), *_exchanges(), _schwab())


def _paper() -> Guide:
    from dashtrade.brokers.paper.capabilities import capabilities_of
    from dashtrade.domain.paper_account import PaperSettings

    return Guide(
        broker="paper",
        can=capabilities_of(PaperSettings()),
        modes=("paper",),
        credentials={},
        options={
            "starting_cash": "the money to begin with, 100000",
            "fee_per_order": "0",
            "fee_percent": "0",
            "slippage_percent": "0",
            "fill_percent": "the share of a market order that fills at once, 100",
            "leverage": "1",
            "shorting": "true",
            "hours": "always or exchange",
        },
        steps="Nothing to connect: made-up money at demo prices, day and night. With `hours` set to "
        "`exchange`, stocks trade from 09:30 to 16:00 in New York, Monday to Friday.",
    )


def _alpaca() -> Guide:
    from dashtrade.brokers.alpaca.capabilities import CAPABILITIES

    return Guide(
        broker="alpaca",
        can=CAPABILITIES,
        modes=("paper", "live"),
        credentials={"key": "the API key ID", "secret": "the secret key, shown once"},
        options={"feed": "iex (free) or sip (with Alpaca's paid plan): where stock prices come from"},
        settings=("ALPACA_API_URL", "ALPACA_DATA_URL", "ALPACA_STREAM_URL"),
        steps="In Alpaca's dashboard choose the paper or the live account, make a key in the box API Keys, "
        "and copy both parts. Paper and live have keys "
        "of their own. The key trades; it cannot move money out.",
    )


_EXCHANGE_STEPS = {
    "binance": "API Management, Create API, System generated. Allow Reading and Spot Trading, never "
    "Withdrawals, and restrict it to your machine's address. For the mode paper make the key at "
    "testnet.binance.vision.",
    "okx": "API, Create API key, with a passphrase of your own. Permissions Read and Trade, never "
    "Withdraw. For the mode paper make the key in demo trading.",
    "kraken": "Settings, API, Create key. Allow Query funds, Query and Create & modify open orders, Cancel "
    "orders, Query closed orders; never Withdraw funds.",
    "coinbase": "Coinbase Developer Platform, API keys, Create, with the signature ECDSA. Allow View and "
    "Trade, never Transfer. The key is the name that begins with organizations and a slash, "
    "the secret the whole text from BEGIN to END.",
    "gemini": "Settings, API, Create a key of the scope Primary with the role Trader, never Fund Manager. "
    "For the mode paper make it at exchange.sandbox.gemini.com.",
}


def _exchanges() -> Iterator[Guide]:
    from dashtrade.brokers.crypto.venues import EXCHANGES, OTHER, table_of

    for row in (*EXCHANGES.values(), OTHER):
        passphrase = {"passphrase": "the passphrase chosen when the key was made"} if row.passphrase else {}
        yield Guide(
            broker="crypto",
            exchange=row.id,
            can=table_of(row),
            proven=row.proven,
            modes=("paper", "live") if row.sandbox else ("live",),
            credentials={
                "key": row.key_hint or "the API key",
                "secret": row.secret_hint or "its secret",
                **passphrase,
            },
            options={
                "exchange": row.id or "its name in ccxt",
                "quote": f"the money the account is counted in, {row.quote}",
            },
            settings=(f"CCXT_URL_{row.id.upper() or '<EXCHANGE>'}",),
            steps=_EXCHANGE_STEPS.get(
                row.id,
                (
                    "Make a key that reads and trades spot, and cannot withdraw. Try it with the smallest "
                    "sizes first."
                ),
            ),
        )


def _schwab() -> Guide:
    from dashtrade.brokers.schwab.capabilities import CAPABILITIES

    return Guide(
        broker="schwab",
        can=CAPABILITIES,
        modes=("live",),
        credentials={
            "key": "the app key",
            "secret": "the app's secret",
            "token": "left out: you sign in by the link under Setup",
        },
        optional=("token",),
        options={"account": "the account's number, where the sign-in shows several"},
        settings=("SCHWAB_URL",),
        steps="Make an app at developer.schwab.com with the product Accounts and Trading Production, and "
        "wait until it is Ready for use. Then sign in "
        "by the link under Setup, and again every seven days; DashTrade warns two days before.",
    )


# --- as documents -------------------------------------------------------------------------------------------


def as_json(guide: Guide) -> dict[str, Any]:
    can = guide.can
    return {
        "broker": guide.broker,
        "exchange": guide.exchange,
        "name": can.name,
        "proven": guide.proven,
        "modes": list(guide.modes),
        "credentials": [
            {"name": name, "description": words, "required": name not in guide.optional}
            for name, words in guide.credentials.items()
        ],
        "options": [{"name": name, "description": words} for name, words in guide.options.items()],
        "settings": list(guide.settings),
        "capabilities": {
            "stocks": can.stocks,
            "crypto": can.crypto,
            "order_types": sorted(can.order_types),
            "times_in_force": sorted(can.times_in_force),
            "shorts": can.shorts,
            "fractional": can.fractional,
            "notional": can.notional,
            "extended_hours": can.extended_hours,
            "native_bracket": can.native_bracket,
            "client_ids": can.client_ids,
            "refuses_repeats": can.refuses_repeats,
            "settle_seconds": can.settle.total_seconds(),
            "sandbox": can.sandbox,
            "requests_per_minute": can.requests_per_minute,
            "always_open": can.always_open,
            "queues_when_closed": can.queues_when_closed,
            "lists_orders": can.lists_orders,
        },
        "notes": list(can.notes),
        "steps": guide.steps,
    }


_COLUMNS = (
    "broker",
    "name",
    "trades",
    "modes",
    "orders",
    "time in force",
    "short",
    "fractions",
    "outside regular hours",
    "exits",
    "an order in doubt is",
    "a 404 is believed after",
)


def as_markdown() -> str:
    """The table, what else is to know of each, and how to connect it."""
    found = guides()
    table = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|" + "---|" * len(_COLUMNS),
        *(_row(guide) for guide in found),
    ]
    return "\n".join([*table, "", *(line for guide in found for line in _told(guide))]).rstrip() + "\n"


def _row(guide: Guide) -> str:
    can = guide.can
    what = " and ".join(word for word, yes in (("stocks", can.stocks), ("coins", can.crypto)) if yes)
    if not guide.proven:
        again = "unproven: you may be asked"
    elif can.refuses_repeats:
        again = "looked up, and sent again where it is not there"
    else:
        again = (
            "looked up, never sent again"
            if can.client_ids
            else "searched among the account's orders, never sent again"
        )
    cells = (
        f"`{guide.broker}`" + (f" `{guide.exchange}`" if guide.exchange else ""),
        can.name,
        what,
        ", ".join(guide.modes),
        _listed(can.order_types),
        _listed(can.times_in_force),
        "yes" if can.shorts else "no",
        "yes" if can.fractional else "no, whole shares",
        "yes" if can.extended_hours else "always open" if can.always_open else "no",
        f"held at {can.name}" if can.native_bracket else "kept by DashTrade: work while it runs",
        again,
        f"{can.settle.total_seconds():.0f} s",
    )
    return "| " + " | ".join(cells) + " |"


def _listed(words: Any) -> str:
    return ", ".join(sorted(word.replace("_", "-") for word in words))


def _told(guide: Guide) -> Iterator[str]:
    fields = ", ".join(f"`{name}` ({words.rstrip('.')})" for name, words in guide.credentials.items())
    addresses = ", ".join(f"`{name}`" for name in guide.settings)
    yield f"- **{guide.can.name}.** {guide.steps}"
    if fields:
        yield f"  Credentials: {fields}. Another address: {addresses}."
    if guide.options:
        yield f"  Options: {', '.join(f'`{name}` ({words})' for name, words in guide.options.items())}."
    for note in guide.can.notes:
        yield f"  {note}"
