"""The records of a delimited text file with the physical lines they begin on. Knows nothing of contacts.

Python's csv module in strict mode is the reading that the rest is held to: it gives exact line numbers.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.sniff import FileFormat, lines_of

MALFORMED_QUOTES = "malformed_quotes"
WRONG_FIELD_COUNT = "wrong_field_count"


@dataclass(frozen=True)
class RejectedRow:
    """A row that becomes no contact: where it began, what it said, why.

    `raw_row` has the fields in file order, or the one unread text of a row whose fields cannot be told apart.
    """

    line_number: int
    raw_row: tuple[str, ...]
    reason_code: str
    reason: str


@dataclass(frozen=True)
class Records:
    """A file's rows after its header; `rows` and `line_numbers` go together, and each row is as long as the header."""

    rows: list[list[str]]
    line_numbers: list[int]
    rejected: list[RejectedRow]


def read_records(content: bytes, file_format: FileFormat) -> Records:
    """Read every row; blank lines are no rows.

    Rejected here: a row with another number of fields than the header (`wrong_field_count`), and one with text after a
    closing quote (`malformed_quotes`), after which reading goes on at the next line.

    Raises:
        FileRefused: unclosed_quotes, when a quoted field has no end or is larger than 131,072 characters.
    """
    text = content.decode(file_format.encoding)
    width = len(file_format.headers)
    reader = csv.reader(lines_of(text), delimiter=file_format.delimiter, strict=True)
    rows: list[list[str]] = []
    line_numbers: list[int] = []
    rejected: list[RejectedRow] = []
    while True:
        begins = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return Records(rows, line_numbers, rejected)
        except csv.Error as error:
            _refuse_unclosed(error, begins)
            if reader.line_num <= file_format.header_line:
                continue
            raw = "".join(islice(lines_of(text), begins - 1, reader.line_num))
            reason = "there is text after a closing quote"
            rejected.append(RejectedRow(begins, (raw,), MALFORMED_QUOTES, reason))
            continue
        if not row or reader.line_num <= file_format.header_line:
            continue
        if len(row) == width:
            rows.append(row)
            line_numbers.append(begins)
        else:
            rejected.append(_wrong_count(begins, row, width))


def _wrong_count(line_number: int, row: Sequence[str], width: int) -> RejectedRow:
    reason = f"the row has {len(row)} fields and the header has {width}"
    return RejectedRow(line_number, tuple(row), WRONG_FIELD_COUNT, reason)


def _refuse_unclosed(error: csv.Error, begins: int) -> None:
    if str(error).startswith(("unexpected end of data", "field larger than")):
        raise FileRefused(
            "unclosed_quotes",
            what=f"the record that begins on line {begins} is cut off inside quotes",
            why="a quoted field has no closing quote, so where the record ends cannot be known",
            fix=f"close the quote on or after line {begins}, or export the file again: it may be incomplete",
        ) from error
