"""Who the rows of a lead file are whose keys leave a choice: read one after another, by their keys alone. Pure.

The first key that finds somebody decides: the id that the source system gave, then the phone, then the e-mail. Two
different ids of one source are two contacts, even on one phone. A phone or e-mail that means somebody else than the key
before it stays where it is: no key moves from one contact to another. Rows whose keys leave no choice are resolved by
the statements beside this module, with the same result.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID


class KeyRow(NamedTuple):
    """The keys of one row; `row_id` is the id of the contact that it makes if it is a new one's first."""

    line_number: int
    row_id: UUID
    external_id: str | None
    phone_e164: str | None
    email: str | None


class KnownContact(NamedTuple):
    """The keys of a known contact; `claimed_id` is its id in the file's source system."""

    contact_id: UUID
    claimed_id: str | None
    phone_e164: str | None
    email: str | None


class RowPerson(NamedTuple):
    """Whom a row belongs to, and which of its addresses belong to somebody else."""

    line_number: int
    person_id: UUID
    is_known: bool
    phone_is_of_other: bool
    email_is_of_other: bool


def resolve(rows: Iterable[KeyRow], known: Iterable[KnownContact]) -> Iterator[RowPerson]:
    """Give every row its person, in the order of the rows.

    Args:
        rows: in file order; each has an id, a phone or an e-mail.
        known: the contacts that any of those keys could mean, oldest first: among several on one phone or e-mail the
            oldest is meant.
    """
    book = _Book()
    for contact in known:
        book.remember(contact)
    for row in rows:
        person = book.find(row)
        if person is None:
            person = _Person(row.row_id, False)
        phone_is_of_other = book.means_other(book.by_phone, row.phone_e164, person.phone, row, person)
        email_is_of_other = book.means_other(book.by_email, row.email, person.email, row, person)
        book.take(row, person, with_phone=not phone_is_of_other, with_email=not email_is_of_other)
        yield RowPerson(row.line_number, person.person_id, person.is_known, phone_is_of_other, email_is_of_other)


class _Person:
    """A contact by its keys; `claimed_id` is the id of the file's source system that was given to it or found it."""

    __slots__ = ("claimed_id", "email", "is_known", "person_id", "phone")

    def __init__(self, person_id: UUID, is_known: bool) -> None:
        self.person_id, self.is_known = person_id, is_known
        self.claimed_id: str | None = None
        self.phone: str | None = None
        self.email: str | None = None


class _Holders:
    """The persons on one phone or e-mail."""

    __slots__ = ("first", "unclaimed")

    def __init__(self, first: _Person) -> None:
        self.first = first
        self.unclaimed: dict[_Person, None] = {}

    def without_id(self) -> _Person | None:
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

    def __init__(self) -> None:
        self.by_id: dict[str, _Person] = {}
        self.by_phone: dict[str, _Holders] = {}
        self.by_email: dict[str, _Holders] = {}

    def remember(self, contact: KnownContact) -> None:
        """File a known contact under its stored keys."""
        person = _Person(contact.contact_id, True)
        person.phone, person.email, person.claimed_id = contact.phone_e164, contact.email, contact.claimed_id
        if contact.claimed_id is not None:
            self.by_id[contact.claimed_id] = person
        self._file(self.by_phone, contact.phone_e164, person)
        self._file(self.by_email, contact.email, person)

    def take(self, row: KeyRow, person: _Person, *, with_phone: bool, with_email: bool) -> None:
        """Give a person the keys of a row that turned out to be theirs, but for addresses of others."""
        if row.external_id is not None:
            person.claimed_id = row.external_id
            self.by_id[row.external_id] = person
        if with_phone and row.phone_e164 is not None:
            person.phone = row.phone_e164
            self._file(self.by_phone, row.phone_e164, person)
        if with_email and row.email is not None:
            person.email = row.email
            self._file(self.by_email, row.email, person)

    def find(self, row: KeyRow) -> _Person | None:
        if row.external_id is not None and row.external_id in self.by_id:
            return self.by_id[row.external_id]
        return self._holder(self.by_phone, row.phone_e164, row) or self._holder(self.by_email, row.email, row)

    def means_other(
        self, index: dict[str, _Holders], key: str | None, held: str | None, row: KeyRow, person: _Person
    ) -> bool:
        """Whether a row would take this address from somebody else, once it is known to be `person`.

        An address that the person has already is nobody else's, and nor is one that only people with other ids of the
        same source have: a row with an id may share those.
        """
        if key == held:
            return False
        holder = self._holder(index, key, row)
        return holder is not None and holder is not person

    @staticmethod
    def _holder(index: dict[str, _Holders], key: str | None, row: KeyRow) -> _Person | None:
        """Whom a phone or e-mail means in this row."""
        holders = index.get(key) if key is not None else None
        if holders is None:
            return None
        return holders.first if row.external_id is None else holders.without_id()

    @staticmethod
    def _file(index: dict[str, _Holders], key: str | None, person: _Person) -> None:
        if key is None:
            return
        holders = index.get(key)
        if holders is None:
            holders = index[key] = _Holders(person)
        if person.claimed_id is None:
            holders.unclaimed[person] = None
