"""What kind of text a lead file is: encoding, delimiter, line end, header. Knows nothing of contacts."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Literal

from engage_pipeline.intake.errors import FileRefused

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "cp1252"]
LineEnd = Literal["LF", "CRLF", "CR"]

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_RECORDS = 100

_NOT_TEXT = {
    b"PK\x03\x04": "a zip archive or a spreadsheet workbook",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"PAR1": "a Parquet file",
}
_LINE_ENDS: dict[str, LineEnd] = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+?[\d\s().-]{7,20}")
_NUMBER = re.compile(r"[+-]?[\d.,]+")


@dataclass(frozen=True)
class FileFormat:
    """How to read one file.

    Attributes:
        encoding: a name that `bytes.decode` takes; utf-16 only with a byte order mark.
        delimiter: one of `DELIMITERS`; a comma when the file has one column.
        line_end: the kind that most lines of the beginning have.
        headers: names of the columns, trimmed, in file order; a blank name is "".
        header_line: physical line, from 1, on which the header record ends.
    """

    encoding: Encoding
    delimiter: str
    line_end: LineEnd
    headers: tuple[str, ...]
    header_line: int

    def as_json(self) -> dict[str, Any]:
        """The value of `lead_uploads.format`."""
        return asdict(self)


def sniff(content: bytes) -> FileFormat:
    """Read the beginning of a file, and decode all of it.

    Raises:
        FileRefused: not_text, undecodable, empty_file, lines_quoted_whole, no_header, duplicate_headers.
    """
    _refuse_binary(content)
    encoding, text = _decoded(content)
    if not text.strip("\ufeff \t\r\n\x00"):
        raise FileRefused(
            "empty_file",
            what="the file is empty",
            why="there is not one character in it besides blanks",
            fix="export the leads again, with a header line",
        )
    delimiter = _delimiter(text)
    header, header_line = _header(text, delimiter)
    _refuse_wrapped_lines(text, delimiter, header)
    _refuse_bad_header(header, header_line)
    return FileFormat(encoding, delimiter, _line_end(text), tuple(header), header_line)


def lines_of(text: str) -> io.StringIO:
    """The physical lines with their ends, whichever of LF, CRLF and CR those are; a quoted field keeps its own."""
    return io.StringIO(text, newline="")


def _refuse_binary(content: bytes) -> None:
    for signature, kind in _NOT_TEXT.items():
        if content.startswith(signature):
            raise FileRefused(
                "not_text",
                what="the file is not a text table",
                why=f"its first bytes say it is {kind}",
                fix="export the leads as CSV, in UTF-8",
            )


def _decoded(content: bytes) -> tuple[Encoding, str]:
    encodings: tuple[Encoding, ...]
    if content.startswith(codecs.BOM_UTF8):
        encodings = ("utf-8-sig",)
    elif content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ("utf-16",)
    else:
        encodings = ("utf-8", "cp1252")
    for encoding in encodings:
        try:
            return encoding, content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileRefused(
        "undecodable",
        what="the file's characters cannot be read",
        why=f"its bytes are not valid {' nor '.join(encodings)}",
        fix="save the file again as UTF-8",
    )


def _delimiter(text: str) -> str:
    """The delimiter under which most records have as many fields as the header, and then the one with most columns."""

    def fitness(delimiter: str) -> tuple[float, int]:
        records = list(islice(_records(text, delimiter), SAMPLE_RECORDS))
        width = len(records[0]) if records else 0
        if width < 2:
            return (0.0, 0)
        return (sum(len(record) == width for record in records) / len(records), width)

    # The first of equals is taken, so that a file of one column gets the comma.
    return max(DELIMITERS, key=fitness)


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        for record in csv.reader(lines_of(text[: 1 << 18]), delimiter=delimiter):
            if record:
                yield record
    except csv.Error:
        # One field larger than the csv module takes: a quote that never closes. What came before it is the sample.
        return


def _header(text: str, delimiter: str) -> tuple[list[str], int]:
    reader = csv.reader(lines_of(text), delimiter=delimiter)
    try:
        for record in reader:
            if any(name.strip() for name in record):
                return [name.strip() for name in record], reader.line_num
    except csv.Error:
        # The first field is larger than the csv module takes.
        pass
    raise FileRefused(
        "no_header",
        what="the file has no header line",
        why="no line of it names a column",
        fix="add a first line with the column names",
    )


def _refuse_wrapped_lines(text: str, delimiter: str, header: list[str]) -> None:
    if len(header) != 1 or not any(delimiter in header[0] for delimiter in DELIMITERS):
        return
    sample = [line.strip() for line in islice(lines_of(text), SAMPLE_RECORDS) if line.strip()]
    if all(line.startswith('"') and line.endswith('"') for line in sample):
        raise FileRefused(
            "lines_quoted_whole",
            what="the file has one column, and every line of it is one quoted field",
            why="whole lines were put in quotes when the file was exported, so its columns cannot be told apart",
            fix="take the outer quotes off each line, or export the file again",
        )


def _refuse_bad_header(header: list[str], header_line: int) -> None:
    named = [name for name in header if name]
    if any("\x00" in name for name in named):
        raise FileRefused(
            "undecodable",
            what="the file's characters cannot be read",
            why=f"the header on line {header_line} contains NUL characters, as UTF-16 without a byte order mark does",
            fix="save the file again as UTF-8",
        )
    if any(_EMAIL.fullmatch(name) or _PHONE.fullmatch(name) for name in named) or all(
        _NUMBER.fullmatch(name) for name in named
    ):
        raise FileRefused(
            "no_header",
            what="the file has no header line",
            why=f"line {header_line} has values where the column names should be: an address, or only numbers",
            fix="add a first line with the column names",
        )
    repeated = [name for name, count in Counter(name.casefold() for name in named).items() if count > 1]
    if repeated:
        raise FileRefused(
            "duplicate_headers",
            what=f"the header on line {header_line} names a column twice: {', '.join(repeated)}",
            why="which of the columns is meant cannot be known (upper and lower case count as the same)",
            fix="rename or remove one of them",
        )


def _line_end(text: str) -> LineEnd:
    found = Counter(re.findall(r"\r\n|\n|\r", text[: 1 << 16]))
    return _LINE_ENDS[found.most_common(1)[0][0]] if found else "LF"
