"""Pages of long lists by cursor: each page names the place where the next one begins, so none is skipped or twice."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import Field
from pydantic_core import to_json

from engage_pipeline.api.errors import FieldProblem, InvalidRequest

LARGEST_PAGE = 200
_Row = TypeVar("_Row")

Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="Rows of a page.")]
Cursor = Annotated[
    str | None, Field(max_length=1000, description="`next_cursor` of the page before; with the same filters and sort.")
]


def next_cursor(sort: str, place: Sequence[Any]) -> str:
    """The cursor of the page that begins after `place`, the values that the list is sorted by."""
    return base64.urlsafe_b64encode(to_json([sort, *place])).decode().rstrip("=")


def place_of(cursor: str | None, sort: str, kinds: Sequence[Callable[[Any], Any]]) -> Any:
    """Where the page of `cursor` begins, as a tuple; None for the first one.

    Args:
        kinds: what makes each of the place's values of JSON, and raises ValueError or TypeError for what is none.

    Raises:
        InvalidRequest: it is no cursor, or one of another sort.
    """
    if cursor is None:
        return None
    try:
        named, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if named != sort:
            raise ValueError("another sort")
        return tuple(kind(value) for kind, value in zip(kinds, values, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        problem = FieldProblem("cursor", "is no cursor of this list", "take next_cursor of the page before, or none")
        raise InvalidRequest([problem]) from error


def split_page(rows: Sequence[_Row], limit: int) -> tuple[Sequence[_Row], bool]:
    """The rows of the page, of one more than fits, and whether there are further ones."""
    return rows[:limit], len(rows) > limit


def instant(value: Any) -> datetime:
    """A moment with its zone."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment


def identifier(value: Any) -> UUID:
    """A UUID."""
    return UUID(value)


def text(value: Any) -> str:
    """A text that PostgreSQL can hold."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no text")
    value.encode()
    return value


def whole_number(value: Any) -> int:
    """A number of PostgreSQL's type integer."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2**31 - 1:
        raise ValueError("no number")
    return value
