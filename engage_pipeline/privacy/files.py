"""Takes a person's rows out of the lead files of its tenant.

A plain text file is written again without them. Of any other kind of file (packed, JSON, a workbook, Parquet) the
whole is deleted once it was loaded or refused; one that still waits stands in the way, as it holds others' leads.
"""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engage_pipeline.privacy.errors import FileInTheWay
from engage_pipeline.privacy.person import Person
from engage_pipeline.settings import Settings

_ROWS_AT_ONCE = 20_000
_LARGEST_BYTES = 1 << 30
_DELIMITERS = ",;\t|"
# What a byte order mark says; the longer one first, as UTF-32's begins like UTF-16's.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def take_out_of_files(settings: Settings, person: Person) -> tuple[int, int]:
    """Clear the inbox and the shelves of the person's tenant. Returns rows taken out, and files deleted.

    Raises:
        FileInTheWay: before anything was changed.
    """
    waiting = list(_files(settings.inbox, person)) + list(_files(settings.held, person))
    done = list(_files(settings.processed, person)) + list(_files(settings.refused, person))
    for file in waiting:
        if not _is_plain_text(file) and _holds(file, person):
            raise FileInTheWay(str(file.relative_to(settings.home)))
    row_count = file_count = 0
    for file in waiting + done:
        if _is_plain_text(file):
            row_count += _rewrite(file, person)
        elif _holds(file, person):
            file.unlink()
            file_count += 1
    return row_count, file_count


def _files(shelf: Path, person: Person) -> Iterator[Path]:
    folder = shelf / person.tenant_name
    if folder.is_dir():
        yield from (file for file in sorted(folder.iterdir()) if file.is_file() and not file.name.startswith("."))


def _is_plain_text(file: Path) -> bool:
    beginning = _beginning(file)
    return not beginning.startswith((b"\x1f\x8b", b"PK", b"PAR1")) and beginning.strip()[:1] not in (b"{", b"[")


def _beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(64).removeprefix(b"\xef\xbb\xbf")


def _rewrite(file: Path, person: Person) -> int:
    """The file again without the records that name the person; how many those were."""
    encoding = _encoding(file)
    hidden = file.with_name(f".{uuid4().hex}")
    taken = 0
    try:
        with (
            file.open(encoding=encoding, newline="") as lines,
            hidden.open("w", encoding=encoding, newline="") as kept,
        ):
            records = _records(lines)
            while chunk := list(islice(records, _ROWS_AT_ONCE)):
                named = _named(chunk, person)
                kept.writelines(text for number, (_, text) in enumerate(chunk) if number not in named)
                taken += len(named)
        if taken:
            hidden.replace(file)
    finally:
        hidden.unlink(missing_ok=True)
    return taken


def _encoding(file: Path) -> str:
    with file.open("rb") as opened:
        beginning = opened.read(4)
    for mark, encoding in _MARKS:
        if beginning.startswith(mark):
            return encoding
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            while opened.read(1 << 20):
                pass
    except UnicodeDecodeError:
        # Every byte means something there, so what is written again is what was read.
        return "latin-1"
    return "utf-8"


def _records(file: IO[str]) -> Iterator[tuple[list[str], str]]:
    """The fields of each record, and its text as it stands in the file."""
    lines = _Remembered(file)
    header = next(iter(lines), "")
    lines.unread(header)
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = []
        text = lines.taken()
        yield fields or [text], text


class _Remembered:
    """Lines that can be asked for once more, as they were read."""

    def __init__(self, file: IO[str]) -> None:
        self._lines = iter(file)
        self._again: list[str] = []
        self._read: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self._read.append(line)
        return line

    def unread(self, line: str) -> None:
        self._read.clear()
        if line:
            self._again.append(line)

    def taken(self) -> str:
        """The lines since the last call."""
        text = "".join(self._read)
        self._read.clear()
        return text


def _named(records: list[tuple[list[str], str]], person: Person) -> set[int]:
    # UTF-16 without a byte order mark has a zero beside each ASCII character.
    cells = pa.array([cell.replace("\0", "") for fields, _ in records for cell in fields], pa.string())
    owners = [number for number, (fields, _) in enumerate(records) for _ in fields]
    return {owners[place] for place in pc.indices_nonzero(person.is_in(cells)).to_pylist()}


def _holds(file: Path, person: Person) -> bool:
    """Whether the person is anywhere in a file that is no plain text; True when that cannot be read."""
    try:
        return any(
            pc.any(person.is_in(texts), min_count=0).as_py() for texts in _texts(file, _beginning(file)) if len(texts)
        )
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, pa.ArrowException):
        return True


def _texts(file: Path, beginning: bytes) -> Iterator[pa.StringArray]:
    if beginning.startswith(b"PAR1"):
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield pa.array([str(value) for value in row.values() if value is not None], pa.string())
    elif beginning.startswith(b"\x1f\x8b"):
        with gzip.open(file) as unpacked:
            yield from _pieces(unpacked)
    elif beginning.startswith(b"PK"):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                with archive.open(member) as unpacked:
                    yield from _pieces(unpacked)
    else:
        with file.open("rb") as opened:
            yield from _pieces(opened)


def _pieces(file: IO[bytes] | gzip.GzipFile) -> Iterator[pa.StringArray]:
    """The texts between quotes, tags, delimiters and line ends, whatever the format."""
    text = io.TextIOWrapper(file, encoding="latin-1", newline="\n")
    read = 0
    while block := text.read(1 << 20):
        block += text.readline(1 << 16)
        read += len(block)
        if read > _LARGEST_BYTES:
            raise OSError("the file unpacks to more than is read")
        # UTF-16 has a zero beside each ASCII character.
        yield pa.array(_split(block.replace("\0", "")), pa.string())


def _split(block: str) -> Iterable[str]:
    for mark in ('"', "<", ">", "\t", ";", "|", ","):
        block = block.replace(mark, "\n")
    return [each for each in block.split("\n") if each.strip()]
