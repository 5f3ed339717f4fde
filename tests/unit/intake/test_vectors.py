"""Whole columns become what their values become one by one."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engage_pipeline.intake.batch import text_batch
from engage_pipeline.intake.mapping import map_columns
from engage_pipeline.intake.vectors import Cleaner
from tests.unit.intake.rowwise import Records, normalise

HEADERS = [
    "Lead Id",
    "Mobile",
    "Phone",
    "Email",
    "Full Name",
    "Lead Source",
    "Tags",
    "DNC",
    "Do Not Email",
    "Note",
    "More",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(
        ["", " ", "select", "N/A", "5", "-7", "05", "2.50", "2.5", "true", "TRUE", "1e3", '"', "\\", "\x1f", "\x00"]
    ),
)
ROW = st.tuples(
    st.one_of(st.sampled_from(["", "1", " 2 ", "-", "x" * 501]), TEXTS),
    st.sampled_from(["", "212-555-0101", "p:+12125550102", "12", "2125550103.0"]),
    st.sampled_from(["", "(212) 555-0101", "+44 20 7946 0958", "unknown"]),
    st.sampled_from(["", "ADA@example.com", "bea@example.org", "@", "a b@c"]),
    st.sampled_from(["", "Ada Lovelace", "Lovelace, Ada", "Ada", "select"]),
    st.sampled_from(["", "Google", "google ", "GOOGLE", "Trade  Show"]),
    st.sampled_from(["", "vip; VIP|late", "do not contact", 'a "b", c\\d']),
    st.sampled_from(["", "yes", "no"]),
    st.sampled_from(["", "1", "0", "2021-01-01"]),
    TEXTS,
    TEXTS,
)


@given(rows=st.lists(ROW, min_size=1, max_size=30))
@settings(max_examples=150, deadline=None)
def test_cleaning_columns_is_cleaning_values_one_by_one(rows: list[tuple[str, ...]]) -> None:
    mapping = map_columns(HEADERS, rows)
    numbers = list(range(2, len(rows) + 2))
    expected = normalise(Records(rows, numbers, []), mapping, region="US", lead_source_spellings={})
    found = Cleaner(mapping, "US", {}).clean(text_batch(numbers, rows, len(HEADERS)))
    assert [(row.line_number, row.reason_code, row.reason) for row in found.rejected] == [
        (row.line_number, row.reason_code, row.reason) for row in expected.rejected
    ]
    assert list(map(as_lead, found.rows.to_pylist())) == [
        (
            lead.line_number,
            lead.external_id,
            lead.phone_e164,
            lead.email,
            lead.first_name,
            lead.last_name,
            lead.lead_source,
            list(lead.tags),
            json.loads(json.dumps(lead.custom_fields)),
            list(lead.other_addresses),
            list(lead.suppressed_channels),
        )
        for lead in expected.leads
    ]


def as_lead(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["line_number"],
        row["external_id"],
        row["phone_e164"],
        row["email"],
        row["first_name"],
        row["last_name"],
        row["lead_source"],
        elements(row["tags"]),
        json.loads(row["custom_fields"]),
        elements(row["other_addresses"]),
        elements(row["suppressed_channels"]),
    )


def elements(literal: str) -> list[str]:
    """The elements of an array literal of PostgreSQL; those here are quoted as JSON would quote them, or not at all."""
    inner = literal[1:-1]
    if inner and not inner.startswith('"'):
        return inner.split(",")
    found: list[str] = json.loads(f"[{inner}]")
    return found
