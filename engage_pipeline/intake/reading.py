"""A lead file as clean rows: its table, its mapping and its batches together. No database."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from engage_pipeline.intake.batch import Batch
from engage_pipeline.intake.mapping import ColumnMapping, MappingOptions, map_columns
from engage_pipeline.intake.table import Table, opened_table
from engage_pipeline.intake.vectors import CleanBatch, Cleaner, present


class Reading:
    """One pass over a file.

    Args:
        table: open.
        options: what is known about its columns; see `mapping.MappingOptions`.
        region, zone, lead_source_spellings: see `vectors.Cleaner`.

    Raises:
        FileRefused: no_identifying_column, mapping_does_not_fit.
    """

    def __init__(
        self,
        table: Table,
        options: Mapping[str, Any],
        *,
        region: str,
        zone: str,
        lead_source_spellings: dict[str, str],
    ) -> None:
        headers = table.format.headers
        self.table = table
        # A row with something everywhere: what a column without a name is called is needed before any row was read.
        known = MappingOptions.from_json(options)
        mapping = map_columns(headers, [["x"] * len(headers)], options=known)
        self.cleaner = Cleaner(mapping, region, zone, lead_source_spellings)
        self.nameless = {number for number, header in enumerate(headers) if not header}

    def batches(self) -> Iterator[tuple[Batch, CleanBatch]]:
        """Every row once, as it was and cleaned.

        Raises:
            FileRefused: what only shows while the file is read.
        """
        for batch in self.table.batches():
            for number in list(self.nameless):
                if pc.any(pc.is_valid(present(batch.texts[number]))).as_py():
                    self.nameless.remove(number)
            yield batch, self.cleaner.clean(batch)

    def mapping(self) -> ColumnMapping:
        """What each column is. A nameless one in which no row so far had anything is none."""
        mapping = self.cleaner.mapping
        kept = {number: name for number, name in mapping.custom_fields.items() if number not in self.nameless}
        return replace(mapping, custom_fields=kept)


@contextmanager
def opened_reading(
    path: Path, options: Mapping[str, Any], *, region: str, zone: str, lead_source_spellings: dict[str, str]
) -> Iterator[Reading]:
    """Open a lead file to read it once.

    Args:
        options: see `table.opened_table` and `mapping.MappingOptions`.
        region, zone, lead_source_spellings: see `vectors.Cleaner`.

    Raises:
        FileRefused: the file cannot be read with certainty, or names nobody.
    """
    with opened_table(path, options) as table:
        yield Reading(table, options, region=region, zone=zone, lead_source_spellings=lead_source_spellings)
