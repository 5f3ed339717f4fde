"""Phone numbers to E.164: one text at a time by the library `phonenumbers`, and whole columns many times as fast.

The column way follows the steps of the library's parser for texts that are digits and common punctuation, with the
library's own patterns. Whatever it cannot decide for certain goes to the library, so the answer is always the
library's. A shortcut by hand-made prefixes was wrong on 2 of a million North American numbers.
"""

import re
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from engage_pipeline.intake.columns import Indices, each_distinct, in_place, matches, picked
from engage_pipeline.intake.numbering import MOST_DIGITS, Plan, country_codes, is_valid, plan_of, sized

_SPREADSHEET_FLOAT = re.compile(r"([0-9]{7,15})\.0")
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")
# The same digits are often written in several ways; the library ignores these marks as well.
_PLAIN_PHONE = re.compile(r"\+?[0-9 ().-]+")
_PUNCTUATION = re.compile(r"[ ().-]+")
_FEWEST_DIGITS = 5
"""Below, the library has rules of its own for what is a number at all."""
_LIBRARY_BELOW = 16
"""So few numbers of one country are not worth its patterns."""


class _Numbers(NamedTuple):
    """Some of a column's numbers, and where they stand in it."""

    indices: Indices
    digits: pa.StringArray

    def only(self, chosen: Indices) -> "_Numbers":
        return _Numbers(self.indices[chosen], picked(self.digits, chosen))


def phone_e164(text: str, region: str) -> str | None:
    """A valid phone number as `+<country><number>`, extension dropped; None when it is no number of any region.

    `p:` in front (Facebook exports) and `.0` behind (a spreadsheet's number) are taken off; a number in scientific
    notation has lost digits and is invalid.
    """
    stripped = text.strip().removeprefix("p:")
    whole = _SPREADSHEET_FLOAT.fullmatch(stripped)
    stripped = whole[1] if whole else stripped
    if _SCIENTIFIC.fullmatch(stripped):
        return None
    if _PLAIN_PHONE.fullmatch(stripped):
        return _plain_phone_e164(_PUNCTUATION.sub("", stripped), region)
    return _parsed_phone_e164(stripped, region)


def phones_e164(texts: pa.StringArray, region: str) -> pa.StringArray:
    """`phone_e164` of every text of a column, which has no nulls; null where that is None.

    Args:
        region: two-letter region that a number without a country code belongs to.
    """
    prepared = _prepared(texts)
    plain = np.flatnonzero(matches(prepared, r"^\+?[0-9 ().-]+$"))
    digits = pc.replace_substring_regex(picked(prepared, plain), pattern="[ ().-]+", replacement="")
    decided = _decide(_Numbers(plain, digits), region.upper())
    # With fewer than two digits, of whatever script, a text is no number.
    is_open = ~matches(prepared, r"^[\x00-\x2f\x3a-\x7f]*[0-9]?[\x00-\x2f\x3a-\x7f]*$")
    for indices, _ in decided:
        is_open[indices] = False
    undecided = np.flatnonzero(is_open)
    answers = each_distinct(picked(texts, undecided), partial(phone_e164, region=region))
    return in_place(len(texts), [*decided, (undecided, answers)])


@lru_cache(maxsize=100_000)
def _plain_phone_e164(digits: str, region: str) -> str | None:
    return _parsed_phone_e164(digits, region)


def _parsed_phone_e164(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    # E.164 has no extension; the library's formatter would look for one at twice the cost.
    zeros = "0" * (number.number_of_leading_zeros or 1) if number.italian_leading_zero else ""
    return f"+{number.country_code}{zeros}{number.national_number}"


def _prepared(texts: pa.StringArray) -> pa.StringArray:
    trimmed = pc.ascii_trim_whitespace(texts)
    if pc.any(pc.starts_with(trimmed, "p:")).as_py():
        trimmed = pc.replace_substring_regex(trimmed, pattern="^p:", replacement="")
    if pc.any(pc.ends_with(trimmed, ".0")).as_py():
        trimmed = pc.replace_substring_regex(trimmed, pattern=r"^([0-9]{7,15})\.0$", replacement=r"\1")
    return trimmed


def _decide(numbers: _Numbers, region: str) -> list[tuple[Indices, pa.StringArray]]:
    """What is certain about digits with at most a plus in front: E.164, or null for what is no valid number."""
    length = pc.binary_length(numbers.digits).to_numpy()
    has_plus = pc.starts_with(numbers.digits, "+").to_numpy(zero_copy_only=False)
    fits = (length >= _FEWEST_DIGITS) & (length <= MOST_DIGITS)
    international = numbers.only(np.flatnonzero(fits & has_plus))
    with_code = [_Numbers(international.indices, pc.utf8_slice_codeunits(international.digits, 1))]
    answers: list[tuple[Indices, pa.StringArray]] = []
    national = numbers.only(np.flatnonzero(fits & ~has_plus))
    if region in phonenumbers.SUPPORTED_REGIONS and len(national.indices):
        plan = plan_of(phonenumbers.country_code_for_region(region), region)
        own, coded = _split_national(national, plan)
        with_code.append(coded)
        answers.append(_checked(own, plan))
    indices = np.concatenate([each.indices for each in with_code])
    digits = pa.concat_arrays([each.digits for each in with_code])
    return answers + _decide_international(_Numbers(indices, digits))


def _split_national(numbers: _Numbers, plan: Plan) -> tuple[_Numbers, _Numbers]:
    """Digits without a plus: the region's own national numbers, and those that begin with its country code.

    What might begin with an international prefix is in neither, nor is what the library weighs by more than patterns.
    """
    code = str(plan.country_code)
    begins = pc.starts_with(numbers.digits, code).to_numpy(zero_copy_only=False)
    is_own = ~begins
    has_code = np.zeros(len(begins), bool)
    begin = np.flatnonzero(begins)
    if len(begin):
        whole = picked(numbers.digits, begin)
        rest = pc.utf8_slice_codeunits(whole, len(code))
        general = f"^(?:{plan.general})$"
        is_general = matches(whole, general)
        stays = pc.equal(_without_national_prefix(rest, plan), rest).to_numpy(zero_copy_only=False)
        is_own[begin] = is_general & matches(sized(whole), plan.sized_general)
        has_code[begin] = ~is_general & stays & matches(rest, general)
    if plan.international_prefix is not None:
        leaves_country = matches(numbers.digits, f"^(?:{plan.international_prefix})")
        is_own &= ~leaves_country
        has_code &= ~leaves_country
    return numbers.only(np.flatnonzero(is_own)), numbers.only(np.flatnonzero(has_code))


def _decide_international(numbers: _Numbers) -> list[tuple[Indices, pa.StringArray]]:
    """What is certain about digits that begin with a country code."""
    codes = country_codes(numbers.digits)
    answers = []
    for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
        if code == 0 or count < _LIBRARY_BELOW:
            continue
        of_country = numbers.only(np.flatnonzero(codes == code))
        national = pc.utf8_slice_codeunits(of_country.digits, len(str(code)))
        plan = plan_of(int(code), phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)][0])
        answers.append(_checked(_Numbers(of_country.indices, national), plan))
    return answers


def _checked(numbers: _Numbers, plan: Plan) -> tuple[Indices, pa.StringArray]:
    """National digits, perhaps behind a national prefix, as E.164; null for one that is not valid.

    Those of which the prefix may or may not be a part, or which it rewrites, are left out.
    """
    bare = _without_national_prefix(numbers.digits, plan)
    is_shorter = pc.not_equal(bare, numbers.digits).to_numpy(zero_copy_only=False)
    indices = numbers.indices
    if is_shorter.any():
        is_prefixed = matches(sized(bare), plan.sized_general) & (not plan.is_rewritten)
        certain = np.flatnonzero(~is_shorter | is_prefixed)
        indices, bare = indices[certain], picked(bare, certain)
    e164 = pc.binary_join_element_wise(f"+{plan.country_code}", bare, "")
    return indices, pc.if_else(pa.array(is_valid(bare, plan.country_code)), e164, pa.scalar(None, pa.string()))


def _without_national_prefix(national: pa.StringArray, plan: Plan) -> pa.StringArray:
    if plan.national_prefix is None:
        return national
    pattern = f"^(?:{plan.national_prefix})"
    return pc.replace_substring_regex(national, pattern=pattern, replacement="", max_replacements=1)
