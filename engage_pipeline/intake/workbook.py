"""The rows of one sheet of a workbook (XLSX), in batches. Knows nothing of contacts.

calamine is quick and kept up, and has the sheet in memory; `unpack.check_workbook` bounds that.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetVisibleEnum

from engage_pipeline.intake.batch import BATCH_ROWS, Batch, RejectedRow
from engage_pipeline.intake.cells import cell, typed_batch
from engage_pipeline.intake.delimited import WRONG_FIELD_COUNT
from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.sniff import FileFormat, empty_file, refuse_bad_header
from engage_pipeline.intake.unpack import check_workbook


def sniff_workbook(file: IO[bytes], *, sheet: str | None = None) -> FileFormat:
    """The sheet that has rows, and its header: the first row that is not blank. The file is left at its beginning.

    Args:
        sheet: which one to take.

    Raises:
        FileRefused: unpacks_too_large, damaged_archive, locked_archive, not_one_sheet, empty_file, no_header,
            duplicate_headers.
    """
    check_workbook(file)
    workbook = _opened(file)
    if sheet is None:
        visible = [each.name for each in workbook.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
        filled = [name for name in visible if workbook.get_sheet_by_name(name).height]
        if not filled:
            raise empty_file()
        if len(filled) > 1:
            raise _not_one_sheet(f"the workbook has {len(filled)} sheets with rows: {', '.join(filled)}")
        sheet = filled[0]
    elif sheet not in workbook.sheet_names:
        raise _not_one_sheet(f"the workbook has no sheet {sheet!r}; it has: {', '.join(workbook.sheet_names)}")
    for number, values in _rows(workbook.get_sheet_by_name(sheet)):
        header = [cell(value)[0].strip() for value in values]
        while header and not header[-1]:
            header.pop()
        if header:
            file.seek(0)
            refuse_bad_header(header, number)
            return FileFormat("workbook", tuple(header), number, sheet=sheet)
    raise empty_file()


def read_workbook(file: IO[bytes], file_format: FileFormat) -> Iterator[Batch]:
    """Every row after the header; blank ones are no rows. One with a value beyond the header's columns is rejected."""
    width = len(file_format.headers)
    rows = _rows(_opened(file).get_sheet_by_name(str(file_format.sheet)))
    while taken := list(islice(rows, BATCH_ROWS // 4)):
        kept: list[tuple[int, Sequence[Any]]] = []
        rejected: list[RejectedRow] = []
        for number, values in taken:
            if number <= file_format.header_line or all(value in ("", None) for value in values):
                continue
            if any(value not in ("", None) for value in values[width:]):
                raw_row = tuple(cell(value)[0] for value in values)
                reason = f"the row has a value to the right of the header's {width} columns"
                rejected.append(RejectedRow(number, raw_row, WRONG_FIELD_COUNT, reason))
            else:
                kept.append((number, (*values[:width], *[None] * (width - len(values)))))
        yield typed_batch(kept, width, rejected)


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, Sequence[Any]]]:
    """Row numbers as the spreadsheet shows them. The sheet's first columns are kept, be they empty."""
    return enumerate(sheet.iter_rows(), start=1)


def _opened(file: IO[bytes]) -> CalamineWorkbook:
    file.seek(0)
    try:
        return CalamineWorkbook.from_filelike(file)
    except PasswordError as error:
        raise FileRefused(
            "locked_archive",
            what="the workbook asks for a password",
            why="its sheets are encrypted",
            fix="save it without a password",
        ) from error
    except CalamineError as error:
        raise FileRefused(
            "damaged_archive",
            what="the workbook cannot be read",
            why="it is a zip archive, but not the parts of a workbook",
            fix="save it again as XLSX, or as CSV",
        ) from error


def _not_one_sheet(what: str) -> FileRefused:
    return FileRefused(
        "not_one_sheet",
        what=what,
        why="an upload is one table, and which sheet is meant cannot be known",
        fix="name it: engage upload --sheet NAME; or save that sheet by itself",
    )
