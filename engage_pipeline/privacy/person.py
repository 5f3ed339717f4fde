"""Whom a contact's row means, in every way in which a file or a request may name them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.forgotten import email_said, id_said, phone_said
from engage_pipeline.intake.phones import phone_e164, phones_e164

_FEWEST_TELLING_DIGITS = 8
"""A run of fewer digits may be anything."""


@dataclass(frozen=True)
class Person:
    """What one contact is known by.

    Attributes:
        region: the tenant's default phone region.
        phones, emails: those of the contact's columns and custom fields.
    """

    contact_id: UUID
    user_id: UUID
    tenant_name: str
    region: str
    source_system: str | None
    external_id: str | None
    phones: frozenset[str]
    emails: frozenset[str]

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Person":
        """The person in a row of contact_to_forget.sql."""
        texts = [str(value) for value in row["custom_fields"].values() if isinstance(value, str | int)]
        region = row["default_phone_region"]
        phones = [row["phone_e164"], *(phone_e164(text, region) for text in texts)]
        emails = [row["email"], *(email_address(text) for text in texts)]
        return cls(
            contact_id=row["contact_id"],
            user_id=row["user_id"],
            tenant_name=row["tenant_name"],
            region=region,
            source_system=row["source_system"],
            external_id=row["external_id"],
            phones=frozenset(filter(None, phones)),
            emails=frozenset(filter(None, emails)),
        )

    def said(self) -> list[str]:
        """What the suppression list keeps hashes of."""
        keys = [*map(phone_said, sorted(self.phones)), *map(email_said, sorted(self.emails))]
        if self.source_system and self.external_id:
            keys.append(id_said(self.source_system, self.external_id))
        return keys

    def telling_digits(self) -> list[str]:
        """National digits of the phones, by which they stand in texts that are written in other ways."""
        nationals = [phonenumbers.national_significant_number(phonenumbers.parse(phone)) for phone in self.phones]
        return [digits for digits in nationals if len(digits) >= _FEWEST_TELLING_DIGITS]

    def is_in(self, texts: pa.StringArray) -> pa.BooleanArray:
        """Which cells of a column name the person by phone or e-mail, alone or within a longer text."""
        found = pc.is_in(phones_e164(texts, self.region), value_set=pa.array(sorted(self.phones), pa.string()))
        lowered = pc.utf8_lower(texts)
        for email in self.emails:
            found = pc.or_(found, pc.match_substring(lowered, email))
        bare = pc.replace_substring_regex(texts, pattern=r"[ ().\-/]+", replacement="")
        for digits in self.telling_digits():
            found = pc.or_(found, pc.match_substring(bare, digits))
        return found
