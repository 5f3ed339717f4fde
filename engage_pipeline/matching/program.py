"""Flows compiled to bit vectors, after Lakshman and Stiliadis (SIGCOMM 1998): first match by priority over many fields.

Each flow becomes rules, one bit a rule, 64 rules a word, a tenant's words in order of priority. For each class of a
lane there is a row of words: which rules can still hold for a contact of that class. AND over the lanes; the lowest bit
that is left is the answer. Lanes with few classes are joined beforehand, so that a row visits only words in which their
AND leaves something. Rows with an answer leave before the next word.
"""

from collections.abc import Sequence
from itertools import groupby
from threading import RLock

import numpy as np

from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.flows.conditions import single_conditions
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.lanes import Classes, Lane, TextLane, lane_of
from engage_pipeline.matching.predicates import Group, LaneKey, Mask, Node, Test, clauses, holds, node_of, tests_in
from engage_pipeline.matching.tables import WORD, JoinedTable, Rows, Rule, Table, Words, few_classes, packed

# A flow whose conditions would take more clauses is one rule that is evaluated directly where it would win.
MOST_CLAUSES = 16


class Program:
    """The enabled flows of all tenants, ready to match.

    Attributes:
        flows: every flow by tenant and priority; matching answers with positions in it.
        custom_field_names: the custom fields that conditions read, sorted; `ContactColumns` needs them in this order.
        channels: for each flow the channels it has an action on, a bit each in the order of CHANNELS; one more place,
            which -1 finds, is 0.
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
        self.channels = np.array([*map(_channels_of, self.flows), 0], dtype=np.int64)
        self._lock = RLock()
        self.nodes = [Group("all", tuple(map(node_of, flow.definition.trigger_conditions))) for flow in self.flows]
        self._lay_out_rules()
        tests: dict[LaneKey, dict[Test, None]] = {}
        for node in self.nodes:
            for test in tests_in(node):
                tests.setdefault(test.lane, {})[test] = None
        self._lanes: dict[LaneKey, Lane] = {key: lane_of(key, list(own)) for key, own in tests.items()}
        asked = {key for rule in self.rules if rule for key in rule.by_lane}
        self._tables = [Table(lane, self.rules) for key, lane in self._lanes.items() if key in asked]
        self._joined = JoinedTable([], self._present)

    def _lay_out_rules(self) -> None:
        self.rules: list[Rule | None] = []
        self._tenants: dict[str, int] = {}
        first_words: list[int] = []
        last_words: list[int] = []
        numbered = enumerate(self.flows)
        for user_id, own in groupby(numbered, key=lambda pair: str(pair[1].user_id)):
            self._tenants[user_id] = len(first_words)
            first_words.append(len(self.rules) // WORD)
            for number, _ in own:
                self.rules.extend(_rules_of(number, self.nodes[number]))
            self.rules.extend([None] * (-len(self.rules) % WORD))
            last_words.append(len(self.rules) // WORD)
        self._first_words = np.array(first_words, dtype=np.int64)
        self._last_words = np.array(last_words, dtype=np.int64)
        self._flow_of_rule = np.array([rule.flow if rule else -1 for rule in self.rules], dtype=np.int64)
        self._is_direct = np.array([bool(rule and rule.direct) for rule in self.rules], dtype=np.bool_)
        self._present = packed(np.array([rule is not None for rule in self.rules], dtype=np.bool_))

    def winners(self, columns: ContactColumns) -> Rows:
        """For each row, the place in `flows` of the flow that wins; -1 where no flow of its tenant does.

        Do-not-contact rows are not looked at and get -1.
        """
        with self._lock:
            return self._winners(columns)

    def _winners(self, columns: ContactColumns) -> Rows:
        self._forget_rare()
        winner = np.full(len(columns), -1, dtype=np.int64)
        tenant = columns.user_codes(self._tenants)
        rows = np.flatnonzero((tenant >= 0) & ~columns.mask("is_dnc"))
        tenant = tenant[rows]
        eager, late = self._split(columns)
        classes = {table: table.lane.classes(columns)[rows] for table in eager}
        for table, found in classes.items():
            table.build(found)
        joined = self._join(eager)
        combination = joined.combinations([classes[table] for table in joined.tables], len(rows))
        others = [(table, found) for table, found in classes.items() if table not in joined.tables]
        unknown = [np.full(len(columns), -1, dtype=np.int64) for _ in late]
        end = self._last_words[tenant]
        at = joined.next_word[combination, self._first_words[tenant]].astype(np.int64)
        # Places in `rows` of those that still have words to look at.
        places = np.flatnonzero(at < end)
        while len(places):
            here = at[places]
            left = joined.words[combination[places], here]
            left, some = _and(left, others, places, here)
            won = self._settle(columns, late, unknown, rows[places[some]], here[some], left)
            has_won = won >= 0
            winner[rows[places[some[has_won]]]] = self._flow_of_rule[won[has_won]]
            goes_on = np.ones(len(places), dtype=np.bool_)
            goes_on[some[has_won]] = False
            places = places[goes_on]
            at[places] = joined.next_word[combination[places], at[places] + 1]
            places = places[at[places] < end[places]]
        return winner

    def _forget_rare(self) -> None:
        forgotten = {key for key, lane in self._lanes.items() if isinstance(lane, TextLane) and lane.forget_rare()}
        if forgotten:
            self._joined = JoinedTable([], self._present)
        for table in self._tables:
            if table.lane.key in forgotten:
                table.reset()

    def _split(self, columns: ContactColumns) -> tuple[list[Table], list[Table]]:
        eager: list[Table] = []
        late: list[Table] = []
        for table in self._tables:
            lane = table.lane
            is_late = isinstance(lane, TextLane) and lane.is_expensive(columns)
            (late if is_late else eager).append(table)
        return eager, late

    def _join(self, eager: Sequence[Table]) -> JoinedTable:
        tables = few_classes(eager, len(self._present))
        if not self._joined.still_fits(tables):
            self._joined = JoinedTable(tables, self._present)
        return self._joined

    def _settle(
        self,
        columns: ContactColumns,
        late: Sequence[Table],
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
        table: Table,
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
        with self._lock:
            distinct, places = np.unique(lane.classes(columns, rows), return_inverse=True)
            answered: Mask = lane.answers(distinct)[:, list(lane.tests).index(test)][places]
        return answered


def _and(left: Words, tables: Sequence[tuple[Table, Classes]], places: Rows, at: Rows) -> tuple[Words, Rows]:
    """What the tables leave of the words, and where: only of rows in which something is left."""
    some = np.arange(len(left))
    for table, classes in tables:
        left = left & table.words[classes[places[some]], at[some]]
        alive = np.flatnonzero(left)
        left, some = left[alive], some[alive]
    return left, some


def _channels_of(flow: StoredFlow) -> int:
    used = {action.action_type for action in flow.definition.actions}
    return sum(1 << place for place, channel in enumerate(CHANNELS) if channel in used)


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
