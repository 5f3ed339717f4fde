"""What lint says of flows, without any contacts: no claim contradicts the oracle, and it confirms every witness."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.lint import LintReport, lint_flows
from tests.flow_strategies import condition_nodes, trigger_conditions
from tests.unit.matching import oracle
from tests.unit.matching.contacts import NOW, condition, contact, stored

TEXTS = ["a", "ab", "abc", "b", "5", "5.0", "50", "5.5", "2026-05-01", "1 May 2026", "ß", "ss", "a b", "x"]
MORE = ["05", "+5", "-3", "0", "5.25", "2026-05-01T00:00:00Z", "2026-05-10T11:00Z", "xab", "a-b", "bc", "b ab", None]


def lint(*conditions: list[Any]) -> LintReport:
    return lint_flows("", None, flows_of(*conditions), days=30, now=NOW)


def flows_of(*conditions: list[Any]) -> list[StoredFlow]:
    return [stored(number, nodes) for number, nodes in enumerate(conditions)]


def source(operator: str, value: object = None) -> dict[str, Any]:
    return condition("lead_source", operator, value)


def row_of(values: dict[str, Any]) -> dict[str, Any]:
    """A constructed contact as the oracle reads it."""
    return contact(
        lead_source=values.get("lead_source"), tags=values.get("tags", []), fields=values.get("custom_fields", {})
    )


def test_conditions_that_no_contact_meets_are_named() -> None:
    report = lint([source("equals", "a"), source("equals", "b")], [source("is_set")])
    assert report.never_true == ("Flow 0",)
    assert (report.never_wins, report.overlaps, report.not_proven) == ((), (), ())


def test_a_flow_below_one_that_takes_everything_it_wants_never_wins() -> None:
    report = lint([source("contains", "face")], [source("equals", "Facebook")], [])
    (found,) = report.never_wins
    assert (found.flow, found.covered_by) == ("Flow 1", ("Flow 0",))
    assert found.witness.values == {"lead_source": "facebook"}
    assert {(each.flow, each.other) for each in report.overlaps} == {
        ("Flow 0", "Flow 1"),
        ("Flow 0", "Flow 2"),
        ("Flow 1", "Flow 2"),
    }


def test_flows_that_cover_another_together_are_named_without_those_that_are_not_needed() -> None:
    def budget(operator: str, value: object) -> dict[str, Any]:
        return condition("custom_field", operator, value, "Budget")

    report = lint([budget("lt", 50)], [source("equals", "x")], [budget("gte", 50)], [budget("between", [10, 90])], [])
    (found,) = report.never_wins
    assert (found.flow, found.covered_by) == ("Flow 3", ("Flow 0", "Flow 2"))


def test_a_disabled_flow_covers_nothing_and_is_not_looked_at() -> None:
    first, second = flows_of([], [source("is_set")])
    paused = replace(first, definition=first.definition.model_copy(update={"is_enabled": False}))
    report = lint_flows("", None, [paused, second], days=30, now=NOW)
    assert (report.flow_count, report.never_wins, report.overlaps) == (1, (), ())


def test_what_is_neither_shown_nor_ruled_out_is_said_to_be_open() -> None:
    report = lint([source("matches", r"\pL\pN")], [source("matches", r"\pN\pL")])
    assert {(each.question, each.flows) for each in report.not_proven} == {
        ("never_true", ("Flow 0",)),
        ("never_true", ("Flow 1",)),
        ("overlap", ("Flow 0", "Flow 1")),
        ("never_wins", ("Flow 0",)),
        ("never_wins", ("Flow 1",)),
    }
    assert (report.never_true, report.never_wins, report.overlaps) == ((), (), ())


nodes = condition_nodes(
    trigger_conditions(
        st.sampled_from(TEXTS), st.just("P"), st.sampled_from([0, 5, 5.5, 50]), st.sampled_from(TEXTS[8:10])
    ).filter(lambda each: each.condition_type in ("lead_source", "tag", "custom_field"))
)
values = st.sampled_from([*TEXTS, *MORE])


@given(
    described=st.lists(st.lists(nodes, min_size=1, max_size=2), min_size=2, max_size=5),
    rows=st.lists(
        st.builds(
            lambda text, field, tags: contact(
                lead_source=text, fields={"P": field}, tags=[each for each in tags if each]
            ),
            values,
            values,
            st.lists(values, max_size=2),
        ),
        min_size=40,
        max_size=40,
    ),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_contact_contradicts_a_claim_and_every_witness_shows_it(
    described: list[list[Any]], rows: list[dict[str, Any]]
) -> None:
    report = lint(*described)
    flows = {f"Flow {number}": nodes for number, nodes in enumerate(described)}

    def wanted(name: str, row: dict[str, Any]) -> bool:
        return all(oracle.holds(node, row, NOW) for node in flows[name])

    for row in rows:
        assert not any(wanted(name, row) for name in report.never_true)
        for found in report.never_wins:
            assert not wanted(found.flow, row) or any(wanted(name, row) for name in found.covered_by)
    for found in report.never_wins:
        witness = row_of(dict(found.witness.values or {}))
        assert wanted(found.flow, witness)
        assert any(wanted(name, witness) for name in found.covered_by)
    for overlap in report.overlaps:
        witness = row_of(dict(overlap.witness.values or {}))
        assert wanted(overlap.flow, witness)
        assert wanted(overlap.other, witness)
