"""Is there a contact for which these conditions hold and those do not? A search with a bound.

Conditions are trees over tests of single attributes, and attributes are independent of one another but for "now". So
the trees are taken apart, one alternative at a time, into literals, and each attribute is asked for a value
(`values`). A contact that is found is only a candidate until the compiled program has matched it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engage_pipeline.matching.attributes import Attribute
from engage_pipeline.matching.predicates import Node, Test
from engage_pipeline.matching.values import Found, Impossible, Literal, Solver, Unknown

Constraint = tuple[Node, bool]
"""A tree, and whether it has to hold or not to hold."""


@dataclass(frozen=True)
class Candidate:
    """Values of the attributes that matter, and the moment ("now") at which they are to be matched."""

    values: Mapping[Attribute, Found]
    now: int


@dataclass(frozen=True)
class _State:
    literals: Mapping[Attribute, frozenset[Literal]]
    choices: tuple[tuple[Constraint, ...], ...] = ()


def search(constraints: Sequence[Constraint], solver: Solver) -> Candidate | Impossible | Unknown:
    """A contact that meets every constraint; that there is none, now or later; or neither."""
    waiting: list[tuple[_State, Sequence[Constraint]]] = [(_State({}), constraints)]
    is_unknown = False
    while waiting:
        if solver.is_exhausted:
            return Unknown()
        settled = _settle(*waiting.pop(), solver)
        if settled is None:
            continue
        if settled.choices:
            choice = min(settled.choices, key=len)
            rest = replace(settled, choices=tuple(each for each in settled.choices if each is not choice))
            waiting += [(rest, [constraint]) for constraint in reversed(choice)]
            continue
        found = _candidate(settled, solver)
        if isinstance(found, Candidate):
            return found
        is_unknown = True
    return Unknown() if is_unknown else Impossible()


def _settle(state: _State, constraints: Sequence[Constraint], solver: Solver) -> _State | None:
    """The state with the constraints, and what they leave only one way for; None when they cannot be met."""
    literals = dict(state.literals)
    waiting, choices = list(constraints), list(state.choices)
    while True:
        touched: set[Attribute] = set()
        while waiting:
            node, holds = waiting.pop()
            if isinstance(node, Test):
                attribute = node.lane.attribute
                literals[attribute] = literals.get(attribute, frozenset()) | {(node, holds)}
                touched.add(attribute)
                continue
            inner = tuple((each, (node.kind == "none") != holds) for each in node.nodes)
            if holds == (node.kind != "any"):
                waiting += inner
            else:
                choices.append(inner)
        if any(isinstance(solver.ask(each, literals[each]), Impossible) for each in touched):
            return None
        open_choices = []
        for choice in choices:
            left = _still_open(choice, literals, solver)
            if left is None:
                continue
            if len(left) > 1:
                open_choices.append(left)
            elif left:
                waiting += left
            else:
                return None
        choices = open_choices
        if not waiting:
            return _State(literals, tuple(choices))


def _still_open(
    choice: tuple[Constraint, ...], literals: Mapping[Attribute, frozenset[Literal]], solver: Solver
) -> tuple[Constraint, ...] | None:
    """The alternatives that are not ruled out; None when one of them is bound to come true."""
    left: list[Constraint] = []
    for node, holds in choice:
        if not isinstance(node, Test):
            left.append((node, holds))
            continue
        attribute = node.lane.attribute
        known = literals.get(attribute, frozenset())
        if (node, holds) in known:
            return None
        if isinstance(solver.ask(attribute, known | {(node, holds)}), Impossible):
            continue
        if known and isinstance(solver.ask(attribute, known | {(node, not holds)}), Impossible):
            return None
        left.append((node, holds))
    return tuple(left)


def _candidate(state: _State, solver: Solver) -> Candidate | Unknown:
    found = _values(state, solver, None)
    if found is None:
        return Unknown()
    moments = {value.now for value in found.values() if value.now is not None}
    if len(moments) <= 1:
        return Candidate(found, next(iter(moments), solver.now))
    # Several attributes depend on the moment: it has to be one that suits them all.
    for moment in _moments(moments, solver):
        together = _values(state, solver, moment)
        if together is not None:
            return Candidate(together, moment)
    return Unknown()


def _values(state: _State, solver: Solver, now: int | None) -> dict[Attribute, Found] | None:
    found = {}
    for attribute, literals in state.literals.items():
        answer = solver.ask(attribute, literals, now=now)
        if not isinstance(answer, Found):
            return None
        found[attribute] = answer
    return found


def _moments(moments: set[int], solver: Solver) -> Iterator[int]:
    yield from sorted({*moments, solver.now})
