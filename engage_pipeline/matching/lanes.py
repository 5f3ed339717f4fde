"""Lanes: each sorts the values of its attribute into classes that none of its tests tells apart.

Class 0 fails every test, as a missing value or one of the wrong type does. A class's answers to the lane's tests never
change while its number stands, so they are worked out once, when a value of the class is first seen.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engage_pipeline.flows.values import comparable, folded, moments, plain_number
from engage_pipeline.matching.attributes import texts_of
from engage_pipeline.matching.columns import EXACT_LENGTH, ContactColumns
from engage_pipeline.matching.predicates import LaneKey, Mask, Test

Classes = npt.NDArray[np.int64]

_QUICK = r"^-?[0-9]+(\.[0-9]+)?$"  # what Arrow turns into floats; other spellings are read one by one
# What values were seen is remembered up to here, then forgotten, so that memory does not grow with the contacts.
_REMEMBERED = 200_000
_MOST_CLASSES = 20_000
# Above so many distinct values in a batch, text tests wait until a row's answer depends on them.
MANY_DISTINCT = 4_096


class Lane(ABC):
    """All tests of one reading of one attribute."""

    def __init__(self, key: LaneKey, tests: Sequence[Test]) -> None:
        self.key, self.tests = key, list(tests)

    @property
    @abstractmethod
    def class_count(self) -> int:
        """Classes known so far."""

    @abstractmethod
    def classes(self, columns: ContactColumns, rows: Classes | None = None) -> Classes:
        """The class of each row, or of `rows` only."""

    @abstractmethod
    def answers(self, classes: Classes) -> Mask:
        """For each of the classes (rows) and each test (columns), whether it holds."""


class TextLane(Lane):
    """Equality and parts of texts. A class is a set of tests that hold together; which ones occur, the data says."""

    def __init__(self, key: LaneKey, tests: Sequence[Test]) -> None:
        super().__init__(key, tests)
        self._equal = {test.operand: place for place, test in enumerate(tests) if test.operator == "equals"}
        self._set = next((place for place, test in enumerate(tests) if test.operator == "is_set"), None)
        self._forget()

    @property
    def class_count(self) -> int:
        return len(self._kept)

    def classes(self, columns: ContactColumns, rows: Classes | None = None) -> Classes:
        encoded = columns.encoded(self.key.attribute)
        if rows is None:
            return np.append(self._classify(encoded.distinct), 0)[encoded.codes]
        needed, places = np.unique(encoded.codes[rows], return_inverse=True)
        present = needed[needed < len(encoded.distinct)]
        found = self._classify(encoded.distinct.take(pa.array(present)))
        return np.append(found, 0)[places]

    def answers(self, classes: Classes) -> Mask:
        answered = np.zeros((len(classes), len(self.tests)), dtype=np.bool_)
        for row, number in enumerate(classes.tolist()):
            answered[row, list(self._kept[number])] = True
        return answered

    def is_expensive(self, columns: ContactColumns) -> bool:
        """Whether this batch has so many values that rows which do not depend on the lane should not pay for it."""
        return self.key.kind == "text" and len(columns.encoded(self.key.attribute).distinct) > MANY_DISTINCT

    def forget_rare(self) -> bool:
        """Drop what was learned when it is too much; True if it was, and class numbers start again."""
        if len(self._kept) <= _MOST_CLASSES:
            return False
        self._forget()
        return True

    def _forget(self) -> None:
        self._kept: list[tuple[int, ...]] = [()]
        self._numbers: dict[Hashable, int] = {(): 0}
        self._seen: dict[str, int] = {}

    def _classify(self, distinct: pa.Array) -> Classes:
        values = distinct.to_pylist()
        if len(self._seen) > _REMEMBERED:
            self._seen = {}
        new = [value for value in values if value not in self._seen]
        if new:
            held = self._same(new) if self.key.kind == "same" else self._parts(new)
            for value, places in zip(new, held, strict=True):
                number = self._numbers.setdefault(places, len(self._kept))
                if number == len(self._kept):
                    self._kept.append(places)
                self._seen[value] = number
        return np.fromiter((self._seen[value] for value in values), dtype=np.int64, count=len(values))

    def _same(self, values: Sequence[str]) -> list[tuple[int, ...]]:
        kind, equal = self.key.attribute.raw_kind, self._equal
        held = []
        for value in values:
            texts = texts_of(kind, value)
            places = {equal[found] for found in map(comparable, texts) if found in equal}
            if texts and self._set is not None:
                places.add(self._set)
            held.append(tuple(sorted(places)))
        return held

    def _parts(self, values: Sequence[str]) -> list[tuple[int, ...]]:
        kind = self.key.attribute.raw_kind
        owners: list[int] = []
        texts: list[str] = []
        for number, value in enumerate(values):
            for text in texts_of(kind, value):
                owners.append(number)
                texts.append(text)
        owner = np.array(owners, dtype=np.int64)
        stripped, lower = pa.array(texts, pa.string()), pa.array([folded(text) for text in texts], pa.string())
        held: list[list[int]] = [[] for _ in values]
        for place, test in enumerate(self.tests):
            for number in np.unique(owner[_part_holds(test, stripped, lower)]).tolist():
                held[number].append(place)
        return [tuple(each) for each in held]


def _part_holds(test: Test, stripped: pa.Array, lower: pa.Array) -> Mask:
    operand = str(test.operand)
    if test.operator == "matches":
        found = pc.match_substring_regex(stripped, operand, ignore_case=True)
    elif test.operator == "contains":
        found = pc.match_substring(lower, operand)
    elif test.operator == "starts_with":
        found = pc.starts_with(lower, operand)
    else:
        found = pc.ends_with(lower, operand)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


class OrderedLane(Lane):
    """Numbers, dates and ages. The thresholds of all tests cut the line: below the first is class 1, on it class 2,
    between it and the next class 3, and so on."""

    def __init__(self, key: LaneKey, tests: Sequence[Test]) -> None:
        super().__init__(key, tests)
        self._thresholds: list[Any] = sorted({test.operand for test in tests if test.operator != "is_set"})
        self._is_exact = key.kind == "number" and all(
            len(format(each, "f")) <= EXACT_LENGTH for each in self._thresholds if isinstance(each, Decimal)
        )
        self._cuts = np.array([float(each) for each in self._thresholds])
        if key.kind != "number":
            self._cuts = np.array(self._thresholds, dtype=np.int64)
        places = [
            2 + 2 * bisect_left(self._thresholds, test.operand) if test.operator != "is_set" else 0 for test in tests
        ]
        self._places = np.array(places, dtype=np.int64)
        self._dates: dict[str, int | None] = {}

    @property
    def class_count(self) -> int:
        return 2 * len(self._thresholds) + 2

    def classes(self, columns: ContactColumns, rows: Classes | None = None) -> Classes:
        if self.key.attribute.condition_type == "created_at":
            instants = columns.created_at()
            if rows is not None:
                instants = instants[rows]
            return self._cut(columns.now - instants if self.key.kind == "age" else instants)
        if self._is_exact and (numbers := columns.numbers(self.key.attribute)) is not None:
            wanted = numbers if rows is None else numbers[rows]
            return np.where(np.isnan(wanted), 0, self._cut(wanted))
        encoded = columns.encoded(self.key.attribute)
        found = (
            self._numbers(encoded.distinct) if self.key.kind == "number" else self._instants(encoded.distinct, columns)
        )
        return np.append(found, 0)[encoded.codes if rows is None else encoded.codes[rows]]

    def answers(self, classes: Classes) -> Mask:
        at, cut = classes[:, None], self._places[None, :]
        answered = np.zeros((len(classes), len(self.tests)), dtype=np.bool_)
        for operator, compare in _COMPARISONS.items():
            asked = np.array([test.operator == operator for test in self.tests])
            answered[:, asked] = compare(at, cut[:, asked])
        return answered & (at > 0)

    def _cut(self, values: "npt.NDArray[np.float64] | npt.NDArray[np.int64]") -> Classes:
        if not len(self._cuts):
            return np.ones(len(values), dtype=np.int64)
        below = np.searchsorted(self._cuts, values)
        on_it = self._cuts[np.minimum(below, len(self._cuts) - 1)] == values
        found: Classes = 1 + 2 * below + on_it
        return found

    def _numbers(self, distinct: pa.Array) -> Classes:
        bare = pc.utf8_trim(distinct, '"') if self.key.attribute.raw_kind == "json" else distinct
        is_plain = pc.match_substring_regex(bare, _QUICK).to_numpy(zero_copy_only=False)
        is_short = pc.less_equal(pc.utf8_length(bare), EXACT_LENGTH).to_numpy(zero_copy_only=False)
        found = np.zeros(len(distinct), dtype=np.int64)
        quick = is_plain & is_short if self._is_exact else np.zeros(len(distinct), dtype=np.bool_)
        plain = bare.filter(pa.array(quick)).cast(pa.float64())
        found[quick] = self._cut(np.asarray(plain.to_numpy(zero_copy_only=False), dtype=np.float64))
        digit = pc.match_substring_regex(distinct, "[0-9]").to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(digit & ~quick).tolist():
            found[place] = self._exact(distinct[place].as_py())
        return found

    def _exact(self, raw: str) -> int:
        for text in texts_of(self.key.attribute.raw_kind, raw):
            number = plain_number(text)
            if number is not None:
                below = bisect_left(self._thresholds, number)
                on_it = below < len(self._thresholds) and self._thresholds[below] == number
                return 2 * below + (2 if on_it else 1)
        return 0

    def _instants(self, distinct: pa.Array, columns: ContactColumns) -> Classes:
        if len(self._dates) > _REMEMBERED:
            self._dates = {}
        instants = [self._instant(raw) for raw in distinct.to_pylist()]
        known = np.array([instant is not None for instant in instants], dtype=np.bool_)
        values = np.array([instant or 0 for instant in instants], dtype=np.int64)
        return np.where(known, self._cut(columns.now - values if self.key.kind == "age" else values), 0)

    def _instant(self, raw: str) -> int | None:
        if raw not in self._dates:
            texts = texts_of(self.key.attribute.raw_kind, raw)
            found = moments(texts[0]) if texts else None
            self._dates[raw] = found[0] if found else None
        return self._dates[raw]


_COMPARISONS = {
    "lt": np.less,
    "lte": np.less_equal,
    "eq": np.equal,
    "gte": np.greater_equal,
    "gt": np.greater,
    "is_set": np.greater,
}


def lane_of(key: LaneKey, tests: Sequence[Test]) -> Lane:
    """The lane for these tests, all of which have its key."""
    if key.kind in ("same", "text"):
        return TextLane(key, tests)
    return OrderedLane(key, tests)
