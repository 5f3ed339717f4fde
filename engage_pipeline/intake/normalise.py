"""The values of a lead file as contacts keep them. Pure: no database, and nothing of one file is known to the next.

One value at a time: this is what the words mean, and `vectors` says the same of whole columns.
"""

import re

from engage_pipeline.intake.missing import present

INVALID_PHONE = "invalid_phone"
INVALID_EMAIL = "invalid_email"
NO_IDENTITY = "no_identity"
UNSTORABLE_TEXT = "unstorable_text"
TEST_LEAD = "test_lead"

DNC_TAG = "DNC"
# As the function engage_has_dnc_tag of the first migration has them, which contacts.is_dnc is computed by.
_DNC_TAGS = frozenset({"dnc", "do not contact", "do-not-contact"})
# An index entry of PostgreSQL holds 2,704 bytes; a character has up to four.
LONGEST_EXTERNAL_ID = 500

_NO = frozenset({"no", "n", "false", "f", "0", "off"})
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")


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
    """Whether a consent column's value says not to contact; see `vectors.Cleaner`."""
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
