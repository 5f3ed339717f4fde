"""E-mail addresses: a column at once says what the library says of each text."""

import random

import pyarrow as pa
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from engage_pipeline.intake.emails import email_address, email_addresses

DOMAINS = [
    "example.com", "mail.example.org", "x.test", "a.local", "localhost", "test", "latest", "mytest", "x.mytest", "arpa",
    "in-addr.arpa", "foo.onion", "invalid", "xn--bcher-kva.example", "ex--ample.com", "münchen.example", "a.b", "a.1",
    "a.c1", "-a.com", "a-.com", "a.-b.com", "example.com.", ".example.com", "a..com", "1.2.3.4", "[1.2.3.4]",
    "b" * 63 + ".com", "b" * 64 + ".com", ".".join(["c" * 60] * 4) + ".com", ".".join(["c" * 63] * 4), "a_b.com", "com",
    "a.x-y", "a.museum",
]  # fmt: skip


def by_library(text: str) -> str | None:
    try:
        return validate_email(text.strip().lower(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        return None


def written_address(rng: random.Random) -> str:
    letters = "abcxyzABCZ0123456789" * 4 + "._+-'!#@ \"\\éß中K"
    length = rng.choice((63, 64, 65)) if rng.random() < 0.05 else rng.randrange(1, 14)
    local = "".join(rng.choice(letters) for _ in range(length))
    domain = rng.choice(DOMAINS)
    if rng.random() < 0.3:
        domain = "".join(rng.choice(letters) for _ in range(rng.randrange(1, 12))) + ".com"
    text = local + rng.choice(["@"] * 20 + ["", "@@", "＠"]) + domain
    return rng.choice(["", " ", "\u00a0"]) + text + rng.choice(["", "", "", "\t", "\n", "\x1c", "."])


def test_a_column_agrees_with_the_library() -> None:
    rng = random.Random(11)
    texts = [written_address(rng) for _ in range(6000)]
    found = email_addresses(pa.array(texts)).to_pylist()
    assert [(text, one) for text, one in zip(texts, found, strict=True) if one != by_library(text)] == []
    assert sum(one is not None for one in found) > 1000


@given(st.lists(st.emails() | st.text(max_size=20) | st.sampled_from(["a@x.test", "A@Example.COM", "a b@example.org"])))
def test_a_column_is_its_texts_one_by_one(texts: list[str]) -> None:
    expected = [by_library(text) for text in texts]
    assert email_addresses(pa.array(texts, pa.string())).to_pylist() == expected
    assert [email_address(text) for text in texts] == expected


@given(st.text(alphabet="aB9.-_+'", max_size=8).map(lambda local: f"{local}@example.com"))
def test_the_shortcut_for_one_address_agrees_with_the_library(text: str) -> None:
    assert email_address(text) == by_library(text)
