"""A trigger condition taken apart into tests of one lane each, joined by groups.

A lane is one reading of one attribute: the same texts (equality), parts of texts, numbers, dates, ages. Within a lane
all tests of all flows are answered together, once per class of values that none of them tells apart.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import numpy as np
import numpy.typing as npt

from engage_pipeline.flows.conditions import (
    ConditionGroup,
    GroupKind,
    Scalar,
    TriggerCondition,
    number_of,
    text_of,
)
from engage_pipeline.flows.values import DAY_MICROSECONDS, comparable, folded, moments
from engage_pipeline.matching.attributes import Attribute

LaneKind = Literal["same", "text", "number", "date", "age"]
Comparison = Literal["lt", "lte", "eq", "gte", "gt"]
Mask = npt.NDArray[np.bool_]

_NEGATED: Mapping[str, str] = {"not_equals": "equals", "not_in": "in", "is_not_set": "is_set"}


@dataclass(frozen=True)
class LaneKey:
    """Which reading of which attribute."""

    attribute: Attribute
    kind: LaneKind


@dataclass(frozen=True)
class Test:
    """One question to a lane.

    same: equals a text, or is_set (operand empty). text: contains, starts_with, ends_with a text; matches a pattern.
    number: a comparison with a decimal. date, age: a comparison with microseconds. A missing value fails every test.
    """

    lane: LaneKey
    operator: str
    operand: str | int | Decimal


@dataclass(frozen=True)
class Group:
    """Nodes taken together: an empty `all` always holds, an empty `any` never does."""

    kind: GroupKind
    nodes: "tuple[Node, ...]"


Node = Test | Group

ALWAYS, NEVER = Group("all", ()), Group("any", ())


def node_of(condition: TriggerCondition | ConditionGroup) -> Node:
    """The condition or group as tests."""
    if isinstance(condition, ConditionGroup):
        return Group(condition.kind, tuple(node_of(inner) for inner in condition.conditions))
    operator = condition.condition_operator
    if operator in _NEGATED:
        return Group("none", (_positive(condition, _NEGATED[operator]),))
    return _positive(condition, operator)


def _positive(condition: TriggerCondition, operator: str) -> Node:
    attribute, value = Attribute.of(condition), condition.condition_value
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    match operator:
        case "any":
            return ALWAYS
        case "is_set":
            kind: LaneKind = "date" if attribute.condition_type == "created_at" else "same"
            return Test(LaneKey(attribute, kind), "is_set", "")
        case "equals" | "in":
            return _one_of([_equals(attribute, each) for each in values])
        case "contains" | "starts_with" | "ends_with":
            part = folded(text_of(values[0]))
            return Test(LaneKey(attribute, "text"), operator, part) if part else NEVER
        case "matches":
            return Test(LaneKey(attribute, "text"), "matches", text_of(values[0]))
        case "before" | "after" | "within_last":
            return _dated(attribute, operator, values[0])
        case "between":
            return _between(attribute, values[0], values[1])
        case _:
            return Test(LaneKey(attribute, "number"), operator, _number(values[0]))


def _equals(attribute: Attribute, value: Scalar) -> Node:
    wanted = text_of(value)
    if not wanted.strip():
        return NEVER
    number = number_of(value)
    # Numbers in custom fields have many values, and comparing them as numbers needs no look-up for each.
    if number is not None and attribute.condition_type == "custom_field":
        return Test(LaneKey(attribute, "number"), "eq", number)
    return Test(LaneKey(attribute, "same"), "equals", comparable(wanted))


def _one_of(nodes: Sequence[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Group("any", tuple(nodes))


def _dated(attribute: Attribute, operator: str, value: Scalar) -> Node:
    if operator == "within_last":
        age = LaneKey(attribute, "age")
        window = int(_number(value) * DAY_MICROSECONDS)
        return Group("all", (Test(age, "gte", 0), Test(age, "lte", window)))
    first, last = _moments(value)
    date = LaneKey(attribute, "date")
    return Test(date, "lt", first) if operator == "before" else Test(date, "gt", last)


def _between(attribute: Attribute, lower: Scalar, upper: Scalar) -> Node:
    numbers = number_of(lower), number_of(upper)
    if attribute.condition_type != "created_at" and numbers[0] is not None and numbers[1] is not None:
        lane = LaneKey(attribute, "number")
        return Group("all", (Test(lane, "gte", numbers[0]), Test(lane, "lte", numbers[1])))
    lane = LaneKey(attribute, "date")
    return Group("all", (Test(lane, "gte", _moments(lower)[0]), Test(lane, "lte", _moments(upper)[1])))


def _number(value: Scalar) -> Decimal:
    number = number_of(value)
    assert number is not None  # noqa: S101 - the flow was checked when it was saved
    return number


def _moments(value: Scalar) -> tuple[int, int]:
    found = moments(text_of(value))
    assert found is not None  # noqa: S101 - the flow was checked when it was saved
    return found


def tests_in(node: Node) -> Iterator[Test]:
    """Every test in the tree."""
    if isinstance(node, Test):
        yield node
    else:
        for inner in node.nodes:
            yield from tests_in(inner)


def holds(node: Node, answer: Callable[[Test], Mask], count: int) -> Mask:
    """Where the tree holds, given where each of its tests does; `count` places."""
    if isinstance(node, Test):
        return answer(node)
    inner = [holds(each, answer, count) for each in node.nodes]
    if node.kind == "all":
        return np.logical_and.reduce(inner) if inner else np.ones(count, dtype=np.bool_)
    found = np.logical_or.reduce(inner) if inner else np.zeros(count, dtype=np.bool_)
    return ~found if node.kind == "none" else found


def clauses(node: Node, *, limit: int) -> "list[tuple[Node, ...]] | None":
    """The tree in disjunctive form: clauses of which one must hold, each of nodes that stay within one lane.

    None when it would take more than `limit` clauses. No clauses: it never holds; an empty clause: it always does.
    """
    lanes = {test.lane for test in tests_in(node)}
    if not lanes:
        return [()] if holds(node, _no_test, 1)[0] else []
    if len(lanes) == 1 or isinstance(node, Test):
        return [(node,)]
    if node.kind == "none":
        return clauses(Group("all", tuple(_negation(inner) for inner in node.nodes)), limit=limit)
    parts = []
    for inner in node.nodes:
        part = clauses(inner, limit=limit)
        if part is None:
            return None
        parts.append(part)
    if node.kind == "any":
        together = [clause for part in parts for clause in part]
        return together if len(together) <= limit else None
    product: list[tuple[Node, ...]] = [()]
    for part in parts:
        product = [(*left, *right) for left in product for right in part]
        if len(product) > limit:
            return None
    return product


def _negation(node: Node) -> Node:
    if isinstance(node, Test):
        return Group("none", (node,))
    if node.kind == "all":
        return Group("any", tuple(_negation(inner) for inner in node.nodes))
    return (
        Group("all", tuple(_negation(inner) for inner in node.nodes))
        if node.kind == "any"
        else Group("any", node.nodes)
    )


def _no_test(test: Test) -> Mask:
    raise AssertionError(test)
