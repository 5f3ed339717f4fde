"""What an upload of a file would make of it, without a database: its format, its columns, its rejects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from engage_pipeline.intake.batch import Batch
from engage_pipeline.intake.reading import opened_reading
from engage_pipeline.intake.uploads import RejectReason
from engage_pipeline.intake.vectors import present


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
        preset: by which the columns were read.
        source_system: what ids of the file belong to.
        columns: in file order.
        rejected: why rows would be rejected, the most frequent reason first. Who the others are is not asked: whether
            they are new, changed or known is up to the contacts at the time of the upload.
    """

    format: dict[str, Any]
    preset: str
    source_system: str
    columns: list[PreviewColumn]
    rows_read: int
    rejected: list[RejectReason]

    def as_json(self) -> dict[str, Any]:
        """Every field as a JSON value; with samples, so for whoever has the file anyway."""
        return {
            "format": self.format,
            "preset": self.preset,
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


def preview(
    path: Path,
    *,
    region: str,
    zone: str,
    options: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Preview:
    """Read a lead file as an upload would, and store nothing.

    Args:
        region: two-letter region that a phone number without a country code belongs to.
        zone: time zone of times that name none.
        options: what is known about the file; see `uploads.UploadOptions`.
        on_progress: called with the rows read so far.

    Raises:
        FileRefused: as the upload would be.
    """
    with opened_reading(path, options or {}, region=region, zone=zone, lead_source_spellings={}) as reading:
        samples: list[str | None] = [None] * len(reading.table.format.headers)
        lines: dict[str, list[int]] = {}
        rows_read = 0
        for batch, cleaned in reading.batches():
            _fill(samples, batch)
            for row in cleaned.rejected:
                count_and_first = lines.setdefault(row.reason_code, [0, row.line_number])
                count_and_first[0] += 1
                count_and_first[1] = min(count_and_first[1], row.line_number)
            rows_read += len(cleaned.rows) + len(cleaned.rejected)
            on_progress(rows_read)
        mapping = reading.mapping()
    reasons = [RejectReason(code, count, first) for code, (count, first) in lines.items()]
    return Preview(
        format=reading.table.format_json(),
        preset=mapping.preset,
        source_system=mapping.source_system,
        columns=[
            PreviewColumn(header, mapping.meaning(number), sample)
            for number, (header, sample) in enumerate(zip(mapping.headers, samples, strict=True))
        ],
        rows_read=rows_read,
        rejected=sorted(reasons, key=lambda reason: (-reason.row_count, reason.reason_code)),
    )


def _fill(samples: list[str | None], batch: Batch) -> None:
    """Give each column without a sample the batch's first text that says something."""
    for number, sample in enumerate(samples):
        if sample is None:
            found = pc.drop_null(present(batch.texts[number]))
            samples[number] = found[0].as_py() if len(found) else None
