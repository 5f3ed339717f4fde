"""The records of a delimited text with the physical lines they begin on, in batches. Knows nothing of contacts.

Python's csv module in strict mode is the reading that counts: `_Careful`. Where a block of the file has nothing about
which two readers could differ, pyarrow reads it, fifteen times as fast; `_plain_block` says what that is.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv

from engage_pipeline.intake.batch import BATCH_ROWS, Batch, RejectedRow, text_batch
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.sniff import FileFormat

MALFORMED_QUOTES = "malformed_quotes"
WRONG_FIELD_COUNT = "wrong_field_count"

BLOCK_BYTES = 1 << 23
# What csv takes for one field; a quote that never closes is noticed by it.
LONGEST_FIELD = 131_072

_QUOTE, _LINE_FEED, _RETURN = ord('"'), ord("\n"), ord("\r")
Positions = npt.NDArray[np.int64]


def read_delimited(file: IO[bytes], file_format: FileFormat, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Batch]:
    """Read every row after the header; blank lines are no rows.

    Rejected here: a row with another number of fields than the header (`wrong_field_count`), and one with text after a
    closing quote (`malformed_quotes`), after which reading goes on at the next line.

    Args:
        file: at its beginning.

    Raises:
        FileRefused: unclosed_quotes, when a quoted field has no end or is larger than 131,072 characters;
            cut_off, when the file ends within its last record; undecodable.
    """
    return _Reader(file_format).read(_utf8_blocks(file, str(file_format.encoding), block_bytes))


def _utf8_blocks(file: IO[bytes], encoding: str, block_bytes: int) -> Iterator[bytes]:
    """The text as UTF-8, without a byte order mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    plain = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    try:
        if plain:
            # The sniffer, or the decoder here, has proven it; decoding and encoding again would be for nothing.
            first = file.read(block_bytes).removeprefix(codecs.BOM_UTF8)
            yield first
            while block := file.read(block_bytes):
                yield block
            return
        while block := file.read(block_bytes):
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise FileRefused(
            "undecodable",
            what="the file's characters cannot be read",
            why=f"its bytes are not valid {encoding}",
            fix="save the file again as UTF-8",
        ) from error


class _Reader:
    """Reads blocks of whole records fast until one needs care, and from there on carefully."""

    def __init__(self, file_format: FileFormat) -> None:
        self.format = file_format
        self.width = len(file_format.headers)
        self.lines_before = 0

    def read(self, blocks: Iterator[bytes]) -> Iterator[Batch]:
        carry = b""
        for block in blocks:
            data = carry + block
            plain = _plain_block(data, str(self.format.delimiter))
            if plain is None:
                yield from self._carefully(data, blocks)
                return
            yield from self._fast(data, plain).slices()
            carry = data[plain.end :]
            self.lines_before += plain.line_count
        # The last record may lack its line end, which is the careful reader's to judge.
        yield from self._carefully(carry, iter(()))

    def _fast(self, data: bytes, plain: "_PlainBlock") -> Batch:
        numbers = plain.line_numbers + self.lines_before
        invalid: list[tuple[int, str]] = []

        def note(row: arrow_csv.InvalidRow) -> str:
            invalid.append((row.number - 1, row.text))
            return "skip"

        if not len(numbers):
            return text_batch([], [], self.width)
        names = [str(number) for number in range(self.width)]
        table = arrow_csv.read_csv(
            pa.BufferReader(memoryview(data)[: plain.end]),
            arrow_csv.ReadOptions(column_names=names, use_threads=False, block_size=plain.end + 1),
            arrow_csv.ParseOptions(
                delimiter=self.format.delimiter,
                newlines_in_values=plain.has_quoted_line_ends,
                invalid_row_handler=note,
            ),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
        good = np.ones(len(numbers), bool)
        good[[place for place, _ in invalid]] = False
        numbers_of_good = numbers[good]
        if len(numbers_of_good) != table.num_rows:
            raise AssertionError("two counts of the rows of one block differ")
        rejected = [
            _wrong_count(int(numbers[place]), row, self.width)
            for place, text in invalid
            if numbers[place] > self.format.header_line
            # A row in which nothing is quoted may begin with the line end of a blank one.
            for row in [next(csv.reader([text], delimiter=str(self.format.delimiter), strict=True))]
        ]
        # The header is the first record; blank ones before it are no rows either.
        skipped = int(np.searchsorted(numbers_of_good, self.format.header_line, side="right"))
        columns = tuple(
            (column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)).slice(skipped)
            for column in table.columns
        )
        return Batch(
            pa.array(numbers_of_good[skipped:].astype(np.int32)), columns, (None,) * self.width, tuple(rejected)
        )

    def _carefully(self, data: bytes, blocks: Iterator[bytes]) -> Iterator[Batch]:
        lines = _Lines(io.TextIOWrapper(io.BufferedReader(_Chained(data, blocks)), encoding="utf-8", newline=""))
        reader = csv.reader(lines, delimiter=str(self.format.delimiter), strict=True)
        rows: list[list[str]] = []
        numbers: list[int] = []
        rejected: list[RejectedRow] = []
        while True:
            begins = self.lines_before + reader.line_num + 1
            lines.forget()
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                _refuse_unclosed(error, begins)
                if self.lines_before + reader.line_num > self.format.header_line:
                    reason = "there is text after a closing quote"
                    rejected.append(RejectedRow(begins, ("".join(lines.taken),), MALFORMED_QUOTES, reason))
                continue
            if not row or self.lines_before + reader.line_num <= self.format.header_line:
                continue
            if len(row) == self.width:
                rows.append(row)
                numbers.append(begins)
            else:
                if len(row) < self.width and not lines.taken[-1].endswith(("\n", "\r")):
                    raise _cut_off(begins, len(row), self.width)
                rejected.append(_wrong_count(begins, row, self.width))
            if len(rows) == BATCH_ROWS or len(rejected) == BATCH_ROWS:
                yield text_batch(numbers, rows, self.width, rejected)
                rows, numbers, rejected = [], [], []
        yield text_batch(numbers, rows, self.width, rejected)


@dataclass(frozen=True)
class _PlainBlock:
    """The part of some bytes that is whole records, and about which no two readers of CSV differ.

    Attributes:
        end: where the last whole record ends.
        line_numbers: physical line on which each record begins, from 1, blank lines left out.
        line_count: physical lines up to `end`.
    """

    end: int
    line_numbers: Positions
    line_count: int
    has_quoted_line_ends: bool


def _plain_block(data: bytes, delimiter: str) -> _PlainBlock | None:
    """The whole records of `data`; None when they need care.

    Care is for a NUL, a line that ends in CR alone, a quote in the middle of a field or text after a closing one, a
    record as long as the longest field, and a delimiter that is no single byte.
    """
    if b"\x00" in data or len(delimiter.encode()) != 1:
        return None
    at = np.frombuffer(data, np.uint8)
    line_ends = np.flatnonzero(at == _LINE_FEED)
    if data.count(b"\r") != data.count(b"\r\n") + data.endswith(b"\r"):
        return None
    quotes = np.flatnonzero(at == _QUOTE) if b'"' in data else np.empty(0, np.int64)
    record_ends = line_ends
    if len(quotes):
        record_ends = line_ends[np.searchsorted(quotes, line_ends) % 2 == 0]
    end = int(record_ends[-1]) + 1 if len(record_ends) else 0
    if len(data) - end > LONGEST_FIELD:
        return None
    quotes = quotes[: np.searchsorted(quotes, end)]
    if len(quotes) and not _well_quoted(at[:end], quotes, ord(delimiter)):
        return None
    starts = np.concatenate([[0], record_ends[:-1] + 1]) if len(record_ends) else record_ends
    lengths = record_ends - starts
    if len(lengths) and lengths.max() >= LONGEST_FIELD:
        return None
    blank = lengths == 0
    single = np.flatnonzero(lengths == 1)
    blank[single] = at[starts[single]] == _RETURN
    line_ends = line_ends[: np.searchsorted(line_ends, end)]
    has_quoted_line_ends = len(line_ends) != len(record_ends)
    numbers = np.searchsorted(line_ends, starts) + 1 if has_quoted_line_ends else np.arange(1, len(starts) + 1)
    return _PlainBlock(end, numbers[~blank], len(line_ends), has_quoted_line_ends)


def _well_quoted(at: npt.NDArray[np.uint8], quotes: Positions, delimiter: int) -> bool:
    """Whether each opening quote begins a field and each closing one ends it; two in a row stand for one within."""
    openings, closings = quotes[0::2], quotes[1::2]
    before = np.where(openings > 0, at[openings - 1], _LINE_FEED)
    escaped = np.concatenate([[False], openings[1:] == closings[:-1] + 1])
    after = at[np.minimum(closings + 1, len(at) - 1)]
    opens_well = (before == delimiter) | (before == _LINE_FEED) | escaped
    closes_well = (after == delimiter) | (after == _LINE_FEED) | (after == _RETURN) | (after == _QUOTE)
    return bool(opens_well.all() and closes_well.all())


class _Lines:
    """Physical lines, remembering those of the record that is being read."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.taken: list[str] = []

    def forget(self) -> None:
        self.taken = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self.text)
        self.taken.append(line)
        return line


class _Chained(io.RawIOBase):
    """Bytes and the blocks after them as one stream."""

    def __init__(self, first: bytes, blocks: Iterator[bytes]) -> None:
        self.rest, self.blocks = memoryview(first), blocks

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.rest:
            following = next(self.blocks, None)
            if following is None:
                return 0
            self.rest = memoryview(following)
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


def _wrong_count(line_number: int, row: Sequence[str], width: int) -> RejectedRow:
    reason = f"the row has {len(row)} fields and the header has {width}"
    return RejectedRow(line_number, tuple(row), WRONG_FIELD_COUNT, reason)


def _cut_off(begins: int, fields: int, width: int) -> FileRefused:
    return FileRefused(
        "cut_off",
        what=f"the file ends within the record that begins on line {begins}",
        why=f"its last line has no line end and {fields} fields, and the header has {width}",
        fix="export the file again: it may be incomplete; or end its last line, and that row alone is rejected",
    )


def _refuse_unclosed(error: csv.Error, begins: int) -> None:
    if str(error).startswith(("unexpected end of data", "field larger than")):
        raise FileRefused(
            "unclosed_quotes",
            what=f"the record that begins on line {begins} is cut off inside quotes",
            why="a quoted field has no closing quote, so where the record ends cannot be known",
            fix=f"close the quote on or after line {begins}, or export the file again: it may be incomplete",
        ) from error
