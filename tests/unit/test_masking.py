"""What is stored without a login carries no phone number and no e-mail address."""

import pytest

from engage_pipeline.masking import mask_personal


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call +12025550100 now", "call [phone] now"),
        ("(202) 555-0100", "[phone]"),
        ("202.555.0100, 202 555 0100", "[phone], [phone]"),
        ("Key (email)=(ada@example.com) exists", "Key (email)=([email]) exists"),
        ("Ada <ada+x@example.co.uk>", "Ada <[email]>"),
        ("ok", "ok"),
    ],
)
def test_addresses_are_blotted_out(text, masked):
    assert mask_personal(text) == masked


@pytest.mark.parametrize(
    "text",
    ["01a20754-5ced-7e66-9766-e6112547eaf5", "line 1234", "23505: duplicate key", "flow_version 12"],
)
def test_identifiers_and_small_numbers_stay(text):
    assert mask_personal(text) == text
