"""The slow, obvious reading of a lead file that the load is held to: row by row, in memory, one value after another."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.intake.batch import RejectedRow
from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.mapping import ColumnMapping
from engage_pipeline.intake.missing import present
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
from engage_pipeline.intake.phones import phone_e164

Value = TypeVar("Value")

CHANNELS_REFUSED: dict[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): (),
    (True, False): ("ai_call",),
    (False, True): ("email",),
    (True, True): ("ai_call", "email"),
}


@dataclass(frozen=True)
class Records:
    """A file's rows, each as long as the header; `rows` and `line_numbers` go together."""

    rows: Sequence[Sequence[str]]
    line_numbers: Sequence[int]
    rejected: Sequence[RejectedRow]


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
        if mapping.test_lead and any(text.startswith(mapping.test_lead) for text in row):
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
                tags=(*tags, DNC_TAG) if dnc and DNC_TAG not in map(str.upper, tags) else tags,
                custom_fields={**custom, **phone.leftover, **email.leftover},
                other_addresses=phone.others + email.others,
                suppressed_channels=CHANNELS_REFUSED[no_call, no_email],
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
        prefixes = [self.mapping.prefixes.get(number, ()) for number in self.mapping.fields.get("external_id", ())]
        if not any(prefixes):
            return ids
        return (each.removeprefix(prefixes[0][0]) if each else each for each in ids)

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


NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Person:
    """One contact as a file leaves it.

    Attributes:
        contact_id: None when the file makes the contact.
        suppressed_channels: what the person said no to, in the order of `CHANNELS`; kept whatever the address.
        claimed_id: the id of the file's source system that was given to this contact or found it; it may not be the
            stored one, as a contact keeps the id of the system that brought it first.
    """

    contact_id: UUID | None
    source_system: str | None
    external_id: str | None
    phone_e164: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    lead_source: str | None
    tags: list[str]
    custom_fields: dict[str, Any]
    suppressed_channels: list[str]
    claimed_id: str | None = None

    def take(self, lead: Lead, source_system: str, *, of_others: Mapping[str, str] = NO_FIELDS) -> None:
        """Merge a row in: what it says replaces, what it does not say stays, tags are only added.

        Args:
            of_others: fields whose address belongs to somebody else, with the name of the custom field that keeps
                the address instead.
        """
        if lead.external_id is not None:
            self.claimed_id = lead.external_id
            if self.external_id is None:
                self.source_system, self.external_id = source_system, lead.external_id
        if "phone_e164" not in of_others:
            self.phone_e164 = lead.phone_e164 or self.phone_e164
        if "email" not in of_others:
            self.email = lead.email or self.email
        self.first_name = lead.first_name or self.first_name
        self.last_name = lead.last_name or self.last_name
        self.company = lead.company or self.company
        self.lead_source = lead.lead_source or self.lead_source
        if lead.tags:
            has = {tag.casefold() for tag in self.tags}
            self.tags.extend(tag for tag in lead.tags if tag.casefold() not in has)
        self.custom_fields.update(lead.custom_fields)
        self.custom_fields.update((name, getattr(lead, field)) for field, name in of_others.items())
        if lead.suppressed_channels:
            wished = {*self.suppressed_channels, *lead.suppressed_channels}
            self.suppressed_channels = [channel for channel in CHANNELS if channel in wished]

    def refused_channels(self) -> Sequence[str]:
        """The channels that must not be used for this person: all of them with a DNC tag."""
        return CHANNELS if any(map(is_dnc_tag, self.tags)) else self.suppressed_channels

    def state(self) -> tuple[Any, ...]:
        """Everything that an update would store; equal exactly when there is nothing to update."""
        return (
            self.source_system,
            self.external_id,
            self.phone_e164,
            self.email,
            self.first_name,
            self.last_name,
            self.company,
            self.lead_source,
            tuple(self.tags),
            custom_fields_json(self.custom_fields),
            tuple(self.suppressed_channels),
        )


@dataclass(frozen=True)
class Resolution:
    """Who every row is.

    Attributes:
        persons: of each lead, in file order; the same object for rows that are the same contact.
        inserted: contacts that the file makes, in the order of their first rows.
        updated: known contacts that the file changes.
        conflict_lines: line numbers of the rows whose keys mean different people, in file order.
    """

    persons: list[Person]
    inserted: list[Person]
    updated: list[Person]
    conflict_lines: list[int]


def resolve(
    leads: Sequence[Lead], known: Iterable[Person], *, source_system: str, headers: Mapping[str, str] = NO_FIELDS
) -> Resolution:
    """Give every lead its person, row after row, merging each row into the person it is.

    Args:
        leads: usable rows in file order; each has an id, a phone or an e-mail.
        known: the tenant's contacts that any of those keys could mean, oldest first: among several on one phone or
            e-mail the oldest is meant.
        source_system: what the leads' ids belong to.
        headers: phone_e164 and email -> the file's column. In a row whose keys mean different people, the address that
            is somebody else's is kept as a custom field of that name; `phone_e164` and `email` without a header.
    """
    book = _Book(source_system)
    before: dict[Person, tuple[Any, ...]] = {}
    for person in known:
        book.remember(person)
        before[person] = person.state()
    persons: list[Person] = []
    inserted: list[Person] = []
    conflict_lines: list[int] = []
    for lead in leads:
        found = book.find(lead)
        of_others: tuple[str, ...] = ()
        if found is None:
            person = _newcomer()
            inserted.append(person)
        else:
            person, of_others = found, book.fields_of_others(lead, found)
        if of_others:
            conflict_lines.append(lead.line_number)
            person.take(lead, source_system, of_others={field: headers.get(field, field) for field in of_others})
        else:
            person.take(lead, source_system)
        book.remember_keys(person, lead, of_others)
        persons.append(person)
    updated = [person for person, state in before.items() if person.state() != state]
    return Resolution(persons, inserted, updated, conflict_lines)


def _newcomer() -> Person:
    return Person(None, None, None, None, None, None, None, None, None, [], {}, [])


class _Holders:
    """The persons on one phone or e-mail."""

    __slots__ = ("first", "unclaimed")

    def __init__(self, first: Person) -> None:
        self.first = first
        self.unclaimed: dict[Person, None] = {}

    def without_id(self) -> Person | None:
        """The first person that no id of the file's source system belongs to."""
        # A claim is for ever, so claimed persons are dropped: a switchboard's number may have thousands.
        while self.unclaimed:
            person = next(iter(self.unclaimed))
            if person.claimed_id is None:
                return person
            del self.unclaimed[person]
        return None


class _Book:
    """Persons by each key they have or had."""

    def __init__(self, source_system: str) -> None:
        self.source_system = source_system
        self.by_id: dict[str, Person] = {}
        self.by_phone: dict[str, _Holders] = {}
        self.by_email: dict[str, _Holders] = {}

    def remember(self, person: Person) -> None:
        """File a known contact under its stored keys."""
        if person.external_id is not None and person.source_system == self.source_system:
            person.claimed_id = person.external_id
            self.by_id[person.external_id] = person
        self._file(self.by_phone, person.phone_e164, person)
        self._file(self.by_email, person.email, person)

    def remember_keys(self, person: Person, lead: Lead, of_others: Collection[str]) -> None:
        """File a person under the keys of a row that turned out to be theirs, but for addresses of others."""
        if lead.external_id is not None:
            self.by_id[lead.external_id] = person
        if "phone_e164" not in of_others:
            self._file(self.by_phone, lead.phone_e164, person)
        if "email" not in of_others:
            self._file(self.by_email, lead.email, person)

    def find(self, lead: Lead) -> Person | None:
        if lead.external_id is not None and lead.external_id in self.by_id:
            return self.by_id[lead.external_id]
        return self._holder(self.by_phone, lead.phone_e164, lead) or self._holder(self.by_email, lead.email, lead)

    def fields_of_others(self, lead: Lead, person: Person) -> tuple[str, ...]:
        """Which of phone_e164 and email a row would take from somebody else, once it is known to be `person`.

        An address that the person has already is nobody else's, and nor is one that only people with other ids of
        the same source have: a row with an id may share those.
        """
        fields: tuple[str, ...] = ()
        if lead.phone_e164 != person.phone_e164:
            holder = self._holder(self.by_phone, lead.phone_e164, lead)
            if holder is not None and holder is not person:
                fields = ("phone_e164",)
        if lead.email != person.email:
            holder = self._holder(self.by_email, lead.email, lead)
            if holder is not None and holder is not person:
                fields += ("email",)
        return fields

    @staticmethod
    def _holder(index: dict[str, "_Holders"], key: str | None, lead: Lead) -> Person | None:
        """Whom a phone or e-mail means in this row."""
        holders = index.get(key) if key is not None else None
        if holders is None:
            return None
        return holders.first if lead.external_id is None else holders.without_id()

    @staticmethod
    def _file(index: dict[str, _Holders], key: str | None, person: Person) -> None:
        if key is None:
            return
        holders = index.get(key)
        if holders is None:
            holders = index[key] = _Holders(person)
        if person.claimed_id is None:
            holders.unclaimed[person] = None
