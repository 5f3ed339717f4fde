"""The semantics table of docs/matching.md, cell by cell."""

import re
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest

from engage_pipeline.flows.conditions import ConditionOperator, ConditionType
from tests.unit.matching import oracle
from tests.unit.matching.contacts import NOW, condition, contact, outcome, stored

TEXT_TYPES = {
    "lead_source": lambda value: contact(lead_source=value),
    "entry_type": lambda value: contact(entry_type=value),
    "custom_field": lambda value: contact(fields={"Plan": value}),
    "tag": lambda value: contact(tags=[] if value is None else [value, "other"]),
    "email_domain": lambda value: contact(email_domain=value),
}


def agree(row, test, holds):
    flows = [stored(0, [test])]
    expected = [(0, "matched") if holds else (None, "no_match")]
    assert outcome([row], flows) == expected
    assert [oracle.outcome(row, flows, NOW)] == expected


@pytest.mark.parametrize("kind", TEXT_TYPES)
@pytest.mark.parametrize(
    ("operator", "wanted", "seen", "holds"),
    [
        ("equals", " GOOGLE", "gOOgle ", True),
        ("equals", "STRASSE", "straße", True),
        ("equals", "google", "google ads", False),
        ("equals", 5, "005.0", True),
        ("equals", "5.00", "+5", True),
        ("equals", 10, "1e1", False),
        ("equals", True, "TRUE", True),
        ("equals", True, "1", False),
        ("equals", "", "x", False),
        ("not_equals", "x", "X", False),
        ("not_equals", "x", "y", True),
        ("not_equals", "x", None, True),
        ("not_equals", "", "x", True),
        ("in", ["a", 5], "A", True),
        ("in", ["a", 5], "5.0", True),
        ("in", ["a", 5], "b", False),
        ("in", ["a", 5], None, False),
        ("not_in", ["a", 5], "5.0", False),
        ("not_in", ["a", 5], "b", True),
        ("not_in", ["a", 5], None, True),
        ("contains", "WEB", "our webinar", True),
        ("contains", "web", "mail", False),
        ("contains", "", "x", False),
        ("contains", "web", None, False),
        ("starts_with", "Web", "WEBinar ", True),
        ("starts_with", "inar", "webinar", False),
        ("starts_with", "web", None, False),
        ("ends_with", "INAR", "webinar ", True),
        ("ends_with", "web", "webinar", False),
        ("ends_with", "web", None, False),
        ("matches", "^w.b", "WEBinar", True),
        ("matches", "inar$", "webinar ", True),
        ("matches", "^b", "webinar", False),
        ("matches", "^", None, False),
        ("any", None, "x", True),
        ("any", None, None, True),
        ("is_set", None, "x", True),
        ("is_set", None, "  ", False),
        ("is_set", None, None, False),
        ("is_not_set", None, "x", False),
        ("is_not_set", None, None, True),
    ],
)
def test_operators_on_texts(kind, operator, wanted, seen, holds):
    if kind == "tag" and seen is not None and not seen.strip():
        row = contact(tags=[seen])
    elif kind == "tag" and (operator, seen) == ("matches", None):
        row = contact()
    else:
        row = TEXT_TYPES[kind](seen)
    agree(row, condition(kind, operator, wanted, "Plan" if kind == "custom_field" else None), holds)


@pytest.mark.parametrize(
    ("operator", "wanted", "seen", "holds"),
    [
        ("gt", 5, 5.5, True),
        ("gt", 5, "5.0", False),
        ("gt", "5", "6", True),
        ("gte", 5, "5.0", True),
        ("gte", 5, 4.9, False),
        ("lt", 0, "-0.5", True),
        ("lt", 0, 0, False),
        ("lte", 0, "-0", True),
        ("lte", 0, 1, False),
        ("gt", 9007199254740991, "9007199254740991.5", True),
        ("equals", "9007199254740993", 9007199254740992, False),
        ("between", [1, 5], 1, True),
        ("between", [1, 5], "5.0", True),
        ("between", [1, 5], 5.1, False),
        *(
            (operator, 5, seen, False)
            for operator in ("gt", "gte", "lt", "lte")
            for seen in ("five", None, True, "NaN")
        ),
        ("between", [1, 5], "x", False),
        ("between", [1, 5], None, False),
        ("before", "2026-05-01", "2026-04-30T23:59:59Z", True),
        ("before", "2026-05-01", "2026-05-01", False),
        ("after", "2026-05-01", "2026-05-01T23:59:59Z", False),
        ("after", "2026-05-01", "2 May 2026", True),
        ("after", "2026-05-01T10:00Z", "2026-05-01T12:00:01+01:30", True),
        ("between", ["2026-05-01", "2026-05-02"], "2026-05-02T23:59Z", True),
        ("between", ["2026-05-01", "2026-05-02"], "May 3, 2026", False),
        ("within_last", 1, "2026-05-09T12:00:00Z", True),
        ("within_last", 1, "2026-05-09T11:59:59Z", False),
        ("within_last", 1, "2026-05-10T12:00:01Z", False),
        ("before", "2026-05-01", "01/04/2026", False),
        ("before", "2026-05-01", None, False),
        ("after", "2026-05-01", True, False),
        ("within_last", 1, None, False),
        ("after", "2026-05-01", "soon", False),
        ("after", "2026-05-01", None, False),
        ("between", ["2026-05-01", "2026-05-02"], None, False),
        ("between", ["2026-05-01", "2026-05-02"], 5, False),
        ("contains", "5", 5.25, True),
        ("starts_with", "5", 15, False),
        ("not_equals", 5, "5.0", False),
        ("not_in", [5, True], 5.0, False),
        ("not_in", [5, True], True, False),
        ("in", ["true"], True, True),
        ("equals", "true", True, True),
        ("contains", "k", {"k": [1, 2]}, True),
        ("equals", "[1,2]", [1, 2], True),
        ("is_set", None, 0, True),
        ("is_set", None, False, True),
    ],
)
def test_operators_on_custom_fields(operator, wanted, seen, holds):
    agree(contact(fields={"Plan": seen}), condition("custom_field", operator, wanted, "Plan"), holds)
    if seen is None:
        agree(contact(), condition("custom_field", operator, wanted, "Plan"), holds)


@pytest.mark.parametrize(
    ("operator", "wanted", "age", "holds"),
    [
        ("before", "2026-05-10", timedelta(hours=13), True),
        ("before", "2026-05-10", timedelta(hours=12), False),
        ("after", "2026-05-09", timedelta(hours=12), True),
        ("after", "2026-05-10", timedelta(0), False),
        ("between", ["2026-05-09", "2026-05-09"], timedelta(hours=13), True),
        ("between", ["2026-05-09", "2026-05-09"], timedelta(hours=12), False),
        ("within_last", 0.5, timedelta(hours=12), True),
        ("within_last", 0.5, timedelta(hours=12, microseconds=1), False),
        ("within_last", 0.5, timedelta(microseconds=-1), False),
        ("any", None, timedelta(0), True),
        ("is_set", None, timedelta(0), True),
        ("is_not_set", None, timedelta(0), False),
    ],
)
def test_operators_on_created_at(operator, wanted, age, holds):
    agree(contact(created_at=NOW - age), condition("created_at", operator, wanted), holds)


@pytest.mark.parametrize(
    ("country", "operator", "wanted", "holds"),
    [
        ("+1", "equals", "us", True),
        ("+44", "in", ["GB", "IE"], True),
        ("+91", "not_equals", "IN", False),
        ("+91", "not_in", ["US", "GB"], True),
        ("+44", "matches", "^g", True),
        ("+44", "starts_with", "G", True),
        ("+44", "ends_with", "g", False),
        ("+44", "contains", "b", True),
        ("+44", "is_not_set", None, False),
        (None, "in", ["US"], False),
        (None, "not_in", ["US"], True),
        (None, "any", None, True),
        (None, "is_set", None, False),
        (None, "not_equals", "US", True),
    ],
)
def test_operators_on_the_phone_country(country, operator, wanted, holds):
    agree(contact(country=country), condition("phone_country", operator, wanted), holds)


def test_a_tag_condition_holds_when_one_of_the_tags_does_and_its_negation_when_none_does():
    two = contact(tags=["hot", "new"])
    agree(two, condition("tag", "equals", "new"), True)
    agree(two, condition("tag", "not_equals", "new"), False)
    agree(two, condition("tag", "not_equals", "old"), True)


@pytest.mark.parametrize(
    ("seen", "is_day"),
    [
        *((text, True) for text in ("2026-05-01", "2026/05/01", "1 May 2026", "01 may 2026", "1-May-2026")),
        *((text, True) for text in ("May 1, 2026", "May 1 2026", " MAY 01, 2026 ", "2026-05-01T00:00")),
        *(
            (text, True)
            for text in ("2026-05-01 09:30:15", "2026-05-01T09:30:15.5Z", "2026-05-02T01:30+05:30", "2026-05-01t09:30Z")
        ),
        *((text, False) for text in ("05/01/2026", "01.05.2026", "2026-5-1", "2026-05-01T09", "2026-05-01T24:00")),
        *((text, False) for text in ("1 Mai 2026", "May 2026", "2026-02-30", "2026", "2026-05-01T09:30+15:00")),
    ],
)
def test_the_forms_of_a_date(seen, is_day):
    agree(
        contact(fields={"Plan": seen}),
        condition("custom_field", "between", ["2026-05-01", "1 May 2026"], "Plan"),
        is_day,
    )


def test_which_operators_fit_which_type_is_what_the_table_says():
    text = (Path(__file__).parents[3] / "docs" / "matching.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (.+) \| (.+) \|$", text.split("| operators | fit |")[1].split("\n\n")[0], re.MULTILINE)
    every = set(get_args(ConditionType))
    said = {}
    for operators, fit in table:
        types = set(re.findall(r"`(\w+)`", fit.split("(")[0]))
        types = every - types if fit.startswith("every type") else types
        said |= dict.fromkeys(re.findall(r"`(\w+)`", operators), types)
    assert said.keys() == set(get_args(ConditionOperator))
    for kind in every:
        for operator, types in said.items():
            value = {"between": ["2026-05-01", "2026-05-02"], "in": ["a"], "not_in": ["a"], "before": "2026-05-01"}
            value |= {"after": "2026-05-01", **dict.fromkeys(["any", "is_set", "is_not_set"])}
            test = condition(kind, operator, value.get(operator, "5"), "Plan" if kind == "custom_field" else None)
            if kind in types:
                stored(0, [test])
            else:
                with pytest.raises(ValueError, match="does not fit"):
                    stored(0, [test])


@pytest.mark.parametrize(
    ("group", "held"),
    [
        ({"all": ["a", "b"]}, {"ab"}),
        ({"any": ["a", "b"]}, {"a", "b", "ab"}),
        ({"none": ["a", "b"]}, {""}),
        ({"any": ["a", {"none": ["b"]}]}, {"", "a", "ab"}),
        ({"none": [{"all": ["a", "b"]}]}, {"", "a", "b"}),
        ({"none": [{"none": ["a"]}]}, {"a", "ab"}),
    ],
)
def test_groups(group, held):
    def tested(node):
        if isinstance(node, str):
            return condition("custom_field", "is_set", None, node)
        return {kind: [tested(inner) for inner in nodes] for kind, nodes in node.items()}

    for present in ("", "a", "b", "ab"):
        agree(contact(fields=dict.fromkeys(present, 1)), tested(group), present in held)
