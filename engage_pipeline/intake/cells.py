"""Cells that have a type of their own, as the texts and the JSON texts of a batch."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

import pyarrow as pa

from engage_pipeline.intake.batch import Batch, RejectedRow

UNSTORABLE_TEXT = "unstorable_text"


def cell(value: Any) -> tuple[str, str | None]:
    """A value as text and as JSON; ("", None) when there is none. A whole float is an integer: 5.0 is written 5."""
    if value is None or value == "":
        return "", None
    if isinstance(value, str):
        return value, json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        text = "true" if value else "false"
        return text, text
    if isinstance(value, (int, float, Decimal)):
        return _number(value)
    if isinstance(value, (datetime, date, time)):
        # A day of a spreadsheet is the midnight at which it begins.
        day = isinstance(value, datetime) and value.tzinfo is None and value.time() == time.min
        text = value.date().isoformat() if day and isinstance(value, datetime) else value.isoformat()
        return text, json.dumps(text)
    if isinstance(value, timedelta):
        return str(value), json.dumps(str(value))
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return text, json.dumps(text, ensure_ascii=False)
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text, text


def _plain(value: Any) -> float | str:
    """What JSON has no word for, within a list or an object."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _number(value: float | Decimal) -> tuple[str, str | None]:
    if not isfinite(value):
        return "", None
    text = str(int(value)) if value == int(value) and abs(int(value)) < 10**21 else str(value)
    return text, text


def typed_batch(
    numbered_rows: Iterable[tuple[int, Sequence[Any]]], width: int, rejected: Sequence[RejectedRow] = ()
) -> Batch:
    """Rows of `width` values each, with their line numbers. One with a text that is no Unicode is rejected."""
    numbers: list[int] = []
    cells: list[list[tuple[str, str | None]]] = []
    refused = list(rejected)
    for number, values in numbered_rows:
        row = [cell(value) for value in values]
        if any(not _is_unicode(text) for text, _ in row):
            raw_row = tuple(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text, _ in row)
            reason = "the row contains half of a surrogate pair, which is no character"
            refused.append(RejectedRow(number, raw_row, UNSTORABLE_TEXT, reason))
            continue
        numbers.append(number)
        cells.append(row)
    columns = list(zip(*cells, strict=True)) if cells else [()] * width
    return Batch(
        pa.array(numbers, pa.int32()),
        tuple(pa.array([text for text, _ in column], pa.string()) for column in columns),
        tuple(pa.array([as_json for _, as_json in column], pa.string()) for column in columns),
        tuple(refused),
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
