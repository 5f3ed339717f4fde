"""One attribute at a time: is there a value for which these tests hold and those do not? Found, impossible or unknown.

Impossible is only said where it is certain for every value and every moment from now on. Equality, numbers, dates,
ages, countries, tags and parts of texts are decided exactly. Regular expressions, and parts of texts together with
numbers or dates, are tried on constructed values: one that fits is an answer, none that fits is none.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from functools import lru_cache
from itertools import pairwise, product

import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from engage_pipeline.flows.values import DAY_MICROSECONDS, comparable, folded, microseconds, moments, plain_number
from engage_pipeline.matching.attributes import Attribute
from engage_pipeline.matching.patterns import samples
from engage_pipeline.matching.predicates import Test

Literal = tuple[Test, bool]
"""A test, and whether it has to hold or not to hold."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# With a time zone, a date may lie up to a day beyond the first and the last one in UTC.
_FIRST = microseconds(datetime(1, 1, 1, tzinfo=UTC)) - DAY_MICROSECONDS
_LAST = microseconds(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) + DAY_MICROSECONDS
_MOST_DIGITS = 2_000
_REMEMBERED = 100_000
# None of them changes when it is folded, can be trimmed, or belongs in a number or a date.
_SEPARATORS = "~|^_#%&=;@$"
# What the spellings of plain numbers and of dates are made of (flows/values.py), folded.
_NUMBER_LETTERS = "0123456789+-."
_BEFORE_DIGITS, _AFTER_DIGITS = ("", "-", "0", "1", "-1"), ("", "0", "00", ".0")
_DATE_LETTERS = "0123456789+-/:., abcdefghijlmnoprstuvyz"
_ENTRY_TYPES = ("bulk_upload", "api", "manual")
_COUNTRIES = tuple(sorted({region for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions} - {"001"}))


@dataclass(frozen=True)
class Found:
    """A value for which the literals come true.

    Attributes:
        texts: none for a missing value, several only for tags.
        instant: of `created_at`, in microseconds since 1970.
        now: the moment at which they come true, where a test of an age is among them.
    """

    texts: tuple[str, ...] = ()
    instant: int | None = None
    now: int | None = None


@dataclass(frozen=True)
class Impossible:
    """No value ever makes the literals come true."""


@dataclass(frozen=True)
class Unknown:
    """No value was found, and it was not shown that there is none."""


Answer = Found | Impossible | Unknown


@dataclass
class Solver:
    """Remembers what it was asked.

    Attributes:
        now: the first moment that counts, in microseconds since 1970.
        checks_left: how many questions may still be looked into; those beyond are answered as unknown.
    """

    now: int
    checks_left: int
    _known: dict[tuple[Attribute, frozenset[Literal], int | None], Answer] = field(default_factory=dict)

    def allow(self, checks: int) -> None:
        """Begin a search that may take so many checks."""
        self.checks_left = checks
        if len(self._known) > _REMEMBERED:
            self._known.clear()

    def ask(self, attribute: Attribute, literals: frozenset[Literal], *, now: int | None = None) -> Answer:
        """A value of the attribute that makes all the literals come true.

        Args:
            now: the moment at which they are to; None: any from the first that counts.
        """
        question = (attribute, literals, now)
        if question not in self._known:
            if self.is_exhausted:
                return Unknown()
            self.checks_left -= 1
            self._known[question] = self._look(attribute, literals, now)
        return self._known[question]

    @property
    def is_exhausted(self) -> bool:
        """Whether everything further is unknown."""
        return self.checks_left <= 0

    def _look(self, attribute: Attribute, literals: frozenset[Literal], now: int | None) -> Answer:
        if any((test, False) in literals for test, holds in literals if holds):
            return Impossible()
        if attribute.condition_type == "created_at":
            return self._created_at(literals, now)
        if attribute.condition_type == "tag":
            return self._tags(literals, now)
        if attribute.condition_type == "phone_country":
            return _country(literals)
        return self._single(attribute, literals, now)

    def _tags(self, literals: frozenset[Literal], now: int | None) -> Answer:
        """Every test that has to hold may have a tag of its own; what must not hold must not for any of them."""
        refused = frozenset(each for each in literals if not each[1])
        texts: list[str] = []
        is_unknown = False
        for literal in sorted((each for each in literals if each[1]), key=str):
            found = self._single(Attribute("tag"), refused | {literal}, now)
            if isinstance(found, Impossible):
                return found
            if isinstance(found, Unknown):
                is_unknown = True
            else:
                texts.extend(text for text in found.texts if text not in texts)
        return Unknown() if is_unknown else Found(tuple(texts))

    def _created_at(self, literals: frozenset[Literal], now: int | None) -> Answer:
        if any(test.operator == "is_set" and not holds for test, holds in literals):
            return Impossible()
        timed = [each for each in literals if each[0].operator != "is_set"]
        found = self._instant(timed, now)
        if isinstance(found, Found) and found.instant is None:
            return Found(instant=self.now if now is None else now)
        return found

    def _single(self, attribute: Attribute, literals: frozenset[Literal], now: int | None) -> Answer:
        wanted = sorted((test for test, holds in literals if holds), key=str)
        kinds = {test.lane.kind for test in wanted}
        if not wanted:
            return self._nothing_wanted(attribute, literals, now)
        if any(test.operator == "is_set" and not holds for test, holds in literals):
            return Impossible()
        equal = next((test for test in wanted if test.operator in ("equals", "eq")), None)
        if equal is not None:
            return self._equal(equal, literals, now)
        if "number" in kinds:
            if kinds & {"date", "age"}:
                return Impossible()  # a date is never written as a plain number
            return self._number(literals, now)
        if kinds & {"date", "age"}:
            return self._date(literals, now)
        return self._text(attribute, wanted, literals, now)

    def _nothing_wanted(self, attribute: Attribute, literals: frozenset[Literal], now: int | None) -> Found:
        """A missing value, which fails every test; only a contact's entry type is always there."""
        usual = _ENTRY_TYPES if attribute.condition_type == "entry_type" else ()
        return self._first(usual, literals, now) or Found()

    def _equal(self, equal: Test, literals: frozenset[Literal], now: int | None) -> Answer:
        """Values that are equal differ in spelling only, which equality, numbers, dates and ages do not see."""
        written = str(equal.operand) if equal.operator == "equals" else comparable(format(Decimal(equal.operand), "f"))
        if comparable(written) != written:
            return Unknown()
        aged = [each for each in literals if each[0].lane.kind == "age"]
        if now is None and aged:
            now = self._moment_of(Reading.of(written).instant, aged)
            if now is None:
                return Impossible()
        number = plain_number(written)
        if number is not None and _has_part_without(_NUMBER_LETTERS, literals):
            return Impossible()
        spellings = [written, written.upper(), written.title()] if number is None else [*_spelled(number)]
        found = self._first(spellings, literals, now)
        # Folded parts see only the spelling of numbers; patterns see upper and lower case as well.
        blind = {"matches"} if number is None else {"matches", "contains", "starts_with", "ends_with"}
        return found or self._certain(written, literals, now, blind=blind)

    def _certain(self, text: str, literals: frozenset[Literal], now: int | None, *, blind: set[str]) -> Answer:
        """Impossible, when the text stands for all others and fails a literal that does not depend on its spelling."""
        reading, moment = Reading.of(text), self.now if now is None else now
        seen = [each for each in literals if each[0].operator not in blind]
        return Impossible() if any(reading.satisfies(test, moment) != holds for test, holds in seen) else Unknown()

    def _moment_of(self, instant: int | None, aged: Sequence[Literal]) -> int | None:
        """A moment from the first that counts at which a value of that instant has a fitting age."""
        if instant is None:
            return self.now if all(not holds for _, holds in aged) else None
        ages = {self.now - instant, *(int(test.operand) + step for test, _ in aged for step in (-1, 0, 1))}
        for age in sorted(ages):
            if instant + age >= self.now and all(_compares(test, age) == holds for test, holds in aged):
                return instant + age
        return None

    def _number(self, literals: frozenset[Literal], now: int | None) -> Answer:
        if _has_part_without(_NUMBER_LETTERS, literals):
            return Impossible()
        numbers = {Decimal(test.operand) for test, _ in literals if test.lane.kind == "number"}
        numbers |= {
            number
            for test, _ in literals
            if test.operator == "equals" and (number := plain_number(str(test.operand))) is not None
        }
        seen = frozenset(each for each in literals if each[0].lane.kind in ("number", "same"))
        if any(
            len(each.as_tuple().digits) - min(int(each.as_tuple().exponent), 0) > _MOST_DIGITS // 2 for each in numbers
        ):
            return Unknown()
        # No test changes its answer between two of these numbers, so one from each gap stands for all.
        fitting = [
            each
            for each in _points(sorted(numbers))
            if all(Reading.of(format(each, "f")).satisfies(test, self.now) == holds for test, holds in seen)
        ]
        if not fitting:
            return Impossible()
        parts = sorted({str(test.operand) for test, _ in literals if test.lane.kind == "text"})
        made = [f"{left}{part}{right}" for part in parts for left, right in product(_BEFORE_DIGITS, _AFTER_DIGITS)]
        return self._first((*_all_spelled(fitting), *made), literals, now) or Unknown()

    def _date(self, literals: frozenset[Literal], now: int | None) -> Answer:
        if _has_part_without(_DATE_LETTERS, literals):
            return Impossible()
        timed = [each for each in literals if each[0].lane.kind in ("date", "age")]
        answer = self._instant(timed, now)
        if not isinstance(answer, Found):
            return answer
        moment = answer.now or (self.now if now is None else now)
        nearest = () if answer.instant is None else (answer.instant,)
        instants = (*nearest, *_instants(timed, moment))
        return self._first((text for each in instants for text in _dated(each)), literals, moment) or Unknown()

    def _instant(self, timed: Sequence[Literal], now: int | None) -> Answer:
        """An instant for tests of dates and ages; `Found` without one when there is nothing to test."""
        if not timed:
            return Found()
        dates = [each for each in timed if each[0].lane.kind == "date"]
        aged = [each for each in timed if each[0].lane.kind == "age"]
        moment = self.now if now is None else now
        # The one nearest to now looks most like a contact.
        for instant in sorted(_instants(timed, moment), key=lambda each: (abs(each - moment), each)):
            if all(_compares(test, instant) == holds for test, holds in dates) and all(
                _compares(test, moment - instant) == holds for test, holds in aged
            ):
                return Found(instant=instant, now=moment if aged else None)
        if now is not None or not aged:
            return Impossible()
        instants = [each for each in _near(dates, _FIRST, self.now, _LAST) if _all_hold(dates, each)]
        ages = [each for each in _near(aged, _FIRST - _LAST, 0, _LAST - _FIRST) if _all_hold(aged, each)]
        if not instants or not ages or max(instants) + max(ages) < self.now:
            return Impossible()
        for instant, age in sorted(product(instants, ages), key=sum):
            if self.now <= instant + age <= _LAST:
                return Found(instant=instant, now=instant + age)
        return Unknown()

    def _text(
        self, attribute: Attribute, wanted: Sequence[Test], literals: frozenset[Literal], now: int | None
    ) -> Answer:
        """Only parts are wanted: put them side by side, with something between them that no test mentions."""
        operands = "".join(str(test.operand) for test, _ in literals)
        separator = next((each for each in _SEPARATORS if each not in operands), None)
        parts = _Parts.of(wanted)
        usual = _ENTRY_TYPES if attribute.condition_type == "entry_type" else ("other",)
        tried = [*usual, *parts.plainly()]
        if separator is not None:
            exact = parts.apart(separator)
            tried.append(exact)
        patterns = [str(test.operand) for test in wanted if test.operator == "matches"]
        found = self._first(tried, literals, now) or self._first(parts.around(patterns), literals, now)
        if found is not None:
            return found
        if separator is None:
            return Unknown()
        # Whatever the exact text fails, but for patterns, every text with these parts fails.
        return self._certain(exact, literals, now, blind={"matches"})

    def _first(self, texts: Iterable[str], literals: frozenset[Literal], now: int | None) -> Found | None:
        moment = self.now if now is None else now
        for text in texts:
            if text != text.strip() or not text:
                continue
            reading = Reading.of(text)
            if all(reading.satisfies(test, moment) == holds for test, holds in literals):
                is_aged = any(test.lane.kind == "age" for test, holds in literals) and reading.instant is not None
                return Found((text,), now=moment if is_aged else None)
        return None


@dataclass(frozen=True)
class Reading:
    """One trimmed text as all lanes read it."""

    text: str
    same: str
    folded: str
    number: Decimal | None
    instant: int | None

    @staticmethod
    @lru_cache(maxsize=_REMEMBERED)
    def of(text: str) -> "Reading":
        """The readings of a text."""
        found = moments(text)
        return Reading(text, comparable(text), folded(text), plain_number(text), found[0] if found else None)

    def satisfies(self, test: Test, now: int) -> bool:
        """Whether the test holds for the text at that moment."""
        kind, operator, operand = test.lane.kind, test.operator, test.operand
        if kind == "same":
            return operator == "is_set" or self.same == operand
        if kind == "number":
            return self.number is not None and _compares(test, self.number)
        if kind in ("date", "age"):
            return self.instant is not None and _compares(test, self.instant if kind == "date" else now - self.instant)
        if operator == "matches":
            return _is_found(str(operand), self.text)
        part = str(operand)
        return {"contains": part in self.folded, "starts_with": self.folded.startswith(part)}.get(
            operator, self.folded.endswith(part)
        )


@dataclass(frozen=True)
class _Parts:
    """What a text has to begin with, to contain and to end with."""

    start: str
    inside: tuple[str, ...]
    end: str

    @classmethod
    def of(cls, wanted: Iterable[Test]) -> "_Parts":
        by_operator: dict[str, list[str]] = {}
        for test in wanted:
            by_operator.setdefault(test.operator, []).append(str(test.operand))
        return cls(
            max(by_operator.get("starts_with", [""]), key=len),
            tuple(by_operator.get("contains", [])),
            max(by_operator.get("ends_with", [""]), key=len),
        )

    def plainly(self) -> list[str]:
        """Texts such as a person would write."""
        given = [each for each in (self.start, *self.inside, self.end) if each]
        return [*given, self.start + self.end, " ".join(given)]

    def apart(self, separator: str) -> str:
        """Every part by itself, so that no test holds but those that hold for one of the parts."""
        return separator.join([self.start, *self.inside, self.end])

    def around(self, patterns: Sequence[str]) -> Iterator[str]:
        """The parts with texts that the patterns match."""
        for found in product(*(samples(pattern) for pattern in patterns)):
            for glue in ("", " ", "-", "~"):
                given = [each for each in (self.start, *found, *self.inside, self.end) if each]
                yield glue.join(given)
                yield glue.join([self.start, *found, self.end])
        if not patterns:
            # What must not match a pattern may need other letters around it.
            for filling in ("x", "7", "-", "é", "x 7"):
                yield filling.join([self.start, *self.inside, self.end]) or filling
                yield f"{self.start}{filling}{filling.join([*self.inside, self.end])}"


def _country(literals: frozenset[Literal]) -> Answer:
    if not any(holds for _, holds in literals):
        return Found()
    for country in _COUNTRIES:
        if all(Reading.of(country).satisfies(test, 0) == holds for test, holds in literals):
            return Found((country,))
    return Impossible()


def _has_part_without(letters: str, literals: Iterable[Literal]) -> bool:
    """Whether the text has to contain something that is written with other letters than these."""
    return any(
        holds
        and test.operator in ("contains", "starts_with", "ends_with")
        and not set(str(test.operand)) <= set(letters)
        for test, holds in literals
    )


def _all_hold(literals: Iterable[Literal], value: int) -> bool:
    return all(_compares(test, value) == holds for test, holds in literals)


def _compares(test: Test, value: Decimal | int) -> bool:
    operand = test.operand
    assert not isinstance(operand, str)  # noqa: S101 - numbers, dates and ages
    match test.operator:
        case "lt":
            return value < operand
        case "lte":
            return value <= operand
        case "eq":
            return value == operand
        case "gte":
            return value >= operand
        case _:
            return value > operand


def _near(literals: Iterable[Literal], *more: int) -> list[int]:
    """The thresholds, and the integers beside them: between two of these no test changes its answer."""
    return sorted({*more, *(int(test.operand) + step for test, _ in literals for step in (-1, 0, 1))})


def _instants(timed: Sequence[Literal], now: int) -> list[int]:
    """Instants that stand for all others, when it is `now`."""
    dates = [each for each in timed if each[0].lane.kind == "date"]
    aged = [each for each in timed if each[0].lane.kind == "age"]
    near = _near(dates, _FIRST, now - 1, now, now + 1, _LAST)
    near += [now - age for age in _near(aged)]
    return sorted(each for each in set(near) if _FIRST <= each <= _LAST)


def _points(numbers: Sequence[Decimal]) -> list[Decimal]:
    """The numbers, one between each two, one below and one above; whole ones first."""
    if not numbers:
        return [Decimal(0)]
    with localcontext(prec=_MOST_DIGITS):
        between = [(left + right) / 2 for left, right in pairwise(numbers)]
        whole = [each.to_integral_value() for each in between]
        found = [*numbers, numbers[0] - 1, numbers[-1] + 1, *whole, *between]
    return sorted(dict.fromkeys(found), key=lambda each: (each != each.to_integral_value(), abs(each), each))


def _all_spelled(numbers: Iterable[Decimal]) -> Iterator[str]:
    for number in numbers:
        yield from _spelled(number)


def _spelled(number: Decimal) -> Iterator[str]:
    written = comparable(format(number, "f"))
    sign, digits = ("-", written[1:]) if written.startswith("-") else ("", written)
    point = "" if "." in digits else "."
    for zeros in ("", "0", "00", "000"):
        yield f"{written}{point}{zeros}" if zeros else written
        yield f"{sign}{zeros}{digits}"
    if not sign:
        yield f"+{digits}"


def _dated(instant: int) -> Iterator[str]:
    """The instant as a date, where it is a midnight, and as a time; none beyond the years 1 to 9999."""
    try:
        moment = _EPOCH + timedelta(microseconds=instant)
    except OverflowError:
        return
    if instant % DAY_MICROSECONDS == 0:
        yield f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    written = f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment:%H:%M:%S}"
    yield f"{written}Z" if moment.microsecond == 0 else f"{written}.{moment.microsecond:06}Z"
    yield f"{written.replace('T', ' ')}.{moment.microsecond:06}"


@lru_cache(maxsize=_REMEMBERED)
def _is_found(pattern: str, text: str) -> bool:
    # The RE2 that matching runs.
    return bool(pc.match_substring_regex(pa.array([text]), pattern, ignore_case=True)[0].as_py())
