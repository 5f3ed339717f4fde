"""Which column of a lead file is which field of a contact. Looks at header names, never at a provider."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engage_pipeline.intake.errors import FileRefused

# By folded header (see `fold`), the better source first. A mobile number can take a WhatsApp message, so it leads.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "external_id": (
        "externalid", "leadid", "recordid", "prospectid", "uniquequeryid", "contactid", "customerid", "id",
    ),
    "phone": (
        "mobile", "mobilephone", "mobilenumber", "mobileno", "cell", "cellphone", "cellnumber", "sendermobile",
        "whatsapp", "whatsappnumber", "phone", "phonenumber", "phoneno", "phonee164", "contactphonenumber",
        "contactphone", "contactnumber", "telephone", "telephonenumber", "tel", "senderphone", "primaryphone",
        "workphone", "officephone", "homephone", "sendermobilealt", "senderphonealt",
    ),
    "email": (
        "email", "emailaddress", "mail", "mailaddress", "contactemail", "primaryemail", "senderemail", "workemail",
        "businessemail", "personalemail", "senderemailalt",
    ),
    "first_name": ("firstname", "givenname", "forename", "fname"),
    "last_name": ("lastname", "surname", "familyname", "lname"),
    "full_name": ("fullname", "name", "contactname", "leadname", "customername", "sendername"),
    "company": (
        "company", "companyname", "companyaccount", "organization", "organisation", "organizationname",
        "organisationname", "accountname", "account", "sendercompany", "associatedcompany",
    ),
    "lead_source": ("leadsource", "source", "originalsource"),
    "tags": ("tags", "tag", "labels"),
    "do_not_call": (
        "donotcall", "donotphone", "phoneoptout", "calloptout", "hasoptedoutofcalls", "dncmobile", "dncphone",
    ),
    "do_not_email": (
        "donotemail", "emailoptout", "hasoptedoutofemail", "emailoptedout", "optedoutofemail",
        "unsubscribedfromallemail",
    ),
    "do_not_contact": ("donotcontact", "dnc"),
}  # fmt: skip

# What `rejects` puts in front of a quarantined row; passed over when the mended file comes back.
REJECT_COLUMNS = ("engage_line_number", "engage_reason_code", "engage_reason")

# Every column of these counts: a second phone column helps where the first is blank, and any "no" is a "no".
_SEVERAL = ("phone", "email", "do_not_call", "do_not_email", "do_not_contact")
_CONSENT = ("do_not_call", "do_not_email", "do_not_contact")
_IDENTIFYING = ("external_id", "phone", "email")

# The columns that betray an exporting system; what they are for is in each system's own export.
_SHAPES: tuple[tuple[str, frozenset[str]], ...] = (
    ("indiamart", frozenset({"uniquequeryid", "querytype"})),
    ("justdial", frozenset({"leadid", "leadtype", "parentid"})),
    ("facebook", frozenset({"id", "formid", "campaignid"})),
    ("hubspot", frozenset({"recordid", "lifecyclestage"})),
    ("salesforce", frozenset({"id", "ownerid", "leadsource"})),
    ("zoho", frozenset({"leadid", "leadowner", "leadstatus"})),
)


@dataclass(frozen=True)
class ColumnMapping:
    """Column numbers, from 0, by what they mean.

    Attributes:
        headers: the file's own.
        source_system: the system that external ids of this shape of file belong to.
        fields: contact field or consent -> its columns, the better source first.
        custom_fields: column number -> name of the custom field it fills. Second phone and e-mail columns and the
            consent columns are here as well, so that nothing of the file is lost.
    """

    headers: tuple[str, ...]
    source_system: str
    fields: dict[str, tuple[int, ...]]
    custom_fields: dict[int, str]

    def as_json(self) -> dict[str, Any]:
        """The value of `lead_uploads.column_mapping`; a column that is read nowhere maps to null."""
        meanings = {header: self.meaning(number) for number, header in enumerate(self.headers)}
        return {"source_system": self.source_system, "columns": meanings}

    def meaning(self, number: int) -> str | None:
        """The contact field, consent or `custom_fields.<name>` that a column fills; None when it is read nowhere."""
        custom = self.custom_fields.get(number)
        field = next((field for field, columns in self.fields.items() if number in columns), None)
        return field or (None if custom is None else f"custom_fields.{custom}")


def fold(header: str) -> str:
    """A header without case, blanks, underscores and punctuation."""
    return "".join(character for character in header.casefold() if character.isalnum())


def map_columns(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> ColumnMapping:
    """Find each contact field's columns; `rows` only tell whether a column without a name holds anything.

    Raises:
        FileRefused: no_identifying_column, when no header is a phone, an e-mail or an external id.
    """
    folded = [fold(header) for header in headers]
    fields = {field: columns for field in SYNONYMS if (columns := _columns_of(field, folded))}
    if not any(field in fields for field in _IDENTIFYING):
        raise _no_identifying_column(headers)
    if "first_name" in fields or "last_name" in fields:
        fields.pop("full_name", None)
    taken = {
        column
        for field, columns in fields.items()
        if field not in _CONSENT
        for column in (columns[:1] if field in _SEVERAL else columns)
    }
    return ColumnMapping(
        headers=tuple(headers),
        source_system=_source_system(folded, fields),
        fields=fields,
        custom_fields=_custom_names(headers, rows, taken),
    )


def _columns_of(field: str, folded: Sequence[str]) -> tuple[int, ...]:
    found = tuple(number for synonym in SYNONYMS[field] for number, header in enumerate(folded) if header == synonym)
    return found if field in _SEVERAL else found[:1]


def _source_system(folded: Sequence[str], fields: dict[str, tuple[int, ...]]) -> str:
    present = frozenset(folded)
    for name, needed in _SHAPES:
        if needed <= present:
            return name
    # Ids of unknown files share a namespace only when their id columns have the same name.
    return f"file:{folded[fields['external_id'][0]]}" if "external_id" in fields else "file"


def _custom_names(headers: Sequence[str], rows: Iterable[Sequence[str]], taken: set[int]) -> dict[int, str]:
    taken = taken | {number for number, header in enumerate(headers) if header in REJECT_COLUMNS}
    nameless = {number for number, header in enumerate(headers) if not header}
    if nameless:
        filled: set[int] = set()
        for row in rows:
            filled.update(number for number in nameless - filled if row[number].strip())
        nameless -= filled
    used = set(headers)
    names = {}
    for number, header in enumerate(headers):
        if number in taken or number in nameless:
            continue
        name = header or f"column_{number + 1}"
        while not header and name in used:
            name += "_"
        used.add(name)
        names[number] = name
    return names


def _no_identifying_column(headers: Sequence[str]) -> FileRefused:
    return FileRefused(
        "no_identifying_column",
        what="the file has no column that identifies a contact",
        why=f"none of its headers names a phone number, an e-mail address or an id: {', '.join(headers)}",
        fix="name such a column Phone, Email or Lead Id, or add one",
    )
