"""Takes the one table out of a gzip or zip file, within limits. Knows nothing of what is in the table."""

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Literal

from engage_pipeline.intake.errors import FileRefused

Packing = Literal["gzip", "zip"]

# A file is held in memory while it loads; a million leads of 15 columns are about 150 MB.
LARGEST_BYTES = 1 << 30
# Lead files shrink to a fifth or a tenth, deflate reaches a thousandth at most. A small file may shrink as it likes.
LARGEST_RATIO = 200
SMALL_BYTES = 1 << 24
_CHUNK_BYTES = 1 << 20

_GZIP = b"\x1f\x8b"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Unpacked:
    """The bytes of a table; `packing` is what it was taken out of, None when it lay there plainly."""

    content: bytes
    packing: Packing | None


def unpack(content: bytes) -> Unpacked:
    """The table itself. A workbook is a zip file too, and is left as it is.

    Raises:
        FileRefused: unpacks_too_large, damaged_archive, locked_archive, or not_one_file, when a zip holds none or
            several. Hidden files and the folder `__MACOSX` do not count.
    """
    if content.startswith(_GZIP):
        with gzip.open(io.BytesIO(content)) as file:
            return Unpacked(_read(file, packed_bytes=len(content)), "gzip")
    if content.startswith(_ZIP):
        return _unzip(content)
    return Unpacked(content, None)


def _unzip(content: bytes) -> Unpacked:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise _damaged("zip") from error
    with archive:
        members = archive.infolist()
        if any(member.filename == "[Content_Types].xml" for member in members):
            return Unpacked(content, None)
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
            raise FileRefused(
                "locked_archive",
                what="the zip archive asks for a password",
                why="its file is encrypted",
                fix="upload the file that is inside",
            )
        try:
            with archive.open(member) as file:
                return Unpacked(_read(file, packed_bytes=member.compress_size), "zip")
        except NotImplementedError as error:
            raise _damaged("zip") from error


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith(".")


def _read(file: IO[bytes] | gzip.GzipFile, *, packed_bytes: int) -> bytes:
    """All of it, in pieces, so that what is too large is noticed before it is in memory."""
    unpacked = bytearray()
    largest = min(LARGEST_BYTES, max(SMALL_BYTES, packed_bytes * LARGEST_RATIO))
    try:
        while piece := file.read(_CHUNK_BYTES):
            unpacked += piece
            if len(unpacked) > largest:
                raise FileRefused(
                    "unpacks_too_large",
                    what=f"the file unpacks to more than {largest:,} bytes, from {packed_bytes:,}",
                    why=f"at most {LARGEST_BYTES:,} bytes are taken, and above {SMALL_BYTES:,} at most"
                    f" {LARGEST_RATIO} times the packed size, as a file made to fill the memory looks like that",
                    fix="split the leads into several files, or upload the file unpacked",
                )
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise _damaged("gzip or zip") from error
    return bytes(unpacked)


def _damaged(kind: str) -> FileRefused:
    return FileRefused(
        "damaged_archive",
        what=f"the {kind} file cannot be unpacked",
        why="it is cut off or damaged, or packed in a way that is not supported (deflate and stored are)",
        fix="pack it again, or upload the file that is inside",
    )
