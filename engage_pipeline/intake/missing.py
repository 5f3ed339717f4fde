"""Cells that say nothing: blank, or what forms and exports write when nothing was chosen."""

import pyarrow as pa
import pyarrow.compute as pc

_WORDS = frozenset({"select", "unknown", "n/a", "-"})


def present(text: str) -> str | None:
    """The text without blanks around it; None when it says nothing."""
    stripped = text.strip()
    return None if not stripped or stripped.lower() in _WORDS else stripped


def is_missing(text: str) -> bool:
    """Whether a cell says nothing: blank, `-`, n/a, unknown, or a form's `Select`, in any case."""
    return present(text) is None


def missing(texts: pa.StringArray) -> pa.BooleanArray:
    """`is_missing` of every text of a column, which has no nulls."""
    stripped = pc.utf8_trim_whitespace(texts)
    return pc.or_(
        pc.equal(stripped, ""), pc.is_in(pc.utf8_lower(stripped), value_set=pa.array(sorted(_WORDS), pa.string()))
    )
