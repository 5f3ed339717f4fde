"""Which column of a lead file is which field of a contact: by a saved mapping, else a preset, else common names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engage_pipeline.intake.errors import FileRefused
from engage_pipeline.intake.presets import FIELDS, GENERIC, Preset, fold, presets, recognised
from engage_pipeline.intake.saved_mapping import CUSTOM, IGNORE, TIME, SavedMapping

# What `rejects` puts in front of a quarantined row; passed over when the mended file comes back.
REJECT_COLUMNS = ("engage_line_number", "engage_reason_code", "engage_reason")

# Every column of these counts: a second phone column helps where the first is blank, and any "no" is a "no".
_SEVERAL = ("phone", "email", "do_not_call", "do_not_email", "do_not_contact")
# Their columns are custom fields as well, as the contact has no field that keeps what they said.
_READ_ONLY = ("country", "do_not_call", "do_not_email", "do_not_contact")
_IDENTIFYING = ("external_id", "phone", "email")


@dataclass(frozen=True)
class MappingOptions:
    """What somebody knows better about a file's columns: the preset by name, and a saved mapping."""

    preset: str | None = None
    saved: SavedMapping | None = None

    @classmethod
    def from_json(cls, options: Mapping[str, Any]) -> "MappingOptions":
        """From `lead_uploads.options`, whose other keys are not looked at."""
        saved = options.get("mapping")
        return cls(options.get("preset"), None if saved is None else SavedMapping.model_validate(saved))


NO_OPTIONS = MappingOptions()


@dataclass(frozen=True)
class ColumnMapping:
    """Column numbers, from 0, by what they mean.

    Attributes:
        headers: the file's own.
        source_system: the system that external ids of this shape of file belong to.
        fields: contact field or consent -> its columns, the better source first.
        custom_fields: column number -> name of the custom field it fills. Second phone and e-mail columns and the
            columns for consent and country are here as well, so that nothing of the file is lost.
        preset: name of the preset that was used.
        zone: where times without an offset were written; None means the tenant's.
        instants: columns of custom fields that are times.
        prefixes: column number -> what may stand in front of its values and is no part of them; the first that fits.
        test_lead: a row is no lead when a cell begins with one of these.
    """

    headers: tuple[str, ...]
    source_system: str
    fields: dict[str, tuple[int, ...]]
    custom_fields: dict[int, str]
    preset: str = GENERIC
    zone: str | None = None
    instants: tuple[int, ...] = ()
    prefixes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    test_lead: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The value of `lead_uploads.column_mapping`; a column that is read nowhere maps to null."""
        meanings = {header: self.meaning(number) for number, header in enumerate(self.headers)}
        return {"preset": self.preset, "source_system": self.source_system, "columns": meanings}

    def meaning(self, number: int) -> str | None:
        """The contact field, consent or `custom_fields.<name>` that a column fills; None when it is read nowhere."""
        custom = self.custom_fields.get(number)
        field_name = next((name for name, columns in self.fields.items() if number in columns), None)
        return field_name or (None if custom is None else f"{CUSTOM}{custom}")


def map_columns(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, options: MappingOptions = NO_OPTIONS
) -> ColumnMapping:
    """Find each contact field's columns; `rows` only tell whether a column without a name holds anything.

    A saved mapping decides about the columns it names. Of the others, those that the preset names come before those
    with a common name.

    Raises:
        FileRefused: no_identifying_column, when no header is a phone, an e-mail or an external id;
            mapping_does_not_fit, when the saved mapping names a column that the file lacks, or one field twice.
    """
    saved = options.saved
    folded = [fold(header) or header for header in headers]
    name = options.preset or (saved.preset if saved else None) or recognised(frozenset(folded))
    preset = presets()[name]
    said = {} if saved is None else _said(saved, headers, folded)
    fields = _fields(preset, folded, said)
    if not any(each in fields for each in _IDENTIFYING):
        raise _no_identifying_column(headers)
    custom_fields = _custom_fields(headers, rows, fields, said)
    times = frozenset(map(fold, preset.times + presets()[GENERIC].times))
    return ColumnMapping(
        headers=tuple(headers),
        source_system=(saved.source_system if saved else None) or _source_system(name, folded, fields),
        fields=fields,
        custom_fields=custom_fields,
        preset=name,
        zone=(saved.time_zone if saved else None) or preset.time_zone,
        instants=tuple(
            number for number in custom_fields if said.get(number, TIME if folded[number] in times else "") == TIME
        ),
        prefixes={
            number: prefixes
            for header, prefixes in preset.prefixes.items()
            for number, each in enumerate(folded)
            if each == fold(header)
        },
        test_lead=preset.test_lead,
    )


def _said(saved: SavedMapping, headers: Sequence[str], folded: Sequence[str]) -> dict[int, str]:
    """Column number -> what the saved mapping says it is."""
    numbers = {name: number for number, name in enumerate(folded)}
    lacking = [header for header in saved.columns if (fold(header) or header) not in numbers]
    if lacking:
        raise FileRefused(
            "mapping_does_not_fit",
            what=f"the saved mapping names columns that the file does not have: {', '.join(lacking)}",
            why=f"the file has {', '.join(headers)}",
            fix="correct the names in the mapping, or take them out of it",
        )
    return {numbers[fold(header) or header]: meaning for header, meaning in saved.columns.items()}


def _fields(preset: Preset, folded: Sequence[str], said: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    fields = {}
    for name in FIELDS:
        known = (*preset.columns.get(name, ()), *presets()[GENERIC].columns.get(name, ()))
        by_name = (
            number
            for header in known
            for number, each in enumerate(folded)
            if each == fold(header) and number not in said
        )
        chosen = [number for number, meaning in said.items() if meaning == name]
        found = tuple(dict.fromkeys((*chosen, *by_name)))
        if len(chosen) > 1 and name not in _SEVERAL:
            raise _said_twice(name)
        if found:
            fields[name] = found if name in _SEVERAL else found[:1]
    if "full_name" not in said.values() and ("first_name" in fields or "last_name" in fields):
        fields.pop("full_name", None)
    return fields


def _source_system(preset: str, folded: Sequence[str], fields: Mapping[str, tuple[int, ...]]) -> str:
    if preset != GENERIC:
        return preset
    # Ids of unknown files share a namespace only when their id columns have the same name.
    return f"file:{folded[fields['external_id'][0]]}" if "external_id" in fields else "file"


def _custom_fields(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    fields: Mapping[str, tuple[int, ...]],
    said: Mapping[int, str],
) -> dict[int, str]:
    unread = {number for number, header in enumerate(headers) if header in REJECT_COLUMNS}
    unread |= {number for number, meaning in said.items() if meaning == IGNORE}
    unread |= {
        column
        for name, columns in fields.items()
        if name not in _READ_ONLY
        for column in (columns[:1] if name in _SEVERAL else columns)
    }
    unread |= _empty_and_nameless(headers, rows)
    used = set(headers)
    names: dict[int, str] = {}
    for number, header in enumerate(headers):
        if number in unread:
            continue
        name = said[number].removeprefix(CUSTOM) if said.get(number, "").startswith(CUSTOM) else header
        if not name:
            name = f"column_{number + 1}"
            while name in used:
                name += "_"
            used.add(name)
        if name in names.values():
            raise _said_twice(CUSTOM + name)
        names[number] = name
    return names


def _empty_and_nameless(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> set[int]:
    nameless = {number for number, header in enumerate(headers) if not header}
    if nameless:
        filled: set[int] = set()
        for row in rows:
            filled.update(number for number in nameless - filled if row[number].strip())
        nameless -= filled
    return nameless


def _said_twice(name: str) -> FileRefused:
    return FileRefused(
        "mapping_does_not_fit",
        what=f"the saved mapping makes {name} of two columns",
        why="one of them would be lost",
        fix="give one of the columns another name in the mapping",
    )


def _no_identifying_column(headers: Sequence[str]) -> FileRefused:
    return FileRefused(
        "no_identifying_column",
        what="the file has no column that identifies a contact",
        why=f"none of its headers names a phone number, an e-mail address or an id: {', '.join(headers)}",
        fix="name such a column Phone, Email or Lead Id, add one, or say which it is with --mapping",
    )
