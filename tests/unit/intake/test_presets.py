"""Each system's files are recognised, and their columns are what they are in that system."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from engage_pipeline.intake.errors import FileRefused, InvalidMapping
from engage_pipeline.intake.mapping import ColumnMapping, MappingOptions, map_columns
from engage_pipeline.intake.presets import flatten_record, presets
from engage_pipeline.intake.reading import opened_reading
from engage_pipeline.intake.saved_mapping import read_saved_mapping
from tests.unit.intake.lead_files import LEADS


def headers_of(file: Path) -> list[str]:
    if file.suffix == ".json":
        held = json.loads(file.read_text())
        records: Any = held.get("RESPONSE", held.get("data"))
        flat = [flatten_record(record) for record in (records if isinstance(records, list) else [records])]
        return list(dict.fromkeys(key for record in flat for key in record))
    text = file.read_bytes().decode("utf-16" if file.suffix == ".tsv" else "utf-8")
    delimiter = {"facebook.tsv": "\t", "generic.csv": ";", "our_crm.csv": ";"}.get(file.name, ",")
    return next(csv.reader([text.splitlines()[0]], delimiter=delimiter))


def mapped(name: str, options: MappingOptions | None = None) -> ColumnMapping:
    return map_columns(headers_of(LEADS / name), [], options=options or MappingOptions())


def by_header(mapping: ColumnMapping) -> dict[str, tuple[str, ...]]:
    return {field: tuple(mapping.headers[number] for number in columns) for field, columns in mapping.fields.items()}


FILES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "hubspot.csv": ("hubspot", {
        "external_id": ("Record ID",), "phone": ("Mobile Phone Number", "Phone Number"), "email": ("Email",),
        "first_name": ("First Name",), "last_name": ("Last Name",), "company": ("Associated Company",),
        "lead_source": ("Original Source",), "country": ("Country/Region",),
        "do_not_email": ("Unsubscribed from all email",),
    }),
    "salesforce_api.csv": ("salesforce", {
        "external_id": ("Id",), "phone": ("MobilePhone", "Phone"), "email": ("Email",), "first_name": ("FirstName",),
        "last_name": ("LastName",), "company": ("Company",), "lead_source": ("LeadSource",),
        "do_not_call": ("DoNotCall",), "do_not_email": ("HasOptedOutOfEmail",),
    }),
    "salesforce_report.csv": ("salesforce", {
        "external_id": ("Lead ID",), "phone": ("Mobile",), "email": ("Email",), "first_name": ("First Name",),
        "last_name": ("Last Name",), "company": ("Company / Account",), "lead_source": ("Lead Source",),
        "do_not_call": ("Do Not Call",), "do_not_email": ("Email Opt Out",),
    }),
    "zoho.csv": ("zoho", {
        "external_id": ("Lead Id",), "phone": ("Mobile", "Phone"), "email": ("Email", "Secondary Email"),
        "first_name": ("First Name",), "last_name": ("Last Name",), "company": ("Company",),
        "lead_source": ("Lead Source",), "tags": ("Tag",), "do_not_email": ("Email Opt Out",),
    }),
    "suitecrm.csv": ("suitecrm", {
        "external_id": ("ID",), "phone": ("Mobile", "Office Phone"), "email": ("Email Address",),
        "first_name": ("First Name",), "last_name": ("Last Name",), "company": ("Account Name",),
        "lead_source": ("Lead Source",), "country": ("Primary Address Country",), "do_not_call": ("Do Not Call",),
    }),
    "facebook.tsv": ("facebook", {
        "external_id": ("id",), "phone": ("phone_number",), "email": ("email",), "full_name": ("full_name",),
    }),
    "facebook_graph.json": ("facebook", {
        "external_id": ("id",), "phone": ("phone_number",), "email": ("email",), "full_name": ("full_name",),
    }),
    "indiamart_pull.json": ("indiamart", {
        "external_id": ("UNIQUE_QUERY_ID",), "phone": ("SENDER_MOBILE", "SENDER_MOBILE_ALT"),
        "email": ("SENDER_EMAIL",), "full_name": ("SENDER_NAME",), "company": ("SENDER_COMPANY",),
        "country": ("SENDER_COUNTRY_ISO",),
    }),
    "indiamart_push.json": ("indiamart", {
        "external_id": ("UNIQUE_QUERY_ID",), "phone": ("SENDER_MOBILE",), "email": ("SENDER_EMAIL",),
        "full_name": ("SENDER_NAME",), "country": ("SENDER_COUNTRY_ISO",),
    }),
    "indiamart.csv": ("indiamart", {
        "external_id": ("UNIQUE_QUERY_ID",), "phone": ("SENDER_MOBILE",), "email": ("SENDER_EMAIL",),
        "full_name": ("SENDER_NAME",), "company": ("SENDER_COMPANY",), "country": ("SENDER_COUNTRY_ISO",),
    }),
    "justdial.csv": ("justdial", {
        "external_id": ("leadid",), "phone": ("mobile", "phone"), "email": ("email",), "full_name": ("name",),
        "company": ("company",), "do_not_call": ("dncmobile", "dncphone"),
    }),
    "generic.csv": ("generic", {
        "external_id": ("Customer ID",), "phone": ("Mobile No.",), "email": ("E-Mail",), "full_name": ("Full Name",),
        "company": ("Organisation",), "lead_source": ("Source",), "country": ("Country",),
        "do_not_call": ("Do Not Call",), "do_not_contact": ("Opt-out",),
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_the_columns_of_a_system_s_file_are_known(name: str) -> None:
    preset, fields = FILES[name]
    mapping = mapped(name)
    assert (mapping.preset, by_header(mapping)) == (preset, fields)
    assert mapping.source_system == ("file:customerid" if preset == "generic" else preset)
    # Nothing of a file is lost: what is no field is a custom field.
    assert all(mapping.meaning(number) for number in range(len(mapping.headers)))


def test_every_preset_has_a_file_here() -> None:
    assert {preset for preset, _ in FILES.values()} == set(presets())


def test_times_are_those_of_the_system_in_its_own_zone() -> None:
    indiamart, zoho, facebook = mapped("indiamart.csv"), mapped("zoho.csv"), mapped("facebook.tsv")
    assert (indiamart.zone, zoho.zone) == ("Asia/Kolkata", None)
    assert [mapping.headers[mapping.instants[0]] for mapping in (indiamart, zoho, facebook)] == [
        "QUERY_TIME", "Created Time", "created_time",
    ]  # fmt: skip


def test_a_downloaded_facebook_file_has_prefixes_and_test_leads() -> None:
    mapping = mapped("facebook.tsv")
    assert {mapping.headers[number]: prefixes for number, prefixes in mapping.prefixes.items()} == {
        "id": ("l:",), "ad_id": ("ag:",), "adset_id": ("as:",), "campaign_id": ("c:",), "form_id": ("f:",),
        "phone_number": ("p:",),
    }  # fmt: skip
    assert mapping.test_lead == ("<test lead: dummy data for ",)
    assert mapped("zoho.csv").test_lead == ()


def test_answers_of_the_graph_api_are_fields_of_their_own() -> None:
    record = json.loads((LEADS / "facebook_graph.json").read_text())["data"][0]
    flat = flatten_record(record)
    assert (flat["id"], flat["phone_number"], flat["budget"]) == ("101", "+12025550171", ["10", "20"])
    assert "field_data" not in flat
    assert flatten_record({"field_data": "a remark"}) == {"field_data": "a remark"}


def test_another_preset_can_be_chosen() -> None:
    mapping = mapped("zoho.csv", MappingOptions(preset="generic"))
    assert (mapping.preset, mapping.source_system) == ("generic", "file:leadid")
    assert mapping.as_json()["preset"] == "generic"


def test_a_saved_mapping_decides_about_the_columns_it_names() -> None:
    saved = read_saved_mapping(LEADS / "our_crm.yaml")
    mapping = mapped("our_crm.csv", MappingOptions.from_json({"mapping": saved.model_dump(mode="json")}))
    assert mapping.as_json() == {
        "preset": "generic",
        "source_system": "our-crm",
        "columns": {
            "Cust No": "external_id", "Vorname": "first_name", "Handy": "phone", "Opt out": "do_not_call",
            "Interest": "custom_fields.interest", "Joined": "custom_fields.Joined", "Internal remark": None,
            "Phone": "custom_fields.reached at",
        },
    }  # fmt: skip
    assert (mapping.zone, mapping.instants) == ("Europe/Berlin", (5,))


def test_a_saved_mapping_that_does_not_fit_the_file_refuses_it(tmp_path: Path) -> None:
    lacking, twice = tmp_path / "lacking.yaml", tmp_path / "twice.yaml"
    lacking.write_text("columns: {Mobil: phone, Cust No: external_id}")
    twice.write_text("columns: {Cust No: external_id, Phone: external_id}")
    for file, said in ((lacking, "Mobil"), (twice, "external_id")):
        with pytest.raises(FileRefused, match=said) as refused:
            mapped("our_crm.csv", MappingOptions(saved=read_saved_mapping(file)))
        assert refused.value.refusal_code == "mapping_does_not_fit"


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("columns: {Handy: telephone}", "columns.Handy: a column cannot be 'telephone'"),
        ("columns: {}", "columns"),
        ("preset: hupspot\ncolumns: {Handy: phone}", "preset: no preset is called 'hupspot'"),
        ("time_zone: Mars/Olympus\ncolumns: {Handy: phone}", "time_zone: no time zone is called"),
        ("column: {Handy: phone}", "column: Extra inputs are not permitted"),
        ("columns: {Handy: phone, HANDY: email}", "handy"),
        ("columns: [", "while parsing"),
        ("- Handy", "the file"),
    ],
)
def test_a_saved_mapping_is_checked_before_it_is_used(tmp_path: Path, written: str, complaint: str) -> None:
    file = tmp_path / "mapping.yaml"
    file.write_text(written)
    with pytest.raises(InvalidMapping) as refused:
        read_saved_mapping(file)
    assert complaint in refused.value.why


def cleaned(name: str, *, region: str = "US", **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The usable rows of a file, as a tenant in Berlin would get them, and why others are rejected."""
    rows: list[dict[str, Any]] = []
    rejected: list[str] = []
    with opened_reading(
        LEADS / name, options, region=region, zone="Europe/Berlin", lead_source_spellings={}
    ) as reading:
        for _, batch in reading.batches():
            rows += batch.rows.to_pylist()
            rejected += [row.reason_code for row in batch.rejected]
    return [{**row, "custom_fields": json.loads(row["custom_fields"])} for row in rows], rejected


VALUES = {
    # file: region, ids, first phone, wishes of the second row, a field of the first row and its value
    "hubspot.csv": ("US", ["501", "502"], "+12025550171", "{email}", "Create Date", "2026-03-02T08:15:00Z"),
    "salesforce_api.csv": (
        "US", ["00Q000000000001", "00Q000000000002"], "+12025550171", "{ai_call,email}", "CreatedDate",
        "2026-03-02T09:15:00Z",
    ),
    "salesforce_report.csv": (
        "US", ["00Q000000000001", "00Q000000000002"], "+12025550171", "{ai_call,email}", "Create Date", "2026-03-02",
    ),
    "zoho.csv": ("US", ["zcrm_1001", "zcrm_1002"], "+12025550171", "{email}", "Created Time", "2026-04-14T22:03:00Z"),
    "suitecrm.csv": (
        "US", ["a1b2c3d4-0001", "a1b2c3d4-0002"], "+12025550171", "{ai_call}", "Date Created", "2026-03-02T08:15:00Z",
    ),
    "facebook.tsv": ("US", ["101"], "+12025550171", None, "created_time", "2026-03-02T14:15:00Z"),
    "facebook_graph.json": ("US", ["101"], "+12025550171", None, "budget", ["10", "20"]),
    "indiamart_pull.json": ("IN", ["900001", "900002"], "+919999900001", "{}", "QUERY_TIME", "2026-03-02T07:17:25Z"),
    "indiamart_push.json": ("IN", ["900001"], "+919999900001", None, "CALL_DURATION", 0),
    "indiamart.csv": ("IN", ["900001", "900002"], "+919999900001", "{}", "QUERY_TIME", "2026-03-02T07:17:25Z"),
    "justdial.csv": ("IN", ["JD1001", "JD1002"], "+919999900001", "{ai_call}", "dncmobile", 0),
    "generic.csv": ("US", ["7001", "7002"], "+12025550171", "{ai_call}", "Score", 5),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_the_values_of_a_system_s_file_are_normal(name: str) -> None:
    region, ids, phone, wishes, header, value = VALUES[name]
    rows, rejected = cleaned(name, region=region)
    assert [row["external_id"] for row in rows] == ids
    assert (rows[0]["phone_e164"], rows[0]["email"], rows[0]["first_name"]) == (phone, "asha@example.com", "Asha")
    assert rows[0]["custom_fields"][header] == value
    assert rows[0]["suppressed_channels"] == "{}"
    assert rows[0]["time_zones"] == ("{Asia/Calcutta}" if region == "IN" else "{America/New_York}")
    assert [row["suppressed_channels"] for row in rows[1:]] == ([] if wishes is None else [wishes])
    assert rejected == (["test_lead"] if name.startswith("facebook") else [])


def test_a_buyer_without_a_name_has_none_and_a_dnc_tag_is_seen() -> None:
    assert cleaned("indiamart.csv", region="IN")[0][1]["first_name"] is None
    assert [row["is_dnc"] for row in cleaned("zoho.csv")[0]] == [False, True]


def test_a_saved_mapping_is_followed_to_the_values() -> None:
    saved = read_saved_mapping(LEADS / "our_crm.yaml").model_dump(mode="json")
    rows, _ = cleaned("our_crm.csv", mapping=saved)
    assert [row["external_id"] for row in rows] == ["A-1", "A-2"]
    assert rows[0]["custom_fields"] == {
        "Opt out": "no", "interest": "pipes", "Joined": "2026-03-02T08:15:00Z", "reached at": "front desk",
    }  # fmt: skip


def test_what_is_no_time_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("Id,Created At\n1,last week\n2,\n3,5\n4,2026-03-02 09:15\n")
    with opened_reading(file, {}, region="US", zone="UTC", lead_source_spellings={}) as reading:
        fields = [
            json.loads(text) for _, batch in reading.batches() for text in batch.rows["custom_fields"].to_pylist()
        ]
    assert fields == [{"Created At": "last week"}, {}, {"Created At": 5}, {"Created At": "2026-03-02T09:15:00Z"}]
