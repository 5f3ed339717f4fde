"""Every kind of file is the same table, and one that cannot be read with certainty is refused as a whole."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from engage_pipeline.intake import unpack as unpack_module
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.table import opened_table

HEADERS = ("Lead Id", "Name", "Score", "Is VIP", "Zip", "Note")
ROWS: list[tuple[Any, ...]] = [
    ("1", "Zoë", 5, True, "05", 'say "hi"; a, b'),
    ("2", "Søren", 2.5, False, "7", None),
    ("3", "", None, None, "", "two\nlines"),
]
TEXTS = [
    ("1", "Zoë", "5", "true", "05", 'say "hi"; a, b'),
    ("2", "Søren", "2.5", "false", "7", ""),
    ("3", "", "", "", "", "two\nlines"),
]
AS_JSON = [
    ('"1"', '"Zoë"', "5", "true", '"05"', '"say \\"hi\\"; a, b"'),
    ('"2"', '"Søren"', "2.5", "false", '"7"', None),
    ('"3"', None, None, None, None, '"two\\nlines"'),
]


def records() -> list[dict[str, Any]]:
    return [dict(zip(HEADERS, row, strict=True)) for row in ROWS]


def json_lines() -> bytes:
    return "\n".join(map(json.dumps, records())).encode()


def workbook(*sheets: tuple[str, list[tuple[Any, ...]]]) -> bytes:
    held = io.BytesIO()
    with xlsxwriter.Workbook(held) as book:
        for name, rows in sheets:
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    return held.getvalue()


def typed_workbook() -> bytes:
    held = io.BytesIO()
    with xlsxwriter.Workbook(held) as book:
        sheet = book.add_worksheet("Leads")
        book.add_worksheet("Empty")
        sheet.write_row(1, 0, HEADERS)
        for number, row in enumerate(ROWS, start=2):
            for column, value in enumerate(row):
                write = sheet.write_string if isinstance(value, str) else sheet.write
                write(number, column, value)
    return held.getvalue()


def parquet() -> bytes:
    held = io.BytesIO()
    columns = list(zip(*ROWS, strict=True))
    types = [pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.float64(), pa.bool_(), pa.string(), pa.string()]
    arrays = [
        pa.array([value or None if kind == pa.string() else value for value in column], kind)
        for column, kind in zip(columns, types, strict=True)
    ]
    pq.write_table(pa.table(arrays, names=list(HEADERS)), held)
    return held.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return held.getvalue()


KINDS: dict[str, tuple[str, list[int], Callable[[], bytes]]] = {
    "json array": ("json", [1, 2, 3], lambda: json.dumps(records(), indent=1).encode()),
    "json envelope": ("json", [1, 2, 3], lambda: json.dumps({"CODE": 200, "RESPONSE": records()}).encode()),
    "json, utf-16": ("json", [1, 2, 3], lambda: json.dumps(records(), ensure_ascii=False).encode("utf-16")),
    "json, bom": ("json", [1, 2, 3], lambda: b"\xef\xbb\xbf" + json.dumps(records()).encode()),
    "json lines": ("json_lines", [1, 3, 4], lambda: "{}\n\n{}\r\n{}\n".format(*map(json.dumps, records())).encode()),
    "workbook": ("workbook", [3, 4, 5], typed_workbook),
    "parquet": ("parquet", [1, 2, 3], parquet),
    "json lines in gzip": (
        "json_lines",
        [1, 2, 3],
        lambda: gzip.compress("\n".join(map(json.dumps, records())).encode()),
    ),
    "workbook in zip": ("workbook", [3, 4, 5], lambda: zipped("leads.xlsx", typed_workbook())),
    "parquet in zip": ("parquet", [1, 2, 3], lambda: zipped("leads.parquet", parquet())),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_is_the_same_table_with_its_types(name: str, tmp_path: Path) -> None:
    kind, line_numbers, content = KINDS[name]
    file = tmp_path / "leads"
    file.write_bytes(content())
    with opened_table(file) as table:
        assert (table.format.kind, table.format.headers) == (kind, HEADERS)
        batches = list(table.batches())
    assert [row for batch in batches for row in batch.rows()] == TEXTS
    assert [number for batch in batches for number in batch.line_numbers.to_pylist()] == line_numbers
    typed = [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.json), strict=True)]
    assert typed == AS_JSON


def read(content: bytes, tmp_path: Path, **options: str) -> list[tuple[str, ...]]:
    file = tmp_path / "leads"
    file.write_bytes(content)
    with opened_table(file, options) as table:
        return [row for batch in table.batches() for row in batch.rows()]


@pytest.mark.parametrize(
    ("content", "refusal_code"),
    [
        (b'[{"Id": 1}, {"Id": 2', "cut_off"),
        (b'[{"Id": 1} {"Id": 2}]', "malformed_json"),
        (b'{"Id": 1}\n{"Id": 2}\n{"Id"', "cut_off"),
        (b"[]", "empty_file"),
        (b"[1, 2]", "empty_file"),
        (json.dumps([{f"k{number}": 1 for number in range(2001)}]).encode(), "too_many_columns"),
        (b'[{"Email": "a", "email": "b"}]', "duplicate_headers"),
        (b"PAR1 and no more", "damaged_file"),
        (parquet()[:-20], "damaged_file"),
        (workbook(("a", [("Id",), (1,)]), ("b", [("Id",), (2,)])), "not_one_sheet"),
        (workbook(("a", [])), "empty_file"),
        (typed_workbook()[:-40], "damaged_archive"),
        (zipped("[Content_Types].xml", b"<Types/>"), "damaged_archive"),
        (b"\xd0\xcf\x11\xe0 an old workbook", "not_a_table"),
        (gzip.compress(gzip.compress(b"Id\n1\n")), "not_a_table"),
    ],
    # The bytes of an archive carry the time, and so would a name made of them.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_file_that_cannot_be_read_with_certainty_is_refused(
    content: bytes, refusal_code: str, tmp_path: Path
) -> None:
    with pytest.raises(FileRefused) as refused:
        read(content, tmp_path)
    assert refused.value.refusal_code == refusal_code
    assert refused.value.as_dict()["fix"]


def test_a_workbook_that_fills_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "LARGEST_WORKBOOK_BYTES", 10_000)
    with pytest.raises(FileRefused) as refused:
        read(workbook(("a", [("Id",), *[(1,)] * 5000])), tmp_path)
    assert refused.value.refusal_code == "unpacks_too_large"


def test_what_was_sniffed_can_be_overruled(tmp_path: Path) -> None:
    assert read("Id;A,B\n1;é,2\n".encode("cp1252"), tmp_path, delimiter=",", encoding="latin-1") == [("1;é", "2")]
    assert read("Id|A\n1|x\n".encode("utf-16-le"), tmp_path, encoding="utf-16-le") == [("1", "x")]
    book = workbook(("a", [("Id",), (1,)]), ("b", [("Id",), (2,)]))
    assert read(book, tmp_path, sheet="b") == [("2",)]
    assert read(b'{"Id": 1, "leads": [{"Id": 2}]}\n', tmp_path, format="json_lines") == [("1", '[{"Id": 2}]')]
    with pytest.raises(FileRefused) as refused:
        read("Id\né\n".encode("cp1252"), tmp_path, encoding="utf-8")
    assert refused.value.refusal_code == "undecodable"


def test_a_record_that_is_no_object_and_a_row_beyond_the_header_are_rejected(tmp_path: Path) -> None:
    file = tmp_path / "leads"
    for content, rejected in (
        (b'[{"Id": 1}, 7, {"Id": 2}]', [(2, "malformed_json")]),
        (b'{"Id": 1}\nnonsense\n{"Id": 2}\n', [(2, "malformed_json")]),
        (workbook(("a", [("Id",), (1,), (2, "beyond"), (None,), (2,)])), [(3, "wrong_field_count")]),
    ):
        file.write_bytes(content)
        with opened_table(file) as table:
            batches = list(table.batches())
        assert [row for batch in batches for row in batch.rows()] == [("1",), ("2",)]
        found = [(row.line_number, row.reason_code) for batch in batches for row in batch.rejected]
        assert found == rejected


def test_times_numbers_and_nested_values_keep_what_they_say(tmp_path: Path) -> None:
    held = io.BytesIO()
    columns: dict[str, Any] = {
        "day": pa.array([date(2026, 1, 2)]),
        "at": pa.array([datetime(2026, 1, 2, 3, 4, tzinfo=UTC)]),
        "phone": pa.array([12125550101.0]),
        "tags": pa.array([["a", "b"]]),
        "none": pa.array([float("nan")]),
    }
    pq.write_table(pa.table(columns), held)
    assert read(held.getvalue(), tmp_path) == [
        ("2026-01-02", "2026-01-02T03:04:00+00:00", "12125550101", '["a", "b"]', "")
    ]
    [row] = read(b'[{"Id": 12345678901234567890, "half": "\\ud83d\\ude00", "at": {"b": 1}}]', tmp_path)
    assert row == ("12345678901234567890", "😀", '{"b": 1}')
