"""What an indicator costs: nanoseconds of CPU a candle, with compiled code and without, one JSON line each.

    python -m bench.indicators [--bars 1000000] [--plain-bars 100000] [--turns 5] [--only RSI,MACD]

The least of several turns; with and without take their turns in the same run. Afterwards, one line of a rule
(RSI and MACD) over all candles, as a backtest asks it, and candle by candle, as it is asked live."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from dashtrade.market.conditions.evaluation import Evaluator, evaluate
from dashtrade.market.conditions.plan import plan_for
from dashtrade.market.conditions.reading import parse
from dashtrade.market.indicators import compiled
from dashtrade.market.indicators.columns import Columns
from dashtrade.market.indicators.executor import BLOCK_BARS, Executor
from dashtrade.market.indicators.graph import OWN, Graph, Market
from dashtrade.market.indicators.registry import INDICATORS
from tests.support.candles import walk

RULE = "RSI(14) < 30 and MACD crosses above signal"


def nanoseconds(act: Callable[[], object], bars: int) -> float:
    begun = time.process_time_ns()
    act()
    return (time.process_time_ns() - begun) / bars


def indicator_run(name: str, candles: Columns, fast: bool) -> Callable[[], None]:
    kind, graph = INDICATORS[name], Graph()
    market = Market(graph)
    source = market.line(kind.source or "close")
    made = kind.build(market, source, *(setting.default for setting in kind.settings))
    numbers = [line.number for line in made.values()]

    def act() -> None:
        executor = Executor(graph, numbers, fast=fast)
        for start in range(0, len(candles), BLOCK_BARS):
            executor.advance({OWN: candles[start : start + BLOCK_BARS]})

    return act


def indicator_line(name: str, candles: Columns, plain: Columns, turns: int) -> dict[str, object]:
    line: dict[str, object] = {"indicator": name, "bars": len(candles), "plain_bars": len(plain)}
    runs = {"plain": (indicator_run(name, plain, False), len(plain))}
    if compiled.is_installed():
        fast = indicator_run(name, candles, True)
        fast()  # compiles
        runs["compiled"] = (fast, len(candles))
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(turns):
        for way, (act, bars) in runs.items():
            least[way] = min(least[way], nanoseconds(act, bars))
    return line | {f"{way}_ns_per_bar": round(value, 1) for way, value in least.items()}


def rule_line(candles: Columns, turns: int) -> dict[str, object]:
    plan = plan_for({"rule": parse(RULE)}, "1m")
    chunk, live_bars = plan.warm_up[OWN], 2000
    whole, live = float("inf"), float("inf")
    evaluate(plan, {OWN: candles})
    for _ in range(turns):
        whole = min(whole, nanoseconds(lambda: evaluate(plan, {OWN: candles}), len(candles)))
        evaluator = Evaluator(plan)
        evaluator.advance({OWN: candles[:chunk]})

        def act(evaluator: Evaluator = evaluator) -> None:
            for place in range(chunk, chunk + live_bars):
                evaluator.advance({OWN: candles[place : place + 1]}).outcome("rule")

        live = min(live, nanoseconds(act, live_bars))
    return {
        "rule": RULE,
        "bars": len(candles),
        "compiled": compiled.is_worth_it(len(candles)),
        "whole_ns_per_bar": round(whole, 1),
        "whole_bars_per_second": round(1e9 / whole),
        "live_us_per_bar": round(live / 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.indicators")
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--plain-bars", type=int, default=100_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", default=",".join(INDICATORS))
    given = parser.parse_args()
    candles = walk(given.bars, seed=1, seconds=60)
    for name in given.only.split(","):
        line = indicator_line(name, candles, candles[: given.plain_bars], given.turns)
        print(json.dumps(line), flush=True)
    print(json.dumps(rule_line(candles, given.turns)))
    print(json.dumps(rule_line(candles[: min(given.bars, compiled.WORTH_IT_FROM_BARS - 1)], given.turns)))


if __name__ == "__main__":
    main()
