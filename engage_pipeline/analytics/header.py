"""Reads the comment at the top of a `.sql` file, which is the file's contract: name, grain, inputs, notes, columns."""

import re
from dataclasses import dataclass
from pathlib import Path

from engage_pipeline.analytics.errors import BrokenModel

_FIELD = re.compile(r"-- (grain|reads|refresh|note|column \w+):\s*(.*)")
_CONTINUED = re.compile(r"--\s{2,}(.*)")
_KEY = re.compile(r"\(([\w, ]+)\)$")


@dataclass(frozen=True)
class Header:
    """What the comment at the top of a `.sql` file promises."""

    name: str
    grain: str
    key: tuple[str, ...]
    reads: tuple[str, ...]
    refresh: str
    notes: tuple[str, ...]
    columns: dict[str, str]

    @property
    def description(self) -> str:
        """The grain and the notes as sentences."""
        return " ".join(f"{part[:1].upper()}{part[1:]}." for part in (self.grain, *self.notes))


def read_header(path: Path, sql: str) -> Header:
    """The header of a model or raw table.

    Raises:
        BrokenModel: the first line is not `-- <name of the file>`, or no grain with its key in brackets is given.
    """
    name, *lines = sql.splitlines() or [""]
    if name != f"-- {path.stem}":
        raise BrokenModel(path, reason="its first line does not name it", fix=f"begin the file with `-- {path.stem}`")
    fields = _header_fields(lines)
    columns = {field.removeprefix("column "): text for field, text in fields if field.startswith("column ")}
    grain = " ".join(text for field, text in fields if field == "grain")
    key = _KEY.search(grain)
    if key is None:
        raise BrokenModel(
            path,
            reason="its header does not say what one row is",
            fix="add a line like `-- grain: one row per flow (flow_id)`, with the key's columns in brackets",
        )
    return Header(
        name=path.stem,
        grain=grain,
        key=_names(key.group(1)),
        reads=tuple(sorted(name for field, text in fields if field == "reads" for name in _names(text))),
        refresh=" ".join(text for field, text in fields if field == "refresh"),
        notes=tuple(text for field, text in fields if field == "note"),
        columns=columns,
    )


def _header_fields(lines: list[str]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in lines:
        if found := _FIELD.fullmatch(line):
            fields.append((found.group(1), found.group(2)))
        elif fields and (found := _CONTINUED.fullmatch(line)):
            field, text = fields[-1]
            fields[-1] = (field, f"{text} {found.group(1)}")
        else:
            break
    return fields


def _names(listed: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in listed.split(",") if name.strip())
