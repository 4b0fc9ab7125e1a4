"""How one crypto exchange differs from another, as data.

The five exchanges below pass the contract suite against a simulator of their wire protocol. Any other
exchange that ccxt knows may be chosen; what we have not proved of it is told in its notes, and an order in
doubt there is never sent again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches

from dashtrade.domain.ports import Capabilities
from dashtrade.domain.values import Malformed, OrderSide, OrderType, TimeInForce

COLLAR = Decimal("0.02")  # how far through the book a collared market order may go
MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_NO_DAY = "Coins trade at all hours, so there are no day orders: a limit order rests until it is taken back."

OKX_SITES = (
    "A key made at OKX's site for Europe or the US works at https://eea.okx.com or https://us.okx.com only: "
    "set CCXT_URL_OKX to it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One row of the table. The patterns are searched in the body of an answer that refuses something."""

    id: str
    name: str
    quote: str  # the money an account is counted in, unless its owner says otherwise
    order_types: frozenset[OrderType] = frozenset({MARKET, LIMIT})
    times_in_force: frozenset[TimeInForce] = frozenset({GTC, IOC, FOK})
    sandbox: bool = False

    # identity of orders
    client_id: str = "clientOrderId"  # the parameter under which our id is sent
    lookup: str = "list"  # fetch | open_closed | list | status: how an order is found by our id
    # symbol | open_closed | pages: how orders we may have forgotten are listed; empty: they are not
    lists: str = ""
    known_lookup: bool = True  # False: nobody has proved that our id is kept
    refuses_repeats: bool = False  # a repeat makes no second order, not even after the first has ended
    settle: timedelta = timedelta(seconds=5)

    # what a create needs and tells
    create_tells: bool = False  # the answer carries status and fills; else the order is fetched afterwards
    spends_on_market_buy: bool = False  # a market buy is an amount of money, so it needs a price
    # sides whose market orders go as a limit through the book, immediate or cancel
    collared: frozenset[OrderSide] = frozenset()
    reserved_fee: Decimal = Decimal(0)  # an order to buy sets this part of limit x quantity aside for its fee
    stop_param: str = "stopLossPrice"
    stop_says_time: bool = True  # whether a stop carries a time in force
    create_params: dict[str, str] = field(default_factory=dict)

    # executions
    trades: str = "order"  # order | ids | fills | filter | in_order: how the fills of an order are asked for

    # what it holds ending of what earns and is traded like the plain coin; any other after a point is not
    # traded
    rewards: str = ""

    # the connection
    nonces: bool = False  # each request must carry a higher number than the last one: one at a time
    # that a key may make, where it is so few that they have to be saved
    requests_per_minute: int | None = None
    burst: float = 1.0  # seconds' worth of requests that may go at once, at the pace ccxt knows
    options: dict[str, object] = field(default_factory=dict)
    details_on_demand: bool = False  # the list of markets lacks steps and minimums
    candles_page: int = 300
    can_resync: bool = False  # ccxt can measure how far our clock is off

    # what its words mean
    credentials: str = r"(?!)"  # the key is wrong, revoked or may not do this
    stale: str = r"(?!)"  # a nonce came out of order: certain, as nothing was looked at
    later: str = r"(?!)"  # its own words for "not taken, come back": certain, as nothing was looked at
    skewed: str = r"(?!)"  # our clock is off; certain as well
    ours: str = r"(?!)"  # it has an order of this name already: it may be ours
    refused: str = r"(?!)"  # a refusal that ccxt has no class for
    certain: str = r"(?!)"  # a refusal, although ccxt or `doubt` takes it for passing trouble
    doubt: str = r"(?!)"  # looks like a refusal and is none
    absent: str = ""  # there is no such order, where ccxt has another class for it

    key_form: str = ""  # pattern of its keys
    key_hint: str = ""
    secret_hint: str = ""
    refused_key: str = ""  # what else may be wrong with a key that is refused
    passphrase: bool = False
    notes: tuple[str, ...] = ()
    proven: bool = True

    def says(self, what: str, body: str) -> bool:
        return re.search(getattr(self, what), body, re.DOTALL) is not None


EXCHANGES: dict[str, Exchange] = {
    each.id: each
    for each in (
        Exchange(
            id="binance",
            name="Binance",
            quote="USDT",
            sandbox=True,
            lookup="fetch",
            lists="symbol",
            create_tells=True,
            burst=10,
            candles_page=1000,
            order_types=frozenset({MARKET, LIMIT, STOP, STOP_LIMIT}),
            can_resync=True,
            # With keys, all market types and margins ccxt makes seven calls at the start; with these, one.
            options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
            credentials=r'"code":\s*-(2014|2015|2008|1022|1002)\b',
            later=r'"code":\s*-(1003|1015)\b',
            skewed=r'"code":\s*-1021\b',
            ours=r"Duplicate order sent",
            doubt=r'"code":\s*-(1000|1001|1006|1007)\b',
            certain=r'"code":\s*-(1112|2016|2039)\b',
            notes=(
                (
                    "Binance refuses a repeated client id only while the first order is open, so an order in "
                    "doubt is never sent again."
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
            later=r'"s?[cC]ode":\s*"(50011|50061)"',
            skewed=r'"code":\s*"(50102|50112)"',
            ours=r'"51016"',
            refused=r'"sCode":\s*"5[1-4]\d{3}"',
            doubt=r'"s?[cC]ode":\s*"(50001|50004|50005|50013|50026)"',
            refused_key=OKX_SITES,
            notes=(
                "OKX forgets a client id once its order has ended, so an order in doubt is never sent again.",
                "The fee of a purchase is taken in the bought coin.",
                OKX_SITES,
                "Stops are kept by DashTrade: OKX holds them as another kind of order, without our id.",
                _NO_DAY,
            ),
        ),
        Exchange(
            id="kraken",
            name="Kraken",
            quote="USD",
            lookup="open_closed",
            lists="open_closed",
            trades="ids",
            nonces=True,
            burst=45,
            candles_page=720,
            requests_per_minute=20,
            order_types=frozenset({MARKET, LIMIT, STOP, STOP_LIMIT}),
            times_in_force=frozenset({GTC, IOC}),
            settle=timedelta(seconds=10),
            # Fees in the quote currency, as ccxt takes them to be. Without the agreement nobody in Germany
            # can trade.
            create_params={"oflags": "fciq", "trading_agreement": "agree"},
            rewards=".F",
            credentials=r"EAPI:Invalid (key|signature)|EGeneral:Permission denied|ESession:Invalid session",
            stale=r"EAPI:Invalid nonce",
            later=r"E(API|Order):(Domain rate|Rate) limit exceeded|EGeneral:Too many requests"
            r"|EService: ?(Throttled|Deadline elapsed)",
            ours=r"cl_ord_id not unique",
            certain=r"EService:Market in (cancel|post|limit)_only mode|EAPI:(Feature disabled|Bad request)"
            r"|EGeneral:Unknown method",
            absent=r"EOrder:(Unknown|Invalid) order",
            refused=r'"E(Order|Trade|Query|Funding|Account):|"EGeneral:Invalid arguments',
            doubt=r'"EService:|"EDatabase:|EGeneral:(Internal error|Temporary lockout)',
            secret_hint="Kraken's private key is base64 text of 88 characters: copy it whole.",
            notes=(
                "Kraken has no sandbox: use the built-in paper account to practise.",
                (
                    "Coins and money in Kraken Rewards are traded like any other; what is bonded, staked "
                    "or on hold is not counted."
                ),
                (
                    "Kraken refuses a repeated client id only while the first order is open, so an order in "
                    "doubt is never sent again."
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
            lists="pages",
            trades="filter",
            burst=1,
            order_types=frozenset({MARKET, LIMIT, STOP_LIMIT}),
            refuses_repeats=True,
            # A market buy here is a sum of money, fees included, and buys some other quantity than was asked
            # for.
            collared=frozenset({OrderSide.BUY}),
            reserved_fee=Decimal("0.012"),  # the highest; an account's own rate is told
            settle=timedelta(seconds=10),
            candles_page=300,
            # the older call does not tell what open orders hold
            options={"fetchBalance": "v3PrivateGetBrokerageAccounts"},
            credentials=r"PERMISSION_DENIED|Unauthorized|unauthorized|invalid_token|revoked_token",
            refused=r'"success":\s*false|"error":\s*"(INVALID_ARGUMENT|NOT_FOUND|UNSUPPORTED)',
            absent=r'"error":\s*"NOT_FOUND"',
            # A failure of which every reason is empty or UNKNOWN_… says nothing; one reason is a refusal.
            doubt=r'"error":\s*"(INTERNAL|internal|UNKNOWN"|unknown)|internal_server_error|'
            r'^(?!.*"(?:error|message|error_details|(?:preview|new_order)_failure_reason)":\s*"(?!UNKNOWN_|"))'
            r'.*"success":\s*false',
            ours=r'"DUPLICATE_CLIENT_ORDER_ID"',
            key_hint=(
                "The key's name begins with organizations/; its private key is the text from -----BEGIN to "
                "END-----."
            ),
            notes=(
                "Coinbase has no sandbox: use the built-in paper account to practise.",
                (
                    "A market buy is sent as a limit order 2 % above the quote that fills at once or not at "
                    "all: so it buys what was asked for."
                ),
                (
                    "A repeated client id returns the first order, so an order in doubt may safely be sent "
                    "again."
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
            collared=frozenset(OrderSide),
            reserved_fee=Decimal("0.004"),
            stop_param="triggerPrice",
            stop_says_time=False,
            candles_page=500,
            credentials=r'"reason":\s*"(InvalidSignature|InvalidApiKey|MissingRole|InvalidSignatureHeader)"',
            stale=r'"reason":\s*"InvalidNonce"',
            ours=r'"reason":\s*"Duplicate',
            later=r'"reason":\s*"RateLimit"',
            doubt=r'"reason":\s*"System"',
            refused=r'"result":\s*"error"',
            key_form=r"account",
            key_hint="Gemini needs a key of one account (account-…), not a master key.",
            notes=(
                (
                    "Gemini has no market orders: they are sent as limit orders 2 % through the book that "
                    "fill at once or not at all."
                ),
                (
                    "Whether Gemini refuses a repeated client id is not known, so an order in doubt is never "
                    "sent again."
                ),
                _NO_DAY,
            ),
        ),
    )
}

ALIASES = {"okex": "okx", "gdax": "coinbase", "coinbasepro": "coinbase", "coinbaseadvanced": "coinbase"}
UNPROVEN = (
    (
        "Unproven here: whether our order id is kept and can be looked up; after a time-out DashTrade may "
        "have to ask you."
    ),
    "Unproven here: times in force, minimums, and in which coin fees are taken.",
    "Only market and limit orders are offered; stops are kept by DashTrade.",
)


OTHER = Exchange(
    id="",
    name="Any other exchange of ccxt",
    quote="USDT",
    known_lookup=False,
    trades="guess",
    settle=timedelta(seconds=30),
    nonces=True,
    notes=UNPROVEN,
    proven=False,
    options={"defaultType": "spot"},
    times_in_force=frozenset({GTC}),
)


def exchange_of(written: object) -> Exchange:
    """The row of an exchange, by its name; loads ccxt only for one that is not in the table."""
    name = re.sub(r"[\s.\-_]", "", str(written or "")).lower()
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
            hint=f"{hint}Proven are {', '.join(EXCHANGES)}.",
        )
    about = getattr(ccxt, name)()
    if not (
        about.has.get("createOrder") and about.has.get("fetchBalance") and about.has.get("fetchOpenOrders")
    ):
        raise Malformed(
            f"{about.name} cannot be traded through ccxt",
            where="options.exchange",
            hint=f"Proven are {', '.join(EXCHANGES)}.",
        )
    return replace(
        OTHER,
        id=name,
        name=about.name,
        sandbox=bool(about.urls.get("test")),
        passphrase=bool(about.requiredCredentials.get("password")),
        spends_on_market_buy=bool(about.options.get("createMarketBuyOrderRequiresPrice")),
    )


def capabilities_of(exchange: str, *, settle: timedelta | None = None) -> Capabilities:
    """What this exchange can do, without a key and without the network."""
    return table_of(exchange_of(exchange), settle=settle)


def table_of(row: Exchange, *, settle: timedelta | None = None) -> Capabilities:
    return Capabilities(
        name=row.name,
        order_types=row.order_types,
        times_in_force=row.times_in_force,
        fractional=True,
        client_ids=row.known_lookup,
        refuses_repeats=row.refuses_repeats,
        settle=row.settle if settle is None else settle,
        sandbox=row.sandbox,
        stocks=False,
        crypto=True,
        always_open=True,
        queues_when_closed=False,
        lists_orders=bool(row.lists),
        notes=row.notes,
        requests_per_minute=row.requests_per_minute,
    )


def check(credentials: dict[str, str], options: dict[str, object]) -> None:
    """What can be said of a key before it is stored; raises Malformed with a hint."""
    row = exchange_of(options.get("exchange"))
    if options.get("mode") == "paper" and not row.sandbox:
        raise no_sandbox(row)
    for name in ("key", "secret", *(("passphrase",) if row.passphrase else ())):
        if not str(credentials.get(name) or "").strip():
            raise Malformed(
                f"the {name} is missing", where=f"credentials.{name}", hint=_where_to_find(row, name)
            )
    if row.key_form and not re.search(row.key_form, credentials["key"]):
        raise Malformed(f"this is not a key {row.name} takes", where="credentials.key", hint=row.key_hint)
    _check_secret(row, credentials)
    _check_quote(options)


def no_sandbox(row: Exchange) -> Malformed:
    return Malformed(
        f"{row.name} has no sandbox",
        where="mode",
        hint="Choose live, or use the built-in paper account with made-up money.",
    )


def _where_to_find(row: Exchange, name: str) -> str:
    if name == "passphrase":
        return f"{row.name} keys have a passphrase, chosen when the key was made."
    return row.key_hint or (
        f"Make an API key at {row.name} that may read and trade, and must not withdraw; copy both of "
        "its parts."
    )


def _check_secret(row: Exchange, credentials: dict[str, str]) -> None:
    secret = credentials["secret"].strip()
    if row.id == "kraken" and not re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", secret):
        raise Malformed("this is not a Kraken private key", where="credentials.secret", hint=row.secret_hint)
    if (
        row.id == "coinbase"
        and "organizations/" in credentials["key"]
        and "-----BEGIN" not in secret
        and len(secret) != 88
    ):
        raise Malformed(
            "the private key does not fit a key of this kind", where="credentials.secret", hint=row.key_hint
        )


def _check_quote(options: dict[str, object]) -> None:
    quote = options.get("quote")
    if quote is not None and not re.fullmatch(r"[A-Za-z]{3,6}", str(quote)):
        raise Malformed(
            "the quote currency cannot be read", where="options.quote", hint="Write it as USDT, USD or EUR."
        )
