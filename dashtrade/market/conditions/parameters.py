"""Numbers that a strategy leaves open: their ranges, and a condition with values in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from dashtrade.domain.record import record
from dashtrade.market.conditions.checks import check
from dashtrade.market.conditions.errors import ConditionError, Fault
from dashtrade.market.conditions.tree import Condition, Constant, Parameter, TreeNode, parameters, rebuilt


@record
class ParameterRange:
    name: str
    default: float
    low: float
    high: float
    step: float

    def values(self) -> tuple[float, ...]:
        """From the lowest on in steps, none above the highest."""
        count = int((self.high - self.low) / self.step + 1e-9)
        return tuple(self.low + place * self.step for place in range(count + 1))


def bind(condition: Condition, values: Mapping[str, float]) -> Condition:
    """With these numbers in the place of parameters. Raises ConditionError where one is missing or does not
    fit its place."""

    def change(node: TreeNode) -> TreeNode:
        if not isinstance(node, Parameter):
            return node
        if node.name not in values:
            known = ", ".join(values) or "none"
            raise ConditionError(Fault.UNKNOWN_PARAMETER, name=node.name, known=known)
        return Constant(float(values[node.name]))

    if not parameters(condition):
        return condition
    bound = cast(Condition, rebuilt(condition, change))
    check(bound)
    return bound


def check_ranges(condition: Condition, ranges: Sequence[ParameterRange]) -> None:
    """Every value that a parameter can take fits every place where it stands."""
    defaults = {each.name: each.default for each in ranges}
    bind(condition, defaults)
    for each in ranges:
        for value in each.values():
            bind(condition, {**defaults, each.name: value})
