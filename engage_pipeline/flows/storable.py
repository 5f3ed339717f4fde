"""What PostgreSQL's jsonb gives back as it was; anything else is refused when a flow is written."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator

LARGEST_EXACT_FLOAT = 2**53  # beyond it, JSON gives back another number (RFC 8259, section 6)


def _unstorable(value: object) -> Iterator[str]:
    """Why PostgreSQL's jsonb could not give `value` back as it is."""
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                yield f"the key {key!r} is not text (put it in quotes)"
            yield from _unstorable(key)
            yield from _unstorable(each)
    elif isinstance(value, list):
        for each in value:
            yield from _unstorable(each)
    elif isinstance(value, str):
        if "\0" in value or not (value.isascii() or _is_unicode(value)):
            yield "text holds neither NUL nor half a surrogate pair"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{value} is not a number that can be stored"
        elif abs(value) > LARGEST_EXACT_FLOAT:
            yield f"{value} is too large to be kept to the digit"
    elif value is not None and not isinstance(value, bool | int):
        yield f"{value} is a {type(value).__name__}, not text or a number (put it in quotes)"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(value: Any) -> Any:
    """`value` as it is, if jsonb can hold it; raises ValueError otherwise."""
    for reason in _unstorable(value):
        raise ValueError(reason)
    return value


StorableText = Annotated[str, BeforeValidator(storable)]
