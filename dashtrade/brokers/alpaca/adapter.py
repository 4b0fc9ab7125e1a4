"""Alpaca, paper and live, through alpaca-py: orders, the account, and the prices it trades at.

The library is loaded by the first account that needs it (it costs 120 MB), never by importing this module. It
is asked for raw answers only, because its models raise on a status they do not know although the order was
placed. Its retries are off, because they repeat POSTs, and it is given time-outs, because it has none.

REST is the truth. The stream of trade updates (`listen`) only makes news arrive sooner: it may drop, and
nothing is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from dashtrade.brokers.alpaca import answers, order_body, wire
from dashtrade.brokers.alpaca.capabilities import CAPABILITIES
from dashtrade.brokers.alpaca.sdk import answer_of, bar_length, clients, no_answer, own_server, was_never_sent
from dashtrade.brokers.alpaca.stream import OnReport, TradeUpdates
from dashtrade.domain.ports import (
    AccountState,
    BadCredentials,
    BrokerError,
    BrokerPosition,
    Candle,
    Clock,
    FoundOrder,
    NotHeld,
    NotOffered,
    Offers,
    OrderRef,
    OrderReport,
    OrderRequest,
    Quote,
    Rejected,
    RetryLater,
    Rules,
    SystemClock,
    Unavailable,
    VenueStatus,
)
from dashtrade.domain.symbols import Symbol
from dashtrade.domain.timeframes import Timeframe
from dashtrade.domain.values import ZERO, Malformed, bot_of_order, floor_to, plain

T = TypeVar("T")

MODES = ("paper", "live")

PAGE = 500  # orders in one list, Alpaca's maximum

MOST_PAGES = 20

SINGLY = 20  # look-ups one by one in one poll, of 200 requests a minute

# a coin's fee is taken out of the coin: so much less than was bought is still all of it
FEE_SHARE = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """In seconds. An order whose answer takes longer than `read` is looked up."""

    connect: float = 3
    read: float = 10
    assets: float = 3600  # how long an asset's rules are believed
    hours: float = 60  # how long the market's clock is believed; never past the next opening or closing
    second_look: float = 0.3  # before a position that is not there makes a closing order a mistake


class AlpacaBroker:
    """One account, as `Broker` and as `Feed`. Safe to use from several threads."""

    demo = False

    def __init__(
        self,
        key: str,
        secret: str,
        mode: str,
        *,
        api_url: str | None = None,
        data_url: str | None = None,
        stream_url: str | None = None,
        clock: Clock | None = None,
        on_report: OnReport | None = None,
        timeouts: Timeouts | None = None,
        settle: timedelta | None = None,
        feed: str | None = None,
    ) -> None:
        if mode not in MODES:
            raise Malformed(f"an Alpaca account cannot be {mode[:20]!r}", where="mode", hint="paper or live.")
        self.capabilities = CAPABILITIES if settle is None else replace(CAPABILITIES, settle=settle)
        self.offers = Offers(prices=self, listing=self, stream=self, clock_skew=self.clock_skew)
        self._clock, self._timeouts, self._feed = clock or SystemClock(), timeouts or Timeouts(), feed
        data_url, stream_url = own_server(api_url, data_url, stream_url)
        self._orders, self._stocks, self._coins = clients(
            key, secret, mode, api_url, data_url, (self._timeouts.connect, self._timeouts.read)
        )
        self._updates = TradeUpdates(key, secret, mode == "paper", stream_url)
        self._lock = threading.Lock()
        self._rules: dict[Symbol, tuple[datetime, Rules]] = {}
        # until when that is believed; whether open; when that changes
        self._hours: tuple[datetime, bool, datetime | None] | None = None
        self._turn = 0
        if on_report is not None:
            self.listen(on_report)

    # --- orders ---

    def submit(self, request: OrderRequest) -> OrderReport:
        order_body.check(request)
        try:
            body = self._prepared(request)
        except Rejected as refusal:
            return self._known_or(request, refusal)
        try:
            answer = self._orders.post("/orders", body)
        except Exception as error:  # whatever it is: the order may be there
            return self._after_post(error, request)
        try:
            report = wire.report_of(answer, request.client_order_id)
        except (ValueError, TypeError, KeyError) as error:
            raise answers.in_doubt("its answer made no sense") from error
        return report if report.legs or not order_body.has_exits(request) else self._looked_up(request)

    def _looked_up(self, request: OrderRequest) -> OrderReport:
        """It was placed, and its exits were not told."""
        try:
            found = self._order(request.client_order_id)
            if found is not None:
                return self._report(found, legs=True)
        except BrokerError as error:
            raise answers.in_doubt(
                f"it has the order, and its exits could not be read: {error.message}"
            ) from error
        raise answers.in_doubt("it has the order and does not show it yet")

    def find(self, order: OrderRef) -> OrderReport | None:
        found = self._order(order.client_order_id)
        return None if found is None else self._report(found, legs=order.with_legs)

    def poll(self, orders: Sequence[OrderRef]) -> Sequence[OrderReport]:
        """Two or fewer are asked for by name; more come from one list, and what is not on it by name, some at
        each poll."""
        if len(orders) <= 2:
            return [report for order in orders if (report := self.find(order)) is not None]
        listed = self._listed(orders)
        missing = [order for order in orders if order.client_order_id not in listed]
        with self._lock:
            first = self._turn % len(missing) if missing else 0
            self._turn = first + SINGLY
        singly = (missing[first:] + missing[:first])[:SINGLY]
        return [*listed.values(), *(report for order in singly if (report := self.find(order)) is not None)]

    def cancel(self, order: OrderRef) -> None:
        """An order that was replaced at Alpaca lives on under another id: that one is cancelled."""
        found = self._order(order.client_order_id)
        if found is None:
            raise Unavailable(
                "Alpaca does not know this order, or not yet; it could not be cancelled now and will be "
                "asked again."
            )
        report, last = self._followed(found)
        if report.status is not VenueStatus.WORKING:
            return
        try:
            self._orders.delete(f"/orders/{last['id']}")
        except Exception as error:
            # these say that it has ended meanwhile
            if (answer := answer_of(error)) is None or answer.status not in (404, 422):
                raise self._after_read(error) from error

    def _prepared(self, request: OrderRequest) -> dict[str, Any]:
        """The body to send. What cannot be learned now is no refusal: nothing was sent, so the order may go
        again."""
        try:
            rules = self.rules(request.symbol)
            if request.reduces:
                request = self._no_more_than_held(request, rules)
        except Unavailable as error:
            raise RetryLater(f"Nothing was sent. {error.message}") from error
        return order_body.wire_order(request, rules)

    def _no_more_than_held(self, request: OrderRequest, rules: Rules) -> OrderRequest:
        """Alpaca takes a sale of what the account does not hold for a short, so a closing order is held
        against the position. Of a coin the fee has been taken out: a hair less than was bought is all there
        is, and that is what is sold."""
        told = self._updates.held(request.symbol.base) if not request.symbol.is_crypto else None
        if told is not None and not _lacks(request, told):
            return request
        name, held = request.symbol.short, self._held(request.symbol)
        # the fill that made the position may have been a moment ago
        if _lacks(request, held.get("qty", ZERO)):
            time.sleep(self._timeouts.second_look)
            held = self._held(request.symbol)
        if _lacks(request, held.get("qty", ZERO)):
            has, due = plain(held.get("qty", ZERO)), request.account_holds
            books = (
                f"{has} {name}, and your bots and you together have {plain(due)}"
                if due is not None
                else f"no {name} to {request.side}"
            )
            raise NotHeld(
                f"the account at Alpaca holds {books}: this order would open a position instead of closing "
                "one. Nothing was sent. "
                "Look whether it was closed by hand, and set the bot's position right."
            )
        free = held.get("qty_available", ZERO)
        if (
            request.symbol.is_crypto
            and request.quantity is not None
            and 0 < request.quantity - free <= request.quantity * FEE_SHARE
        ):
            return replace(request, quantity=floor_to(free, rules.quantity_step))
        return request

    def _held(self, symbol: Symbol) -> dict[str, Decimal]:
        body = self._read(
            lambda: self._orders.get(f"/positions/{order_body.name_in_path(symbol)}"), dict, absent=True
        )
        if body is None:
            return {}
        return self._parsed(
            lambda: {name: wire.number(body.get(name), name) for name in ("qty", "qty_available")}
        )

    def _after_post(self, error: Exception, request: OrderRequest) -> OrderReport:
        answer = answer_of(error)
        if answer is None:
            raise no_answer(error) from error
        if answers.is_repeat(answer):
            return self._adopted(request)
        said = answers.after_post(answer, request, self._clock.now())
        if isinstance(said, Rejected):
            return self._known_or(request, said)
        raise said from error

    def _known_or(self, request: OrderRequest, refusal: Rejected) -> OrderReport:
        """A refusal says that no order exists. Where this is the second try, the first may have taken the
        very money or position that is missing now, and Alpaca need not look at the id before it looks at
        these: so the id is looked up."""
        try:
            found = self._order(request.client_order_id)
            if found is not None:
                return self._report(found, legs=order_body.has_exits(request))
        except BrokerError as error:
            raise answers.in_doubt(
                f"it refused this try, and an earlier one could not be looked up: {error.message}"
            ) from error
        raise refusal

    def _adopted(self, request: OrderRequest) -> OrderReport:
        """The id is derived from our decision, so whoever holds it at Alpaca is an earlier try of this very
        order."""
        try:
            found = self._order(request.client_order_id)
            if found is not None:
                return self._report(found, legs=order_body.has_exits(request))
        except BrokerError as error:
            raise answers.in_doubt(
                f"it has an order of this name, which could not be read: {error.message}"
            ) from error
        raise answers.in_doubt("it has an order of this name and does not show it yet")

    def _order(self, client_order_id: str) -> dict[str, Any] | None:
        return self._read(lambda: self._orders.get_order_by_client_id(client_order_id), dict, absent=True)

    def _report(self, order: dict[str, Any], *, legs: bool = False) -> OrderReport:
        """`legs`: with its exits, which Alpaca rolls up in a look-up by its own id alone."""
        if legs and not order.get("legs") and order.get("order_class") in ("bracket", "oto"):
            order = self._read(lambda: self._orders.get(f"/orders/{order['id']}", {"nested": "true"}), dict)
        return self._followed(order)[0]

    def _followed(self, order: dict[str, Any]) -> tuple[OrderReport, dict[str, Any]]:
        """The report, and the order that is alive now: editing one at Alpaca ends it and makes another, with
        other ids."""
        report = self._parsed(lambda: wire.report_of(order))
        for _ in range(5):
            if order.get("status") != "replaced" or not order.get("replaced_by"):
                break
            after = self._read(lambda: self._orders.get(f"/orders/{order['replaced_by']}"), dict)  # noqa: B023
            report, order = self._parsed(lambda: wire.continued(report, wire.report_of(after))), after  # noqa: B023
        return report, order

    def _listed(self, orders: Sequence[OrderRef]) -> dict[str, OrderReport]:
        # our clock may be ahead of theirs
        oldest = min(order.created_at for order in orders) - timedelta(hours=1)
        query = {
            "status": "all",
            "limit": PAGE,
            "after": oldest.isoformat(),
            "direction": "desc",
            "nested": "false",
        }
        found = self._read(lambda: self._orders.get("/orders", query), list)
        wanted = {order.client_order_id for order in orders}
        ours = self._parsed(lambda: [order for order in found if order.get("client_order_id") in wanted])
        return {order["client_order_id"]: self._report(order) for order in ours}

    def ours(self, since: datetime, symbols: Sequence[Symbol]) -> Sequence[FoundOrder]:
        found: dict[str, Any] = {}
        for _ in range(MOST_PAGES):
            query = {
                "status": "all",
                "limit": PAGE,
                "after": since.isoformat(),
                "direction": "asc",
                "nested": "false",
            }
            page = self._read(lambda: self._orders.get("/orders", query), list)  # noqa: B023
            fresh = [order for order in page if order["id"] not in found]
            found |= self._parsed(lambda: {order["id"]: order for order in fresh})  # noqa: B023
            if len(page) < PAGE or not fresh:
                return self._parsed(
                    lambda: [
                        wire.found_of(each)
                        for each in found.values()  # noqa: B023
                        if bot_of_order(str(each.get("client_order_id")))
                    ]
                )
            since = self._parsed(lambda: wire.moment(page[-1]["created_at"])) - timedelta(microseconds=1)  # noqa: B023
        raise answers.silent("it lists more orders than can be looked through")

    # --- the account ---

    def account(self) -> AccountState:
        body = self._read(lambda: self._orders.get("/account"), dict)
        return self._parsed(lambda: wire.account_of(body))

    def positions(self) -> Sequence[BrokerPosition]:
        found = self._read(lambda: self._orders.get("/positions"), list)
        return self._parsed(
            lambda: [position for body in found if (position := wire.position_of(body)) is not None]
        )

    def rules(self, symbol: Symbol) -> Rules:
        now, known = self._clock.now(), self._rules.get(symbol)
        if known is not None and abs((now - known[0]).total_seconds()) < self._timeouts.assets:
            return known[1]
        try:
            asset = self._read(
                lambda: self._orders.get(f"/assets/{order_body.name_in_path(symbol)}"), dict, absent=True
            )
        except NotOffered:
            return known[1] if known is not None else wire.assumed_rules(symbol)
        except Unavailable:
            if known is None:
                raise
            return known[1]
        if asset is None:
            raise Rejected(
                f"Alpaca does not trade {symbol.short}. Look at its spelling, or use another broker "
                "account for it."
            )
        price = None if symbol.is_crypto else self._about(symbol)
        rules = self._parsed(lambda: wire.rules_of(asset, price))
        self._rules[symbol] = now, rules
        return rules

    def _about(self, symbol: Symbol) -> Decimal | None:
        try:
            return self.quote(symbol).mid
        # the step is then that of a stock above a dollar, and each order's own price decides in the end
        except BrokerError:
            return None

    def market_open(self, symbol: Symbol) -> bool:
        if symbol.is_crypto:
            return True
        now, known = self._clock.now(), self._hours
        if known is not None and known[0] - timedelta(seconds=self._timeouts.hours) <= now < known[0]:
            return known[1]
        try:
            body = self._read(self._orders.get_clock, dict)
        except NotOffered:  # it queues or refuses what comes at the wrong time
            body = {"is_open": True}
        opened, lasts = self._parsed(lambda: wire.hours_of(body))
        good = timedelta(seconds=self._timeouts.hours)
        self._hours = (
            now + (good if lasts is None else min(good, lasts)),
            opened,
            None if lasts is None else now + lasts,
        )
        return opened

    def opens_at(self, symbol: Symbol) -> datetime | None:
        """By Alpaca's own calendar, as its clock tells it."""
        opened, known = self.market_open(symbol), self._hours
        return known[2] if known is not None and not opened else None

    def clock_skew(self) -> timedelta:
        """How far Alpaca's clock is ahead of ours; half of the round trip is taken for the way back."""
        before = self._clock.now()
        body = self._read(self._orders.get_clock, dict)
        after = self._clock.now()
        return self._parsed(lambda: wire.moment(body["timestamp"])) - (before + (after - before) / 2)

    # --- prices ---

    def quote(self, symbol: Symbol) -> Quote:
        """Bid and ask; the last trade, where nobody tells them."""
        for ask in (self._bid_and_ask, self._last_trade):
            try:
                found = ask(symbol)
            except NotOffered:
                continue
            if found is not None:
                return found
        raise Unavailable(
            f"Alpaca has no price of {symbol.short} now. Look at its spelling, or wait until it trades."
        )

    def _bid_and_ask(self, symbol: Symbol) -> Quote | None:
        from alpaca.data.requests import CryptoLatestQuoteRequest, StockLatestQuoteRequest

        name = order_body.name_at_alpaca(symbol)
        if symbol.is_crypto:
            coin = CryptoLatestQuoteRequest(symbol_or_symbols=name)
            found = self._read(lambda: self._coins.get_crypto_latest_quote(coin), dict)
        else:
            found = self._of_stocks(
                lambda feed: self._stocks.get_stock_latest_quote(
                    StockLatestQuoteRequest(symbol_or_symbols=name, feed=feed)
                )
            )
        return (
            self._parsed(lambda: wire.quote_of(symbol, found[name]))
            if isinstance(found.get(name), dict)
            else None
        )

    def _last_trade(self, symbol: Symbol) -> Quote | None:
        from alpaca.data.requests import CryptoLatestTradeRequest, StockLatestTradeRequest

        name = order_body.name_at_alpaca(symbol)
        if symbol.is_crypto:
            found = self._read(
                lambda: self._coins.get_crypto_latest_trade(CryptoLatestTradeRequest(symbol_or_symbols=name)),
                dict,
            )
        else:
            found = self._of_stocks(
                lambda feed: self._stocks.get_stock_latest_trade(
                    StockLatestTradeRequest(symbol_or_symbols=name, feed=feed)
                )
            )
        return (
            self._parsed(lambda: wire.last_trade(symbol, found[name]))
            if isinstance(found.get(name), dict)
            else None
        )

    def candles(self, symbol: Symbol, timeframe: Timeframe, *, end: datetime, count: int) -> Sequence[Candle]:
        """Adjusted for splits, as a strategy would take one for a crash. Asked for newest first: how far back
        `count` candles reach over nights and holidays is not known, so the start is set generously and the
        limit does the rest."""
        from alpaca.common.enums import Sort
        from alpaca.data.enums import Adjustment
        from alpaca.data.requests import CryptoBarsRequest, StockBarsRequest

        name = order_body.name_at_alpaca(symbol)
        start = end - timeframe.span * count * 8 - timedelta(days=10)
        span: dict[str, Any] = {
            "symbol_or_symbols": name,
            "timeframe": bar_length(timeframe),
            "start": start,
            "end": end,
            "limit": count,
            "sort": Sort.DESC,
        }
        if symbol.is_crypto:
            found = self._read(lambda: self._coins.get_crypto_bars(CryptoBarsRequest(**span)), dict)
        else:
            found = self._of_stocks(
                lambda feed: self._stocks.get_stock_bars(
                    StockBarsRequest(**span, adjustment=Adjustment.SPLIT, feed=feed)
                )
            )
        return self._parsed(
            lambda: sorted(
                (wire.candle_of(bar) for bar in found.get(name) or ()), key=lambda candle: candle.at
            )
        )

    def _of_stocks(self, ask: Callable[[Any], Any]) -> dict[str, Any]:
        """Without a paid plan Alpaca refuses the last minutes of the whole market (403), and gives those of
        one exchange."""
        from alpaca.data.enums import DataFeed

        feed = DataFeed(self._feed) if self._feed is not None else None
        try:
            return self._read(lambda: ask(feed), dict)
        except BadCredentials as error:
            if "subscription" not in error.message:
                raise
            if self._feed is not None:
                raise Unavailable(
                    f"this Alpaca key has no {self._feed} prices. Set the account's option feed to iex."
                ) from error
            self._feed = "iex"
        return self._read(lambda: ask("iex"), dict)

    # --- news ---

    def listen(self, on_report: OnReport) -> None:
        """Tell `on_report` of news as it happens, from a thread of its own, for as long as the broker is
        open."""
        self._updates.start(on_report)

    def stop_listening(self) -> None:
        self._updates.stop()

    @property
    def streaming(self) -> bool:
        return self._updates.up

    def close(self) -> None:
        self.stop_listening()
        for client in (self._orders, self._stocks, self._coins):
            client._session.close()

    # --- what the library may do ---

    def _read(self, call: Callable[[], Any], kind: type[T], *, absent: bool = False) -> T:
        """A reading call: its answer if it is of that kind. With `absent`, Alpaca's own "not found" is None;
        anybody else's 404 proves nothing."""
        try:
            answer = call()
        except Exception as error:
            if absent and (told := answer_of(error)) is not None and answers.says_absent(told):
                return None  # type: ignore[return-value]
            raise self._after_read(error) from error
        if not isinstance(answer, kind):
            raise answers.silent("its answer made no sense")
        return answer

    def _parsed(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except Malformed as error:
            raise answers.silent(error.message) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise answers.silent("its answer made no sense") from error

    def _after_read(self, error: Exception) -> BrokerError:
        if isinstance(error, BrokerError):
            return error
        answer = answer_of(error)
        if answer is None:
            return answers.silent("no connection" if was_never_sent(error) else "no answer that can be read")
        return answers.after_read(answer, self._clock.now())


def _lacks(request: OrderRequest, held: Decimal) -> bool:
    """Has the account less to give up than our books say? Beside opposite bots, an exit may well open a
    position there."""
    sign = request.side.sign
    if request.account_holds is None:
        return sign * held >= 0
    return sign * held > sign * request.account_holds
