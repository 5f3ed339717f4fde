"""Who a row of a lead file is: a known contact, one that an earlier row of the file made, or a new one. Pure.

The first key that finds somebody decides: the id that the source system gave, then the phone, then the e-mail. Two
different ids of one source are two contacts, even on one phone. A phone or e-mail that means somebody else than the key
before it stays where it is: no key moves from one contact to another.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

from engage_pipeline.database.vocabulary import CHANNELS
from engage_pipeline.intake.normalise import Lead, custom_fields_json, is_dnc_tag

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
