"""Whole batches of a lead file, cleaned by columns: what `normalise` says of one value, said of many at once. Pure.

A column of few different values is cleaned once for each of them; the others by operations on whole columns, and value
by value only where those cannot decide.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from engage_pipeline.intake.batch import Batch, RejectedRow
from engage_pipeline.intake.emails import email_addresses
from engage_pipeline.intake.instants import instants
from engage_pipeline.intake.mapping import ColumnMapping
from engage_pipeline.intake.missing import missing
from engage_pipeline.intake.normalise import (
    DNC_TAG,
    INVALID_EMAIL,
    INVALID_PHONE,
    LONGEST_EXTERNAL_ID,
    NO_IDENTITY,
    TEST_LEAD,
    UNSTORABLE_TEXT,
    is_dnc_tag,
    split_name,
    split_tags,
    states_wish,
    typed_value,
)
from engage_pipeline.intake.phones import phones_e164
from engage_pipeline.intake.time_zones import time_zones

Mask = npt.NDArray[np.bool_]

# A file may have a different lead source in every row; from here on each keeps its own spelling.
MOST_SPELLINGS = 100_000

_INTEGER = r"\A(0|-?[1-9][0-9]{0,14})\z"
_DECIMAL = r"\A-?(0|[1-9][0-9]*)\.[0-9]*[1-9]\z"
_NEEDS_ESCAPE = r'["\\\x00-\x1f\x7f]'

CLEAN_SCHEMA = pa.schema(
    [
        ("line_number", pa.int32()),
        ("external_id", pa.string()),
        ("phone_e164", pa.string()),
        ("email", pa.string()),
        ("first_name", pa.string()),
        ("last_name", pa.string()),
        ("company", pa.string()),
        ("lead_source", pa.string()),
        ("tags", pa.string()),
        ("custom_fields", pa.string()),
        ("time_zones", pa.string()),
        ("suppressed_channels", pa.string()),
        ("other_addresses", pa.string()),
        ("is_dnc", pa.bool_()),
    ]
)
"""One row for each usable row. Missing is null; lists are array literals of PostgreSQL, custom fields JSON."""


@dataclass(frozen=True)
class CleanBatch:
    """A batch's usable rows, as `CLEAN_SCHEMA` has them, and those that become no contact, by line."""

    rows: pa.Table
    rejected: list[RejectedRow]


@dataclass
class Cleaner:
    """Cleans the batches of one file, in its order.

    Attributes:
        region: two-letter region that a phone number without a country code belongs to.
        zone: the tenant's time zone, for times of files that name none.
        lead_source_spellings: case-folded lead source -> the spelling to use; the file's first ones are added.
    """

    mapping: ColumnMapping
    region: str
    zone: str
    lead_source_spellings: dict[str, str] = field(default_factory=dict)

    def clean(self, batch: Batch) -> CleanBatch:
        """Clean every row, and reject those without a usable key or with text that PostgreSQL cannot store.

        A phone or e-mail that is present but invalid counts as missing, and its text is kept as a custom field under
        its header; without any other key the row is rejected as `invalid_phone` or `invalid_email`. A consent column
        says no to contact unless it is missing or one of no, n, false, f, 0, off: a date or a remark there is a wish.
        A column of times becomes ISO 8601 in UTC; what is no time there stays as it was.
        """
        if not len(batch):
            return CleanBatch(CLEAN_SCHEMA.empty_table(), list(batch.rejected))
        columns = _Columns(_without_prefixes(batch, self.mapping), self.mapping)
        external_id = columns.external_id()
        phones = columns.addresses("phone", lambda texts: phones_e164(texts, self.region))
        emails = columns.addresses("email", email_addresses)
        usable, rejected = _rejected(batch, self.mapping, external_id, phones, emails, self.region)
        first_name, last_name = columns.names()
        tags, is_dnc = columns.tags()
        rows = pa.table(
            [
                batch.line_numbers,
                external_id,
                phones.address,
                emails.address,
                first_name,
                last_name,
                columns.text("company"),
                self._lead_source(columns),
                tags,
                columns.custom_fields(phones.leftovers + emails.leftovers, self._instants),
                time_zones(phones.address, pc.fill_null(columns.text("country"), "")),
                columns.suppressed_channels(),
                _other_addresses(phones, emails),
                is_dnc,
            ],
            schema=CLEAN_SCHEMA,
        )
        if not usable.all():
            rows = rows.filter(pa.array(usable))
        return CleanBatch(rows, sorted([*batch.rejected, *rejected], key=lambda row: row.line_number))

    def _instants(self, texts: pa.Array) -> pa.Array:
        return instants(texts, self.mapping.zone or self.zone, region=self.region)

    def _lead_source(self, columns: "_Columns") -> pa.Array:
        known = self.lead_source_spellings

        def spelled(text: str) -> str:
            folded = " ".join(text.split())
            if len(known) < MOST_SPELLINGS:
                return known.setdefault(folded.casefold(), folded)
            return known.get(folded.casefold(), folded)

        return per_distinct(columns.text("lead_source"), spelled)


@dataclass(frozen=True)
class _Addresses:
    """Of each row the first valid address of a kind.

    Attributes:
        address: null where there is none.
        others: further valid ones, one array for each further column.
        leftovers: header, and the texts there that are present and invalid, null elsewhere.
    """

    address: pa.Array
    others: list[pa.Array]
    leftovers: list[tuple[str, pa.Array]]

    def has_leftover(self) -> Mask:
        found = [pc.is_valid(texts).to_numpy(zero_copy_only=False) for _, texts in self.leftovers]
        return np.logical_or.reduce(found) if found else np.zeros(len(self.address), bool)


def present(texts: pa.Array) -> pa.Array:
    """The texts without blanks around them; null where they say nothing."""
    return pc.if_else(missing(texts), pa.scalar(None, pa.string()), pc.utf8_trim_whitespace(texts))


def per_distinct(texts: pa.Array, clean: Callable[[str], Any], result: pa.DataType | None = None) -> pa.Array:
    """`clean` of each text that is not null, worked out once for each different one."""
    encoded = texts.dictionary_encode()
    cleaned = pa.array([clean(text) for text in encoded.dictionary.to_pylist()], result or pa.string())
    return cleaned.take(encoded.indices)


class _Columns:
    """A batch by columns, each method one field of all rows."""

    def __init__(self, batch: Batch, mapping: ColumnMapping) -> None:
        self.batch, self.mapping = batch, mapping
        self.nothing = pa.nulls(len(batch), pa.string())

    def text(self, field_name: str) -> pa.Array:
        for column in self.mapping.fields.get(field_name, ()):
            return present(self.batch.texts[column])
        return self.nothing

    def external_id(self) -> pa.Array:
        return self.text("external_id")

    def addresses(self, field_name: str, clean: Callable[[pa.Array], pa.Array]) -> _Addresses:
        found: list[pa.Array] = []
        leftovers: list[tuple[str, pa.Array]] = []
        for number in self.mapping.fields.get(field_name, ()):
            texts = present(self.batch.texts[number])
            addresses = clean(pc.fill_null(texts, ""))
            found.append(addresses)
            if addresses.null_count > texts.null_count:
                invalid = pc.and_(pc.is_valid(texts), pc.is_null(addresses))
                kept = pc.if_else(invalid, self.batch.texts[number], pa.scalar(None, pa.string()))
                leftovers.append((self.mapping.headers[number], kept))
        if not found:
            return _Addresses(self.nothing, [], [])
        return _Addresses(pc.coalesce(*found) if len(found) > 1 else found[0], found[1:], leftovers)

    def names(self) -> tuple[pa.Array, pa.Array]:
        for column in self.mapping.fields.get("full_name", ()):
            encoded = self.batch.texts[column].dictionary_encode()
            names = [split_name(text) for text in encoded.dictionary.to_pylist()]
            firsts, lasts = (pa.array([name[part] for name in names], pa.string()) for part in (0, 1))
            return firsts.take(encoded.indices), lasts.take(encoded.indices)
        return self.text("first_name"), self.text("last_name")

    def tags(self) -> tuple[pa.Array, pa.Array]:
        """The tags as an array literal, and whether they say do not contact."""
        refuses = self.says_no("do_not_contact")
        literals = pa.array(["{}"] * len(self.batch), pa.string())
        with_dnc = pa.array(["{" + DNC_TAG + "}"] * len(self.batch), pa.string())
        is_dnc = refuses
        for column in self.mapping.fields.get("tags", ()):
            encoded = self.batch.texts[column].dictionary_encode()
            tags = [split_tags(text) for text in encoded.dictionary.to_pylist()]
            literals = pa.array([array_literal(each) for each in tags], pa.string()).take(encoded.indices)
            more = [array_literal(each if _has_dnc(each) else (*each, DNC_TAG)) for each in tags]
            with_dnc = pa.array(more, pa.string()).take(encoded.indices)
            says = pa.array([any(map(is_dnc_tag, each)) for each in tags], pa.bool_()).take(encoded.indices)
            is_dnc = pc.or_(refuses, says)
        return pc.if_else(refuses, with_dnc, literals), is_dnc

    def says_no(self, field_name: str) -> pa.Array:
        answer = pa.array(np.zeros(len(self.batch), bool))
        for column in self.mapping.fields.get(field_name, ()):
            answer = pc.or_(answer, per_distinct(self.batch.texts[column], states_wish, pa.bool_()))
        return answer

    def suppressed_channels(self) -> pa.Array:
        no_call, no_email = self.says_no("do_not_call"), self.says_no("do_not_email")
        return pc.if_else(
            no_call, pc.if_else(no_email, "{ai_call,email}", "{ai_call}"), pc.if_else(no_email, "{email}", "{}")
        )

    def custom_fields(
        self, leftovers: Sequence[tuple[str, pa.Array]], read_instants: Callable[[pa.Array], pa.Array]
    ) -> pa.Array:
        """One JSON object a row. A leftover comes last: of a name that is there twice, the last value counts."""
        values = {number: self._json_value(number) for number in self.mapping.custom_fields}
        for number in self.mapping.instants:
            times = _json_texts(read_instants(self.batch.texts[number]))
            values[number] = pc.coalesce(times, values[number])
        parts = [_member(name, values[number]) for number, name in self.mapping.custom_fields.items()] + [
            _member(name, _json_texts(texts)) for name, texts in leftovers
        ]
        if not parts:
            return pa.array(["{}"] * len(self.batch), pa.string())
        # Each begins with a comma, and the first of them is taken out again. The join's own way of skipping nulls gives
        # too few rows where a row has nothing else.
        members = pc.binary_join_element_wise("{", *(pc.fill_null(part, "") for part in parts), "}", "")
        return pc.replace_substring(members, "{, ", "{", max_replacements=1)

    def _json_value(self, number: int) -> pa.Array:
        texts, typed = self.batch.texts[number], self.batch.json[number]
        if typed is None:
            return _guessed_json(texts)
        return pc.if_else(pc.is_valid(present(texts)), typed, pa.scalar(None, pa.string()))


def _without_prefixes(batch: Batch, mapping: ColumnMapping) -> Batch:
    """The batch as if its cells did not begin with what its source system puts in front."""
    texts, json_texts = list(batch.texts), list(batch.json)
    for number, prefixes in mapping.prefixes.items():
        pattern = rf"^\s*(?:{'|'.join(map(re.escape, prefixes))})"
        texts[number] = pc.replace_substring_regex(batch.texts[number], pattern=pattern, replacement="")
        if json_texts[number] is not None:
            changed = pc.not_equal(texts[number], batch.texts[number])
            json_texts[number] = pc.if_else(changed, _json_texts(texts[number]), json_texts[number])
    return replace(batch, texts=tuple(texts), json=tuple(json_texts))


def _has_dnc(tags: Sequence[str]) -> bool:
    return any(tag.casefold() == DNC_TAG.casefold() for tag in tags)


def _guessed_json(texts: pa.Array) -> pa.Array:
    """`typed_value` of each text as JSON."""
    sample = texts.slice(0, 2048)
    if len(pc.unique(sample)) <= len(sample) // 4:
        return per_distinct(texts, _json_of_text)
    quoted = _json_texts(texts)
    plain = pc.match_substring_regex(texts, _INTEGER)
    json_texts = pc.if_else(pc.is_null(present(texts)), pa.scalar(None, pa.string()), pc.if_else(plain, texts, quoted))
    undecided = pc.or_(
        pc.match_substring_regex(texts, _DECIMAL), pc.is_in(texts, value_set=pa.array(["true", "false"]))
    )
    return _replaced(json_texts, undecided, texts, _json_of_text)


def _json_of_text(text: str) -> str | None:
    value = typed_value(text)
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _json_texts(texts: pa.Array) -> pa.Array:
    """Each text as a JSON string; null stays null."""
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    needs_escape = pc.fill_null(pc.match_substring_regex(texts, _NEEDS_ESCAPE), False)
    return _replaced(quoted, needs_escape, texts, lambda text: json.dumps(text, ensure_ascii=False))


def _replaced(values: pa.Array, where: pa.Array, texts: pa.Array, clean: Callable[[str], str | None]) -> pa.Array:
    """`values`, but `clean` of the text where `where` says so."""
    if not pc.any(where).as_py():
        return values
    return pc.replace_with_mask(values, where, per_distinct(texts.filter(where), clean))


def _member(name: str, json_texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(f", {json.dumps(name, ensure_ascii=False)}: ", json_texts, "")


def array_literal(texts: Sequence[str]) -> str:
    """A list of texts as PostgreSQL reads an array."""
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return "{" + ",".join(quoted) + "}"


def _other_addresses(*kinds: _Addresses) -> pa.Array:
    """Further valid addresses of each row, each once."""
    row_count = len(kinds[0].address)
    literals = pa.array(["{}"] * row_count, pa.string())
    several = np.zeros(row_count, bool)
    for kind in kinds:
        for others in kind.others:
            differs = pc.fill_null(pc.not_equal(others, kind.address), False)
            several |= differs.to_numpy(zero_copy_only=False)
    places = np.flatnonzero(several)
    if not len(places):
        return literals
    chosen = pa.array(places)
    found: list[dict[str, None]] = [{} for _ in places]
    for kind in kinds:
        firsts = kind.address.take(chosen).to_pylist()
        for others in kind.others:
            for held, first, other in zip(found, firsts, others.take(chosen).to_pylist(), strict=True):
                if other is not None and other != first:
                    held[other] = None
    filled = pa.array([array_literal(tuple(held)) for held in found], pa.string())
    return pc.replace_with_mask(literals, pa.array(several), filled)


def _rejected(
    batch: Batch,
    mapping: ColumnMapping,
    external_id: pa.Array,
    phones: _Addresses,
    emails: _Addresses,
    region: str,
) -> tuple[Mask, list[RejectedRow]]:
    """Which rows are usable, if only as contacts that nobody can reach, and the others with their reason."""
    has_nul, is_test = np.zeros(len(batch), bool), np.zeros(len(batch), bool)
    for texts in batch.texts:
        has_nul |= _contains_nul(texts)
        for beginning in mapping.test_lead:
            is_test |= _mask(pc.starts_with(texts, beginning))
    is_long = _mask(pc.fill_null(pc.greater(pc.utf8_length(external_id), LONGEST_EXTERNAL_ID), False))
    no_key = ~_mask(pc.is_valid(pc.coalesce(external_id, phones.address, emails.address)))
    unusable = is_test | has_nul | is_long | no_key
    if not unusable.any():
        return ~unusable, []
    bad_phone, bad_email = phones.has_leftover(), emails.has_leftover()
    # The first that holds is the reason.
    reasons: Mapping[tuple[str, str], Mask] = {
        (TEST_LEAD, "the row is a test lead: its fields hold dummy data"): is_test,
        (UNSTORABLE_TEXT, "the row contains a NUL character, which PostgreSQL cannot store"): has_nul,
        (UNSTORABLE_TEXT, f"the id is longer than {LONGEST_EXTERNAL_ID} characters"): is_long,
        (
            INVALID_PHONE,
            f"the phone number is not valid with default region {region}, and there is no other key",
        ): bad_phone,
        (INVALID_EMAIL, "the e-mail address is not valid, and there is no other key"): bad_email,
        (NO_IDENTITY, "the row has no phone number, no e-mail address and no id"): no_key,
    }
    places = np.flatnonzero(unusable)
    chosen = pa.array(places)
    raw_rows = zip(*(texts.take(chosen).to_pylist() for texts in batch.texts), strict=True)
    lines = batch.line_numbers.take(chosen).to_pylist()
    rejected = [
        RejectedRow(line, raw_row, *next(reason for reason, holds in reasons.items() if holds[place]))
        for place, line, raw_row in zip(places, lines, raw_rows, strict=True)
    ]
    return ~unusable, rejected


def _contains_nul(texts: pa.Array) -> Mask | bool:
    buffer = texts.buffers()[2]
    if buffer is None or b"\x00" not in memoryview(buffer).tobytes():
        return False
    return _mask(pc.match_substring(texts, "\x00"))


def _mask(values: pa.Array) -> Mask:
    mask: Mask = values.to_numpy(zero_copy_only=False)
    return mask
