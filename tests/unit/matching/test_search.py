"""What the search claims, held against the oracle: a contact it finds is wanted, one it rules out is never met."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.flows.conditions import TriggerCondition
from engage_pipeline.flows.values import microseconds
from engage_pipeline.matching.constructed import constructed_columns, described
from engage_pipeline.matching.lint import wants
from engage_pipeline.matching.patterns import samples
from engage_pipeline.matching.predicates import node_of
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.search import Candidate, search
from engage_pipeline.matching.values import Impossible, Solver, Unknown
from tests.flow_strategies import condition_nodes
from tests.unit.matching import oracle
from tests.unit.matching.contacts import NOW, condition, contact, shared_staging, stored
from tests.unit.matching.test_assign import conditions, contacts

LATER = NOW + timedelta(days=400)
COUNTRIES = {"US": "+1", "GB": "+44", "IN": "+91"}


def ask(wanted: list[Any], refused: list[Any] = (), *, checks: int = 20_000) -> tuple[Program, Any]:  # type: ignore[assignment]
    """Whether a contact meets each list of conditions in `wanted` and none in `refused`."""
    program = Program([stored(number, nodes) for number, nodes in enumerate([*wanted, *refused])])
    constraints = [(node, number < len(wanted)) for number, node in enumerate(program.nodes)]
    return program, search(constraints, Solver(microseconds(NOW), checks))


def as_read_by_the_oracle(candidate: Candidate) -> dict[str, Any] | None:
    """The contact as a row; None for a country that the oracle does not know."""
    said = described(candidate)
    country = said.get("phone_country")
    if country is not None and country not in COUNTRIES:
        return None
    return contact(
        lead_source=said.get("lead_source"),
        entry_type=said.get("entry_type", "bulk_upload") or "",
        email_domain=said.get("email_domain"),
        tags=said.get("tags", []),
        fields=said.get("custom_fields", {}),
        country=COUNTRIES.get(country),
        created_at=datetime.fromisoformat(said["created_at"]) if "created_at" in said else moment(candidate.now),
    )


def moment(instant: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)


def meets(row: dict[str, Any], now: datetime, wanted: list[Any], refused: list[Any]) -> bool:
    """The oracle's word."""
    return all(all(oracle.holds(node, row, now) for node in nodes) for nodes in wanted) and not any(
        all(oracle.holds(node, row, now) for node in nodes) for nodes in refused
    )


flow_conditions = st.lists(condition_nodes(conditions), max_size=3)


@given(
    wanted=st.lists(flow_conditions, min_size=1, max_size=2),
    refused=st.lists(flow_conditions, max_size=3),
    rows=st.lists(contacts, min_size=10, max_size=15),
    seed=st.randoms(use_true_random=False),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_contact_that_is_found_fits_and_one_that_is_ruled_out_is_never_met(
    wanted: list[Any], refused: list[Any], rows: list[dict[str, Any]], seed: Any
) -> None:
    program, answer = ask(wanted, refused)
    if isinstance(answer, Candidate):
        row = as_read_by_the_oracle(answer)
        assert row is None or meets(row, moment(answer.now), wanted, refused)
        columns, (place,) = constructed_columns(program, [answer], shared_staging())
        assert place is not None
        for number in range(len(program.flows)):
            assert wants(program, columns[0], number, [place.row]).all() == (number < len(wanted))
        return
    if isinstance(answer, Unknown):
        return
    mixed = list(rows)
    for name in ("custom_fields", "tags", "lead_source", "created_at", "email_domain", "country"):
        values = [row[name] for row in rows]
        seed.shuffle(values)
        mixed += [{**row, name: value} for row, value in zip(rows, values, strict=True)]
    for row in mixed:
        for now in (NOW, LATER):
            assert not meets(row, now, wanted, refused)


def test_conditions_that_exclude_each_other_are_ruled_out() -> None:
    def is_impossible(wanted: list[Any], refused: list[Any] = ()) -> bool:  # type: ignore[assignment]
        return isinstance(ask(wanted, refused)[1], Impossible)

    source, budget = "lead_source", "custom_field"
    assert is_impossible([[condition(source, "equals", "a"), condition(source, "in", ["b", "c"])]])
    assert is_impossible([[condition(source, "starts_with", "fb-"), condition(source, "starts_with", "x")]])
    assert is_impossible([[condition(source, "contains", "face")], [condition(source, "is_not_set")]])
    assert is_impossible([[condition(source, "equals", "Facebook Ads")]], [[condition(source, "contains", "BOOK")]])
    assert is_impossible([[condition(source, "ends_with", "abc")]], [[condition(source, "ends_with", "bc")]])
    assert is_impossible([[condition(budget, "gt", 5, "B"), condition(budget, "lt", "5.0", "B")]])
    assert is_impossible([[condition(budget, "gt", 5, "B"), condition(budget, "before", "2026-01-01", "B")]])
    assert is_impossible([[condition(budget, "between", [1, 9], "B")]], [[condition(budget, "gte", 1, "B")]])
    assert is_impossible([[condition("created_at", "before", "2020-01-01"), condition("created_at", "within_last", 9)]])
    assert is_impossible(
        [[condition("phone_country", "starts_with", "u")]], [[condition("phone_country", "matches", "^U")]]
    )
    assert is_impossible([[condition("tag", "equals", "vip"), {"none": [condition("tag", "starts_with", "v")]}]])
    assert is_impossible([[condition("created_at", "is_not_set")]])
    assert is_impossible([[condition(budget, "gt", 5, "B"), condition(budget, "contains", "EUR", "B")]])
    assert is_impossible([[condition(budget, "before", "2026-01-01", "B")]], [[condition(budget, "is_set", None, "B")]])


def test_several_flows_cover_together_what_none_covers_alone() -> None:
    wide = [condition("custom_field", "is_set", None, "B"), condition("custom_field", "between", [0, 100], "B")]
    low, high = [condition("custom_field", "lt", 50, "B")], [condition("custom_field", "gte", 50, "B")]
    assert isinstance(ask([wide], [low])[1], Candidate)
    assert isinstance(ask([wide], [low, high])[1], Impossible)
    almost = [condition("custom_field", "gt", 50, "B")]
    found = ask([wide], [low, almost])[1]
    assert described(found) == {"custom_fields": {"B": "50"}}


def test_what_will_only_be_true_later_is_not_ruled_out() -> None:
    found = ask([[condition("created_at", "after", "2026-12-31"), condition("created_at", "within_last", 7)]])[1]
    assert described(found)["matched_at"] >= "2027-01-01"
    both = [condition("created_at", "within_last", 1), condition("custom_field", "after", "2027-05-05", "D")]
    found = ask([[*both, condition("custom_field", "within_last", 1, "D")]])[1]
    assert described(found)["custom_fields"]["D"] >= "2027-05-06"


def test_a_search_that_takes_too_long_says_so() -> None:
    texts = [[condition("lead_source", "equals", f"s{number}")] for number in range(50)]
    anything = [condition("lead_source", "is_set")]
    assert isinstance(ask([anything], texts)[1], Candidate)
    assert isinstance(ask([anything], texts, checks=10)[1], Unknown)


@pytest.mark.parametrize("pattern", ["^fb[0-9]{2,}$", "a|bc", "[^a-z]x?", r"\d+\s\w", "(?i)demo", ".", "^$"])
def test_samples_of_a_pattern_match_it(pattern: str) -> None:
    found = samples(pattern)
    assert found
    assert any(oracle.re.search(pattern, text) for text in found)


def test_a_pattern_that_python_cannot_read_has_no_samples() -> None:
    assert samples(r"\pL+") == ()
    found = ask([[condition("lead_source", "matches", r"\pL\pN")]])[1]
    assert isinstance(found, Unknown)


def test_the_values_of_a_constructed_contact_are_json() -> None:
    found = ask([[condition("tag", "equals", "vip"), condition("phone_country", "equals", "GB")]])[1]
    assert json.loads(json.dumps(described(found))) == {"tags": ["vip"], "phone_country": "GB"}


PARTS = ["a", "b c", "5", "50", "-5", "5.00", "00", "2026-05-01", "may", "00:00", "ss"]
CONDITIONS = [
    TriggerCondition.model_validate(condition("custom_field", operator, operand, "P"))
    for operators, operands in [
        (["gt", "gte", "lt", "lte"], [-5, 0, 5, 5.5]),
        (["contains", "starts_with", "ends_with", "equals"], PARTS),
        (["in"], [["a", "5"], ["50", "may 1, 2026"]]),
        (["matches"], ["^a", "[0-9]$"]),
        (["before", "after"], ["2026-05-01", "2026-05-01T09:30Z", "2027-01-01"]),
        (["within_last"], [1, 30]),
        (["is_set"], [None]),
    ]
    for operator in operators
    for operand in operands
]


def spellings() -> list[str | None]:
    """Nothing, the parts, other spellings of them, and what they make together."""
    forms = ("{}", "{}.0", "{}.00", "{}0", "0{}", "00{}", "+{}", "{}T00:00:00Z", "x{}", "{} x")
    changed = [form.format(part) for part in PARTS for form in forms]
    joined = [f"{left}{glue}{right}" for left in PARTS for right in PARTS for glue in ("", " ", "~")]
    numbers = ["-6", "1", "5.25", "7", "51", "5.50", "500", "-500.00", "0.00"]
    dates = ["2026-04-30", "2026-05-01 09:30:00.000001", "May 1, 2026", "2026-05-02", "2026-05-10T11:59Z", "2027-06-14"]
    return [None, *dict.fromkeys([*changed, *joined, *numbers, *dates])]


def test_no_spelling_of_a_value_meets_what_is_ruled_out() -> None:
    rows = [contact(fields={"P": text}) for text in spellings()]
    seen = [(row, now) for row in rows for now in (NOW, LATER)]
    masks = [sum(oracle.holds(each, *asked) << place for place, asked in enumerate(seen)) for each in CONDITIONS]
    everything = (1 << len(seen)) - 1
    literals = [
        ((node_of(each), holds), mask if holds else everything ^ mask)
        for each, mask in zip(CONDITIONS, masks, strict=True)
        for holds in (True, False)
    ]
    random = Random(1)
    pairs = list(combinations(literals, 2))
    triples = [random.sample(literals, 3) for _ in range(4_000)]
    solver = Solver(microseconds(NOW), 0)
    outcomes: Counter[type] = Counter()
    for asked in [*pairs, *triples]:
        solver.allow(1_000)
        answer = search([constraint for constraint, _ in asked], solver)
        outcomes[type(answer)] += 1
        met = everything
        for _, mask in asked:
            met &= mask
        assert not (met and isinstance(answer, Impossible)), (asked[0][0], asked[1][0], seen[met.bit_length() - 1][0])
    assert outcomes[Impossible] > 1_500
    assert outcomes[Unknown] < outcomes.total() / 15
