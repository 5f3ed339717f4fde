"""What a condition may read of a contact, and how the raw text of it becomes the texts that are compared."""

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Literal

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, parse, region_code_for_number

from engage_pipeline.flows.conditions import ConditionType, TriggerCondition

# Beyond it a number's digits are not written out: 1e999999999 would fill the memory.
_LONGEST_EXPONENT = 400

RawKind = Literal["text", "json", "json_list", "phone"]
_RAW_KINDS: dict[ConditionType, RawKind] = {"custom_field": "json", "tag": "json_list", "phone_country": "phone"}


@dataclass(frozen=True, order=True)
class Attribute:
    """One thing that conditions read: a condition type, and which custom field where it is one."""

    condition_type: ConditionType
    custom_field_name: str | None = None

    @classmethod
    def of(cls, condition: TriggerCondition) -> "Attribute":
        """What the condition reads."""
        return cls(condition.condition_type, condition.custom_field_name)

    @property
    def raw_kind(self) -> RawKind:
        """How the staged column writes it: plain text, JSON text, a JSON list, or a phone number (E.164)."""
        return _RAW_KINDS.get(self.condition_type, "text")


def texts_of(kind: RawKind, raw: str | None) -> tuple[str, ...]:
    """The trimmed texts of a raw value: none for a missing or blank one, several only for a list of tags.

    A number in JSON is written without an exponent. A JSON list or object is its JSON.
    """
    if raw is None:
        return ()
    if kind == "text":
        found: tuple[str, ...] = (raw,)
    elif kind == "json":
        found = _scalar(raw)
    elif kind == "json_list":
        found = tuple(tag for tag in json.loads(raw) if tag is not None)
    else:
        found = _region(raw)
    return tuple(text.strip() for text in found if text.strip())


def _scalar(raw: str) -> tuple[str, ...]:
    if raw == "null":
        return ()
    if raw.startswith('"'):
        return (json.loads(raw, strict=False),)
    if raw[0] in "-0123456789" and ("e" in raw or "E" in raw):
        try:
            number = Decimal(raw)
        except InvalidOperation:
            return (raw,)
        if abs(number.adjusted()) <= _LONGEST_EXPONENT:
            return (format(number, "f"),)
    return (raw,)


@lru_cache(maxsize=100_000)
def _region(phone_e164: str) -> tuple[str, ...]:
    """The two-letter region that the number belongs to (ISO 3166), as libphonenumber has it; none if it is of none."""
    digits = phone_e164[1:]
    if not (digits.isascii() and digits.isdecimal()):
        return ()
    for length in (1, 2, 3):
        regions = COUNTRY_CODE_TO_REGION_CODE.get(int(digits[:length]), ())
        # Parsing costs 30 microseconds and is needed only where several regions share a calling code.
        if len(regions) == 1:
            return () if regions[0] == "001" else (regions[0],)
    try:
        region = region_code_for_number(parse(phone_e164))
    except NumberParseException:
        return ()
    return () if region in (None, "001") else (region,)
