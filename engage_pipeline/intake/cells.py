"""Cells that have a type of their own, as the texts and the JSON texts of a batch."""

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

import pyarrow as pa

from engage_pipeline.intake.batch import Batch, RejectedRow

UNSTORABLE_TEXT = "unstorable_text"
# Before or behind the point. PostgreSQL takes no number of 200,000, and 1e200000 is written in eight letters.
MOST_DIGITS = 300


def cell(value: Any) -> tuple[str, str | None]:
    """A value as text and as JSON; ("", None) when there is none. A whole float is an integer: 5.0 is written 5."""
    if value is None or value == "":
        return "", None
    if isinstance(value, str):
        # As json.dumps would write it, which takes ten times as long to begin with.
        return value, encode_basestring(value)
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
    return _nested(value)


def _nested(value: Any) -> tuple[str, str]:
    try:
        text = json.dumps(value, ensure_ascii=False, default=_plain, allow_nan=False)
    except ValueError:
        # NaN and infinity are no JSON.
        return str(value), encode_basestring(str(value))
    # A NUL within is as unstorable as one by itself, and is found by its character.
    text = text.replace("\\u0000", "\x00")
    return text, text


def _plain(value: Any) -> float | str:
    """What JSON has no word for, within a list or an object."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _number(value: float | Decimal) -> tuple[str, str | None]:
    if not isfinite(value):
        return "", None
    if isinstance(value, Decimal) and abs(value.adjusted()) > MOST_DIGITS:
        return str(value), encode_basestring(str(value))
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
        if not is_unicode("".join([text for text, _ in row])):
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


def is_unicode(text: str) -> bool:
    """Whether a text can be encoded; one with half of a surrogate pair, as JSON may escape it, cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
