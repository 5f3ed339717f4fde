"""The numbering plans of `phonenumbers` as patterns for RE2, so that a column is matched at once.

Only what the library's metadata says; reading a text as a number is for `phones`, and where it rings for `time_zones`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers import PhoneMetadata, PhoneNumberDesc, PhoneNumberType, is_number_type_geographical

from engage_pipeline.intake.columns import Indices, Mask, matches, picked

MOST_DIGITS = 17
"""More make no national number."""

# In the order in which the library asks: the first that a number matches is its type.
_SPECIAL_TYPES = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


@dataclass(frozen=True)
class Plan:
    """How one region numbers its phones. A `sized_` pattern matches a number with its length in front: see `sized`.

    Attributes:
        general: what any of its national numbers looks like; `sized_general` asks for their lengths too.
        sized_special, sized_local: valid numbers of a type of its own, such as toll-free; valid ones on a line or a
            mobile. Special comes first.
        is_mobile_geographical: mobile numbers belong to a place, as lines do.
        leading_digits: how this region's numbers begin, where several regions share a country code.
        national_prefix: what may stand in front when dialled within the country; `is_rewritten` when it may ask for
            other digits in its place.
        international_prefix: what is dialled to leave the country.
    """

    country_code: int
    general: str
    sized_general: str
    sized_special: str
    sized_local: str
    sized_fixed_line: str
    is_mobile_geographical: bool
    leading_digits: str | None
    national_prefix: str | None
    is_rewritten: bool
    international_prefix: str | None


@cache
def plan_of(country_code: int, region: str) -> Plan:
    """The plan of a region, or of a country code that belongs to no region (`001`)."""
    metadata: Any = PhoneMetadata.metadata_for_region_or_calling_code(country_code, region)
    lines = [metadata.fixed_line]
    # The library does not ask for mobiles where their pattern is that of the lines.
    mobiles = [] if metadata.same_mobile_and_fixed_line_pattern else [metadata.mobile]
    return Plan(
        country_code=country_code,
        general=metadata.general_desc.national_number_pattern,
        sized_general=_any_of([metadata.general_desc]),
        sized_special=_any_of([getattr(metadata, kind) for kind in _SPECIAL_TYPES]),
        sized_local=_any_of(lines + mobiles),
        sized_fixed_line=_any_of(lines),
        is_mobile_geographical=is_number_type_geographical(PhoneNumberType.MOBILE, country_code),
        leading_digits=metadata.leading_digits,
        national_prefix=metadata.national_prefix_for_parsing,
        is_rewritten=metadata.national_prefix_transform_rule is not None,
        international_prefix=metadata.international_prefix,
    )


def sized(numbers: pa.StringArray) -> pa.StringArray:
    """Each number behind a letter for its length, `a` for 0: RE2 cannot ask for a length and a pattern at once.

    Args:
        numbers: digits, at most `MOST_DIGITS`.
    """
    letters = pa.array([_letter(length) for length in range(MOST_DIGITS + 1)])
    return pc.binary_join_element_wise(letters.take(pc.binary_length(numbers)), numbers, "")


def country_codes(numbers: pa.StringArray) -> Indices:
    """The country code that each number without its plus begins with; 0 if none."""
    begin = pc.dictionary_encode(pc.utf8_slice_codeunits(numbers, 0, 3))
    codes = np.array([_country_code(digits) for digits in begin.dictionary.to_pylist()], np.int64)
    found: Indices = codes[begin.indices.to_numpy()]
    return found


def is_valid(national: pa.StringArray, country_code: int) -> Mask:
    """Which national numbers are valid in the country."""
    return _by_region(national, country_code, _is_valid_in)


def is_geographical(national: pa.StringArray, country_code: int) -> Mask:
    """Which national numbers belong to a place."""
    return _by_region(national, country_code, _is_geographical_in)


def _by_region(national: pa.StringArray, country_code: int, asked: Callable[[pa.StringArray, Plan], Mask]) -> Mask:
    """Ask the first region of a country that takes a number: by its leading digits, else by its being valid there."""
    regions: Sequence[str] = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[country_code]
    numbers = sized(national)
    if len(regions) == 1:
        return asked(numbers, plan_of(country_code, regions[0]))
    answer = np.zeros(len(national), bool)
    waiting: Indices = np.arange(len(national))
    for region in regions:
        plan = plan_of(country_code, region)
        here = picked(numbers, waiting)
        if plan.leading_digits is None:
            taken = _is_valid_in(here, plan)
        else:
            taken = matches(here, f"^[a-z](?:{plan.leading_digits})")
        answer[waiting[taken]] = asked(here.filter(pa.array(taken)), plan)
        waiting = waiting[~taken]
        if not len(waiting):
            break
    return answer


def _is_valid_in(numbers: pa.StringArray, plan: Plan) -> Mask:
    return matches(numbers, plan.sized_general) & (matches(numbers, f"{plan.sized_local}|{plan.sized_special}"))


def _is_geographical_in(numbers: pa.StringArray, plan: Plan) -> Mask:
    pattern = plan.sized_local if plan.is_mobile_geographical else plan.sized_fixed_line
    return matches(numbers, plan.sized_general) & matches(numbers, pattern) & ~matches(numbers, plan.sized_special)


def _country_code(digits: str) -> int:
    # No country code begins with another one.
    for length in (1, 2, 3):
        if not digits.startswith("0") and int(digits[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(digits[:length])
    return 0


def _any_of(kinds: Sequence[PhoneNumberDesc | None]) -> str:
    patterns = [_sized_pattern(kind) for kind in kinds if kind is not None and kind.national_number_pattern]
    return f"^(?:{'|'.join(patterns)})$" if patterns else r"^\b\B"


def _sized_pattern(kind: PhoneNumberDesc) -> str:
    lengths = "".join(_letter(length) for length in kind.possible_length if 0 <= length <= MOST_DIGITS)
    return f"{f'[{lengths}]' if lengths else '[a-z]'}(?:{kind.national_number_pattern})"


def _letter(length: int) -> str:
    return chr(ord("a") + length)
