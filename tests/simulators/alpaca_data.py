"""What Alpaca shows of an account and a market: account, positions, clock, calendar, quotes and bars, in its
own shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from tests.simulators.alpaca_market import Market
from tests.simulators.alpaca_orders import AlpacaRefusal, Asset, stamp, text

UNITS = {"Min": 60, "Hour": 3600, "Day": 86_400, "Week": 604_800, "Month": 2_592_000}
NEW_YORK = timezone(timedelta(hours=-4))  # as in summer; nothing here depends on the season


def utc_now() -> datetime:
    return datetime.now(UTC)


def moment(written: str) -> datetime:
    found = datetime.fromisoformat(written.replace(" ", "+"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def account(market: Market) -> dict[str, Any]:
    """No field of the pattern-day-trader rule: it ended on 2026-06-04."""
    long, short = market.values()
    equity, power = market.cash + long + short, market.buying_power()
    return {
        "id": "00000000-0000-4000-8000-000000000001",
        "account_number": "PA3SIMULATOR",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "buying_power": text(power),
        "regt_buying_power": text(power),
        "options_buying_power": text(market.cash),
        "effective_buying_power": text(power),
        "non_marginable_buying_power": text(market.buying_power(crypto=True)),
        "cash": text(market.cash),
        "accrued_fees": "0",
        "portfolio_value": text(equity),
        "equity": text(equity),
        "last_equity": "100000",
        "long_market_value": text(long),
        "short_market_value": text(short),
        "multiplier": "2",
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "shorting_enabled": True,
        "options_approved_level": 2,
        "options_trading_level": 2,
        "crypto_tier": 1,
        "created_at": "2026-01-02T09:30:00.123456789Z",
    }


def position(market: Market, name: str) -> dict[str, Any]:
    """A pair of coins is named without its slash here, as the real one does."""
    asset, (quantity, average) = market.assets[name], market.held[name]
    side, value = ("long", "sell") if quantity > 0 else ("short", "buy")
    reserved = market.reserved(asset, value)
    free = quantity - reserved if quantity > 0 else quantity + reserved
    return {
        "asset_id": asset.id,
        "symbol": name,
        "exchange": "CRYPTO" if asset.crypto else "NASDAQ",
        "asset_class": "crypto" if asset.crypto else "us_equity",
        "asset_marginable": not asset.crypto,
        "qty": text(quantity),
        "avg_entry_price": text(average),
        "side": side,
        "market_value": text(quantity * asset.price),
        "cost_basis": text(quantity * average),
        "unrealized_pl": text(quantity * (asset.price - average)),
        "current_price": text(asset.price),
        "lastday_price": text(asset.price),
        "change_today": "0",
        "qty_available": text(free),
    }


def clock(market: Market, ahead: timedelta) -> dict[str, Any]:
    now = utc_now() + ahead
    local = now.astimezone(NEW_YORK)
    opened = market.session == "open"
    change = local + timedelta(hours=3)
    later = local + timedelta(hours=20)
    return {
        "timestamp": f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06d}123-04:00",
        "is_open": opened,
        "next_open": (later if opened else change).isoformat(timespec="seconds"),
        "next_close": (change if opened else later).isoformat(timespec="seconds"),
    }


def calendar(start: str | None, end: str | None) -> list[dict[str, str]]:
    first = date.fromisoformat(start) if start else utc_now().date()
    last = min(date.fromisoformat(end) if end else first + timedelta(days=30), first + timedelta(days=3660))
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [
        {
            "date": day.isoformat(),
            "open": "09:30",
            "close": "16:00",
            "session_open": "0400",
            "session_close": "2000",
            "settlement_date": (day + timedelta(days=1)).isoformat(),
        }
        for day in days
        if day.weekday() < 5
    ]


def _wanted(market: Market, query: Mapping[str, str], crypto: bool) -> dict[str, Asset]:
    names = [name for name in query.get("symbols", "").split(",") if name]
    if not names:
        raise AlpacaRefusal(400, None, "symbols is required")
    for name in names:
        if crypto != ("/" in name):
            raise AlpacaRefusal(400, None, f"invalid symbol: {name}")
    found = {name: market.asset(name) for name in names}
    return {name: asset for name, asset in found.items() if asset is not None}


def _check_plan(query: Mapping[str, str], crypto: bool, plan: str, recent: bool) -> None:
    feed = query.get("feed")
    if feed not in (None, "iex", "sip"):
        raise AlpacaRefusal(400, None, f"invalid feed: {feed}")
    if plan == "free" and not crypto and recent and feed != "iex":
        raise AlpacaRefusal(403, None, "subscription does not permit querying recent SIP data")


def latest_quotes(market: Market, query: Mapping[str, str], *, crypto: bool, plan: str) -> dict[str, Any]:
    if query.get("feed") == "sip":
        _check_plan(query, crypto, plan, recent=True)
    now, quotes = stamp(market.now()), {}
    for name, asset in _wanted(market, query, crypto).items():
        quotes[name] = {
            "ap": float(asset.price + asset.spread),
            "as": 3,
            "bp": float(asset.price - asset.spread),
            "bs": 2,
            "t": now,
        }
        if not crypto:
            quotes[name] |= {"ax": "V", "bx": "V", "c": ["R"], "z": "C"}
    return {"quotes": quotes}


def latest_trades(market: Market, query: Mapping[str, str], *, crypto: bool) -> dict[str, Any]:
    now = stamp(market.now())
    return {
        "trades": {
            name: {"p": float(asset.price), "s": 1, "t": now}
            for name, asset in _wanted(market, query, crypto).items()
        }
    }


def bars(market: Market, query: Mapping[str, str], *, crypto: bool, plan: str) -> dict[str, Any]:
    """A gentle saw around the price, the same at every asking; the newest bar closes at the price of now."""
    found = re.fullmatch(r"(\d{1,2})([A-Za-z]+)", query.get("timeframe", ""))
    if found is None or found[2] not in UNITS:
        raise AlpacaRefusal(400, None, f"invalid timeframe: {query.get('timeframe')}")
    step, now = int(found[1]) * UNITS[found[2]], utc_now()
    end = min(moment(query["end"]) if query.get("end") else now, now)
    start = (
        moment(query["start"])
        if query.get("start")
        else now.replace(hour=0, minute=0, second=0, microsecond=0)
    )
    _check_plan(query, crypto, plan, recent=end > now - timedelta(minutes=15))
    limit, skip = int(query.get("limit", 1000)), int(query.get("page_token") or 0)
    if not 1 <= limit <= 10_000:
        raise AlpacaRefusal(400, None, "limit must be between 1 and 10000")
    times = range(-(-int(start.timestamp()) // step) * step, int(end.timestamp()) + 1, step)
    times = times[::-1] if query.get("sort") == "desc" else times
    page = times[skip : skip + limit]
    wanted = _wanted(market, query, crypto)
    return {
        "bars": {name: [_bar(asset, at, step, now) for at in page] for name, asset in wanted.items() if page},
        "next_page_token": str(skip + limit) if skip + limit < len(times) else None,
    }


def _bar(asset: Asset, at: int, step: int, now: datetime) -> dict[str, Any]:
    def saw(index: int) -> Decimal:
        return (
            asset.price
            if (index + 1) * step > now.timestamp()
            else asset.price * (1000 + index % 7 - 3) / 1000
        )

    opened, close = saw(at // step - 1), saw(at // step)
    high, low = max(opened, close), min(opened, close)
    return {
        "t": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "o": float(opened),
        "h": float(high),
        "l": float(low),
        "c": float(close),
        "v": 1000 + at // step % 100,
        "n": 10,
        "vw": float((high + low) / 2),
    }
