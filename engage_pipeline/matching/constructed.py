"""Contacts that were thought up, as rows that the compiled program can match."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import phonenumbers
import pyarrow as pa

from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.matching.attributes import Attribute, texts_of
from engage_pipeline.matching.columns import ContactColumns
from engage_pipeline.matching.program import Program
from engage_pipeline.matching.search import Candidate
from engage_pipeline.matching.staging import staged_batches

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = ("contact_id", "user_id", "lead_source", "entry_type", "tags", "email_domain", "phone_e164", "custom_fields")
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("is_dnc", pa.bool_()),
        *((f"can_{channel}{suffix}", pa.bool_()) for channel in CHANNELS for suffix in ("", "_address")),
    ]
)


@dataclass(frozen=True)
class Place:
    """Where a constructed contact stands."""

    batch: int
    row: int


def constructed_columns(
    program: Program, candidates: Sequence[Candidate], staging: duckdb.DuckDBPyConnection
) -> tuple[list[ContactColumns], list[Place | None]]:
    """The contacts in batches, one a moment at which they are matched, and the place of each.

    A contact that nobody could be, as its creation lies in no year that there is, has no place.
    """
    by_moment: dict[int, list[dict[str, Any]]] = {}
    places: list[Place | None] = []
    user_id = str(program.flows[0].user_id) if program.flows else ""
    for candidate in candidates:
        try:
            row = _row(candidate, user_id)
        except OverflowError:
            places.append(None)
            continue
        rows = by_moment.setdefault(candidate.now, [])
        places.append(Place(list(by_moment).index(candidate.now), len(rows)))
        rows.append(row)
    columns = []
    for moment, rows in by_moment.items():
        staging.register("contacts", pa.Table.from_pylist(rows, schema=_SCHEMA))
        staged = pa.Table.from_batches(staged_batches(staging, program.custom_field_names)).combine_chunks()
        columns.append(ContactColumns(staged.to_batches()[0], program.custom_field_names, moment))
    return columns, places


def described(candidate: Candidate) -> dict[str, Any]:
    """What the contact has, by condition type; `matched_at` where it matters when."""
    said: dict[str, Any] = {}
    for attribute, value in sorted(candidate.values.items()):
        if attribute.condition_type == "custom_field":
            said.setdefault("custom_fields", {})[attribute.custom_field_name] = _only(value.texts)
        elif attribute.condition_type == "created_at":
            said["created_at"] = _moment(value.instant or 0).isoformat()
        elif attribute.condition_type == "tag":
            said["tags"] = list(value.texts)
        else:
            said[attribute.condition_type] = _only(value.texts)
    if any(value.now is not None for value in candidate.values.values()):
        said["matched_at"] = _moment(candidate.now).isoformat()
    return said


def _row(candidate: Candidate, user_id: str) -> dict[str, Any]:
    values = candidate.values
    single = {
        name: _only(values[Attribute(name)].texts) if Attribute(name) in values else None
        for name in ("lead_source", "entry_type", "email_domain", "phone_country")
    }
    if Attribute("entry_type") not in values:
        single["entry_type"] = "bulk_upload"  # the column is never null, only blank
    created_at = values[Attribute("created_at")].instant if Attribute("created_at") in values else candidate.now
    tags = values[Attribute("tag")].texts if Attribute("tag") in values else ()
    fields = {
        attribute.custom_field_name: value.texts[0]
        for attribute, value in values.items()
        if attribute.condition_type == "custom_field" and value.texts
    }
    return {
        "contact_id": "",
        "user_id": user_id,
        "lead_source": single["lead_source"],
        "entry_type": single["entry_type"] or "",
        "email_domain": single["email_domain"],
        "tags": json.dumps(list(tags)),
        "phone_e164": _number_of(single["phone_country"]),
        "custom_fields": json.dumps(fields),
        "created_at": _moment(candidate.now if created_at is None else created_at),
        "is_dnc": False,
        **{f"can_{channel}{suffix}": True for channel in CHANNELS for suffix in ("", "_address")},
    }


def _only(texts: Sequence[str]) -> str | None:
    return texts[0] if texts else None


def _moment(instant: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant)


def _number_of(country: str | None) -> str | None:
    """Some number of the country, for `phone_country` to read."""
    if country is None:
        return None
    example = phonenumbers.example_number(country)
    if example is None:
        return None
    number: str = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    return number if texts_of("phone", number) == (country,) else None
