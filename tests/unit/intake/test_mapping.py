"""Headers are understood however they are written, and only as what they surely are."""

import json

import pytest

from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.mapping import map_columns


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("LEADID", "external_id"), ("Lead Id", "external_id"), ("Record ID", "external_id"),
        ("Prospect ID", "external_id"), ("UNIQUE_QUERY_ID", "external_id"), ("phone_number", "phone"),
        ("MobilePhone", "phone"), ("E-Mail", "email"), ("Email Address", "email"), ("first name", "first_name"),
        ("Surname", "last_name"), ("full_name", "full_name"), ("Company / Account", "company"),
        ("LeadSource", "lead_source"), ("Tags", "tags"), ("Do Not Call", "do_not_call"), ("DoNotCall", "do_not_call"),
        ("Email Opt Out", "do_not_email"), ("HasOptedOutOfEmail", "do_not_email"), ("DNC", "do_not_contact"),
    ],
)  # fmt: skip
def test_a_header_is_recognised_in_any_spelling(header: str, field: str) -> None:
    mapping = map_columns([header, "Id" if field != "external_id" else "Phone"], [])
    assert mapping.fields[field] == (0,)


def test_a_column_called_contact_is_no_phone() -> None:
    with pytest.raises(FileRefused, match="age, contact, duration") as refused:
        map_columns(["age", "contact", "duration"], [])
    assert refused.value.refusal_code == "no_identifying_column"


def test_everything_else_is_a_custom_field_and_an_empty_nameless_column_is_dropped() -> None:
    mapping = map_columns(["Id", "", "City", ""], [["1", "x", "Rome", " "]])
    assert mapping.custom_fields == {1: "column_2", 2: "City"}
    assert json.loads(json.dumps(mapping.as_json()))["columns"]["City"] == "custom_fields.City"


def test_ids_of_files_with_other_id_columns_do_not_meet() -> None:
    systems = {map_columns([header], []).source_system for header in ("Lead Id", "Prospect ID", "Id")}
    assert len(systems) == 3
