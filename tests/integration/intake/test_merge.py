"""The merge, set by set, against reading the rows one after another in memory: the same contacts, books and wishes."""

import csv
import io
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_pipeline.database.connections import Connection
from engage_pipeline.intake.mapping import map_columns
from engage_pipeline.intake.uploads import UploadBooks
from tests.integration.intake.conftest import LoadFile
from tests.unit.intake.rowwise import Person, Records, normalise, resolve

HEADERS = ["Lead Id", "Phone", "Email", "Name", "Tags", "Do Not Call", "Note"]
ROW = st.tuples(
    st.sampled_from(["", "", "1", "2", "3"]),
    st.sampled_from(["", "", "212-555-0101", "212-555-0102", "+12125550103", "12"]),
    st.sampled_from(["", "", "ada@example.com", "BEA@example.com", "cy@example.com"]),
    st.sampled_from(["", "Ada", "Bea Bly"]),
    st.sampled_from(["", "vip", "VIP, late", "dnc", 'a|b\\c|d"e']),
    st.sampled_from(["", "", "no", "yes"]),
    st.sampled_from(["", "5", "5.5", "true", "x y", 'say "hi"', "back\\slash", "tab\there", "Select"]),
)
FILES = st.lists(st.lists(ROW, min_size=1, max_size=9), min_size=1, max_size=3)


@given(files=FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_merging_sets_of_rows_is_merging_them_one_by_one(
    files: list[list[tuple[str, ...]]], load_file: LoadFile, connection: Connection
) -> None:
    connection.execute("truncate contacts, lead_uploads, rejected_rows, suppressions cascade")
    known: list[Person] = []
    for number, rows in enumerate(files):
        books = load_file(written(rows, line_end="\r\n" * (number % 2) or "\n", blank_lines=number))
        expected_counts, known = read_one_by_one(rows, known)
        assert books.findings is not None
        counts = (*books_of(books), books.rows_rejected, books.findings.identity_conflicts)
        assert counts == expected_counts
        assert stored(connection) == sorted(map(as_stored, known), key=repr)
        for person in known:
            # The next file knows the contacts only as they are stored.
            person.claimed_id = None


def written(rows: list[tuple[str, ...]], *, line_end: str, blank_lines: int) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(HEADERS)
    writer.writerows(rows)
    # Other bytes for the same rows, so that no file is a repeat.
    return text.getvalue() + line_end * blank_lines


def read_one_by_one(
    rows: list[tuple[str, ...]], known: list[Person]
) -> tuple[tuple[int, int, int, int, int], list[Person]]:
    mapping = map_columns(HEADERS, rows)
    records = Records(rows, range(2, len(rows) + 2), [])
    leads = normalise(records, mapping, region="US", lead_source_spellings={})
    headers = {"phone_e164": "Phone", "email": "Email"}
    resolution = resolve(leads.leads, known, source_system=mapping.source_system, headers=headers)
    inserted, updated = len(resolution.inserted), len(resolution.updated)
    counts = (
        inserted,
        updated,
        len(leads.leads) - inserted - updated,
        len(leads.rejected),
        len(resolution.conflict_lines),
    )
    return counts, [*known, *resolution.inserted]


def as_stored(person: Person) -> tuple[Any, ...]:
    return (
        person.source_system,
        person.external_id,
        person.phone_e164,
        person.email,
        person.first_name,
        person.last_name,
        person.tags,
        person.custom_fields,
        person.suppressed_channels,
    )


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "select source_system, external_id, phone_e164, email, first_name, last_name, tags, custom_fields,"
        " suppressed_channels from contacts"
    ).fetchall()
    return sorted(rows, key=repr)


def books_of(books: UploadBooks) -> tuple[int, int, int]:
    return books.rows_inserted, books.rows_updated, books.rows_duplicate


def test_contacts_that_are_left_take_wishes_only(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Phone,City\n1,212-555-0101,Rome\n2,212-555-0102,Bonn\n")
    connection.execute("update users set known_contacts = 'leave'")
    again = "Lead Id,Phone,City,Tags,Do Not Call\n1,212-555-0109,Oslo,vip,\n2,,Oslo,dnc,yes\n3,,Oslo,vip,\n"
    assert books_of(load_file(again)) == (1, 1, 1)
    assert connection.execute(
        "select phone_e164, custom_fields, tags, suppressed_channels from contacts order by external_id"
    ).fetchall() == [
        ("+12125550101", {"City": "Rome"}, [], []),
        ("+12125550102", {"City": "Bonn"}, ["DNC"], ["ai_call"]),
        (None, {"City": "Oslo"}, ["vip"], []),
    ]


def test_ids_of_new_contacts_are_in_file_order(load_file: LoadFile, connection: Connection) -> None:
    load_file("Lead Id,Name\n3,Cy\n1,Ada\n3,Cy\n2,Bea\n")
    assert connection.execute("select external_id from contacts order by id").fetchall() == [("3",), ("1",), ("2",)]
