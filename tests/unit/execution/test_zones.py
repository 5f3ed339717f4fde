"""The zones of a number: the table read directly, held against the library's own answer."""

import phonenumbers
import pytest
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_geographical_number

from engage_pipeline.execution.zones import contact_zones, phone_zones

EXAMPLES = [
    phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (number := phonenumbers.example_number(region)) is not None
]


@pytest.mark.parametrize("phone", [*EXAMPLES[::4], "+12025550100", "+12125550100", "+18005550100", "+919876543210"])
def test_the_zones_of_a_number_are_those_that_phonenumbers_gives(phone):
    expected = time_zones_for_geographical_number(phonenumbers.parse(phone))
    assert phone_zones(phone) == (() if expected == (UNKNOWN_TIMEZONE,) else expected)


def test_what_is_known_of_a_contact_comes_before_its_number():
    assert contact_zones(["Asia/Tokyo"], "+12025550100") == ("Asia/Tokyo",)
    assert contact_zones([], "+12025550100") == ("America/New_York",)
    assert contact_zones([], None) == ()
