"""Values as contacts keep them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake.mapping import map_columns
from engage_pipeline.intake.normalise import (
    split_name,
    split_tags,
    states_wish,
    typed_value,
)
from tests.unit.intake.rowwise import Leads, Records, normalise


def clean(headers: list[str], *rows: list[str], spellings: dict[str, str] | None = None) -> Leads:
    records = Records(list(rows), list(range(2, len(rows) + 2)), [])
    return normalise(records, map_columns(headers, rows), region="US", lead_source_spellings=spellings or {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5), ("-7", -7), ("05", "05"), ("2.5", 2.5), ("1.50", "1.50"), ("5.0", "5.0"), ("1e3", "1e3"),
        ("-0", "-0"), ("12345678901234567890", "12345678901234567890"), ("true", True), ("TRUE", "TRUE"),
        (" x ", " x "),
        ("Select", None), ("unknown", None), ("N/A", None), ("-", None), ("  ", None), ("inf", "inf"), ("nan", "nan"),
    ],
)  # fmt: skip
def test_custom_values_keep_a_type_only_when_nothing_is_lost(text: str, expected: object) -> None:
    value = typed_value(text)
    assert (type(value), value) == (type(expected), expected)


@given(st.text())
def test_a_custom_value_prints_as_the_text_it_came_from(text: str) -> None:
    value = typed_value(text)
    if value is not None:
        assert (value if isinstance(value, str) else json.dumps(value)) == text


def test_names_tags_and_wishes() -> None:
    assert split_name("Ada King Lovelace") == ("Ada", "King Lovelace")
    assert split_name("Lovelace, Ada") == ("Ada", "Lovelace")
    assert split_tags("vip, DNC; vip | Select|") == ("vip", "DNC")
    assert [states_wish(text) for text in ("Yes", "1", "2026-01-01", "No", "0", "", "unknown")] == [True] * 3 + [
        False
    ] * 4


def test_a_lead_source_has_one_spelling_the_known_one_first() -> None:
    rows = [["1", "google"], ["2", " Google "], ["3", "Cold   call"], ["4", "COLD CALL"]]
    leads = clean(["Id", "Lead Source"], *rows, spellings={"google": "Google"}).leads
    assert [lead.lead_source for lead in leads] == ["Google", "Google", "Cold call", "Cold call"]


def test_an_invalid_phone_is_kept_as_text_while_another_key_holds_the_row() -> None:
    found = clean(["Phone", "Email"], ["12345", "ada@example.com"], ["12345", ""], ["", "not an address"], ["", ""])
    assert [(lead.phone_e164, lead.custom_fields) for lead in found.leads] == [(None, {"Phone": "12345"})]
    assert [row.reason_code for row in found.rejected] == ["invalid_phone", "invalid_email", "no_identity"]
    assert not any("12345" in row.reason for row in found.rejected)


def test_a_second_phone_column_helps_where_the_first_is_blank() -> None:
    leads = clean(["Phone", "MobilePhone"], ["212-555-0101", ""], ["212-555-0102", "212-555-0103"]).leads
    assert [lead.phone_e164 for lead in leads] == ["+12125550101", "+12125550103"]
    assert leads[1].custom_fields == {"Phone": "212-555-0102"}


def test_an_id_alone_makes_a_contact_and_nul_never_does() -> None:
    found = clean(["Id", "Note"], ["1", "fine"], ["2", "a\x00b"], ["9" * 501, "x"])
    assert [lead.external_id for lead in found.leads] == ["1"]
    assert [row.reason_code for row in found.rejected] == ["unstorable_text"] * 2


def test_do_not_contact_is_the_tag_that_every_channel_obeys() -> None:
    assert [lead.tags for lead in clean(["Id", "DNC"], ["1", "yes"], ["2", "no"]).leads] == [("DNC",), ()]


def test_a_facebook_export_loses_its_prefixes_and_its_test_rows() -> None:
    headers = ["id", "created_time", "campaign_id", "form_id", "platform", "full_name", "phone_number", "email"]
    found = clean(
        headers,
        ["l:101", "2026-11-01T10:00:00+00:00", "c:1", "f:1", "ig", "Ada Byron", "p:+12125550101", "ada@example.com"],
        ["l:102", "2026-11-01T10:05:00+00:00", "c:1", "f:1", "fb",
         "<test lead: dummy data for full_name>", "<test lead: dummy data for phone_number>", "test@example.com"],
    )  # fmt: skip
    assert [(lead.external_id, lead.phone_e164, lead.first_name) for lead in found.leads] == [
        ("101", "+12125550101", "Ada")
    ]
    assert [row.reason_code for row in found.rejected] == ["test_lead"]


def test_dummy_data_is_a_remark_in_files_of_other_systems() -> None:
    assert len(clean(["Id", "Note"], ["l:1", "<test lead: dummy data for note>"]).leads) == 1
