"""Random conditions over random candles, held to what conditions promise.

    python -m bench.conditions --runs 1000 --seed 1 [--mutant NAME]

A run is made of one number: a condition, candles with gaps, longer candles and another symbol's. Candle by
candle it has to come to what it comes to over arrays; with compiled code too; later candles change nothing;
from a later start a value is the same or not known, and known once the planned warm-up has been seen; text
and JSON give the same condition again; and a second, plain reading of the language has to agree. The runs
have the numbers from `--seed` on. One JSON line says what differed. A mutant is a deliberate fault, which has
to be found."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

from bench.conditions.checks import Run
from bench.conditions.mutants import MUTANTS, mutated

SHOWN = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.conditions")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutant", choices=sorted(MUTANTS))
    given = parser.parse_args()
    counts, by_check, differed = Counter[str](), Counter[str](), []
    begun = time.process_time()
    with mutated(given.mutant):
        for seed in range(given.seed, given.seed + given.runs):
            run = Run(seed).run()
            counts += run.counts
            by_check.update({check for check, _ in run.findings})
            differed += [
                {"seed": seed, "check": check, "difference": difference, "condition": run.text}
                for check, difference in run.findings[:3]
            ]
    line = {
        "runs": given.runs,
        "seed": given.seed,
        "mutant": given.mutant,
        **dict(sorted(counts.items())),
        "different_runs_by_check": dict(by_check),
        "differed": differed[:SHOWN],
        "cpu_seconds": round(time.process_time() - begun, 1),
    }
    print(json.dumps(line))
    return 1 if differed else 0


if __name__ == "__main__":
    raise SystemExit(main())
