"""Metadata that a person can use: counts, shares and short preview tables. Ids only, nothing personal."""

from collections.abc import Mapping, Sequence

import dagster as dg

PREVIEW_ROWS = 10


def counts_table(counts: Mapping[str, int], *, name: str, count: str = "contacts") -> dg.TableMetadataValue:
    """A table of names, counts and their share of the whole, largest first."""
    total = sum(counts.values())
    return dg.MetadataValue.table(
        [
            dg.TableRecord({name: key, count: value, "share": f"{value / total:.1%}" if total else ""})
            for key, value in sorted(counts.items(), key=lambda item: -item[1])
        ],
        schema=_schema({name: "string", count: "int", "share": "string"}),
    )


def records_table(records: Sequence[Mapping[str, str | int | float]]) -> dg.TableMetadataValue:
    """Records with the same keys as a table."""
    columns = {key: _kind(value) for key, value in records[0].items()} if records else {}
    return dg.MetadataValue.table([dg.TableRecord(dict(record)) for record in records], schema=_schema(columns))


def _kind(value: str | float) -> str:
    return "string" if isinstance(value, str) else "float" if isinstance(value, float) else "int"


def _schema(columns: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
