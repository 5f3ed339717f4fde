"""Which rules each class of a lane leaves possible, as words of bits; lanes with few classes, joined in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engage_pipeline.matching.lanes import Classes, Lane
from engage_pipeline.matching.predicates import LaneKey, Node, holds

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

_Kind = TypeVar("_Kind", bound=np.generic)

WORD = 64
# A joined table has a place for every combination of classes, and words for those that have occurred.
_MOST_COMBINATIONS = 65_536
_MOST_JOINED_WORDS = 4_194_304


@dataclass(frozen=True)
class Rule:
    """One bit: for which flow, what each lane has to say, and the whole tree where clauses would be too many."""

    flow: int
    by_lane: Mapping[LaneKey, Node]
    direct: Node | None = None


class Table:
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
        self.asking = packed(asks > 0)
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
            self.words = _longer(self.words, room)
            self._is_built = _longer(self._is_built, room)
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
        return packed(possible[:, self._asks])


class JoinedTable:
    """The AND of several lanes for each combination of their classes that has occurred, and which words it leaves.

    So a row goes from one word in which something is left straight to the next.
    """

    def __init__(self, tables: Sequence[Table], present: Words) -> None:
        self.tables = tuple(tables)
        self._present = present
        self._capacities = tuple(_capacity(table) for table in self.tables)
        self._numbers = np.full(int(np.prod(self._capacities, dtype=np.int64)), -1, dtype=np.int64)
        self._count = 0
        self.words: Words = np.zeros((0, len(present)), dtype=np.uint64)
        self.next_word: npt.NDArray[np.int32] = np.zeros((0, len(present) + 1), dtype=np.int32)

    def still_fits(self, tables: Sequence[Table]) -> bool:
        """Whether it joins just these, and their classes have not become too many."""
        return self.tables == tuple(tables) and all(
            table.lane.class_count <= capacity for table, capacity in zip(tables, self._capacities, strict=True)
        )

    def combinations(self, classes: Sequence[Classes], count: int) -> Rows:
        """For each of `count` rows its row in `words` and `next_word`; `classes` are those of the tables."""
        code = np.zeros(count, dtype=np.int64)
        for own, capacity in zip(classes, self._capacities, strict=True):
            code *= capacity
            code += own
        found = self._numbers[code]
        is_new = found < 0
        if is_new.any():
            self._add(np.unique(code[is_new]))
            found = self._numbers[code]
        return found

    def _add(self, codes: Rows) -> None:
        words = np.repeat(self._present[None, :], len(codes), axis=0)
        rest = codes
        for table, capacity in zip(reversed(self.tables), reversed(self._capacities), strict=True):
            rest, own = np.divmod(rest, capacity)
            words &= table.words[own]
        end = len(self._present)
        here = np.where(words != 0, np.arange(end, dtype=np.int32), np.int32(end))
        following = np.minimum.accumulate(here[:, ::-1], axis=1)[:, ::-1]
        following = np.append(following, np.full((len(codes), 1), end, dtype=np.int32), axis=1)
        room = self._count + len(codes) - len(self.words)
        if room > 0:
            room = max(room, len(self.words))
            self.words, self.next_word = _longer(self.words, room), _longer(self.next_word, room)
        places = np.arange(self._count, self._count + len(codes))
        self.words[places], self.next_word[places] = words, following
        self._numbers[codes] = places
        self._count += len(codes)


def few_classes(tables: Sequence[Table], word_count: int) -> list[Table]:
    """Those of the tables that are joined: the ones with the fewest classes, as many as there is room for."""
    room = min(_MOST_COMBINATIONS, _MOST_JOINED_WORDS // max(word_count, 1))
    chosen: list[Table] = []
    for table in sorted(tables, key=_capacity):
        room //= _capacity(table)
        if not room:
            break
        chosen.append(table)
    return chosen


def packed(bits: "npt.NDArray[np.bool_]") -> Words:
    """The last axis as words of 64 bits, the first bit lowest."""
    found = np.ascontiguousarray(np.packbits(bits, axis=-1, bitorder="little"))
    return found.view("<u8").astype(np.uint64, copy=False)


def _longer(array: npt.NDArray[_Kind], room: int) -> npt.NDArray[_Kind]:
    # Not `concatenate`: memory of zeros that nothing was written to is not taken.
    longer = np.zeros((len(array) + room, *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


def _capacity(table: Table) -> int:
    # A power of two: classes of texts are numbered as they appear, and one more must not mean to join anew each time.
    return 1 << max(table.lane.class_count - 1, 0).bit_length()
