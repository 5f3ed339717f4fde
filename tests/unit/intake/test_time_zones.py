"""Where a contact may be, for quiet hours."""

import random

import phonenumbers
import pyarrow as pa
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from engage_pipeline.intake.time_zones import time_zones

SPREAD_OUT = ["US", "CA", "RU", "KZ", "AU", "BR", "MX", "ID", "ES", "IT"]


def valid_number(rng: random.Random, region: str) -> str:
    example = phonenumbers.example_number_for_type(region, rng.randrange(10)) or phonenumbers.example_number(region)
    digits = str(example.national_number)
    kept = rng.randrange(len(digits))
    changed = digits[:kept] + "".join(rng.choice("0123456789") for _ in digits[kept:])
    number = phonenumbers.parse(f"+{example.country_code}{changed.rjust(2, '0')}")
    valid = number if phonenumbers.is_valid_number(number) else example
    return phonenumbers.format_number(valid, phonenumbers.PhoneNumberFormat.E164)


def by_library(e164: str) -> str | None:
    zones = time_zones_for_number(phonenumbers.parse(e164))
    return None if tuple(zones) == (UNKNOWN_TIMEZONE,) else "{" + ",".join(zones) + "}"


def test_zones_of_numbers_are_those_of_the_library() -> None:
    rng = random.Random(5)
    regions = sorted(phonenumbers.SUPPORTED_REGIONS) * 5 + SPREAD_OUT * 100
    numbers = [valid_number(rng, region) for region in regions]
    found = time_zones(pa.array(numbers), pa.array([""] * len(numbers))).to_pylist()
    assert found == [by_library(number) for number in numbers]


def test_a_contact_without_a_number_is_somewhere_in_its_country() -> None:
    phones = pa.array(["+12025550123", None, None, None, None], pa.string())
    countries = pa.array(["India", "india", "IN", "France", "somewhere"])
    assert time_zones(phones, countries).to_pylist() == [
        "{America/New_York}", "{Asia/Kolkata}", "{Asia/Kolkata}", "{Europe/Paris}", None,
    ]  # fmt: skip


def test_a_toll_free_number_rings_in_the_whole_country() -> None:
    (found,) = time_zones(pa.array(["+18002345678"]), pa.array([""])).to_pylist()
    assert {"America/New_York", "Pacific/Honolulu"} <= set(found[1:-1].split(","))
