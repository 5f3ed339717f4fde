"""The values of a lead file as contacts keep them. Pure: no database, and nothing of one file is known to the next.

Every cleaning is done once per distinct value of a column.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, TypeVar

from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.mapping import ColumnMapping
from engage_pipeline.intake.missing import present
from engage_pipeline.intake.phones import phone_e164
from engage_pipeline.intake.records import Records, RejectedRow

INVALID_PHONE = "invalid_phone"
INVALID_EMAIL = "invalid_email"
NO_IDENTITY = "no_identity"
UNSTORABLE_TEXT = "unstorable_text"
TEST_LEAD = "test_lead"

DNC_TAG = "DNC"
# As the function engage_has_dnc_tag of the first migration has them, which contacts.is_dnc is computed by.
_DNC_TAGS = frozenset({"dnc", "do not contact", "do-not-contact"})
# What Facebook's lead form testing tool fills in.
_DUMMY_DATA = "<test lead: dummy data for "
# An index entry of PostgreSQL holds 2,704 bytes; a character has up to four.
LONGEST_EXTERNAL_ID = 500

_NO = frozenset({"no", "n", "false", "f", "0", "off"})
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")

_CHANNELS_REFUSED: dict[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): (),
    (True, False): ("ai_call",),
    (False, True): ("email",),
    (True, True): ("ai_call", "email"),
}
"""(do not call, do not e-mail) -> channels."""

Value = TypeVar("Value")


@dataclass(slots=True)
class Lead:
    """One row of a file, cleaned. A missing value is None, and absent from `custom_fields`.

    Attributes:
        line_number: physical line on which the row begins.
        phone_e164, email: the first valid one of the row's columns.
        other_addresses: further valid phones and e-mails of the row: no keys, but what the row says no to holds for
            them as well.
        custom_fields: name -> text, int, float or bool.
        suppressed_channels: what the row's columns Do Not Call and Do Not Email say no to.
    """

    line_number: int
    external_id: str | None
    phone_e164: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    lead_source: str | None
    tags: tuple[str, ...]
    custom_fields: dict[str, Any]
    other_addresses: tuple[str, ...]
    suppressed_channels: tuple[str, ...]


@dataclass(frozen=True)
class Leads:
    """A file's usable rows in file order, and those that become no contact."""

    leads: list[Lead]
    rejected: list[RejectedRow]


def normalise(
    records: Records, mapping: ColumnMapping, *, region: str, lead_source_spellings: Mapping[str, str]
) -> Leads:
    """Clean every row, and reject those without a usable key or with text that PostgreSQL cannot store.

    A phone or e-mail that is present but invalid counts as missing, and its text is kept as a custom field under its
    header; without any other key the row is rejected as `invalid_phone` or `invalid_email`. A consent column says no
    to contact unless it is missing or one of no, n, false, f, 0, off: a date or a remark there is a wish as well.

    Args:
        records: the file's rows, each as long as the header.
        mapping: what each column is.
        region: two-letter region that a phone number without a country code belongs to.
        lead_source_spellings: case-folded lead source -> the spelling to use; the file's first one otherwise.
    """
    if not records.rows:
        return Leads([], list(records.rejected))
    columns = _Columns(list(zip(*records.rows, strict=True)), mapping, region)
    leads: list[Lead] = []
    rejected = list(records.rejected)
    cleaned = zip(
        records.line_numbers,
        columns.external_ids(),
        columns.phones(),
        columns.emails(),
        columns.names(),
        columns.text("company"),
        columns.lead_sources(lead_source_spellings),
        columns.tags(),
        columns.custom_fields(),
        columns.says_no("do_not_call"),
        columns.says_no("do_not_email"),
        columns.says_no("do_not_contact"),
        records.rows,
        strict=True,
    )
    for line, external_id, phone, email, (
        first,
        last,
    ), company, source, tags, custom, no_call, no_email, dnc, row in cleaned:
        if mapping.source_system == "facebook" and any(text.startswith(_DUMMY_DATA) for text in row):
            reason = "the row is a test lead: its fields hold dummy data"
            rejected.append(RejectedRow(line, tuple(row), TEST_LEAD, reason))
            continue
        rejection = _rejection(row, external_id, phone, email, region)
        if rejection is not None:
            rejected.append(RejectedRow(line, tuple(row), *rejection))
            continue
        leads.append(
            Lead(
                line_number=line,
                external_id=external_id,
                phone_e164=phone.address,
                email=email.address,
                first_name=first,
                last_name=last,
                company=company,
                lead_source=source,
                tags=(*tags, DNC_TAG) if dnc else tags,
                custom_fields={**custom, **phone.leftover, **email.leftover},
                other_addresses=phone.others + email.others,
                suppressed_channels=_CHANNELS_REFUSED[no_call, no_email],
            )
        )
    return Leads(leads, rejected)


@dataclass(frozen=True, slots=True)
class _Address:
    """The first valid address of a row; `leftover` is an invalid text by its header, `others` further valid ones."""

    address: str | None
    leftover: dict[str, str]
    others: tuple[str, ...] = ()


_NO_ADDRESS = _Address(None, {})


class _Columns:
    """A file by columns, each method one field of all rows."""

    def __init__(self, columns: list[tuple[str, ...]], mapping: ColumnMapping, region: str) -> None:
        self.columns, self.mapping, self.region = columns, mapping, region
        self.row_count = len(columns[0])

    def text(self, field: str) -> Iterable[str | None]:
        for column in self.mapping.fields.get(field, ()):
            return map(_once_each(present), self.columns[column])
        return repeat(None, self.row_count)

    def external_ids(self) -> Iterable[str | None]:
        ids = self.text("external_id")
        if self.mapping.source_system != "facebook":
            return ids
        # The lead's id has this prefix in a downloaded file only, not in the interfaces that give the same lead.
        return (each.removeprefix("l:") if each else each for each in ids)

    def phones(self) -> Iterable[_Address]:
        return self._addresses("phone", lambda text: phone_e164(text, self.region))

    def emails(self) -> Iterable[_Address]:
        return self._addresses("email", email_address)

    def _addresses(self, field: str, clean: Callable[[str], str | None]) -> Iterable[_Address]:
        numbers = self.mapping.fields.get(field, ())
        if not numbers:
            return repeat(_NO_ADDRESS, self.row_count)
        names = [self.mapping.headers[number] for number in numbers]

        def one(name: str, text: str) -> _Address:
            said = present(text)
            if said is None:
                return _NO_ADDRESS
            address = clean(said)
            return _Address(address, {} if address else {name: text})

        found = [
            map(_once_each(partial(one, name)), self.columns[number])
            for number, name in zip(numbers, names, strict=True)
        ]
        return found[0] if len(found) == 1 else map(_first_valid, zip(*found, strict=True))

    def names(self) -> Iterable[tuple[str | None, str | None]]:
        for column in self.mapping.fields.get("full_name", ()):
            return map(_once_each(split_name), self.columns[column])
        return zip(self.text("first_name"), self.text("last_name"), strict=True)

    def lead_sources(self, spellings: Mapping[str, str]) -> Iterable[str | None]:
        known = dict(spellings)

        def spelled(text: str) -> str | None:
            said = present(text)
            if said is None:
                return None
            folded = " ".join(said.split())
            return known.setdefault(folded.casefold(), folded)

        for column in self.mapping.fields.get("lead_source", ()):
            return map(_once_each(spelled), self.columns[column])
        return repeat(None, self.row_count)

    def tags(self) -> Iterable[tuple[str, ...]]:
        for column in self.mapping.fields.get("tags", ()):
            return map(_once_each(split_tags), self.columns[column])
        return repeat((), self.row_count)

    def says_no(self, field: str) -> Iterable[bool]:
        found = [map(_once_each(states_wish), self.columns[column]) for column in self.mapping.fields.get(field, ())]
        return map(any, zip(*found, strict=True)) if found else repeat(False, self.row_count)

    def custom_fields(self) -> Iterator[dict[str, Any]]:
        names = list(self.mapping.custom_fields.values())
        if not names:
            return ({} for _ in range(self.row_count))
        typed = [map(_once_each(typed_value), self.columns[column]) for column in self.mapping.custom_fields]
        return (
            {name: value for name, value in zip(names, values, strict=True) if value is not None}
            for values in zip(*typed, strict=True)
        )


def split_name(text: str) -> tuple[str | None, str | None]:
    """First and last name of a full one: `Ada Lovelace`, or `Lovelace, Ada`; one word alone is a first name."""
    said = present(text)
    if said is None:
        return None, None
    last, comma, first = said.partition(",")
    if not comma:
        first, _, last = " ".join(said.split()).partition(" ")
    return first.strip() or None, last.strip() or None


def split_tags(text: str) -> tuple[str, ...]:
    """The tags between commas, semicolons and bars, in order, each once whatever its case."""
    tags: dict[str, str] = {}
    for part in re.split(r"[,;|]", text):
        tag = present(part)
        if tag is not None:
            tags.setdefault(tag.casefold(), tag)
    return tuple(tags.values())


def is_dnc_tag(tag: str) -> bool:
    """Whether a tag says do not contact, by any channel."""
    return tag.strip(" ").lower() in _DNC_TAGS


def states_wish(text: str) -> bool:
    """Whether a consent column's value says not to contact; see `normalise`."""
    said = present(text)
    return said is not None and said.casefold() not in _NO


def typed_value(text: str) -> str | int | float | bool | None:
    """A custom field's value: a number or boolean only when it prints as the very same text, None when missing.

    `5` -> 5 and `2.5` -> 2.5, but `05`, `1.50`, `1e3`, `TRUE` and numbers of more than 15 digits stay text.
    """
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and repr(float(text)) == text:
        return float(text)
    return None if present(text) is None else text


def custom_fields_json(fields: Mapping[str, Any]) -> str:
    """One text for equal custom fields, as JSON; true and 1 differ, as they do not in Python."""
    return json.dumps(fields, ensure_ascii=False, sort_keys=True)


def _first_valid(found: Sequence[_Address]) -> _Address:
    valid = tuple(dict.fromkeys(each.address for each in found if each.address))
    leftover = {name: text for each in found for name, text in each.leftover.items()}
    return _Address(valid[0] if valid else None, leftover, valid[1:])


def _rejection(
    row: Sequence[str], external_id: str | None, phone: _Address, email: _Address, region: str
) -> tuple[str, str] | None:
    """Reason code and reason; None for a row that is a contact, if only one that nobody can reach."""
    if any("\x00" in text for text in row):
        return UNSTORABLE_TEXT, "the row contains a NUL character, which PostgreSQL cannot store"
    if external_id is not None:
        if len(external_id) > LONGEST_EXTERNAL_ID:
            return UNSTORABLE_TEXT, f"the id is longer than {LONGEST_EXTERNAL_ID} characters"
        return None
    if phone.address or email.address:
        return None
    if phone.leftover:
        return INVALID_PHONE, f"the phone number is not valid with default region {region}, and there is no other key"
    if email.leftover:
        return INVALID_EMAIL, "the e-mail address is not valid, and there is no other key"
    return NO_IDENTITY, "the row has no phone number, no e-mail address and no id"


def _once_each(clean: Callable[[str], Value]) -> Callable[[str], Value]:
    """`clean`, remembered by value for as long as one column is read."""
    known: dict[str, Value] = {}

    def remembered(text: str) -> Value:
        try:
            return known[text]
        except KeyError:
            return known.setdefault(text, clean(text))

    return remembered
