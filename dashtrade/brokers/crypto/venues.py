"""How one crypto exchange differs from another, as data.

The five exchanges below pass the contract suite against a simulator of their wire protocol. Any other
exchange that ccxt knows may be chosen; its notes name what is not proven, and an unconfirmed order there is
never sent again."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches

from dashtrade.brokers.crypto.exchange import GTC, IOC, LIMIT, MARKET, STOP, STOP_LIMIT, Exchange
from dashtrade.domain.ports import Capabilities
from dashtrade.domain.record import replace
from dashtrade.domain.values import Malformed, OrderSide

_NO_DAY = (
    "Coins trade around the clock, so there are no day orders: a limit order stays open until cancelled."
)

OKX_SITES = (
    "A key made at OKX's site for Europe or the US works at https://eea.okx.com or https://us.okx.com only: "
    "set CCXT_URL_OKX to it."
)

EXCHANGES: dict[str, Exchange] = {
    each.id: each
    for each in (
        Exchange(
            id="binance",
            name="Binance",
            quote="USDT",
            sandbox=True,
            lookup="fetch",
            listing="symbol",
            create_returns_state=True,
            burst=10,
            candles_page=1000,
            order_types=frozenset({MARKET, LIMIT, STOP, STOP_LIMIT}),
            can_resync=True,
            # With keys, all market types and margins cost seven calls at the start; with these, one.
            options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
            credentials=r'"code":\s*-(2014|2015|2008|1022|1002)\b',
            try_again=r'"code":\s*-(1003|1015)\b',
            skewed=r'"code":\s*-1021\b',
            duplicate=r"Duplicate order sent",
            unclear=r'"code":\s*-(1000|1001|1006|1007)\b',
            certain=r'"code":\s*-(1112|2016|2039)\b',
            notes=(
                (
                    "Binance refuses a repeated client id only while the first order is open, so an "
                    "unconfirmed order is never sent again."
                ),
                "A fee may be taken in the bought coin or in BNB.",
                _NO_DAY,
            ),
        ),
        Exchange(
            id="okx",
            name="OKX",
            quote="USDT",
            sandbox=True,
            lookup="fetch",
            passphrase=True,
            burst=2,
            can_resync=True,
            options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}},
            trades="fills",
            create_params={"tgtCcy": "base_ccy", "tdMode": "cash"},
            credentials=r'"code":\s*"50(030|100|101|103|104|105|106|107|110|111|113|114|119|120)"',
            try_again=r'"s?[cC]ode":\s*"(50011|50061)"',
            skewed=r'"code":\s*"(50102|50112)"',
            duplicate=r'"51016"',
            refused=r'"sCode":\s*"5[1-4]\d{3}"',
            unclear=r'"s?[cC]ode":\s*"(50001|50004|50005|50013|50026)"',
            refused_key=OKX_SITES,
            notes=(
                (
                    "OKX forgets a client id once its order has ended, so an unconfirmed order is never sent "
                    "again."
                ),
                "The fee of a purchase is taken in the bought coin.",
                OKX_SITES,
                (
                    "Stops are managed by DashTrade: OKX treats them as another kind of order, without "
                    "DashTrade's order id."
                ),
                _NO_DAY,
            ),
        ),
        Exchange(
            id="kraken",
            name="Kraken",
            quote="USD",
            lookup="open_closed",
            listing="open_closed",
            trades="ids",
            nonces=True,
            burst=45,
            candles_page=720,
            requests_per_minute=20,
            order_types=frozenset({MARKET, LIMIT, STOP, STOP_LIMIT}),
            times_in_force=frozenset({GTC, IOC}),
            settle=timedelta(seconds=10),
            # Fees in the quote currency, as ccxt assumes. Without the agreement, orders from Germany are
            # refused.
            create_params={"oflags": "fciq", "trading_agreement": "agree"},
            reward_suffix=".F",
            credentials=r"EAPI:Invalid (key|signature)|EGeneral:Permission denied|ESession:Invalid session",
            stale=r"EAPI:Invalid nonce",
            try_again=r"E(API|Order):(Domain rate|Rate) limit exceeded|EGeneral:Too many requests"
            r"|EService: ?(Throttled|Deadline elapsed)",
            duplicate=r"cl_ord_id not unique",
            certain=r"EService:Market in (cancel|post|limit)_only mode|EAPI:(Feature disabled|Bad request)"
            r"|EGeneral:Unknown method",
            absent=r"EOrder:(Unknown|Invalid) order",
            refused=r'"E(Order|Trade|Query|Funding|Account):|"EGeneral:Invalid arguments',
            unclear=r'"EService:|"EDatabase:|EGeneral:(Internal error|Temporary lockout)',
            secret_hint="Kraken's private key is base64 text of 88 characters: copy it whole.",
            notes=(
                "Kraken has no sandbox: use the built-in paper account to practise.",
                (
                    "Coins and money in Kraken Rewards are traded like any other; bonded, staked and "
                    "held balances are not counted."
                ),
                (
                    "Kraken refuses a repeated client id only while the first order is open, so an "
                    "unconfirmed order is never sent again."
                ),
                _NO_DAY,
            ),
        ),
        Exchange(
            id="coinbase",
            name="Coinbase",
            quote="USD",
            client_id="client_order_id",
            lookup="list",
            listing="pages",
            trades="filter",
            burst=1,
            order_types=frozenset({MARKET, LIMIT, STOP_LIMIT}),
            refuses_repeats=True,
            # A market buy here is an amount of money, fees included, and would buy another quantity than
            # requested.
            collared_sides=frozenset({OrderSide.BUY}),
            reserved_fee=Decimal("0.012"),  # the highest; an account's own rate is known
            settle=timedelta(seconds=10),
            candles_page=300,
            # the older call does not return what open orders reserve
            options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
            credentials=r"PERMISSION_DENIED|Unauthorized|unauthorized|invalid_token|revoked_token",
            refused=r'"success":\s*false|"error":\s*"(INVALID_ARGUMENT|NOT_FOUND|UNSUPPORTED)',
            absent=r'"error":\s*"NOT_FOUND"',
            # A failure whose reasons are all empty or UNKNOWN_… says nothing; any other reason is a refusal.
            unclear=r'"error":\s*"(INTERNAL|internal|UNKNOWN"|unknown)|internal_server_error|'
            r'^(?!.*"(?:error|message|error_details|(?:preview|new_order)_failure_reason)":\s*"(?!UNKNOWN_|"))'
            r'.*"success":\s*false',
            duplicate=r'"DUPLICATE_CLIENT_ORDER_ID"',
            key_hint=(
                "The key's name begins with organizations/; its private key is the text from -----BEGIN to "
                "END-----."
            ),
            notes=(
                "Coinbase has no sandbox: use the built-in paper account to practise.",
                (
                    "A market buy is sent as an immediate-or-cancel limit order 2 % above the quote, as "
                    "Coinbase sizes market buys in money."
                ),
                (
                    "A repeated client id returns the first order, so an unconfirmed order can safely be "
                    "sent again."
                ),
                _NO_DAY,
            ),
        ),
        Exchange(
            id="gemini",
            name="Gemini",
            quote="USD",
            sandbox=True,
            client_id="client_order_id",
            lookup="status",
            trades="in_order",
            order_types=frozenset({MARKET, LIMIT, STOP_LIMIT}),
            nonces=True,
            burst=2,
            details_on_demand=True,
            collared_sides=frozenset(OrderSide),
            reserved_fee=Decimal("0.004"),
            stop_param="triggerPrice",
            stop_takes_time_in_force=False,
            candles_page=500,
            credentials=r'"reason":\s*"(InvalidSignature|InvalidApiKey|MissingRole|InvalidSignatureHeader)"',
            stale=r'"reason":\s*"InvalidNonce"',
            duplicate=r'"reason":\s*"Duplicate',
            try_again=r'"reason":\s*"RateLimit"',
            unclear=r'"reason":\s*"System"',
            refused=r'"result":\s*"error"',
            key_form=r"account",
            key_hint="Gemini needs a key of one account (account-…), not a master key.",
            notes=(
                (
                    "Gemini has no market orders: they are sent as immediate-or-cancel limit orders 2 % "
                    "through the book."
                ),
                (
                    "Whether Gemini refuses a repeated client id is not known, so an unconfirmed order "
                    "is never sent again."
                ),
                _NO_DAY,
            ),
        ),
    )
}

ALIASES = {"okex": "okx", "gdax": "coinbase", "coinbasepro": "coinbase", "coinbaseadvanced": "coinbase"}

UNPROVEN = (
    (
        "Not verified: whether the exchange stores DashTrade's order id and can look it up; after a "
        "time-out DashTrade may have to ask you."
    ),
    "Not verified: times in force, minimums, and in which coin fees are taken.",
    "Only market and limit orders are offered; stops are managed by DashTrade.",
)

OTHER = Exchange(
    id="",
    name="Any other exchange of ccxt",
    quote="USDT",
    keeps_client_id=False,
    trades="guess",
    settle=timedelta(seconds=30),
    nonces=True,
    notes=UNPROVEN,
    proven=False,
    options={"defaultType": "spot"},
    times_in_force=frozenset({GTC}),
)


def exchange_of(name: object) -> Exchange:
    """The row of an exchange, by its name; loads ccxt only for one that is not in the table."""
    name = re.sub(r"[\s.\-_]", "", str(name or "")).lower()
    name = ALIASES.get(name, name)
    if not name:
        raise Malformed(
            "the exchange is missing", where="options.exchange", hint=f"One of: {', '.join(EXCHANGES)}."
        )
    return EXCHANGES.get(name) or _other(name)


def _other(name: str) -> Exchange:
    import ccxt

    if name not in ccxt.exchanges:
        near = get_close_matches(name, [*EXCHANGES, *ccxt.exchanges], 1, 0.6)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise Malformed(
            f"there is no exchange {name[:30]!r}",
            where="options.exchange",
            hint=f"{hint}Verified exchanges: {', '.join(EXCHANGES)}.",
        )
    client = getattr(ccxt, name)()
    if not (
        client.has.get("createOrder") and client.has.get("fetchBalance") and client.has.get("fetchOpenOrders")
    ):
        raise Malformed(
            f"{client.name} cannot be traded through ccxt",
            where="options.exchange",
            hint=f"Verified exchanges: {', '.join(EXCHANGES)}.",
        )
    return replace(
        OTHER,
        id=name,
        name=client.name,
        sandbox=bool(client.urls.get("test")),
        passphrase=bool(client.requiredCredentials.get("password")),
        spends_on_market_buy=bool(client.options.get("createMarketBuyOrderRequiresPrice")),
    )


def capabilities_of(exchange: str, *, settle: timedelta | None = None) -> Capabilities:
    """What this exchange can do, without a key and without the network."""
    return capabilities_of_row(exchange_of(exchange), settle=settle)


def capabilities_of_row(row: Exchange, *, settle: timedelta | None = None) -> Capabilities:
    return Capabilities(
        name=row.name,
        order_types=row.order_types,
        times_in_force=row.times_in_force,
        fractional=True,
        client_ids=row.keeps_client_id,
        refuses_repeats=row.refuses_repeats,
        settle=row.settle if settle is None else settle,
        sandbox=row.sandbox,
        stocks=False,
        crypto=True,
        always_open=True,
        queues_when_closed=False,
        lists_orders=bool(row.listing),
        notes=row.notes,
        requests_per_minute=row.requests_per_minute,
    )
