"""The matcher against reading the flows one by one, and what an assignment says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.matching import lanes
from engage_pipeline.matching.assign import assign, assignment_columns
from engage_pipeline.matching.program import Program
from tests.flow_strategies import condition_nodes, trigger_conditions
from tests.unit.matching import oracle
from tests.unit.matching.contacts import (
    CALL,
    NOW,
    TENANTS,
    columns_of,
    condition,
    contact,
    outcome,
    stored,
)


def test_the_lowest_priority_number_wins_and_nothing_else_runs():
    flows = [stored(9, []), stored(2, [condition("lead_source", "equals", "Web")]), stored(5, [])]
    assert outcome([contact(lead_source="web "), contact(lead_source="Phone")], flows) == [
        (2, "matched"),
        (5, "matched"),
    ]


def test_a_do_not_contact_tag_blocks_everything():
    assert outcome([contact(is_dnc=True)], [stored(0, [])]) == [(None, "dnc")]


def test_tenants_never_mix():
    flows = [stored(0, [], tenant=TENANTS[1])]
    assert outcome([contact(), contact(user_id=str(TENANTS[1]))], flows) == [(None, "no_match"), (0, "matched")]


def test_a_contact_whom_the_winner_cannot_reach_keeps_the_winner_and_the_reason():
    flows = [stored(0, [], action=CALL)]
    no_phone = contact(can_ai_call=False, can_ai_call_address=False)
    said_no = contact(can_ai_call=False)
    assert outcome([no_phone, said_no], flows) == [(0, "unreachable"), (0, "suppressed")]


def test_a_flow_of_nothing_but_waits_needs_no_address():
    wait = {"action_order": 1, "action_type": "wait", "action_config": {"duration_minutes": 5}}
    nobody = {name: False for name in contact() if name.startswith("can_")}
    assert outcome([contact(**nobody)], [stored(0, [], action=wait)]) == [(0, "matched")]


def test_no_contacts_and_no_flows():
    assert outcome([], [stored(0, [])]) == []
    assert outcome([contact()], []) == [(None, "no_match")]


def test_the_answer_keeps_the_order_of_the_contacts_and_names_their_tenant():
    rows = [contact(user_id=str(TENANTS[number % 2])) for number in range(5)]
    flow = stored(0, [])
    program = Program([flow])
    (columns,) = columns_of(rows, program)
    values = assignment_columns(program, columns, assign(program, columns))
    assert values["contact_ids"] == [row["contact_id"] for row in rows]
    assert values["user_ids"] == [row["user_id"] for row in rows]
    assert values["flow_ids"] == [str(flow.flow_id), None] * 2 + [str(flow.flow_id)]
    assert values["flow_versions"] == [1, None, 1, None, 1]


TEXTS = ["", " ", "a", "A", "ab", "1", "1.0", "-0", "ß", "SS", "true", "ǅ", "5e0", "'; drop table x --", 'q"\\', "\x1f"]
BIG = ["9007199254740992", "9007199254740993", "0.30000000000000000001", "0.3", "1" + "0" * 400, "00000000000000000001"]
DATES = ["2026-05-01", "2026-05-01T00:00:00Z", "2026/05/01", "1 May 2026", "May 2, 2026", "2026-05-01 23:59:59.999999"]
DATES += ["2026-05-02T01:30:00+01:30", "2026-05-09T12:00:00", "2026-02-30", "05/01/2026", "2026-05-10T12:00:00.000001"]
NUMBERS = [-1, 0, 1, 5, 5.0, 0.5, 1e-7, 2**53, 2**53 - 1, "5", "5.", " +5 ", *BIG]
VALUES = st.sampled_from([*TEXTS, *DATES, *NUMBERS, True, False, "NaN", "Infinity"])
FIELDS = ["Plan", "a/b~c", 'quo"te', "né"]

conditions = trigger_conditions(
    VALUES.filter(lambda value: not (isinstance(value, str) and "\x1f" in value)),
    st.sampled_from(FIELDS),
    st.sampled_from([-1, 0, 1, 5, 0.5, 1e-7, 2**53]),
    st.sampled_from([date for date in DATES if oracle.span(date)]),
)
seen_values = VALUES | st.none() | st.sampled_from([[1, "a"], {"k": None}, [], 12345678901234567890123, 1e22])
contacts = st.builds(
    contact,
    lead_source=st.none() | st.sampled_from(TEXTS),
    entry_type=st.sampled_from(["bulk_upload", "api", "5.0"]),
    fields=st.dictionaries(st.sampled_from(FIELDS), seen_values, max_size=4),
    tags=st.lists(st.sampled_from(TEXTS), max_size=3),
    email_domain=st.none() | st.sampled_from(["a.example", "B.example"]),
    country=st.sampled_from([None, "+1", "+44", "+91"]),
    created_at=st.sampled_from([0, 1, 86_400 * 10**6, -1]).map(lambda offset: NOW - timedelta(microseconds=offset))
    | st.just(datetime(2026, 5, 1, tzinfo=UTC)),
    is_dnc=st.sampled_from([False] * 9 + [True]),
    user_id=st.sampled_from([str(tenant) for tenant in TENANTS]),
)
flow_lists = st.lists(
    st.tuples(st.lists(condition_nodes(conditions), max_size=3), st.sampled_from(TENANTS)), min_size=1, max_size=8
)


@pytest.mark.parametrize("many_distinct", [0, 4096], ids=["late text tests", "all at once"])
@given(rows=st.lists(contacts, min_size=36, max_size=36), described=flow_lists, seed=st.randoms(use_true_random=False))
@settings(max_examples=105, deadline=None, suppress_health_check=list(HealthCheck))
def test_matching_agrees_with_reading_the_flows_one_by_one(many_distinct, rows, described, seed, monkeypatch):
    monkeypatch.setattr(lanes, "MANY_DISTINCT", many_distinct)
    flows = [stored(number, nodes, tenant=tenant) for number, (nodes, tenant) in enumerate(described)]
    # Every contact also with the fields of others: 36 x 7 x 2 contacts an example, 105,840 in all.
    mixed = list(rows)
    for name in ("custom_fields", "tags", "lead_source", "created_at", "email_domain", "user_id"):
        values = [row[name] for row in rows]
        seed.shuffle(values)
        mixed += [{**row, name: value} for row, value in zip(rows, values, strict=True)]
    mixed += [{**row, "custom_fields": seed.choice(rows)["custom_fields"]} for row in mixed]
    assert outcome(mixed, flows) == [oracle.outcome(row, flows, NOW) for row in mixed]


def test_a_program_remembers_nothing_wrong_from_one_batch_to_the_next():
    flows = [
        stored(0, [condition("custom_field", "contains", "7", "Plan"), condition("tag", "equals", "hot")]),
        stored(1, [condition("custom_field", "gt", 500, "Plan")]),
    ]
    program = Program(flows)
    for start in range(0, 2000, 250):
        rows = [
            contact(fields={"Plan": number}, tags=["hot"] if number % 3 else []) for number in range(start, start + 250)
        ]
        assert outcome(rows, program) == [oracle.outcome(row, flows, NOW) for row in rows]


def test_what_was_learned_is_dropped_when_it_is_too_much(monkeypatch):
    monkeypatch.setattr(lanes, "_MOST_CLASSES", 3)
    monkeypatch.setattr(lanes, "_REMEMBERED", 5)
    flows = [stored(n, [condition("custom_field", "contains", str(n), "Plan")]) for n in range(9)]
    program = Program(flows)
    for start in range(100, 1000, 90):
        rows = [contact(fields={"Plan": f"x{number}"}) for number in range(start, start + 90)]
        assert outcome(rows, program) == [oracle.outcome(row, flows, NOW) for row in rows]


def test_a_tree_with_too_many_clauses_is_evaluated_directly():
    pairs = [
        {"any": [condition("custom_field", "equals", "a", f"f{n}"), condition("custom_field", "equals", "b", f"g{n}")]}
        for n in range(6)
    ]
    flows = [stored(0, pairs), stored(1, [])]
    program = Program(flows)
    assert [rule.direct is not None for rule in program.rules if rule] == [True, False]
    every = {f"f{n}": "A" for n in range(5)}
    rows = [contact(fields={**every, "g5": "b"}), contact(fields={**every, "g5": "c"})]
    assert outcome(rows, program) == [(0, "matched"), (1, "matched")]


def test_more_flows_than_one_word_holds():
    flows = [stored(n, [condition("lead_source", "equals", f"s{n}")]) for n in range(200)]
    rows = [contact(lead_source=f"S{n}") for n in (0, 63, 64, 128, 199, 200)]
    assert [priority for priority, _ in outcome(rows, flows)] == [0, 63, 64, 128, 199, None]


HOSTILE = ["'; drop table contacts; --", '"', "$paths", "%s", "{}", "\\", "a'b", "/~", "~1", "*", "$.x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_values_and_patterns_are_only_data(text):
    flows = [stored(0, [condition("custom_field", "equals", text, text)])]
    assert outcome([contact(fields={text: text}), contact(fields={"x": text})], flows) == [
        (0, "matched"),
        (None, "no_match"),
    ]
