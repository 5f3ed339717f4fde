"""E-mail addresses in their normal form: one text at a time by the library `email-validator`, and whole columns faster.

A plain ASCII address has nothing for the library to find but what its patterns and its list of special-use domains say;
anything else goes to the library. Nothing asks the network whether mail arrives.
"""

import re
from functools import cache

import email_validator
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from email_validator import EmailNotValidError, validate_email

# Well inside what the library takes: dots, dashes and the like only between letters and digits.
_PLAIN_LOCAL_PART = "[a-z0-9]+(?:[._+-][a-z0-9]+)*"
_LOCAL_PART = re.compile(_PLAIN_LOCAL_PART)
# No dash is doubled, so there is no Punycode; the last label has letters only.
_PLAIN_DOMAIN = "(?:[a-z0-9]+(?:-[a-z0-9]+)*\\.)+[a-z]{2,63}"
_LONGEST_LOCAL_PART, _LONGEST_LABEL, _LONGEST_ADDRESS = 64, 63, 254


def email_address(text: str) -> str | None:
    """A valid e-mail address in lower case, None otherwise; whether mail arrives there is not asked."""
    address = text.strip().lower()
    local, _, domain = address.rpartition("@")
    # The library takes 20 microseconds; a plain local part has nothing for it to find, and domains repeat.
    if (
        _LOCAL_PART.fullmatch(local)
        and len(local) <= _LONGEST_LOCAL_PART
        and len(address) <= _LONGEST_ADDRESS
        and domain.isascii()
    ):
        normalised_domain = _mail_domain(domain)
        return None if normalised_domain is None else f"{local}@{normalised_domain}"
    try:
        return validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def email_addresses(texts: pa.StringArray) -> pa.StringArray:
    """`email_address` of every text of a column, which has no nulls; null where that is None."""
    trimmed = pc.ascii_trim_whitespace(texts)
    # Of these no ASCII letter is in upper case any more, and no other character is left to be changed.
    lowered = pc.ascii_lower(trimmed)
    is_plain = _matches(lowered, f"^{_PLAIN_LOCAL_PART}@{_PLAIN_DOMAIN}$")
    is_plain &= ~_matches(lowered, f"[@.](?:{_special_domains()})$")
    # Where the whole is no longer than a part may be, so is each part.
    long = np.flatnonzero(pc.greater(pc.binary_length(lowered), _LONGEST_LABEL).to_numpy(zero_copy_only=False))
    if len(long):
        is_plain[long] &= _is_short_enough(lowered.take(pa.array(long)))
    # Without an @ there is no address, in whatever script.
    is_open = ~is_plain & _matches(lowered, "[@\\x{FF20}\\x{FE6B}]")
    plain_only = pc.if_else(pa.array(is_plain), lowered, pa.scalar(None, pa.string()))
    if not is_open.any():
        return plain_only
    answers = _by_library(texts.filter(pa.array(is_open)))
    return pc.replace_with_mask(plain_only, pa.array(is_open), answers)


def _is_short_enough(addresses: pa.StringArray) -> npt.NDArray[np.bool_]:
    label = f"[^.@]{{{_LONGEST_LABEL + 1}}}"
    fits: npt.NDArray[np.bool_] = (
        pc.less_equal(pc.binary_length(addresses), _LONGEST_ADDRESS).to_numpy(zero_copy_only=False)
        & ~_matches(addresses, f"^[^@]{{{_LONGEST_LOCAL_PART + 1}}}")
        & ~_matches(addresses, f"@.*{label}")
        & ~_matches(addresses, f"@{label}")
    )
    return fits


@cache
def _special_domains() -> str:
    return "|".join(re.escape(domain) for domain in email_validator.SPECIAL_USE_DOMAIN_NAMES)


@cache
def _mail_domain(domain: str) -> str | None:
    try:
        return validate_email(f"a@{domain}", check_deliverability=False).domain
    except EmailNotValidError:
        return None


def _matches(texts: pa.StringArray, pattern: str) -> npt.NDArray[np.bool_]:
    matched: npt.NDArray[np.bool_] = pc.match_substring_regex(texts, pattern=pattern).to_numpy(zero_copy_only=False)
    return matched.copy() if not matched.flags.writeable else matched


def _by_library(texts: pa.StringArray) -> pa.StringArray:
    encoded = pc.dictionary_encode(texts)
    answers = pa.array([email_address(text) for text in encoded.dictionary.to_pylist()], pa.string())
    return answers.take(encoded.indices)
