"""Makes lead files to try the pipeline on: realistic, fictional, the same for the same seed.

E-mail addresses are at domains that RFC 2606 reserves, and phone numbers are 555-0100 to 555-0199 of real American area
codes, which are set aside for fiction.
"""

import csv
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

HEADERS = (
    "Lead Id",
    "First Name",
    "Last Name",
    "Email",
    "Phone",
    "Lead Source",
    "Company",
    "City",
    "Budget",
    "Score",
    "Plan",
    "Created Time",
    "Tags",
    "Do Not Call",
    "Do Not Email",
)

AREA_CODES = (
    201, 202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 225, 228, 229,
    231, 239, 240, 248, 251, 252, 253, 254, 256, 260, 262, 267, 269, 270, 276, 281, 301, 302, 303, 304,
    305, 307, 308, 309, 310, 312, 313, 314, 315, 316, 317, 318, 319, 320, 321, 323, 330, 334, 336, 337,
    347, 352, 360, 361, 386, 401, 402, 404, 405, 406, 407, 408, 409, 410, 412, 413, 414, 415, 417, 419,
    423, 425, 432, 434, 435, 440, 443, 469, 478, 479, 480, 484, 501, 502, 503, 504, 505, 507, 508, 509,
)  # fmt: skip
PHONE_COUNT = len(AREA_CODES) * 100

_DOMAINS = ("example.com", "example.org", "example.net")
_FIRST_NAMES = (
    "Ada", "Amara", "Anil", "Beatriz", "Carlos", "Chloé", "Dario", "Elena", "Femi", "Grace", "Hana", "Ibrahim",
    "Jonas", "Kavya", "Liam", "Mei", "Nadia", "Omar", "Priya", "Quinn", "Rosa", "Søren", "Tara", "Uma", "Victor",
    "Wen", "Ximena", "Yusuf", "Zoe",
)  # fmt: skip
_LAST_NAMES = (
    "Abbott", "Banerjee", "Castillo", "Diaz", "Eriksen", "Fischer", "Gupta", "Haddad", "Ivanov", "Jensen", "Kowalski",
    "Lindqvist", "Moreau", "Nakamura", "O'Neill", "Park", "Quispe", "Rossi", "Silva", "Tanaka", "Umar", "Vargas",
    "Weber", "Xu", "Yilmaz", "Zhou",
)  # fmt: skip
_LEAD_SOURCES = (
    "Facebook", "facebook", "Google Ads", "google ads", "Google Ads ", "Website", "website", "LinkedIn", "Referral",
    "Trade Show", "Webinar", "Autumn Webinar", "Demo Request", "demo request", "Select",
)  # fmt: skip
_COMPANY_BEGINNINGS = ("Blue Harbor", "Cedar", "Northwind", "Silver Fern", "Copper Kettle", "Juniper", "Lantern")
_COMPANY_ENDINGS = ("Logistics", "Foods, Inc.", "Dental Care", "Studio", "& Sons", "Robotics")
_CITIES = ("Austin", "Boston", "Chicago", "Denver", "Houston", "Miami", "Phoenix", "Portland", "Seattle", "unknown")
_PLANS = ("Starter", "Starter", "Team", "Team", "Enterprise", "")
_TAGS = ("", "", "", "vip", "newsletter", "webinar; vip", "returning|newsletter", "trial, webinar")
_DNC_TAGS = ("DNC", "dnc", "Do Not Contact", "vip; do-not-contact")
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

DUPLICATES = 0.03
BROKEN = 0.02
SAYS_NO = 0.02
WITHOUT_PHONE = 0.06
WITHOUT_EMAIL = 0.08


def write_generated_leads(path: Path, *, rows: int, seed: int, duplicates: float = DUPLICATES) -> None:
    """Write a CSV of `rows` leads after its header, UTF-8 with LF: the same bytes for the same arguments.

    Of the rows the share `duplicates` repeats an earlier one, 2 % cannot become a contact, 2 % each carry a
    do-not-contact tag, a Do Not Call and a Do Not Email, 6 % have no phone and 8 % no e-mail address. The first 10,000
    leads have phone numbers of their own; after that numbers come again, under other ids.
    """
    rng = random.Random(seed)  # noqa: S311 - made-up leads, no secrets
    earlier: list[list[str]] = []
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADERS)
        for number in range(rows):
            if earlier and rng.random() < duplicates:
                row = rng.choice(earlier)
            else:
                row = _lead(rng, number)
                earlier.append(row)
            writer.writerow(_broken(rng, row) if rng.random() < BROKEN else row)


def _lead(rng: random.Random, number: int) -> list[str]:
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    draw = rng.random()
    phone = "" if draw < WITHOUT_PHONE else _phone(rng, number)
    email = "" if WITHOUT_PHONE <= draw < WITHOUT_PHONE + WITHOUT_EMAIL else _email(rng, first, last, number)
    return [
        f"L-{100_000 + number}",
        first,
        last,
        email,
        phone,
        rng.choice(_LEAD_SOURCES),
        f"{rng.choice(_COMPANY_BEGINNINGS)} {rng.choice(_COMPANY_ENDINGS)}",
        rng.choice(_CITIES),
        str(rng.randrange(500, 50_000, 500)),
        str(rng.randrange(101)),
        rng.choice(_PLANS),
        (_BEGINNING + timedelta(seconds=rng.randrange(300 * 86_400))).isoformat(),
        rng.choice(_DNC_TAGS if rng.random() < SAYS_NO else _TAGS),
        _flag(rng),
        _flag(rng),
    ]


def _phone(rng: random.Random, number: int) -> str:
    # Steps through all numbers before one comes again: 7919 is a prime that does not divide their count.
    place = number * 7919 % PHONE_COUNT
    area, line = AREA_CODES[place // 100], f"01{place % 100:02d}"
    forms = (f"({area}) 555-{line}", f"{area}-555-{line}", f"+1{area}555{line}", f"1 {area} 555 {line}")
    return rng.choice(forms)


def _email(rng: random.Random, first: str, last: str, number: int) -> str:
    plain = f"{first}.{last}".replace("'", "").replace("é", "e").replace("ø", "o")
    local = plain.lower() if rng.random() < 0.8 else plain
    return f"{local}{number}@{rng.choice(_DOMAINS)}"


def _flag(rng: random.Random) -> str:
    return "Yes" if rng.random() < SAYS_NO else "No"


def _broken(rng: random.Random, row: Sequence[str]) -> list[str]:
    """The row as one that cannot become a contact: a field short, a field too many, or nothing to reach anyone by."""
    kind = rng.randrange(3)
    if kind == 0:
        return list(row[:-1])
    if kind == 1:
        return [*row, "surplus"]
    return ["", *row[1:3], "not-an-address", "12345", *row[5:]]
