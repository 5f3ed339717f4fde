"""What an upload of a file would make of it, without a database: its format, its columns, its rejects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engage_pipeline.intake.mapping import ColumnMapping, map_columns
from engage_pipeline.intake.missing import is_missing
from engage_pipeline.intake.normalise import normalise
from engage_pipeline.intake.records import RejectedRow, read_records
from engage_pipeline.intake.sniff import sniff
from engage_pipeline.intake.unpack import unpack
from engage_pipeline.intake.uploads import RejectReason


@dataclass(frozen=True)
class PreviewColumn:
    """One column: what it maps to, None when it is read nowhere, and its first value that says something."""

    header: str
    meaning: str | None
    sample: str | None


@dataclass(frozen=True)
class Preview:
    """What an upload would find.

    Attributes:
        format: as `lead_uploads.format` would have it.
        source_system: what ids of the file belong to.
        columns: in file order.
        rejected: why rows would be rejected, the most frequent reason first. Who the others are is not asked: whether
            they are new, changed or known is up to the contacts at the time of the upload.
    """

    format: dict[str, Any]
    source_system: str
    columns: list[PreviewColumn]
    rows_read: int
    rejected: list[RejectReason]

    def as_json(self) -> dict[str, Any]:
        """Every field as a JSON value; with samples, so for whoever has the file anyway."""
        return {
            "format": self.format,
            "source_system": self.source_system,
            "columns": [
                {"header": column.header, "meaning": column.meaning, "sample": column.sample} for column in self.columns
            ],
            "rows_read": self.rows_read,
            "rejected": [
                {
                    "reason_code": each.reason_code,
                    "row_count": each.row_count,
                    "first_line_number": each.first_line_number,
                }
                for each in self.rejected
            ],
        }


def preview(content: bytes, *, region: str) -> Preview:
    """Read a lead file as an upload would, and store nothing.

    Args:
        region: two-letter region that a phone number without a country code belongs to.

    Raises:
        FileRefused: as the upload would be.
    """
    unpacked = unpack(content)
    file_format = sniff(unpacked.content)
    records = read_records(unpacked.content, file_format)
    mapping = map_columns(file_format.headers, records.rows)
    leads = normalise(records, mapping, region=region, lead_source_spellings={})
    return Preview(
        format={**file_format.as_json(), "packing": unpacked.packing},
        source_system=mapping.source_system,
        columns=_columns(mapping, records.rows),
        rows_read=len(leads.leads) + len(leads.rejected),
        rejected=_reasons(leads.rejected),
    )


def _columns(mapping: ColumnMapping, rows: Sequence[Sequence[str]]) -> list[PreviewColumn]:
    samples = [
        next((row[number] for row in rows if not is_missing(row[number])), None)
        for number in range(len(mapping.headers))
    ]
    return [
        PreviewColumn(header, mapping.meaning(number), sample)
        for number, (header, sample) in enumerate(zip(mapping.headers, samples, strict=True))
    ]


def _reasons(rejected: Sequence[RejectedRow]) -> list[RejectReason]:
    lines: dict[str, list[int]] = {}
    for row in rejected:
        lines.setdefault(row.reason_code, []).append(row.line_number)
    reasons = [RejectReason(code, len(numbers), min(numbers)) for code, numbers in lines.items()]
    return sorted(reasons, key=lambda reason: (-reason.row_count, reason.reason_code))
