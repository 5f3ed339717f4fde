"""Flows that cannot do what they were written for: conditions that never hold, flows that never win, overlaps.

What recent contacts show is counted. What they do not show is searched for (`search`); a contact that the search
constructs counts only once the compiled program has matched it. What is neither shown nor proven is said to be so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any, Literal
from uuid import UUID

import duckdb
import numpy as np
import numpy.typing as npt

from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.constructed import constructed_columns, described
from engage_pipeline.matching.predicates import Mask, holds
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.recent import recent_contacts
from engage_pipeline.matching.search import Candidate, Constraint, search
from engage_pipeline.matching.values import Impossible, Solver, Unknown

Question = Literal["never_true", "never_wins", "overlap"]

# Beyond these bounds a question is answered with "not proven".
CHECKS_A_PAIR = 2_000
CHECKS_A_FLOW = 50_000
MOST_PAIRS = 200_000
# Pairs of flows are counted over so many contacts, the newest; fewer where there are very many flows.
SAMPLED_CONTACTS = 20_000
_SAMPLED_ANSWERS = 20_000_000


@dataclass(frozen=True)
class Witness:
    """A contact that shows a finding: one that there is, or what one would be like.

    Attributes:
        contact_id: of a recent contact; None when constructed.
        values: what the constructed contact has, by condition type; what is not named does not matter.
    """

    contact_id: str | None = None
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NeverWins:
    """Every contact that the flow wants, now or later, is taken by one of the flows above that are named.

    Attributes:
        witness: a contact that the flow wants and one of them takes.
    """

    flow: str
    covered_by: tuple[str, ...]
    witness: Witness


@dataclass(frozen=True)
class Overlap:
    """Two flows that both want one contact, which goes to the first.

    Attributes:
        contact_count: of the sampled recent contacts, how many both want.
    """

    flow: str
    other: str
    contact_count: int
    witness: Witness


@dataclass(frozen=True)
class NotProven:
    """A question to which no answer was found: neither a contact that shows it nor a proof."""

    question: Question
    flows: tuple[str, ...]


@dataclass(frozen=True)
class Recent:
    """The contacts of the last days. DNC contacts, whom no flow may take, are not among them.

    Attributes:
        without_flow: one of the contacts that no flow takes.
        wins: name of each enabled flow -> how many it takes.
    """

    days: int
    contact_count: int
    without_flow_count: int
    without_flow: Witness | None
    wins: Mapping[str, int]

    @property
    def without_flow_share(self) -> float:
        """From 0 to 1; 0 without contacts."""
        return self.without_flow_count / self.contact_count if self.contact_count else 0.0


@dataclass(frozen=True)
class LintReport:
    """What was found of one tenant's enabled flows, in order of priority.

    Attributes:
        never_true: names of flows whose conditions hold for no contact, now or later.
        sampled_count: recent contacts over which overlaps were counted.
        pairs_not_asked: pairs of flows beyond MOST_PAIRS, of which nothing is known but what the sample shows.
    """

    flow_count: int
    never_true: tuple[str, ...]
    never_wins: tuple[NeverWins, ...]
    overlaps: tuple[Overlap, ...]
    not_proven: tuple[NotProven, ...]
    recent: Recent
    sampled_count: int
    pairs_not_asked: int


def lint_flows(url: str, user_id: UUID | None, flows: Sequence[StoredFlow], *, days: int, now: datetime) -> LintReport:
    """Look at the enabled ones among the flows of one tenant.

    Args:
        user_id: whose recent contacts are asked; None for a tenant that has none.
        now: claims hold for contacts that are matched from this moment on.
    """
    program = Program([flow for flow in flows if flow.definition.is_enabled])
    history = _History(program)
    if user_id is not None:
        for columns in recent_contacts(url, user_id, flows, days=days, now=now):
            history.add(columns)
    with duckdb.connect(config={"threads": 1}) as staging:
        return _Lint(program, history, Solver(microseconds(now), 0), staging).report(days)


class _History:
    """What the recent contacts show."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.wins: Counter[int] = Counter()
        self.contact_count = 0
        self.without_flow: list[str] = []
        self.without_flow_count = 0
        self.sampled_ids: list[str] = []
        self._wanted: list[Mask] = []

    def add(self, columns: ContactColumns) -> None:
        """Count one batch."""
        asked = np.flatnonzero(~columns.mask("is_dnc"))
        winners = self.program.winners(columns)[asked]
        self.contact_count += len(asked)
        self.wins.update(dict(zip(*(each.tolist() for each in np.unique(winners, return_counts=True)), strict=True)))
        ids = columns.batch.column("contact_id")
        missed = asked[winners < 0]
        self.without_flow_count += len(missed)
        if len(missed) and not self.without_flow:
            self.without_flow.append(ids[int(missed[0])].as_py())
        size = min(SAMPLED_CONTACTS, _SAMPLED_ANSWERS // max(1, len(self.program.flows)))
        sampled = asked[: max(0, size - len(self.sampled_ids))]
        if len(sampled):
            self.sampled_ids += ids.take(sampled.tolist()).to_pylist()
            self._wanted.append(wanted_by(self.program, columns, sampled))

    def wanted(self) -> Mask:
        """For each flow (rows) and sampled contact (columns), whether the flow wants it."""
        return np.concatenate(self._wanted, axis=1) if self._wanted else np.zeros((len(self.program.flows), 0), bool)


@dataclass
class _Lint:
    program: Program
    history: _History
    solver: Solver
    staging: duckdb.DuckDBPyConnection
    _not_proven: list[NotProven] = field(default_factory=list)
    _pairs_not_asked: int = 0

    def report(self, days: int) -> LintReport:
        """Everything, in order of priority."""
        wanted = self.history.wanted()
        numbers = range(len(self.program.flows))
        never_true = [number for number in numbers if self._is_never_true(number, wanted[number])]
        live = [number for number in numbers if number not in set(never_true)]
        overlaps, above = self._overlaps(live, wanted)
        never_wins = [
            found
            for number in live
            if not self.history.wins[number] and (found := self._never_wins(number, above[number], wanted[number]))
        ]
        names = self._names(numbers)
        history = self.history
        recent = Recent(
            days,
            history.contact_count,
            history.without_flow_count,
            Witness(history.without_flow[0]) if history.without_flow else None,
            {names[number]: history.wins[number] for number in numbers},
        )
        return LintReport(
            len(names),
            tuple(names[number] for number in never_true),
            tuple(never_wins),
            tuple(overlaps),
            tuple(self._not_proven),
            recent,
            len(history.sampled_ids),
            self._pairs_not_asked,
        )

    def _is_never_true(self, number: int, wanted: Mask) -> bool:
        if self.history.wins[number] or wanted.any():
            return False
        found = self._ask([number], [], checks=CHECKS_A_FLOW)
        if isinstance(found, Impossible):
            return True
        if not isinstance(found, Candidate) or not self._wants(number, found):
            self._leave("never_true", [number])
        return False

    def _overlaps(self, live: Sequence[int], wanted: Mask) -> tuple[list[Overlap], dict[int, list[int]]]:
        """Pairs that both want a contact, and for each flow those above it that may take some of its contacts."""
        counts = (wanted.astype(np.float32) @ wanted.T.astype(np.float32)).astype(np.int64)
        above: dict[int, list[int]] = {number: [] for number in live}
        found: list[tuple[int, int, Witness]] = []
        candidates: list[tuple[int, int, Candidate]] = []
        for place, (first, second) in enumerate(combinations(live, 2)):
            if counts[first, second]:
                row = int(np.argmax(wanted[first] & wanted[second]))
                found.append((first, second, Witness(self.history.sampled_ids[row])))
            elif place >= MOST_PAIRS:
                self._pairs_not_asked += 1
            else:
                answer = self._ask([first, second], [], checks=CHECKS_A_PAIR)
                if isinstance(answer, Impossible):
                    continue
                if isinstance(answer, Candidate):
                    candidates.append((first, second, answer))
                else:
                    self._leave("overlap", [first, second])
            above[second].append(first)
        found += self._verified(candidates)
        names = self._names(range(len(self.program.flows)))
        return [
            Overlap(names[first], names[second], int(counts[first, second]), witness)
            for first, second, witness in sorted(found, key=lambda each: each[:2])
        ], above

    def _verified(self, candidates: Sequence[tuple[int, int, Candidate]]) -> Iterator[tuple[int, int, Witness]]:
        """The pairs of which the program says that both want their contact."""
        columns, places = constructed_columns(self.program, [candidate for _, _, candidate in candidates], self.staging)
        for (first, second, candidate), place in zip(candidates, places, strict=True):
            if place is not None and all(
                wants(self.program, columns[place.batch], number, np.array([place.row])).all()
                for number in (first, second)
            ):
                yield first, second, Witness(values=described(candidate))
            else:
                self._leave("overlap", [first, second])

    def _never_wins(self, number: int, above: Sequence[int], wanted: Mask) -> NeverWins | None:
        covering = next(
            ([each] for each in above if isinstance(self._ask([number], [each], checks=CHECKS_A_PAIR), Impossible)),
            None,
        )
        if covering is None:
            found = self._ask([number], above, checks=CHECKS_A_FLOW)
            if not isinstance(found, Impossible):
                if not isinstance(found, Candidate) or self._winner(found) != number:
                    self._leave("never_wins", [number])
                return None
            covering = self._fewest(number, above)
        names = self._names(range(len(self.program.flows)))
        witness = self._taken(number, wanted)
        if witness is None:
            self._leave("never_wins", [number])
            return None
        return NeverWins(names[number], tuple(names[each] for each in covering), witness)

    def _fewest(self, number: int, above: Sequence[int]) -> list[int]:
        """Flows that together take all that the flow wants, without those that are shown not to be needed."""
        kept = list(above)
        for each in reversed(above):
            fewer = [other for other in kept if other != each]
            if isinstance(self._ask([number], fewer, checks=CHECKS_A_PAIR), Impossible):
                kept = fewer
        return kept

    def _taken(self, number: int, wanted: Mask) -> Witness | None:
        """A contact that the flow wants and does not get, whether a recent one or a constructed one."""
        if wanted.any():
            return Witness(self.history.sampled_ids[int(np.argmax(wanted))])
        found = self._ask([number], [], checks=CHECKS_A_FLOW)
        if not isinstance(found, Candidate) or self._winner(found) in (None, number):
            return None
        return Witness(values=described(found)) if self._wants(number, found) else None

    def _wants(self, number: int, candidate: Candidate) -> bool:
        columns, (place,) = constructed_columns(self.program, [candidate], self.staging)
        return place is not None and bool(wants(self.program, columns[0], number, np.array([place.row])).all())

    def _winner(self, candidate: Candidate) -> int | None:
        columns, (place,) = constructed_columns(self.program, [candidate], self.staging)
        return None if place is None else int(self.program.winners(columns[0])[place.row])

    def _ask(
        self, wanting: Sequence[int], refusing: Sequence[int], *, checks: int
    ) -> "Candidate | Impossible | Unknown":
        constraints: list[Constraint] = [(self.program.nodes[number], True) for number in wanting]
        constraints += [(self.program.nodes[number], False) for number in refusing]
        self.solver.allow(checks)
        return search(constraints, self.solver)

    def _leave(self, question: Question, numbers: Sequence[int]) -> None:
        names = self._names(numbers)
        self._not_proven.append(NotProven(question, tuple(names)))

    def _names(self, numbers: Iterable[int]) -> list[str]:
        return [self.program.flows[number].definition.name for number in numbers]


def wants(program: Program, columns: ContactColumns, number: int, rows: npt.NDArray[np.int64]) -> Mask:
    """Where the conditions of a flow hold among the rows, whoever wins them."""
    return holds(program.nodes[number], lambda test: program.answer(test, columns, rows), len(rows))


def wanted_by(program: Program, columns: ContactColumns, rows: npt.NDArray[np.int64]) -> Mask:
    """For each flow (rows) and each of the contacts (columns), whether the flow wants it."""
    answers: dict[Any, Mask] = {}

    def answer(test: Any) -> Mask:
        if test not in answers:
            answers[test] = program.answer(test, columns, rows)
        return answers[test]

    wanted = [holds(node, answer, len(rows)) for node in program.nodes]
    return np.stack(wanted) if wanted else np.zeros((0, len(rows)), dtype=np.bool_)
