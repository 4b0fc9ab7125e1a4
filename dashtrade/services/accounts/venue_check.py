"""Reports what a venue cannot do when a bot is saved, not at its first alert.

The capability table is local. The symbol's rules come from the venue, with a time limit; if the venue does
not answer, the bot is saved anyway and the user is told what could not be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dashtrade.context import App
from dashtrade.domain.accounts import Account
from dashtrade.domain.bots import BotSettings, Sides
from dashtrade.domain.decisions.sizing import SizeRefused, entry_size
from dashtrade.domain.ports import BrokerError, Capabilities, Quote, Rejected, Rules, Unavailable
from dashtrade.domain.signals import SizeKind
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.values import ZERO, Malformed, money, plain
from dashtrade.domain.wording import sentence, words

T = TypeVar("T")
Warn = Callable[[str], Any]
DOLLARS = frozenset(["USD", "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI"])
TIMEOUT_SECONDS = 5.0  # seconds that saving a bot waits for its venue


def check(app: App, account: Account, symbol: Symbol, wish: BotSettings, warn: Warn) -> None:
    """Raises Malformed for the impossible; warns of risks and of what could not be checked."""
    can = app.brokers.capabilities(account)
    _check_table(symbol, wish, can)
    if wish.sides is Sides.BOTH and not can.shorts:
        warn(f"{can.name} cannot sell short: a SELL closes the bot's position, and opens nothing.")
    try:
        rules, quote = _read_rules(app, account, symbol)
    except Rejected as error:
        raise Malformed(
            error.message, where="symbol", hint="Check the spelling, or choose another symbol or account."
        ) from error
    except BrokerError as error:
        warn(
            f"{can.name} did not answer about {symbol.short}, so the bot's settings were not checked "
            f"there. {error.message}"
        )
        return
    if rules.note:
        warn(f"{sentence(rules.note)} Try the bot with a small order first.")
    _check_rules(symbol, wish, can, rules)
    _check_size(symbol, wish, can, rules, quote, warn)


def warn_about_currency(symbol: Symbol, warn: Warn) -> None:
    if money_of := _other_currency(symbol):
        warn(
            f"{symbol.short} is priced in {money_of}: this bot's size, limits and profit are in "
            f"{money_of} too. Nothing is converted, though pages show $."
        )


def check_other_bots(
    app: App, account: Account, symbol: Symbol, others: Iterable[Symbol], warn: Warn
) -> None:
    """A crypto pair may pay with a coin that another bot owns: the broker holds one balance of it, while
    each bot's books count what that bot bought."""
    if not symbol.is_crypto or app.brokers.of(account).offers.local:
        return
    shared = {one.quote for one in (symbol, *others) if one.is_crypto} & {
        one.base for one in (symbol, *others) if one.is_crypto
    }
    for coin in sorted(shared & {symbol.base, symbol.quote}):
        warn(
            f"{coin} is traded by one bot of this account and used as payment by another: what the "
            "second bot pays is missing from the first bot's position, and shows as a position "
            "mismatch. Use a separate account, or sub-account, for one of them."
        )


def _other_currency(symbol: Symbol) -> str:
    """The quote currency where it is not the dollar: pages and limits use one currency."""
    if symbol.is_crypto:
        return "" if symbol.quote in DOLLARS else symbol.quote
    return "" if symbol.market == "NYSE" else f"the money of its market, {symbol.market}"


def _check_table(symbol: Symbol, wish: BotSettings, can: Capabilities) -> None:
    ordering = wish.order_defaults
    if symbol.is_crypto and not can.crypto:
        raise Malformed(
            f"{can.name} does not trade coins",
            where="symbol",
            hint="Use an account of a crypto exchange, or a paper account.",
        )
    if not symbol.is_crypto and not can.stocks:
        raise Malformed(
            f"{can.name} does not trade stocks",
            where="symbol",
            hint="Use an account of a stock broker, or a paper account.",
        )
    if wish.order_type not in can.order_types:
        raise Malformed(
            f"{can.name} has no {wish.order_type} orders",
            where="order_type",
            hint=f"One of: {', '.join(sorted(can.order_types))}.",
        )
    if wish.sides is Sides.SHORT and not can.shorts:
        raise Malformed(f"{can.name} cannot sell short", where="sides", hint='Set sides to "long".')
    if ordering.time_in_force is not None and ordering.time_in_force not in can.times_in_force:
        hint = f"One of: {', '.join(sorted(can.times_in_force))}."
        raise Malformed(
            f"{can.name} takes no {ordering.time_in_force} orders", where="time_in_force", hint=hint
        )
    if ordering.extended_hours and not can.extended_hours:
        raise Malformed(
            f"{can.name} does not trade outside the regular hours",
            where="extended_hours",
            hint="Set extended_hours to false.",
        )


def _read_rules(app: App, account: Account, symbol: Symbol) -> tuple[Rules, Quote | None]:
    """The symbol's rules, and its price where available."""
    broker, feed = app.brokers.of(account), app.brokers.feed(account)

    def ask() -> tuple[Rules, Quote | None]:
        rules = broker.rules(symbol)
        try:
            return rules, feed.quote(symbol)
        except BrokerError:
            return rules, None

    return ask() if broker.offers.local else _call_within(ask)


def _call_within(ask: Callable[[], T]) -> T:
    pool = ThreadPoolExecutor(1, thread_name_prefix="venue-check")
    try:
        return pool.submit(ask).result(TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise Unavailable(f"No answer within {TIMEOUT_SECONDS:.0f} s.") from error
    finally:
        pool.shutdown(wait=False)


def _check_rules(symbol: Symbol, wish: BotSettings, can: Capabilities, rules: Rules) -> None:
    name, fraction = symbol.short, wish.size.kind is SizeKind.QUANTITY and wish.size.value % 1
    if not rules.tradable:
        raise Malformed(
            f"{name} cannot be traded at {can.name} now",
            where="symbol",
            hint="Choose another symbol or account.",
        )
    if wish.sides is Sides.SHORT and not rules.shortable:
        raise Malformed(
            f"{name} cannot be sold short at {can.name}",
            where="sides",
            hint='Set sides to "long", or choose another symbol.',
        )
    if fraction and not (can.fractional and rules.fractionable):
        raise Malformed(
            f"{can.name} takes whole shares of {name} only, not {plain(wish.size.value)}",
            where="position_size",
            hint="Write a whole number, or a size in dollars.",
        )
    if fraction and wish.sides is Sides.SHORT and can.fractions_by_the_day and not symbol.is_crypto:
        raise Malformed(
            f"{can.name} sells whole shares short only, not {plain(wish.size.value)}",
            where="position_size",
            hint="Write a whole number.",
        )


def _check_size(
    symbol: Symbol, wish: BotSettings, can: Capabilities, rules: Rules, quote: Quote | None, warn: Warn
) -> None:
    """Refuse a size that can never make an order; warn of one that makes none at today's price."""
    name, size, least = symbol.short, wish.size, max(rules.min_quantity, rules.quantity_step)
    if size.kind is SizeKind.QUANTITY and size.value < least:
        raise Malformed(
            f"{plain(size.value)} {name} is below the minimum order at {can.name}, {plain(least)}",
            where="position_size",
            hint="Use a larger size.",
        )
    if size.kind is SizeKind.DOLLARS and size.value < rules.min_notional:
        what = (
            f"{money(size.value)} is below the minimum order of {name} at {can.name}, "
            f"{money(rules.min_notional)}"
        )
        raise Malformed(what, where="position_size", hint="Use a larger size.")
    if quote is None or size.kind not in (SizeKind.QUANTITY, SizeKind.DOLLARS):
        return
    sized = entry_size(size, price=quote.ask, equity=ZERO, owned=ZERO, rules=rules)
    if isinstance(sized, SizeRefused):
        warn(f"At the current price an entry would be refused: {words(sized.reason)}.")
    if wish.sides is Sides.BOTH and can.shorts and not rules.shortable:
        warn(
            f"{name} cannot be sold short at {can.name}: a SELL closes the bot's position, and opens nothing."
        )
