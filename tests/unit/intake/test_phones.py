"""Phone numbers: a column at once says what the library says of each text."""

import random

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake import phones
from engage_pipeline.intake.phones import phone_e164, phones_e164

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def by_library(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def written_number(rng: random.Random, region: str) -> str:
    """Digits near a valid number of the region, with the prefixes and marks that people and machines add."""
    example = phonenumbers.example_number_for_type(region, rng.randrange(10)) or phonenumbers.example_number(region)
    digits = list(phonenumbers.national_significant_number(example))
    for place in range(rng.randrange(len(digits)), len(digits)):
        digits[place] = rng.choice("0123456789")
    if rng.random() < 0.15:
        digits.insert(rng.randrange(len(digits)), rng.choice("0123456789"))
    if rng.random() < 0.1:
        digits.pop()
    code = str(example.country_code)
    prefix = rng.choice([f"+{code}"] * 4 + [code, code, "", "", "", "0", "0", "1", "8", f"00{code}", f"011{code}",
                                          f"+{code}0", f"{code}0"])  # fmt: skip
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        digits.insert(rng.randrange(len(digits) + 1), rng.choice((" ", "-", ".", "(", ")", ") ")))
    return prefix + "".join(digits)


def near(region: str, rng: random.Random) -> str:
    return region if rng.random() < 0.6 else rng.choice(REGIONS)


@pytest.mark.parametrize("seed", range(3))
def test_a_column_agrees_with_the_library_for_numbers_of_every_region(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phones, "_LIBRARY_BELOW", 1)
    rng = random.Random(seed)
    differing = []
    for region in [*rng.sample(REGIONS, 40), "US", "CA", "IN", "GB", "AR", "BR", "IT", "MX"]:
        texts = [written_number(rng, near(region, rng)) for _ in range(150)]
        found = phones_e164(pa.array(texts), region).to_pylist()
        # `.0` is what a spreadsheet adds to a number; the library would read it as one digit more.
        differing += [
            (region, text, one, by_library(text, region))
            for text, one in zip(texts, found, strict=True)
            if not text.endswith(".0") and one != by_library(text, region)
        ]
    assert differing == []


@given(
    st.lists(
        st.text(alphabet="0123456789+() .-", max_size=20)
        | st.text(max_size=12)
        | st.sampled_from(
            ["p:+12025550123", "2025550123.0", "9.19E+11", "1-800-FLOWERS", "tel:+1-202-555-0123", "１２"]
        ),
        max_size=12,
    ),
    st.sampled_from(["US", "IN", "IT", "GB", "DE", "AR", "BR", "KZ", "ZZ"]),
)
def test_a_column_is_its_texts_one_by_one(texts: list[str], region: str) -> None:
    assert phones_e164(pa.array(texts, pa.string()), region).to_pylist() == [phone_e164(text, region) for text in texts]


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("(212) 555-0123", "US", "+12125550123"),
        ("+44 (0)20 7946 0958", "US", "+442079460958"),
        ("06 1234 5678", "IT", "+390612345678"),
        ("p:+12125550123", "US", "+12125550123"),
        ("2125550123.0", "US", "+12125550123"),
        ("9.198765E+11", "IN", None),
        ("12345", "US", None),
        ("cellular", "US", None),
    ],
)
def test_phones_become_e164_or_nothing(text: str, region: str, expected: str | None) -> None:
    assert phone_e164(text, region) == expected
    assert phones_e164(pa.array([text] * 20), region).to_pylist() == [expected] * 20


@given(st.text(alphabet="0123456789 ()+-.", max_size=18), st.sampled_from(["US", "IN", "IT", "GB", "DE"]))
def test_the_marks_between_digits_do_not_matter_to_the_library_either(text: str, region: str) -> None:
    if not text.strip().endswith(".0"):
        assert phone_e164(text, region) == by_library(text, region)


def test_an_empty_column_is_an_empty_column() -> None:
    assert phones_e164(pa.array([], pa.string()), "US").to_pylist() == []
