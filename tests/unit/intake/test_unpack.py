"""A packed table is read like a plain one, and what is made to fill the memory is refused."""

import gzip
import io
import zipfile

import pytest

from engage_pipeline.intake import unpack as module
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.unpack import unpacked

TABLE = b"Id,Name\n1,Ada\n"


def zipped(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return packed.getvalue()


def unpack(content: bytes) -> tuple[bytes, str | None]:
    with unpacked(io.BytesIO(content)) as inside:
        return inside.file.read(), inside.packing


def refusal_of(content: bytes) -> str:
    with pytest.raises(FileRefused) as refused:
        unpack(content)
    return refused.value.refusal_code


def test_the_table_is_taken_out_of_what_it_is_packed_in() -> None:
    assert unpack(TABLE) == (TABLE, None)
    assert unpack(gzip.compress(TABLE, mtime=0)) == (TABLE, "gzip")
    assert unpack(zipped(("__MACOSX/._leads.csv", b""), ("in/.hidden", b""), ("in/leads.csv", TABLE))) == (TABLE, "zip")


def test_a_workbook_stays_as_it_is() -> None:
    workbook = zipped(("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>"))
    assert unpack(workbook) == (workbook, None)


@pytest.mark.parametrize("files", [(), (("a.csv", TABLE), ("b.csv", TABLE))])
def test_an_archive_of_none_or_several_files_is_refused(files: tuple[tuple[str, bytes], ...]) -> None:
    assert refusal_of(zipped(*files)) == "not_one_file"


def test_a_locked_archive_is_refused() -> None:
    content = bytearray(zipped(("leads.csv", TABLE)))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert refusal_of(bytes(content)) == "locked_archive"


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(TABLE, mtime=0)[:-6],
        gzip.compress(TABLE, mtime=0)[:-8] + b"\x00" * 8,
        b"\x1f\x8bnothing",
        zipped(("leads.csv", TABLE))[:-10],
        zipped(("leads.csv", TABLE)).replace(b"PK\x03\x04", b"PK\x03\x04", 1)[:34] + b"\xff" * 80,
    ],
)
def test_a_damaged_file_is_refused(content: bytes) -> None:
    assert refusal_of(content) == "damaged_archive"


@pytest.mark.parametrize("pack", [gzip.compress, lambda content: zipped(("leads.csv", content))])
def test_a_bomb_is_refused_before_it_is_in_memory(pack, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = pack(b"\x00" * (2 * module.SMALL_BYTES))
    assert len(bomb) * module.LARGEST_RATIO < 2 * module.SMALL_BYTES
    assert refusal_of(bomb) == "unpacks_too_large"
    monkeypatch.setattr(module, "LARGEST_BYTES", len(TABLE) - 1)
    assert refusal_of(pack(TABLE)) == "unpacks_too_large"
