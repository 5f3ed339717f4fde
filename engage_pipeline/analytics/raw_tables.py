"""The operational tables that the warehouse copies: one statement each, in `raw/`, run by PostgreSQL.

A statement takes ids and facts. It never takes a phone number, an e-mail address, a contact's name or free text, since
whoever has the warehouse's file has all of it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from engage_pipeline.analytics.header import read_header

_FOLDER = Path(__file__).parent / "raw"

TRACKED = frozenset(
    {"contacts", "flow_action_logs", "flow_assignments", "flow_executions", "lead_uploads", "rejected_rows"}
)
"""The tables of which PostgreSQL's triggers note what changed (migration 0013). The others are small and read whole."""


@dataclass(frozen=True)
class RawTable:
    """One operational table as the warehouse holds it, in DuckDB's schema `raw`.

    Attributes:
        name: the table's name, in PostgreSQL and in schema `raw`.
        sql: the PostgreSQL query that reads it.
        key: the columns of which no two rows have the same values.
        description: the grain and the notes of the header.
    """

    name: str
    sql: str
    key: tuple[str, ...]
    description: str

    @property
    def is_tracked(self) -> bool:
        """Whether the rows that changed can be asked for."""
        return self.name in TRACKED


@cache
def load_raw_tables() -> tuple[RawTable, ...]:
    """Every raw table, by name."""
    return tuple(_read_raw_table(path) for path in sorted(_FOLDER.glob("*.sql")))


def _read_raw_table(path: Path) -> RawTable:
    sql = path.read_text(encoding="utf-8")
    header = read_header(path, sql)
    return RawTable(name=header.name, sql=sql, key=header.key, description=header.description)
