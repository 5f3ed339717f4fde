"""Takes the one table out of a gzip or zip file, within limits. Knows nothing of what is in the table.

What is unpacked lies in a temporary file without a name, so that memory stays the same whatever its size.
"""

import gzip
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

from engage_pipeline.intake.errors import FileRefused

Packing = Literal["gzip", "zip"]

# On disk, while the file loads; ten million leads of 15 columns are about 1.5 GB.
LARGEST_BYTES = 1 << 33
# Lead files shrink to a fifth or a tenth, deflate reaches a thousandth at most. A small file may shrink as it likes.
LARGEST_RATIO = 200
SMALL_BYTES = 1 << 24
# A workbook's reader keeps a sheet in memory, where it is twice as large as its XML: 171 MB, 200,000 rows of 15
# columns, took 325 MiB. A reader that streams took twelve times as long.
LARGEST_WORKBOOK_BYTES = 3 << 27
_CHUNK_BYTES = 1 << 20

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Unpacked:
    """A table's bytes, at their beginning; `packing` is what it was taken out of, None when it lay there plainly."""

    file: IO[bytes]
    packing: Packing | None


@contextmanager
def unpacked(file: IO[bytes]) -> Iterator[Unpacked]:
    """The table itself, for as long as the block lasts. A workbook is a zip file too, and is left as it is.

    Args:
        file: seekable, at its beginning.

    Raises:
        FileRefused: unpacks_too_large, damaged_archive, locked_archive, or not_one_file, when a zip holds none or
            several. Hidden files and the folder `__MACOSX` do not count.
    """
    beginning = file.read(4)
    file.seek(0)
    if beginning.startswith(_GZIP):
        packed_bytes = _size(file)
        with gzip.open(file) as inside, _spooled(inside, packed_bytes=packed_bytes) as spool:
            yield Unpacked(spool, "gzip")
    elif beginning.startswith(_ZIP):
        yield from _unzipped(file)
    else:
        yield Unpacked(file, None)


def check_workbook(file: IO[bytes]) -> None:
    """Refuse a workbook that unpacks to more than may be held in memory. Reads all of it: a directory can lie.

    Raises:
        FileRefused: unpacks_too_large, damaged_archive or locked_archive.
    """
    packed_bytes = _size(file)
    largest = _largest(packed_bytes, LARGEST_WORKBOOK_BYTES)
    unpacked_bytes = 0
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                with archive.open(member) as part:
                    while piece := part.read(_CHUNK_BYTES):
                        unpacked_bytes += len(piece)
                        if unpacked_bytes > largest:
                            raise FileRefused(
                                "unpacks_too_large",
                                what=f"the workbook unpacks to more than {largest:,} bytes, from {packed_bytes:,}",
                                why="a workbook is read in memory as a whole, and one made to fill it looks like that",
                                fix="save the sheet as CSV and upload that; it may have any size",
                            )
    except RuntimeError as error:
        raise _locked() from error
    except (EOFError, zlib.error, NotImplementedError, zipfile.BadZipFile) as error:
        raise _damaged("xlsx") from error
    file.seek(0)


def _unzipped(file: IO[bytes]) -> Iterator[Unpacked]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged("zip") from error
    with archive:
        members = archive.infolist()
        if any(member.filename == "[Content_Types].xml" for member in members):
            file.seek(0)
            yield Unpacked(file, None)
            return
        files = [member for member in members if not member.is_dir() and not _is_hidden(member.filename)]
        if len(files) != 1:
            raise FileRefused(
                "not_one_file",
                what=f"the zip archive holds {len(files)} files",
                why="an upload is one table, and which of them is meant cannot be known",
                fix="upload each file by itself, or put exactly one into the archive",
            )
        member = files[0]
        if member.flag_bits & 1:
            raise _locked()
        try:
            inside = archive.open(member)
        except (NotImplementedError, zipfile.BadZipFile) as error:
            raise _damaged("zip") from error
        with inside, _spooled(inside, packed_bytes=member.compress_size) as spool:
            yield Unpacked(spool, "zip")


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith(".")


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _largest(packed_bytes: int, limit: int) -> int:
    return min(limit, max(SMALL_BYTES, packed_bytes * LARGEST_RATIO))


@contextmanager
def _spooled(file: IO[bytes] | gzip.GzipFile, *, packed_bytes: int) -> Iterator[Any]:
    """All of it in a temporary file, in pieces, so that what is too large is noticed before it fills the disk."""
    largest = _largest(packed_bytes, LARGEST_BYTES)
    with tempfile.TemporaryFile() as spool:
        try:
            while piece := file.read(_CHUNK_BYTES):
                spool.write(piece)
                if spool.tell() > largest:
                    raise FileRefused(
                        "unpacks_too_large",
                        what=f"the file unpacks to more than {largest:,} bytes, from {packed_bytes:,}",
                        why=f"at most {LARGEST_BYTES:,} bytes are taken, and above {SMALL_BYTES:,} at most"
                        f" {LARGEST_RATIO} times the packed size, as a file made to fill the disk looks like that",
                        fix="split the leads into several files, or upload the file unpacked",
                    )
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise _damaged("gzip or zip") from error
        spool.seek(0)
        yield spool


def _locked() -> FileRefused:
    return FileRefused(
        "locked_archive",
        what="the zip archive asks for a password",
        why="its file is encrypted",
        fix="upload the file that is inside",
    )


def _damaged(kind: str) -> FileRefused:
    return FileRefused(
        "damaged_archive",
        what=f"the {kind} file cannot be unpacked",
        why="it is cut off or damaged, or packed in a way that is not supported (deflate and stored are)",
        fix="pack it again, or upload the file that is inside",
    )
