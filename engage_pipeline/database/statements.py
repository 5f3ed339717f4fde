"""Reads the `.sql` files that stand beside the code which runs them."""

from functools import cache
from pathlib import Path


@cache
def load_statement(folder: Path, name: str) -> str:
    """The text of `folder/name.sql`."""
    return (folder / f"{name}.sql").read_text(encoding="utf-8")
