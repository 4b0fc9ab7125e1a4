"""A million trades: pages of history, and all of it as CSV.

    python -m bench.history [--trades 1000000]

Through the REST API, as a user gets it. Memory is the receiver's own, before and during the stream.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.rig import STOCKS, Rig, rig, show
from dashtrade.domain.reasons import NO_REASON


def fill(path: Path, count: int) -> None:
    """That many orders of the first user, each with its signal, decision, event, fill, lot and trade, over
    the last year."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA synchronous=OFF")
    bots = conn.execute("SELECT id, account_id, user_id, symbol FROM user_bot_configs ORDER BY id").fetchall()
    start = datetime.now(UTC) - timedelta(days=365)
    step = timedelta(days=364) / count
    conn.execute("BEGIN")
    for first in range(0, count, 20000):
        for table, rows in _rows(bots, start, step, range(first, min(first + 20000, count))).items():
            names = ",".join(rows[0])
            marks = ",".join("?" * len(rows[0]))
            conn.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(row.values()) for row in rows]
            )
    conn.execute("COMMIT")
    conn.execute("ANALYZE")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()


def _rows(
    bots: list[tuple[int, int, int, str]], start: datetime, step: timedelta, numbers: range
) -> dict[str, list[dict[str, object]]]:
    made: dict[str, list[dict[str, object]]] = {
        name: []
        for name in (
            "signals",
            "decisions",
            "orders",
            "order_events",
            "fills",
            "lots",
            "bot_trades",
            "round_trips",
        )
    }
    for n in numbers:
        bot, account, user, symbol = bots[n % len(bots)]
        moment = start + n * step
        at = int(moment.timestamp() * 1_000_000)
        signal, order, side = (
            f"{int(moment.timestamp() * 1000):012x}{n:020x}",
            f"bench{n:027x}",
            "sell" if n // len(bots) % 2 else "buy",
        )
        price, own = f"{100 + n % 9973 / 100:.2f}", {"user_id": user}
        made["signals"].append(
            own
            | {
                "id": signal,
                "received_at": at,
                "origin": "webhook",
                "dialect": "plain",
                "symbol": symbol,
                "written_symbol": symbol,
                "timeframe": 900,
                "action": side,
                "status": "filled",
                "reason": NO_REASON,
                "dedupe_key": f"id:{symbol}|15m||old{n}",
                "body_hash": order,
                "duplicate_count": 0,
                "raw": None,
                "sender": "",
                "ended_at": at,
            }
        )
        made["decisions"].append(
            own
            | {
                "signal_id": signal,
                "bot_id": bot,
                "account_id": account,
                "symbol": symbol,
                "status": "filled",
                "reason": NO_REASON,
                "would": NO_REASON,
                "alone": 1,
                "taken_back": 0,
                "received_at": at,
                "decided_at": at,
                "ended_at": at,
            }
        )
        made["orders"].append(
            own
            | {
                "id": order,
                "account_id": account,
                "bot_id": bot,
                "signal_id": signal,
                "decision_id": n,
                "step": 0,
                "final": 1,
                "alone": 1,
                "symbol": symbol,
                "side": side,
                "effect": "close" if side == "sell" else "open",
                "type": "market",
                "quantity": "10",
                "time_in_force": "day",
                "extended_hours": 0,
                "status": "filled",
                "reason": NO_REASON,
                "broker_order_id": f"P-{n}",
                "on_paper": 1,
                "filled_quantity": "10",
                "filled_notional": f"{float(price) * 10:.2f}",
                "reserve": "0",
                "cancel_requested": 0,
                "sends": 1,
                "created_at": at,
                "updated_at": at,
            }
        )
        made["order_events"].append(
            own | {"order_id": order, "at": at, "status": "filled", "detail": NO_REASON}
        )
        made["fills"].append(
            own
            | {
                "account_id": account,
                "bot_id": bot,
                "order_id": order,
                "broker_fill_id": f"{order}-1",
                "side": side,
                "quantity": "10",
                "price": price,
                "fee": "0",
                "fee_base": "0",
                "realized": "0",
                "at": at,
                "booked_at": at,
            }
        )
        made["lots"].append(
            own
            | {
                "bot_id": bot,
                "fill_id": n,
                "quantity": "10",
                "remaining": "0",
                "price": price,
                "opened_at": at,
                "closed_at": at,
            }
        )
        made["bot_trades"].append(
            own
            | {
                "account_id": account,
                "bot_id": bot,
                "signal_id": signal,
                "order_id": order,
                "symbol": symbol,
                "action": side,
                "effect": "close" if side == "sell" else "open",
                "quantity": "10",
                "price": price,
                "notional": f"{float(price) * 10:.2f}",
                "fee": "0.35",
                "realized_pnl": f"{n % 401 - 200}.25",
                "status": "filled",
                "broker_order_id": f"P-{n}",
                "on_paper": 1,
                "at": at,
            }
        )
        if side == "sell":
            made["round_trips"].append(
                own | _trip(n, bots, at, int(step.total_seconds() * 1_000_000) * len(bots), signal, price)
            )
    return made


def _trip(
    n: int, bots: list[tuple[int, int, int, str]], at: int, held: int, signal: str, price: str
) -> dict[str, object]:
    bot, account, _, symbol = bots[n % len(bots)]
    net = n % 401 - 200 + 0.25
    return {
        "account_id": account,
        "bot_id": bot,
        "symbol": symbol,
        "currency": "USD",
        "side": "long",
        "entry_quantity": "10",
        "entry_notional": f"{float(price) * 10 - net:.2f}",
        "exit_quantity": "10",
        "exit_notional": f"{float(price) * 10:.2f}",
        "realized": f"{net:.2f}",
        "fees": "0",
        "opened_at": at - held,
        "closed_at": at,
        "entry_signal_id": signal,
        "exit_signal_id": signal,
        "exit_reason": "alert",
        "on_paper": 1,
        "net_value": net,
        "percent_value": net / 10,
        "held_seconds": held // 1_000_000,
    }


def memory_mb(pid: int) -> float:
    return (
        int(next(line for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS")).split()[1]) / 1024
    )


def _days_ago(days: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"


def page_ms(one: Rig, path: str) -> float:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        answer = one.call("GET", path)
        times.append((time.perf_counter() - began) * 1000)
        assert answer["items"], path
    return round(statistics.median(times), 2)


def stream(one: Rig, path: str) -> dict[str, float]:
    assert one.process is not None
    before, most, rows = memory_mb(one.process.pid), 0.0, -1
    request = urllib.request.Request(f"{one.url}{path}", headers={"Authorization": f"Bearer {one.access}"})
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as answer:
        while chunk := answer.read(1 << 20):
            rows += chunk.count(b"\n")
            most = max(most, memory_mb(one.process.pid))
    took = time.perf_counter() - began
    return {
        "rows": rows,
        "seconds": round(took, 2),
        "rows_per_second": round(rows / took),
        "memory_before_mb": round(before, 1),
        "memory_most_mb": round(most, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trades", type=int, default=1_000_000)
    given = parser.parse_args()
    with rig() as one:
        bots = one.add_bots(STOCKS[:20])
        one.stop()
        began = time.perf_counter()
        fill(one.home / "dashtrade.db", given.trades)
        filled = time.perf_counter() - began
        one.start()
        pages = {
            "first page": "/api/v1/trades?limit=100",
            "by bot": f"/api/v1/trades?limit=100&bot_id={bots[3]}",
            "by symbol and side": "/api/v1/trades?limit=100&symbol=NVDA&action=sell",
            "by side": "/api/v1/trades?limit=100&action=buy",
            "deep page": f"/api/v1/trades?limit=100&cursor={given.trades // 2}",
            "by time": f"/api/v1/trades?limit=100&from={_days_ago(200)}&to={_days_ago(199)}",
            "round trips": "/api/v1/round-trips?limit=100",
            "round trips by profit": "/api/v1/round-trips?limit=100&sort=pnl",
            "round trips of a bot": f"/api/v1/round-trips?limit=100&bot_id={bots[3]}",
            "round trips of a symbol": "/api/v1/round-trips?limit=100&symbol=NVDA",
            "round trips, longest last": "/api/v1/round-trips?limit=100&symbol=NVDA&sort=duration&order=asc",
            "signals": "/api/v1/signals?limit=100",
            "orders": "/api/v1/orders?limit=100",
        }
        show(
            {
                "bench": "history",
                "trades": given.trades,
                "filled_in_s": round(filled, 1),
                "page_ms": {name: page_ms(one, path) for name, path in pages.items()},
            }
        )
        show({"bench": "history csv", **stream(one, "/api/v1/trades.csv")})
        show({"bench": "history csv of one bot", **stream(one, f"/api/v1/trades.csv?bot_id={bots[3]}")})
        show({"bench": "history csv of round trips", **stream(one, "/api/v1/round-trips.csv")})


if __name__ == "__main__":
    main()
