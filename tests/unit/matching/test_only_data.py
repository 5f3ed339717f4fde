"""Input is data: no field name, value or pattern of a flow or a contact is ever part of a statement."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.flows.model import Flow
from engage_pipeline.matching import staging
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from tests.unit.matching import contacts as world
from tests.unit.matching import oracle
from tests.unit.matching.contacts import NOW, condition, contact, outcome, stored

STATEMENT = (staging._HERE / "stage_contacts.sql").read_text(encoding="utf-8").strip()
HOSTILE = [
    "'; drop table contacts; --", '"', "''", "$paths", "$1", "%s", "%(x)s", "{}", "\\", "a'b", "/~", "~1", "~01", "*",
    "$.x", "$[*]", "#", "a.b", "[0]", "", " ", "\n", "null", "\u2028", "ǅ", "😀", "/", "-- ", "/*", ") from x", "\x7f",
]  # fmt: skip
texts = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("'\"\\;$%{}()[]~/*-# "),
    max_size=12,
)


class Watched:
    """A connection that lets nothing through but the one statement that is in the file."""

    def __init__(self, connection):
        self.connection = connection
        self.asked = []

    def sql(self, statement, *, params):
        self.asked.append(statement)
        return self.connection.sql(statement, params=params)


@given(names=st.lists(texts.filter(str.strip), min_size=1, max_size=4, unique=True), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_hostile_names_values_and_patterns_match_as_the_text_they_are(names, data):
    tests = []
    for _ in range(data.draw(st.integers(1, 4))):
        operator = data.draw(
            st.sampled_from(["equals", "contains", "starts_with", "ends_with", "matches", "not_equals"])
        )
        value = data.draw(texts)
        # Quoted, a pattern means the same to RE2 and to the oracle's `re`.
        value = re.escape(value) or "x" if operator == "matches" else value
        kind = data.draw(st.sampled_from(["custom_field", "lead_source", "tag"]))
        tests.append(
            condition(kind, operator, value, data.draw(st.sampled_from(names)) if kind == "custom_field" else None)
        )
    flows = [stored(number, [test]) for number, test in enumerate(tests)]
    seen = st.sampled_from([test["condition_value"] for test in tests]) | texts
    rows = [
        contact(
            fields=data.draw(st.dictionaries(st.sampled_from(names) | texts, seen, max_size=4)),
            lead_source=data.draw(seen),
            tags=data.draw(st.lists(seen, max_size=2)),
        )
        for _ in range(8)
    ]
    assert outcome(rows, flows) == [oracle.outcome(row, flows, NOW) for row in rows]


def test_the_statement_is_the_file_s_whatever_the_names_are():
    watched = Watched(world.shared_staging().cursor())
    watched.connection.register("contacts", world.pa.Table.from_pylist([contact()], schema=world.SCHEMA))
    flows = [
        stored(n, [condition("custom_field", "equals", name, name or "x")])
        for n, name in enumerate(HOSTILE)
        if name.strip()
    ]
    program = Program(flows)
    assert len(program.custom_field_names) == len(flows)
    for batch in staging.staged_batches(watched, program.custom_field_names):
        program.winners(ContactColumns(batch, program.custom_field_names, 0))
    assert {statement.strip() for statement in watched.asked} == {STATEMENT}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(x+x+)+y", "(.*a){12}"])
def test_a_pattern_that_explodes_elsewhere_takes_linear_time(pattern):
    rows = [contact(fields={"Plan": "a" * 20_000 + "!"}), contact(fields={"Plan": "x" * 20_000})]
    assert len(outcome(rows, [stored(0, [condition("custom_field", "matches", pattern, "Plan")])])) == 2


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(?<!a)b", "(", "a{2000}", "[z-a]"])
def test_a_pattern_that_re2_does_not_take_is_refused_when_the_flow_is_saved(pattern):
    described = {
        "name": "x",
        "priority": 0,
        "trigger_conditions": [condition("tag", "matches", pattern)],
        "actions": [world.EMAIL],
    }
    with pytest.raises(ValueError, match="RE2"):
        Flow.model_validate(json.loads(json.dumps(described)))
