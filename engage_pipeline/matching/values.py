"""How a value reads to a condition: text trimmed and case-folded, numbers as numbers, blank as missing.

docs/matching.md states these rules; conditions and contacts go through the same functions, so both sides agree.
"""

import re
from decimal import Decimal

_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)


def folded_text(value: object) -> str | None:
    """The value as text, trimmed and case-folded; None for a missing one. A boolean reads as true or false."""
    if value is None:
        return None
    text = str(value).strip().casefold()
    return text or None


def comparable(value: object) -> str | None:
    """What `equals` compares: the folded text, with a plain decimal number in one spelling (5, 5.0 and "5" are one)."""
    text = folded_text(value)
    if text is None or not _PLAIN_NUMBER.fullmatch(text):
        return text
    number = Decimal(text).normalize()
    return "0" if number == 0 else format(number, "f")
