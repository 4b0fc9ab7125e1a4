"""All indicators by name. A new one is a row in one of the files below, and a case in
`tests/unit/market/test_second_opinion.py`."""

from __future__ import annotations

from collections.abc import Sequence

from dashtrade.market.indicators import averages, channels, oscillators, trends
from dashtrade.market.indicators.columns import Columns, Floats
from dashtrade.market.indicators.executor import run_whole
from dashtrade.market.indicators.graph import OWN, Graph, Market
from dashtrade.market.indicators.kinds import IndicatorKind

INDICATORS: dict[str, IndicatorKind] = {
    kind.name: kind for kind in (*averages.KINDS, *oscillators.KINDS, *channels.KINDS, *trends.KINDS)
}


def compute(
    name: str, columns: Columns, settings: Sequence[float] = (), *, source: str = ""
) -> dict[str, Floats]:
    """All outputs of one indicator over these candles (the main one as ""), for a chart. Settings that are
    left out have their defaults."""
    kind, graph = INDICATORS[name], Graph()
    filled = [*settings, *(setting.default for setting in kind.settings[len(settings) :])]
    if not all(each.fits(value) for each, value in zip(kind.settings, filled, strict=True)):
        raise ValueError(f"{name}: {filled} do not fit {kind.settings}")
    market = Market(graph)
    made = kind.build(market, market.line(source or kind.source or "close"), *filled)
    values = run_whole(graph, [line.number for line in made.values()], {OWN: columns})
    return {output: values[line.number] for output, line in made.items()}
