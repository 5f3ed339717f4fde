"""Flows compiled to bit vectors, after Lakshman and Stiliadis (SIGCOMM 1998): first match by priority over many fields.

Each flow becomes rules, one bit a rule, 64 rules a word, a tenant's words in order of priority. For each class of a
lane there is a row of words: which rules can still hold for a contact of that class. AND over the lanes; the lowest bit
that is left is the answer. Rows with an answer leave before the next word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from threading import Lock

import numpy as np
import numpy.typing as npt

from engage_pipeline.flows.conditions import single_conditions
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.lanes import Classes, Lane, TextLane, lane_of
from engage_pipeline.matching.predicates import Group, LaneKey, Mask, Node, Test, clauses, holds, node_of, tests_in

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

WORD = 64
# A flow whose conditions would take more clauses is one rule that is evaluated directly where it would win.
MOST_CLAUSES = 16


@dataclass(frozen=True)
class Rule:
    """One bit: for which flow, what each lane has to say, and the whole tree where clauses would be too many."""

    flow: int
    by_lane: Mapping[LaneKey, Node]
    direct: Node | None = None


class _Table:
    """For each class of one lane, the words of all tenants: a bit is set where the lane does not rule the rule out."""

    def __init__(self, lane: Lane, rules: Sequence[Rule | None]) -> None:
        self.lane = lane
        places: dict[Node, int] = {}
        asks = np.zeros(len(rules), dtype=np.int64)
        for bit, rule in enumerate(rules):
            node = rule.by_lane.get(lane.key) if rule else None
            if node is not None:
                asks[bit] = 1 + places.setdefault(node, len(places))
        self.nodes = list(places)
        self._asks = asks
        self.asking = np.packbits(asks > 0, bitorder="little").view("<u8").astype(np.uint64, copy=False)
        self._test_places = {test: place for place, test in enumerate(lane.tests)}
        self.word_count = len(rules) // WORD
        self.reset()

    def reset(self) -> None:
        """Forget every class."""
        self.words: Words = np.zeros((0, self.word_count), dtype=np.uint64)
        self._is_built = np.zeros(0, dtype=np.bool_)

    def build(self, classes: Classes) -> None:
        """Make sure that the words of these classes are there."""
        missing = self.lane.class_count - len(self._is_built)
        if missing > 0:
            # Room to grow, so that a batch with a few new classes does not copy everything.
            room = max(missing, len(self._is_built) // 2)
            self.words = np.concatenate([self.words, np.zeros((room, self.word_count), dtype=np.uint64)])
            self._is_built = np.append(self._is_built, np.zeros(room, dtype=np.bool_))
        is_seen = np.zeros(len(self._is_built), dtype=np.bool_)
        is_seen[classes] = True
        new = np.flatnonzero(is_seen & ~self._is_built)
        # A bounded number at a time: there is a byte a rule and class until the bits are packed.
        for start in range(0, len(new), 512):
            some = new[start : start + 512]
            self.words[some] = self._words_of(some)
        self._is_built[new] = True

    def _words_of(self, classes: Classes) -> Words:
        answers = self.lane.answers(classes)
        possible = np.ones((len(classes), len(self.nodes) + 1), dtype=np.bool_)
        for place, node in enumerate(self.nodes, start=1):
            possible[:, place] = holds(node, lambda test: answers[:, self._test_places[test]], len(classes))
        packed = np.ascontiguousarray(np.packbits(possible[:, self._asks], axis=1, bitorder="little"))
        return packed.view("<u8").astype(np.uint64, copy=False)


class Program:
    """The enabled flows of all tenants, ready to match.

    Attributes:
        flows: every flow by tenant and priority; matching answers with positions in it.
        custom_field_names: the custom fields that conditions read, sorted; `ContactColumns` needs them in this order.
    """

    def __init__(self, flows: Sequence[StoredFlow]) -> None:
        self.flows = sorted(flows, key=lambda flow: (str(flow.user_id), flow.definition.priority))
        self.custom_field_names = sorted(
            {
                condition.custom_field_name
                for flow in flows
                for condition in single_conditions(flow.definition.trigger_conditions)
                if condition.custom_field_name
            }
        )
        self._lock = Lock()
        self.nodes = [Group("all", tuple(map(node_of, flow.definition.trigger_conditions))) for flow in self.flows]
        self._lay_out_rules()
        tests: dict[LaneKey, dict[Test, None]] = {}
        for node in self.nodes:
            for test in tests_in(node):
                tests.setdefault(test.lane, {})[test] = None
        self._lanes: dict[LaneKey, Lane] = {key: lane_of(key, list(own)) for key, own in tests.items()}
        asked = {key for rule in self.rules if rule for key in rule.by_lane}
        self._tables = [_Table(lane, self.rules) for key, lane in self._lanes.items() if key in asked]

    def _lay_out_rules(self) -> None:
        self.rules: list[Rule | None] = []
        self._first_word: dict[str, int] = {}
        self._last_word: dict[str, int] = {}
        numbered = enumerate(self.flows)
        for user_id, own in groupby(numbered, key=lambda pair: str(pair[1].user_id)):
            self._first_word[user_id] = len(self.rules) // WORD
            for number, _ in own:
                self.rules.extend(_rules_of(number, self.nodes[number]))
            self.rules.extend([None] * (-len(self.rules) % WORD))
            self._last_word[user_id] = len(self.rules) // WORD
        self._flow_of_rule = np.array([rule.flow if rule else -1 for rule in self.rules], dtype=np.int64)
        self._is_direct = np.array([bool(rule and rule.direct) for rule in self.rules], dtype=np.bool_)
        present = np.array([rule is not None for rule in self.rules], dtype=np.bool_)
        self._present = np.packbits(present, bitorder="little").view("<u8").astype(np.uint64, copy=False)

    def winners(self, columns: ContactColumns) -> Rows:
        """For each row, the place in `flows` of the flow that wins; -1 where no flow of its tenant does.

        Do-not-contact rows are not looked at and get -1.
        """
        with self._lock:
            return self._winners(columns)

    def _winners(self, columns: ContactColumns) -> Rows:
        self._forget_rare()
        winner = np.full(len(columns), -1, dtype=np.int64)
        word = columns.user_codes(self._first_word)
        last = columns.user_codes(self._last_word)
        rows = np.flatnonzero((word < last) & ~columns.mask("is_dnc"))
        eager, late = self._split(columns)
        classes = []
        for table in eager:
            found = table.lane.classes(columns)
            table.build(found)
            classes.append(found)
        unknown = [np.full(len(columns), -1, dtype=np.int64) for _ in late]
        at = word[rows]
        while len(rows):
            left = self._and(eager, classes, rows, at)
            won = self._settle(columns, late, unknown, rows, at, left)
            has_won = won >= 0
            winner[rows[has_won]] = self._flow_of_rule[won[has_won]]
            goes_on = ~has_won & (at + 1 < last[rows])
            rows, at = rows[goes_on], at[goes_on] + 1
        return winner

    def _forget_rare(self) -> None:
        forgotten = {key for key, lane in self._lanes.items() if isinstance(lane, TextLane) and lane.forget_rare()}
        for table in self._tables:
            if table.lane.key in forgotten:
                table.reset()

    def _split(self, columns: ContactColumns) -> tuple[list[_Table], list[_Table]]:
        eager: list[_Table] = []
        late: list[_Table] = []
        for table in self._tables:
            lane = table.lane
            is_late = isinstance(lane, TextLane) and lane.is_expensive(columns)
            (late if is_late else eager).append(table)
        return eager, late

    def _and(self, tables: Sequence[_Table], classes: Sequence[Rows], rows: Rows, at: Rows) -> Words:
        """The words of the rows, over all these tables; rows that are down to nothing are left out on the way."""
        left = self._present[at]
        alive: Rows | None = None
        kept: Words | None = None
        for table, found in zip(tables, classes, strict=True):
            if alive is None or kept is None:
                left &= table.words[found[rows], at]
                some = np.flatnonzero(left)
                if 4 * len(some) < len(left):
                    alive, kept = some, left[some]
            else:
                kept &= table.words[found[rows[alive]], at[alive]]
                still = np.flatnonzero(kept)
                if 4 * len(still) < len(kept):
                    alive, kept = alive[still], kept[still]
        if alive is not None and kept is not None:
            left[:] = 0
            left[alive] = kept
        return left

    def _settle(
        self,
        columns: ContactColumns,
        late: Sequence[_Table],
        classes: Sequence[Rows],
        rows: Rows,
        at: Rows,
        left: Words,
    ) -> Rows:
        """The lowest rule that is left for each row, or -1, once late lanes and direct rules have had their say."""
        won = np.full(len(rows), -1, dtype=np.int64)
        was_asked = [np.zeros(len(rows), dtype=np.bool_) for _ in late]
        waiting = np.flatnonzero(left)
        while len(waiting):
            lowest = left[waiting] & (~left[waiting] + np.uint64(1))
            is_open = np.zeros(len(waiting), dtype=np.bool_)
            for table, known, asked in zip(late, classes, was_asked, strict=True):
                # Only rows whose winner of the moment depends on this lane pay for it.
                depends = ((lowest & table.asking[at[waiting]]) != 0) & ~asked[waiting]
                self._ask(table, columns, known, rows, at, left, waiting[depends])
                asked[waiting[depends]] = True
                is_open |= depends
            rule = at[waiting] * WORD + np.bitwise_count(lowest - np.uint64(1)).astype(np.int64)
            for number in np.unique(rule[self._is_direct[rule]]).tolist():
                of_rule = np.flatnonzero(rule == number)
                fails = of_rule[~self._directly(number, columns, rows[waiting[of_rule]])]
                left[waiting[fails]] &= ~lowest[fails]
                is_open[fails] = True
            won[waiting[~is_open]] = rule[~is_open]
            waiting = waiting[is_open]
            waiting = waiting[left[waiting] != 0]
        return won

    def _ask(
        self,
        table: _Table,
        columns: ContactColumns,
        known: Rows,
        rows: Rows,
        at: Rows,
        left: Words,
        places: Rows,
    ) -> None:
        """Let a late lane rule out what it can in these places of `rows`; classes once found are kept in `known`."""
        new = rows[places[known[rows[places]] < 0]]
        if len(new):
            known[new] = table.lane.classes(columns, new)
            table.build(known[new])
        left[places] &= table.words[known[rows[places]], at[places]]

    def _directly(self, rule_number: int, columns: ContactColumns, rows: Rows) -> Mask:
        rule = self.rules[rule_number]
        assert rule is not None and rule.direct is not None  # noqa: S101 - only direct rules come here
        return holds(rule.direct, lambda test: self.answer(test, columns, rows), len(rows))

    def answer(self, test: Test, columns: ContactColumns, rows: Rows) -> Mask:
        """Where the test holds among the rows."""
        lane = self._lanes[test.lane]
        distinct, places = np.unique(lane.classes(columns, rows), return_inverse=True)
        answered: Mask = lane.answers(distinct)[:, list(lane.tests).index(test)][places]
        return answered


def _rules_of(number: int, node: Node) -> list[Rule]:
    found = clauses(node, limit=MOST_CLAUSES)
    if found is None:
        return [Rule(number, {}, direct=node)]
    return [Rule(number, _by_lane(clause)) for clause in found]


def _by_lane(clause: Sequence[Node]) -> dict[LaneKey, Node]:
    by_lane: dict[LaneKey, list[Node]] = {}
    for node in clause:
        by_lane.setdefault(next(tests_in(node)).lane, []).append(node)
    return {key: nodes[0] if len(nodes) == 1 else Group("all", tuple(nodes)) for key, nodes in by_lane.items()}
