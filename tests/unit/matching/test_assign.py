"""The vectorised matcher against reading the flows one by one."""

import json
from uuid import UUID, uuid4

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_pipeline.database.vocabulary import ADDRESS_COLUMNS
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import StoredFlow
from engage_pipeline.matching.assign import assign_flows
from engage_pipeline.matching.batch import with_custom_fields
from engage_pipeline.matching.conditions import custom_field_names

TENANTS = [UUID(int=1), UUID(int=2)]
EMAIL = {"action_order": 1, "action_type": "email", "action_config": {"template_id": "welcome"}}
CALL = {
    "action_order": 1,
    "action_type": "ai_call",
    "action_config": {"agent_id": "7f0c9a52-3d1e-4b8a-9c64-2e5d8f1b7a30", "phone_number_id": "+12025550100"},
}


def stored(priority, conditions, *, tenant=TENANTS[0], action=EMAIL):
    definition = Flow.model_validate(
        {"name": f"Flow {priority}", "priority": priority, "trigger_conditions": conditions, "actions": [action]}
    )
    return StoredFlow(uuid4(), tenant, 1, definition)


def condition(kind, operator, value=None, field=None):
    return {
        "condition_type": kind,
        "condition_operator": operator,
        "condition_value": value,
        "custom_field_name": field,
    }


def contact(**values):
    channels = {f"can_{channel}": True for channel in ADDRESS_COLUMNS}
    channels |= {f"can_{channel}_address": True for channel in ADDRESS_COLUMNS}
    return {
        "contact_id": str(uuid4()),
        "user_id": str(TENANTS[0]),
        "lead_source": None,
        "entry_type": "bulk_upload",
        "custom_fields": "{}",
        "is_dnc": False,
        **channels,
        **values,
    }


def assign(contacts, flows):
    names = custom_field_names(c for flow in flows for c in flow.definition.trigger_conditions)
    table = pa.Table.from_pylist(contacts)
    return assign_flows(with_custom_fields(table, names), flows)


def outcome(contacts, flows):
    assigned = assign(contacts, flows)
    winners = {str(flow.flow_id): flow.definition.priority for flow in flows}
    return [
        (winners.get(flow_id) if isinstance(flow_id, str) else None, reason)
        for flow_id, reason in zip(assigned["flow_id"], assigned["reason"], strict=True)
    ]


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


def test_an_empty_batch_is_an_empty_answer():
    frame = pa.Table.from_pylist([contact()]).slice(0, 0)
    assert assign_flows(with_custom_fields(frame, []), [stored(0, [])]).empty


@pytest.mark.parametrize(
    ("operator", "value", "seen", "holds"),
    [
        ("equals", "Google", "  gOOgle ", True),
        ("equals", "STRASSE", "straße", True),
        ("equals", 5, 5.0, True),
        ("equals", 5, "5", True),
        ("equals", "5.00", 5, True),
        ("equals", True, True, True),
        ("equals", "true", True, True),
        ("equals", 5, "five", False),
        ("equals", "x", None, False),
        ("equals", "x", "  ", False),
        ("not_equals", "x", "y", True),
        ("not_equals", "X", "x", False),
        ("not_equals", "x", None, True),
        ("not_equals", "x", "", True),
        ("contains", "web", "Our WEBinar", True),
        ("contains", "web", None, False),
        ("contains", 5, 1500, True),
        ("any", None, "x", True),
        ("any", None, None, True),
    ],
)
def test_operators_on_a_custom_field(operator, value, seen, holds):
    fields = {} if seen is None else {"Plan / size~": seen}
    flows = [stored(0, [condition("custom_field", operator, value, "Plan / size~")])]
    expected = (0, "matched") if holds else (None, "no_match")
    assert outcome([contact(custom_fields=json.dumps(fields))], flows) == [expected]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", " ", "a", "A", "ab", "1", "1.0", "ß", "true", "ǅ"]),
)
FIELDS = ["Plan", "a/b~c", 'quo"te', "né"]


def one_by_one(row, flows):
    """Written from docs/matching.md alone: the slow and obvious reading."""

    def text(value):
        if value is None:
            return None
        folded = (json.dumps(value) if isinstance(value, bool) else str(value)).strip().casefold()
        return folded or None

    def number(value):
        try:
            return float(value) if value is not None and value.strip("+-").replace(".", "", 1).isdecimal() else None
        except ValueError:
            return None

    def same(left, right):
        if left is None or right is None:
            return False
        if number(left) is not None and number(right) is not None:
            return number(left) == number(right)
        return left == right

    if row["is_dnc"]:
        return (None, "dnc")
    fields = json.loads(row["custom_fields"])
    for flow in sorted(flows, key=lambda flow: flow.definition.priority):
        if str(flow.user_id) != row["user_id"]:
            continue
        held = []
        for test in flow.definition.trigger_conditions:
            if test.condition_type == "custom_field":
                seen = text(fields.get(test.custom_field_name))
            else:
                seen = text(row[test.condition_type])
            wanted = text(test.condition_value)
            held.append(
                {
                    "any": True,
                    "equals": same(seen, wanted),
                    "not_equals": seen is None or not same(seen, wanted),
                    "contains": seen is not None and wanted is not None and wanted in seen,
                }[test.condition_operator]
            )
        if all(held):
            return (flow.definition.priority, "matched")
    return (None, "no_match")


conditions = st.builds(
    lambda kind, operator, value, field: condition(
        kind,
        operator,
        None if operator == "any" else value,
        field if kind == "custom_field" else None,
    ),
    st.sampled_from(["lead_source", "entry_type", "custom_field"]),
    st.sampled_from(["equals", "not_equals", "contains", "any"]),
    VALUES.filter(lambda value: value is not None and str(value).strip()),
    st.sampled_from(FIELDS),
)
contacts = st.builds(
    lambda source, entry, fields, dnc, tenant: contact(
        lead_source=source, entry_type=entry, custom_fields=json.dumps(fields), is_dnc=dnc, user_id=str(tenant)
    ),
    st.none() | st.sampled_from(["a", " A", "b", "1", ""]),
    st.sampled_from(["bulk_upload", "api"]),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    st.booleans(),
    st.sampled_from(TENANTS),
)
flow_lists = st.lists(st.tuples(st.lists(conditions, max_size=3), st.sampled_from(TENANTS)), max_size=6)


@given(rows=st.lists(contacts, min_size=1, max_size=12), described=flow_lists)
@settings(max_examples=300, deadline=None)
def test_vectorised_matching_agrees_with_reading_the_flows_one_by_one(rows, described):
    flows = [stored(number, tests, tenant=tenant) for number, (tests, tenant) in enumerate(described)]
    assert outcome(rows, flows) == [one_by_one(row, flows) for row in rows]


def test_the_answer_keeps_the_order_of_the_contacts_and_names_their_tenant():
    rows = [contact(user_id=str(TENANTS[number % 2])) for number in range(5)]
    assigned = assign(rows, [])
    assert isinstance(assigned, pd.DataFrame)
    assert assigned["contact_id"].tolist() == [row["contact_id"] for row in rows]
    assert assigned["user_id"].tolist() == [row["user_id"] for row in rows]
