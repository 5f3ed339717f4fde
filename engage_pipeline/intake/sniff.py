"""What kind of table a lead file is, and of a delimited text its encoding, delimiter, line end and header.

Knows nothing of contacts.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import IO, Any, Literal

from engage_pipeline.intake.cells import is_unicode
from engage_pipeline.intake.errors import FileRefused

Kind = Literal["delimited", "workbook", "json", "json_lines", "parquet"]
LineEnd = Literal["LF", "CRLF", "CR"]

KINDS: tuple[Kind, ...] = ("delimited", "workbook", "json", "json_lines", "parquet")
DELIMITERS = (",", ";", "\t", "|")
SAMPLE_RECORDS = 100
SAMPLE_BYTES = 1 << 20

_SIGNATURES: tuple[tuple[bytes, Kind], ...] = ((b"PK\x03\x04", "workbook"), (b"PAR1", "parquet"))
_NOT_A_TABLE = {
    b"\xd0\xcf\x11\xe0": "a workbook of the time before 2007, or one with a password",
    b"\x1f\x8b": "compressed twice",
    b"%PDF": "a PDF document",
}
_LINE_ENDS: dict[str, LineEnd] = {"\r\n": "CRLF", "\n": "LF", "\r": "CR"}
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_PHONE = re.compile(r"\+?[\d\s().-]{7,20}")
_NUMBER = re.compile(r"[+-]?[\d.,]+")


@dataclass(frozen=True)
class FileFormat:
    """How to read one file.

    Attributes:
        kind: what the others of these mean something for; encoding, delimiter and line_end are a text's.
        encoding: a name that `bytes.decode` takes; utf-16 only with a byte order mark, or when asked for.
        delimiter: one character; a comma when the file has one column.
        line_end: the kind that most lines of the beginning have.
        headers: names of the columns, trimmed, in file order; a blank name is "".
        header_line: physical line, or row of the sheet, from 1, on which the header ends; 0 for a file of records that
            name their fields.
        sheet: the sheet of a workbook.
    """

    kind: Kind
    headers: tuple[str, ...]
    header_line: int
    encoding: str | None = None
    delimiter: str | None = None
    line_end: LineEnd | None = None
    sheet: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The value of `lead_uploads.format`."""
        return asdict(self)


def kind_of(file: IO[bytes]) -> Kind:
    """What kind of table a file holds, by its beginning; the file is left at its beginning.

    Raises:
        FileRefused: not_a_table.
    """
    beginning = file.read(SAMPLE_BYTES)
    file.seek(0)
    for signature, kind in _SIGNATURES:
        if beginning.startswith(signature):
            return kind
    for signature, what in _NOT_A_TABLE.items():
        if beginning.startswith(signature):
            raise FileRefused(
                "not_a_table",
                what="the file is no table that can be read",
                why=f"its first bytes say it is {what}",
                fix="export the leads as CSV, XLSX, JSON or Parquet",
            )
    text = _sample(beginning, _encoding_of_beginning(beginning)).lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return "json"
    if text.startswith("{"):
        # One object alone may be an envelope, which the reader of JSON knows.
        lines = text.split("\n", 2)
        return "json_lines" if _is_one_object(lines[0]) and "".join(lines[1:]).strip() else "json"
    return "delimited"


def sniff_text(file: IO[bytes], *, encoding: str | None = None, delimiter: str | None = None) -> FileFormat:
    """Read the beginning of a delimited text, and decode all of it; the file is left at its beginning.

    Args:
        encoding, delimiter: what they are, if somebody knows better.

    Raises:
        FileRefused: undecodable, empty_file, lines_quoted_whole, no_header, duplicate_headers.
    """
    encoding = proven_encoding(file, encoding)
    text = _sample(file.read(SAMPLE_BYTES), encoding)
    file.seek(0)
    if not text.strip("\ufeff \t\r\n\x00"):
        raise empty_file()
    delimiter = delimiter or _delimiter(text)
    header, header_line = _header(text, delimiter)
    _refuse_wrapped_lines(text, delimiter, header)
    refuse_bad_header(header, header_line)
    return FileFormat("delimited", tuple(header), header_line, encoding, delimiter, _line_end(text))


def empty_file() -> FileRefused:
    """There is nothing to read."""
    return FileRefused(
        "empty_file",
        what="the file is empty",
        why="there is not one character in it besides blanks",
        fix="export the leads again, with a header line",
    )


def proven_encoding(file: IO[bytes], encoding: str | None = None) -> str:
    """The encoding in which every byte of a text means something; the file is left at its beginning.

    Args:
        encoding: the only one to try.

    Raises:
        FileRefused: undecodable.
    """
    beginning = file.read(4)
    file.seek(0)
    encodings: tuple[str, ...]
    if encoding:
        encodings = (encoding,)
    elif beginning.startswith(codecs.BOM_UTF8):
        encodings = ("utf-8-sig",)
    elif beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ("utf-16",)
    else:
        encodings = ("utf-8", "cp1252")
    for each in encodings:
        if _decodes(file, each):
            return each
    raise FileRefused(
        "undecodable",
        what="the file's characters cannot be read",
        why=f"its bytes are not valid {' nor '.join(encodings)}",
        fix="save the file again as UTF-8, or name its encoding: engage upload --encoding",
    )


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := file.read(SAMPLE_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    finally:
        file.seek(0)
    return True


def _sample(beginning: bytes, encoding: str) -> str:
    # The last character may be cut off.
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(beginning)


def _encoding_of_beginning(beginning: bytes) -> str:
    return "utf-16" if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _is_one_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def lines_of(text: str) -> io.StringIO:
    """The physical lines with their ends, whichever of LF, CRLF and CR those are; a quoted field keeps its own."""
    return io.StringIO(text, newline="")


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


def refuse_bad_header(header: list[str], header_line: int) -> None:
    """Refuse names that cannot be columns.

    Raises:
        FileRefused: undecodable, no_header or duplicate_headers.
    """
    named = [name for name in header if name]
    if any("\x00" in name or not is_unicode(name) for name in named):
        raise FileRefused(
            "undecodable",
            what="the file's characters cannot be read",
            why=f"the header on line {header_line} contains NUL characters, as UTF-16 without a byte order mark does,"
            " or what is no character",
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
