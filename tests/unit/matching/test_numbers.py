"""What is a number, a date or a boolean in JSON, and what only looks like one: no reader may turn one into another."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.matching.attributes import Attribute
from engage_pipeline.matching.program import Program
from tests.unit.matching import oracle
from tests.unit.matching.contacts import NOW, columns_of, condition, contact, outcome, stored


def raw(token):
    """A contact whose field is written just so in the JSON."""
    return contact() | {"custom_fields": f'{{"Plan": {token}}}'}


def holds(token, operator, wanted):
    return outcome([raw(token)], [stored(0, [condition("custom_field", operator, wanted, "Plan")])]) == [(0, "matched")]


@pytest.mark.parametrize(
    ("token", "operator", "wanted", "answer"),
    [
        ("true", "equals", 1, False),
        ("true", "gte", 0, False),
        ("true", "equals", "true", True),
        ("false", "equals", 0, False),
        ("1.50", "equals", 1.5, True),
        ('"1.50"', "equals", 1.5, True),
        ("1.50", "contains", "1.50", False),
        ('"1.50"', "contains", "1.50", True),
        ("1e3", "equals", 1000, True),
        ('"1e3"', "equals", 1000, False),
        ("1e400", "gt", 10**300, True),
        ("1e-300", "gt", 0, True),
        ("0.30000000000000000001", "equals", 0.3, True),
        ('"0.30000000000000000001"', "equals", 0.3, False),
        ("1e999999999", "gt", 0, False),
        *((token, operator, 0, False) for token in ("NaN", "Infinity", "-Infinity") for operator in ("gt", "lte")),
        *((f'"{text}"', "gte", -(10**9), False) for text in ("inf", "nan", "0x1F", "1_000", "1,000", "٣", "1e5", "")),
        ("12345678901234567890123", "equals", "12345678901234567890123", True),
        ("12345678901234567890123", "equals", "12345678901234567890124", False),
        ('"inf"', "after", "2026-05-01", False),
        ('"infinity"', "before", "2026-05-01", False),
        ('"2026/05/01"', "between", ["2026-05-01", "2026-05-01"], True),
        ('"2026/05/01"', "equals", "2026-05-01", False),
        ("20260501", "after", "2020-01-01", False),
        ('"2026-05-01 10"', "after", "2020-01-01", False),
        ('"10:00"', "before", "2030-01-01", False),
        ("null", "is_set", None, False),
        ('"null"', "is_set", None, True),
    ],
)
def test_nothing_is_coerced(token, operator, wanted, answer):
    assert holds(token, operator, wanted) is answer


LIMITS = [-1.5, 0, 1, 1.5, 99.99, 10**14, 123456789012345, "0.00001", 5e-324]
plain = (
    st.integers(-(10**16), 10**16)
    | st.floats(-1e6, 1e6)
    | st.integers(-200, 200).map(lambda number: number / 100)
    | st.sampled_from([limit for limit in LIMITS if not isinstance(limit, str)])
    | st.none()
)
short = st.integers(-(10**4), 10**4).map(lambda number: number / 100) | st.integers(-(10**13), 10**13)
odd = st.sampled_from(["five", "5", "1.50", True, "2026-05-01", 1e300, -1e-300, [1]])


@given(
    values=st.lists(short, min_size=40) | st.lists(plain, min_size=40) | st.lists(plain | odd, min_size=40),
    tests=st.lists(
        st.tuples(st.sampled_from(["gt", "gte", "lt", "lte", "equals", "not_equals"]), st.sampled_from(LIMITS)),
        min_size=1,
        max_size=6,
    ),
    is_given=st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_numbers_compare_as_numbers_whatever_else_is_in_the_column(values, tests, is_given):
    flows = [stored(n, [condition("custom_field", *test, "Plan")]) for n, test in enumerate(tests)]
    rows = [contact(fields={"Plan": value} if is_given.random() < 0.9 else {}) for value in values]
    assert outcome(rows, flows) == [oracle.outcome(row, flows, NOW) for row in rows]


def test_a_column_of_short_numbers_is_read_as_one_and_any_other_is_not():
    program = Program([stored(0, [condition("custom_field", "gt", 1, "Plan")])])
    attribute = Attribute("custom_field", "Plan")

    def read(*tokens):
        (batch,) = columns_of([raw(token) for token in tokens], program)
        return batch.numbers(attribute)

    assert read("1", "-2.5", "0", "123456789012345").tolist() == [1, -2.5, 0, 123456789012345]
    for token in ("true", '"5"', "null", "1e30", "1234567890123456", "NaN", "Infinity", "[1]", "{}"):
        assert read("1", token) is None, token


def test_a_gap_in_a_column_of_numbers_is_missing():
    rows = [contact(fields={"Plan": number} if number % 3 else {}) for number in range(300)]
    program = Program([stored(0, [condition("custom_field", "gte", -1, "Plan")])])
    (batch,) = columns_of(rows, program)
    assert batch.numbers(Attribute("custom_field", "Plan")) is not None
    assert (program.winners(batch) == 0).tolist() == [number % 3 > 0 for number in range(300)]
