"""The time zones that a contact may be in, from its phone number, else from its country; for quiet hours.

A number of the whole country, and a country with several zones, give all of them: nobody knows more.
"""

from functools import cache
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from phonenumbers.timezone import UNKNOWN_TIMEZONE
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from engage_pipeline.intake.columns import Indices, each_distinct, in_place, picked
from engage_pipeline.intake.numbering import country_codes, is_geographical


def time_zones(phones: pa.StringArray, countries: pa.StringArray) -> pa.StringArray:
    """For each contact its zones as the literal of a PostgreSQL array of text; null when nothing is known.

    Args:
        phones: valid numbers in E.164, or null.
        countries: two-letter codes or English names in any case, or anything else.
    """
    by_phone = _of_phones(phones)
    unknown = np.flatnonzero(pc.is_null(by_phone).to_numpy(zero_copy_only=False))
    if not len(unknown):
        return by_phone
    by_country = each_distinct(picked(countries, unknown), _of_country)
    return pc.coalesce(by_phone, in_place(len(phones), [(unknown, by_country)]))


def _of_phones(phones: pa.StringArray) -> pa.StringArray:
    known = np.flatnonzero(pc.is_valid(phones).to_numpy(zero_copy_only=False))
    numbers = pc.utf8_slice_codeunits(picked(phones, known), 1)
    codes = country_codes(numbers)
    answers: list[tuple[Indices, pa.StringArray]] = []
    for code in np.unique(codes):
        of_country = np.flatnonzero(codes == code)
        digits = picked(numbers, of_country)
        longest = _longest_prefix(str(code))
        # Only a number that belongs to a place tells more than its country code does.
        if longest > len(str(code)):
            national = pc.utf8_slice_codeunits(digits, len(str(code)))
            of_place = pa.array(is_geographical(national, int(code)))
            begin = pc.if_else(of_place, pc.utf8_slice_codeunits(digits, 0, longest), str(code))
        else:
            begin = pa.repeat(pa.scalar(str(code)), len(digits))
        answers.append((known[of_country], each_distinct(begin, _of_prefix)))
    return in_place(len(phones), answers)


@cache
def _longest_prefix(code: str) -> int:
    return max((len(prefix) for prefix in TIMEZONE_DATA if prefix.startswith(code)), default=0)


def _of_prefix(digits: str) -> str | None:
    for length in range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1):
        zones = TIMEZONE_DATA.get(digits[:length])
        if zones is not None:
            return None if zones == (UNKNOWN_TIMEZONE,) else _literal(zones)
    return None


def _of_country(text: str) -> str | None:
    zones = _zones_of_countries().get(text.strip().casefold())
    return None if zones is None else _literal(zones)


@cache
def _zones_of_countries() -> dict[str, tuple[str, ...]]:
    """Case-folded code and name of each country -> its zones, as the time zone database lists them."""
    zones: dict[str, list[str]] = {}
    for code, _, zone, *_ in _table("zone.tab"):
        zones.setdefault(code, []).append(zone)
    names = {code: name for code, name, *_ in _table("iso3166.tab")}
    found = {key.casefold(): tuple(zones[code]) for code in zones for key in (code, names[code])}
    return found | {name: found[code] for name, code in _OTHER_NAMES.items()}


_OTHER_NAMES = {
    "usa": "us",
    "u.s.a.": "us",
    "u.s.": "us",
    "united states of america": "us",
    "uk": "gb",
    "united kingdom": "gb",
    "great britain": "gb",
    "england": "gb",
    "scotland": "gb",
    "uae": "ae",
    "czechia": "cz",
    "russian federation": "ru",
    "south korea": "kr",
    "republic of korea": "kr",
    "viet nam": "vn",
    "türkiye": "tr",
}
"""Names that people write and the database does not have."""


def _table(name: str) -> list[list[str]]:
    text = (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]


def _literal(zones: tuple[str, ...]) -> str:
    return "{" + ",".join(zones) + "}"
