"""What somebody says about a lead file beside sending it, checked: by the command line and the API alike."""

import codecs
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from engage_pipeline.intake.saved_mapping import PresetName, SavedMapping
from engage_pipeline.intake.uploads import UploadOptions


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"there is no encoding {name!r}") from error


def _one_character(delimiter: str) -> str:
    delimiter = "\t" if delimiter in ("tab", "\\t") else delimiter
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ValueError("a delimiter is one character, and no quote or line end")
    return delimiter


def _said(value: object) -> object:
    return None if value == "" else value


class GivenOptions(BaseModel):
    """Each is sniffed, or the tenant's, where it is not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Annotated[
        Literal["delimited", "workbook", "json", "json_lines", "parquet"] | None, BeforeValidator(_said)
    ] = None
    encoding: Annotated[Annotated[str, AfterValidator(_known_encoding)] | None, BeforeValidator(_said)] = None
    delimiter: Annotated[Annotated[str, AfterValidator(_one_character)] | None, BeforeValidator(_said)] = None
    sheet: Annotated[str | None, BeforeValidator(_said)] = None
    preset: Annotated[PresetName | None, BeforeValidator(_said)] = None
    known_contacts: Annotated[Literal["update", "leave"] | None, BeforeValidator(_said)] = None
    mapping: SavedMapping | None = None

    def stored(self) -> UploadOptions:
        """What is kept on the upload; what was not given is absent."""
        return cast("UploadOptions", self.model_dump(mode="json", exclude_none=True))
