"""Quarantined rows as a file that can be mended and uploaded again."""

import csv
from pathlib import Path

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.statements import load_statement
from engage_pipeline.intake.errors import NoRejectedRows
from engage_pipeline.intake.mapping import REJECT_COLUMNS
from engage_pipeline.intake.uploads import Upload

HERE = Path(__file__).parent


def write_rejects(connection: Connection, upload: Upload, file: Path) -> int:
    """Write an upload's rejected rows to `file`, with its header and delimiter, as UTF-8; how many rows it has.

    The line number, the reason code and the reason come first in each row: after them stands what the file had, be it
    a field too many or too few. A new upload passes over those three columns. A row whose fields could not be told
    apart is one field.

    Raises:
        NoRejectedRows: there is none, and nothing was written.
    """
    rows = connection.execute(load_statement(HERE, "rejected_rows"), {"upload_id": upload.upload_id}).fetchall()
    if not rows or upload.format is None:
        raise NoRejectedRows(str(upload.upload_id))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=upload.format.get("delimiter") or ",", lineterminator="\n")
        writer.writerow([*REJECT_COLUMNS, *upload.format["headers"]])
        writer.writerows([*rejection, *raw_row] for *rejection, raw_row in rows)
    return len(rows)
