"""Rows of a lead file on their way, by columns, a bounded number at a time. Knows no format and no contact."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

BATCH_ROWS = 65_536


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
class Batch:
    """Some rows of a file, in file order.

    Attributes:
        line_numbers: int32; where each row begins: the physical line of a text, the row of a sheet, else the record's
            number from 1.
        texts: for each header the cells as text; an absent one is "", never null.
        json: for each header the cells as JSON texts, null where absent; None where the file's cells have no types of
            their own, as in a delimited text.
        rejected: rows between these that cannot be read.
    """

    line_numbers: pa.Array
    texts: tuple[pa.Array, ...]
    json: tuple[pa.Array | None, ...]
    rejected: tuple[RejectedRow, ...] = ()

    def __len__(self) -> int:
        return len(self.line_numbers)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The texts of each row."""
        return zip(*(column.to_pylist() for column in self.texts), strict=True)

    def slices(self, rows: int = BATCH_ROWS) -> Sequence["Batch"]:
        """The same in batches of at most `rows`; the rejected rows come with the first."""
        if len(self) <= rows:
            return [self]
        return [
            Batch(
                self.line_numbers.slice(begin, rows),
                tuple(column.slice(begin, rows) for column in self.texts),
                tuple(None if column is None else column.slice(begin, rows) for column in self.json),
                self.rejected if begin == 0 else (),
            )
            for begin in range(0, len(self), rows)
        ]


def text_batch(
    line_numbers: Sequence[int], rows: Sequence[Sequence[str]], width: int, rejected: Sequence[RejectedRow] = ()
) -> Batch:
    """Rows of `width` texts each as a batch of untyped cells."""
    columns: Sequence[Sequence[str]] = list(zip(*rows, strict=True)) if rows else [()] * width
    return Batch(
        pa.array(line_numbers, pa.int32()),
        tuple(pa.array(column, pa.string()) for column in columns),
        (None,) * width,
        tuple(rejected),
    )
