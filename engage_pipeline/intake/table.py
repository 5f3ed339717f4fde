"""Opens the one table of a lead file, whatever it is packed in and written as, to be read in batches."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from engage_pipeline.intake.batch import Batch
from engage_pipeline.intake.delimited import read_delimited
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.json_records import read_json, sniff_json
from engage_pipeline.intake.parquet import read_parquet, sniff_parquet
from engage_pipeline.intake.sniff import FileFormat, kind_of, sniff_text
from engage_pipeline.intake.unpack import Packing, unpacked
from engage_pipeline.intake.workbook import read_workbook, sniff_workbook

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Table:
    """A file's table, open for as long as its block lasts; `packing` is what it was taken out of."""

    file: IO[bytes]
    format: FileFormat
    packing: Packing | None

    def batches(self) -> Iterator[Batch]:
        """Every row, from the beginning.

        Raises:
            FileRefused: what only shows while it is read, such as a record that has no end.
        """
        self.file.seek(0)
        read = {"workbook": read_workbook, "json": read_json, "json_lines": read_json, "parquet": read_parquet}
        return read.get(self.format.kind, read_delimited)(self.file, self.format)

    def format_json(self) -> dict[str, Any]:
        """The value of `lead_uploads.format`."""
        return {**self.format.as_json(), "packing": self.packing}


@contextmanager
def opened_table(path: Path, options: Mapping[str, Any] | None = None) -> Iterator[Table]:
    """Find out what a file is, and open it.

    Args:
        options: what somebody knows better than the sniffer: `format` (one of `sniff.KINDS`), `encoding`, `delimiter`,
            `sheet`. Absent ones are sniffed.

    Raises:
        FileRefused: the file cannot be read with certainty.
    """
    known = options or {}
    with _opened(path) as packed, unpacked(packed) as inside:
        kind = known.get("format") or kind_of(inside.file)
        yield Table(inside.file, _sniffed(inside.file, kind, known), inside.packing)


def file_facts(path: Path) -> tuple[str, int]:
    """The SHA-256 of a file's bytes, in hexadecimal, and how many they are.

    Raises:
        FileRefused: file_missing.
    """
    digest = hashlib.sha256()
    with _opened(path) as file:
        while block := file.read(_CHUNK_BYTES):
            digest.update(block)
        return digest.hexdigest(), file.tell()


def _sniffed(file: IO[bytes], kind: str, known: Mapping[str, Any]) -> FileFormat:
    if kind == "workbook":
        return sniff_workbook(file, sheet=known.get("sheet"))
    if kind == "parquet":
        return sniff_parquet(file)
    if kind in ("json", "json_lines"):
        return sniff_json(file, lines=kind == "json_lines", encoding=known.get("encoding"))
    return sniff_text(file, encoding=known.get("encoding"), delimiter=known.get("delimiter"))


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileRefused(
            "file_missing",
            what="the file is gone",
            why="it was taken out of the inbox before it was read",
            fix="put it into the inbox again",
        ) from error
