"""A mapping of columns that somebody wrote down: a YAML file for lead files that no preset fits.

preset: generic            # optional: what the columns that are not named here fall back on
source_system: our-crm     # optional: whose ids they are
time_zone: Asia/Kolkata    # optional: where times without an offset were written
columns:
  Cust No: external_id
  Handy: phone
  Interest: custom_fields.interest
  Joined: time
  Internal remark: ignore
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from engage_pipeline.intake.errors import InvalidMapping
from engage_pipeline.intake.presets import FIELDS, ZoneName, fold, presets

CUSTOM = "custom_fields."
IGNORE = "ignore"
TIME = "time"


def _known_meaning(meaning: str) -> str:
    if meaning in (*FIELDS, IGNORE, TIME) or (meaning.startswith(CUSTOM) and len(meaning) > len(CUSTOM)):
        return meaning
    raise ValueError(f"a column cannot be {meaning!r}; write {', '.join(FIELDS)}, {TIME}, {IGNORE} or {CUSTOM}<name>")


def _known_preset(name: str) -> str:
    if name not in presets():
        raise ValueError(f"no preset is called {name!r}; there are {', '.join(presets())}")
    return name


def _told_apart(columns: dict[str, str]) -> dict[str, str]:
    folded = [fold(header) or header for header in columns]
    twice = {header for header in folded if folded.count(header) > 1}
    if twice:
        raise ValueError(f"headers that differ in case, blanks or punctuation only are one: {', '.join(sorted(twice))}")
    return columns


Meaning = Annotated[str, AfterValidator(_known_meaning)]
PresetName = Annotated[str, AfterValidator(_known_preset)]


class SavedMapping(BaseModel):
    """What the file says; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: PresetName | None = None
    source_system: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    time_zone: ZoneName | None = None
    columns: Annotated[dict[str, Meaning], Field(min_length=1), AfterValidator(_told_apart)]


def read_saved_mapping(file: Path) -> SavedMapping:
    """The mapping in a YAML file.

    Raises:
        InvalidMapping: it is no YAML, or says something that cannot be.
    """
    try:
        written: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return SavedMapping.model_validate(written)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidMapping(file.name, [" ".join(str(error).split())]) from error
    except ValidationError as error:
        raise InvalidMapping(file.name, [_complaint(each) for each in error.errors()]) from error


def _complaint(found: Any) -> str:
    place = ".".join(str(part) for part in found["loc"] if part != "function-after")
    return f"{place or 'the file'}: {found['msg'].removeprefix('Value error, ')}"
