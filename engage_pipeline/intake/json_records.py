"""Records of JSON and JSON Lines, in batches. Knows nothing of contacts.

A JSON file is an array of objects; or an object with a list of them under one of its keys, as the interfaces of lead
providers answer; or with one object under `RESPONSE`, as they push; or one record by itself.
"""

import json
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from typing import IO, Any

import ijson

from engage_pipeline.intake.batch import BATCH_ROWS, Batch, RejectedRow
from engage_pipeline.intake.cells import cell, typed_batch
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.presets import flatten_record
from engage_pipeline.intake.sniff import FileFormat, empty_file, proven_encoding, refuse_bad_header

MALFORMED_JSON = "malformed_json"
MOST_COLUMNS = 2_000
LONGEST_LINE = 1 << 24

# A list under this key is the answers of one lead, and no list of leads.
_FIELDS_OF_ONE_LEAD = ("field_data",)
_ONE_PUSHED_LEAD = "RESPONSE"

Record = tuple[int, dict[str, Any] | None, str]
"""Its number or line, the object, or None and the text that is none."""


def sniff_json(file: IO[bytes], *, lines: bool, encoding: str | None = None) -> FileFormat:
    """Read all keys; the columns are these in the order in which they come. The file is left at its beginning.

    Raises:
        FileRefused: undecodable, empty_file, malformed_json, cut_off, too_many_columns, duplicate_headers.
    """
    encoding = proven_encoding(file, encoding)
    headers: dict[str, None] = {}
    for _, record, _ in _records(file, encoding, lines=lines):
        headers.update(dict.fromkeys(record or ()))
        if len(headers) > MOST_COLUMNS:
            raise FileRefused(
                "too_many_columns",
                what=f"the records have more than {MOST_COLUMNS:,} different fields",
                why="a field is a column, and no lead has so many: the keys may be values",
                fix="write each value under a key that names it",
            )
    file.seek(0)
    if not headers:
        raise empty_file()
    refuse_bad_header(list(headers), 1)
    return FileFormat("json_lines" if lines else "json", tuple(headers), 0, encoding)


def read_json(file: IO[bytes], file_format: FileFormat) -> Iterator[Batch]:
    """Every record, its number or, in JSON Lines, its line. What is no object is rejected as `malformed_json`."""
    headers = file_format.headers
    rows: list[tuple[int, list[Any]]] = []
    rejected: list[RejectedRow] = []
    for number, record, text in _records(file, str(file_format.encoding), lines=file_format.kind == "json_lines"):
        if record is None:
            rejected.append(RejectedRow(number, (text,), MALFORMED_JSON, "the record is not a JSON object"))
        else:
            rows.append((number, [record.get(header) for header in headers]))
        if len(rows) + len(rejected) == BATCH_ROWS // 4:
            yield typed_batch(rows, len(headers), rejected)
            rows, rejected = [], []
    yield typed_batch(rows, len(headers), rejected)


def _records(file: IO[bytes], encoding: str, *, lines: bool) -> Iterable[Record]:
    text = TextIOWrapper(_Borrowed(file), encoding=encoding, newline="\n")  # type: ignore[type-var]
    found = _line_records(text) if lines else _array_records(file, encoding)
    return ((number, None if record is None else flatten_record(record), said) for number, record, said in found)


def _line_records(text: Any) -> Iterator[Record]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if not line.strip("\ufeff \t\r\n"):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            if not line.endswith("\n"):
                raise _cut_off(f"line {number}") from None
            value = None
        yield number, value if isinstance(value, dict) else None, line.rstrip("\r\n")


def _array_records(file: IO[bytes], encoding: str) -> Iterator[Record]:
    try:
        file.seek(0)
        prefix, is_list = _place_of_records(_utf8(file, encoding))
        file.seek(0)
        found = ijson.items(_utf8(file, encoding), prefix)
        for number, value in enumerate(found, start=1):
            is_record = isinstance(value, dict)
            yield number, value if is_record else None, "" if is_record else cell(value)[0]
            if not is_list:
                return
    except ijson.IncompleteJSONError as error:
        # The library gives this error for what is wrong in the middle, too.
        if "premature" in str(error).lower() or "incomplete" in str(error).lower():
            raise _cut_off("the end") from error
        raise _malformed() from error
    except (ijson.JSONError, RecursionError, OverflowError) as error:
        raise _malformed() from error


def _place_of_records(file: Any) -> tuple[str, bool]:
    """ijson's name for where the records are, and whether there is a list of them."""
    before: tuple[str, str] = ("", "")
    one_pushed = False
    for prefix, event, _ in ijson.parse(file):
        if before[1] == "start_array" and event == "start_map":
            name = before[0]
            if "." not in name and name not in _FIELDS_OF_ONE_LEAD:
                return prefix, True
        if (prefix, event) == (_ONE_PUSHED_LEAD, "start_map"):
            one_pushed = True
        before = (prefix, event)
        if before == ("", "start_array"):
            return "item", True
    return (_ONE_PUSHED_LEAD, False) if one_pushed else ("", False)


class _Borrowed:
    """A file that is not closed with its reader."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.closed = False

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def read1(self, size: int = -1) -> bytes:
        return self.file.read(size if size and size > 0 else 1 << 16)

    read = read1

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class _utf8:  # noqa: N801 - reads like a function
    """The bytes of a text as UTF-8 without a byte order mark, to be read in pieces."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self.text = TextIOWrapper(_Borrowed(file), encoding=encoding, newline="")  # type: ignore[type-var]
        self.is_first = True

    def read(self, size: int = -1) -> bytes:
        if size == 0:
            return b""
        piece = self.text.read(size if size > 0 else 1 << 16)
        if self.is_first:
            piece, self.is_first = piece.removeprefix("\ufeff"), False
        return piece.encode()


def _cut_off(place: str) -> FileRefused:
    return FileRefused(
        "cut_off",
        what=f"the file ends within a record, at {place}",
        why="its JSON has an opening bracket or quote without the closing one",
        fix="export the file again: it may be incomplete",
    )


def _malformed() -> FileRefused:
    return FileRefused(
        "malformed_json",
        what="the file is not the JSON that it seems to be",
        why="a bracket, comma or quote stands where none may stand, so where a record ends cannot be known",
        fix="export the file again, as a JSON array of objects or as JSON Lines",
    )
