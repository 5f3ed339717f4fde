"""What the columns of known systems' files are: one YAML file a system in `presets/`, read and checked.

To add a system, add its file: the headers that betray it, and which of them are which field. What a preset does not
say, `generic` does.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_FOLDER = Path(__file__).with_suffix("")

GENERIC = "generic"
FIELDS = (
    "external_id", "phone", "email", "first_name", "last_name", "full_name", "company", "lead_source", "tags",
    "country", "do_not_call", "do_not_email", "do_not_contact",
)  # fmt: skip
"""What a column can be, besides a custom field."""


def fold(header: str) -> str:
    """A header without case, blanks, underscores and punctuation."""
    return "".join(character for character in header.casefold() if character.isalnum())


def known_field(name: str) -> str:
    """`name`, if a column can be that.

    Raises:
        ValueError: it cannot.
    """
    if name not in FIELDS:
        raise ValueError(f"no field is called {name!r}; there are {', '.join(FIELDS)}")
    return name


def known_zone(name: str) -> str:
    """`name`, if the time zone database has it.

    Raises:
        ValueError: it has not.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone is called {name!r}; write one such as Asia/Kolkata") from error
    return name


Headers = Annotated[tuple[str, ...], Field(min_length=1)]
FieldName = Annotated[str, AfterValidator(known_field)]
ZoneName = Annotated[str, AfterValidator(known_zone)]


class Preset(BaseModel):
    """One system's files. Headers are compared folded: see `fold`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    recognised_by: tuple[Headers, ...] = ()
    """A file with all headers of one of these is such a file."""

    columns: dict[FieldName, Headers]
    """Field -> headers of such columns, the better source first."""

    times: tuple[str, ...] = ()
    """Headers of custom fields that are instants."""

    time_zone: ZoneName | None = None
    """Where times without an offset were written; None means the tenant's."""

    prefixes: dict[str, tuple[str, ...]] = {}
    """Header -> what may stand in front of its values and is no part of them."""

    test_lead: tuple[str, ...] = ()
    """A row is no lead when one of its cells begins with one of these."""


@cache
def presets() -> dict[str, Preset]:
    """All presets by name, `generic` last."""
    names = sorted((file.stem for file in _FOLDER.glob("*.yaml")), key=lambda name: (name == GENERIC, name))
    return {
        name: Preset.model_validate(yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))) for name in names
    }


def recognised(folded_headers: frozenset[str]) -> str:
    """The preset that fits a file's headers best, by the number of headers that betray it; `generic` when none does."""
    best, most = GENERIC, 0
    for name, preset in presets().items():
        for betraying in preset.recognised_by:
            needed = frozenset(map(fold, betraying))
            if needed <= folded_headers and len(needed) > most:
                best, most = name, len(needed)
    return best


def flatten_record(record: dict[str, Any]) -> dict[str, Any]:
    """A lead of Facebook's Graph API with its answers as fields of their own; any other record as it is.

    Several values of one answer become a list.
    """
    answers = record.get("field_data")
    if not isinstance(answers, list) or not all(isinstance(each, dict) and "name" in each for each in answers):
        return record
    flat = {key: value for key, value in record.items() if key != "field_data"}
    for answer in answers:
        values = answer.get("values") or []
        flat[str(answer["name"])] = values[0] if len(values) == 1 else (values or None)
    return flat
