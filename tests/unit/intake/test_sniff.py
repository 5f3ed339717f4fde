"""Formats are recognised, and files that cannot be read are refused with their reason."""

import json
from pathlib import Path

import pytest

from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.records import read_records
from engage_pipeline.intake.sniff import sniff


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(("line_end", "name"), [("\n", "LF"), ("\r\n", "CRLF"), ("\r", "CR")])
def test_every_encoding_delimiter_and_line_end_is_recognised(
    encoding: str, delimiter: str, line_end: str, name: str
) -> None:
    lines = [["Id", "Name", "City"], ["1", "Chloé", "x"], ["2", "Søren", "y, z; w"]]
    text = line_end.join(delimiter.join(f'"{field}"' for field in line) for line in lines)
    content = text.encode(encoding)
    found = sniff(content)
    assert (found.encoding, found.delimiter, found.line_end) == (encoding, delimiter, name)
    assert read_records(content, found).rows == lines[1:]


@pytest.mark.parametrize(
    ("content", "refusal_code"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf \r\n\r\n", "empty_file"),
        (b",,\n,,\n", "no_header"),
        (b"1,2,3\n4,5,6\n", "no_header"),
        (b"ada@example.com,Ada\nbea@example.com,Bea\n", "no_header"),
        (b'"Id,Name,Phone"\n"1,Ada,212"\n', "lines_quoted_whole"),
        (b"Email,Name, email \na,b,c\n", "duplicate_headers"),
        (b"Id,Name\n1,\x81\xff\n", "undecodable"),
        ("Id,Name\n1,Ada\n".encode("utf-16-le"), "undecodable"),
        (b"PK\x03\x04rest", "not_text"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, refusal_code: str) -> None:
    with pytest.raises(FileRefused) as refused:
        sniff(content)
    assert refused.value.refusal_code == refusal_code
    assert refused.value.as_dict()["fix"]


def test_a_record_cut_off_inside_quotes_is_refused_with_its_line() -> None:
    content = b'Id,Name\n1,Ada\n2,"Be'
    with pytest.raises(FileRefused, match="line 3") as refused:
        read_records(content, sniff(content))
    assert refused.value.refusal_code == "unclosed_quotes"


def test_a_field_that_never_ends_is_refused_before_memory_does() -> None:
    content = b'Id,Name\n1,"Ada\n' + b"2,Bea\n" * 40_000
    with pytest.raises(FileRefused) as refused:
        read_records(content, sniff(content))
    assert refused.value.refusal_code == "unclosed_quotes"


def test_rejects_carry_the_physical_line_on_which_they_begin() -> None:
    content = b'Id,Note\n1,"two\nlines"\n\n2\n3,"x"y\n4,a,b\n5,fine\n'
    records = read_records(content, sniff(content))
    assert records.rows == [["1", "two\nlines"], ["5", "fine"]]
    assert records.line_numbers == [2, 8]
    assert [(row.line_number, row.reason_code) for row in records.rejected] == [
        (5, "wrong_field_count"),
        (6, "malformed_quotes"),
        (7, "wrong_field_count"),
    ]


def test_the_spectrum_of_csv_is_read_to_the_letter(shared_folder: Path) -> None:
    files = sorted((shared_folder / "data/csv-spectrum").glob("*.csv"))
    assert files
    for file in files:
        expected = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        expected = expected if isinstance(expected, list) else [expected]
        if file.stem == "location_coordinates":
            # The collection's own expectation names another number than its file.
            expected[0]["Contact Phone Number"] = "2095257564"
        content = file.read_bytes()
        found = sniff(content)
        assert [dict(zip(found.headers, row, strict=True)) for row in read_records(content, found).rows] == expected
