"""Flows as YAML files: read with the line of every mistake, and written so that they read back the same."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import phonenumbers
import yaml
from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError, field_validator
from pydantic_core import ErrorDetails

from engage_pipeline.flows.complaints import FieldPath, complaint, field_path, without_tags
from engage_pipeline.flows.conditions import CONDITION_TAG, GROUP_TAG, ConditionGroup, TriggerCondition
from engage_pipeline.flows.errors import InvalidFlows
from engage_pipeline.flows.hours import HoursWindow, WeeklyHours, check_time_zone
from engage_pipeline.flows.model import Action, Flow

# An alias can repeat a part that holds aliases itself; a few lines then stand for more nodes than memory holds.
LARGEST_FILE_NODES = 200_000

# A tenant's name is also the name of its folder in the inbox.
TENANT_NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"


@dataclass(frozen=True)
class TenantFlows:
    """What the files read together say about one tenant. A setting that no file gives is None."""

    tenant_name: str
    default_phone_region: str | None
    time_zone: str | None
    flows: tuple[Flow, ...]
    business_hours: WeeklyHours | None = None
    legal_hours: bool | None = None


def read_flows(path: Path, *, tenant_name: str | None = None) -> list[TenantFlows]:
    """The flows of a YAML file, or of every `.yaml` and `.yml` directly in a folder, by tenant name.

    Args:
        tenant_name: the tenant to use whatever the files say; without it every file names its own.

    Raises:
        InvalidFlows: with every problem of every file.
    """
    files = [_FlowFile.read(each) for each in _yaml_files(path)]
    if not files:
        raise InvalidFlows(str(path), problems=[f"{path}: no .yaml or .yml file is here"])
    problems = [problem for file in files for problem in file.problems(tenant_name)]
    problems += _clashes(files, tenant_name)
    if problems:
        raise InvalidFlows(str(path), problems=[str(problem) for problem in sorted(problems)])
    return _by_tenant(files, tenant_name)


def to_yaml(flows: Sequence[Flow], *, tenant_name: str | None = None) -> str:
    """The text of a file that `read_flows` reads back to the same flows. What equals its default is left out."""
    content: dict[str, Any] = {} if tenant_name is None else {"tenant": tenant_name}
    content["flows"] = [flow.model_dump(mode="json", exclude_defaults=True) for flow in flows]
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


@dataclass(frozen=True, order=True)
class _Problem:
    """Sorts by file and line, the order in which a person mends."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class _Content(BaseModel):
    """The top level of a flow file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str | None = None
    default_phone_region: str | None = None
    time_zone: str | None = None
    business_hours: WeeklyHours | None = None
    legal_hours: StrictBool | None = None
    flows: tuple[Flow, ...]

    @field_validator("tenant")
    @classmethod
    def _folder_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(TENANT_NAME_PATTERN, value):
            raise ValueError("a tenant is named with letters, digits, '.', '_' and '-', a letter or digit first")
        return value

    @field_validator("default_phone_region")
    @classmethod
    def _known_region(cls, value: str | None) -> str | None:
        if value is not None and value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("a region is two capital letters, such as US, GB or IN")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        return check_time_zone(value)


_FIELDS_OF: dict[str | None, type[BaseModel]] = {
    None: _Content,
    "flows": Flow,
    "business_hours": WeeklyHours,
    "windows": HoursWindow,
    CONDITION_TAG: TriggerCondition,
    GROUP_TAG: ConditionGroup,
    "actions": Action,
}


class _Loader(yaml.SafeLoader):
    """YAML as PyYAML reads it, except that a date stays the text it is and a value that cannot be built has a line."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the shape PyYAML looks for
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise yaml.constructor.ConstructorError(
                None, None, f"not a value of {node.tag.rsplit(':', 1)[-1]}", node.start_mark
            ) from error


class _Dumper(yaml.SafeDumper):
    """Repeats what is repeated instead of writing anchors, which people find hard to edit."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # Between single quotes PyYAML writes these as they are, and reads them back as line breaks.
        style = '"' if any(each in text for each in "\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


@dataclass(frozen=True)
class _FlowFile:
    """One file: its nodes, which know their lines, what they say, and what is wrong with that."""

    path: Path
    node: yaml.Node | None
    raw: Any
    content: _Content | None
    own_problems: tuple[_Problem, ...]

    @classmethod
    def read(cls, path: Path) -> "_FlowFile":
        try:
            text = path.read_bytes().decode("utf-8-sig")
            loader = _Loader(text)
            node = loader.get_single_node()
            if node is None:
                return cls(path, None, None, None, (_Problem(path, 1, "the file is empty; it needs flows:"),))
            repeated = tuple(_Problem(path, line, text) for line, text in _repeated_keys(node))
            if repeated:
                return cls(path, None, None, None, repeated)
            raw = loader.construct_document(node)
        except OSError as error:
            return cls(path, None, None, None, (_Problem(path, 1, f"cannot be read: {error.strerror}"),))
        except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            return cls(path, None, None, None, (_Problem(path, *_syntax_problem(error)),))
        try:
            return cls(path, node, raw, _Content.model_validate(raw), ())
        except ValidationError as error:
            return cls(path, node, raw, None, tuple(_problem(path, node, detail) for detail in error.errors()))

    def tenant(self, tenant_name: str | None) -> str | None:
        """The tenant of this file's flows, as far as it can be told."""
        named = self.raw.get("tenant") if isinstance(self.raw, dict) else None
        return tenant_name or (named if isinstance(named, str) else None)

    def problems(self, tenant_name: str | None) -> tuple[_Problem, ...]:
        if self.content is not None and self.tenant(tenant_name) is None:
            return (_Problem(self.path, 1, "tenant: is needed, here or as --tenant"),)
        return self.own_problems

    def values(self, field: str) -> Iterator[tuple[str | int, int, str]]:
        """Every flow's value of a field, its line and its path, valid or not, so that one mistake hides no other."""
        flows = self.raw.get("flows") if isinstance(self.raw, dict) else None
        for index, flow in enumerate(flows if isinstance(flows, list) else []):
            value = flow.get(field) if isinstance(flow, dict) else None
            if isinstance(value, str | int) and self.node is not None:
                path: FieldPath = ("flows", index, field)
                yield (value.strip() if isinstance(value, str) else value), _line(self.node, path), field_path(path)


def _yaml_files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(each for each in path.iterdir() if each.suffix in (".yaml", ".yml"))
    return [path]


def _by_tenant(files: Sequence[_FlowFile], tenant_name: str | None) -> list[TenantFlows]:
    together: dict[str, list[_Content]] = {}
    for file in files:
        name = file.tenant(tenant_name)
        if name is not None and file.content is not None:
            together.setdefault(name, []).append(file.content)
    return [
        TenantFlows(
            name,
            next((each.default_phone_region for each in contents if each.default_phone_region), None),
            next((each.time_zone for each in contents if each.time_zone), None),
            tuple(flow for each in contents for flow in each.flows),
            next((each.business_hours for each in contents if each.business_hours), None),
            next((each.legal_hours for each in contents if each.legal_hours is not None), None),
        )
        for name, contents in sorted(together.items())
    ]


def _clashes(files: Sequence[_FlowFile], tenant_name: str | None) -> Iterator[_Problem]:
    """What is unique within a tenant and occurs twice, and what two files say differently of one tenant."""
    taken: dict[tuple[str | None, str, str | int], str] = {}
    settings: dict[tuple[str | None, str], tuple[object, Path]] = {}
    for file in files:
        tenant = file.tenant(tenant_name)
        for field in ("name", "priority"):
            for value, line, written in file.values(field):
                first = taken.setdefault((tenant, field, value), f"{file.path}:{line}")
                if first != f"{file.path}:{line}":
                    text = f"{written}: {value!r} is taken by the flow at {first}; it is unique within a tenant"
                    yield _Problem(file.path, line, text)
        for field in ("default_phone_region", "time_zone", "business_hours", "legal_hours"):
            setting: object = getattr(file.content, field, None)
            if setting is not None and file.node is not None:
                said, path = settings.setdefault((tenant, field), (setting, file.path))
                if said != setting:
                    text = f"{field}: {setting!r} here, but {said!r} in {path}, of the same tenant"
                    yield _Problem(file.path, _line(file.node, (field,)), text)


def _repeated_keys(root: yaml.Node) -> list[tuple[int, str]]:
    """Keys written twice in one mapping: line and problem. Also refuses what would not end or not fit.

    PyYAML would let the last one win without a word.
    """
    problems: list[tuple[int, str]] = []
    sizes: dict[int, int] = {}

    def size(node: yaml.Node, path: FieldPath, above: frozenset[int]) -> int:
        if id(node) in above:
            raise yaml.composer.ComposerError(None, None, "an alias stands inside what it names", node.start_mark)
        if id(node) not in sizes:
            inside = above | {id(node)}
            sizes[id(node)] = 1 + sum(size(child, (*path, step), inside) for step, child in _children(node))
            problems.extend(_repeated_in(node, path))
        if sizes[id(node)] > LARGEST_FILE_NODES:
            raise yaml.composer.ComposerError(None, None, "the aliases stand for too much", node.start_mark)
        return sizes[id(node)]

    size(root, (), frozenset())
    return problems


def _repeated_in(node: yaml.Node, path: FieldPath) -> Iterator[tuple[int, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            if key.value in lines:
                written = field_path((*path, key.value))
                yield line, f"{written}: is written twice in one place, first on line {lines[key.value]}"
            lines.setdefault(key.value, line)


def _children(node: yaml.Node) -> list[tuple[str | int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(str(key.value), child) for key, child in node.value]
    if isinstance(node, yaml.SequenceNode):
        return list(enumerate(node.value))
    return []


def _line(node: yaml.Node, path: FieldPath) -> int:
    """The line, from 1, of the field's key or the list's item; of what it is missing from if it is not there."""
    line = node.start_mark.line + 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            # The last one: keys that `<<` merged in stand before those of the mapping itself.
            pairs = [(key, value) for key, value in node.value if key.value == step]
            if not pairs:
                return line
            line, node = pairs[-1][0].start_mark.line + 1, pairs[-1][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _problem(path: Path, node: yaml.Node, detail: ErrorDetails) -> _Problem:
    location = without_tags(detail["loc"])
    text = ": ".join(part for part in (field_path(location), _message(detail)) if part)
    return _Problem(path, _line(node, location), text)


def _message(detail: ErrorDetails) -> str:
    """What is wrong, in the words of a YAML file."""
    if detail["type"] == "extra_forbidden":
        return _unknown_field(detail["loc"])
    if detail["type"] == "string_type":
        return f"should be text; put {detail['input']!r} in quotes"
    return complaint(detail)


def _unknown_field(location: FieldPath) -> str:
    within = next((step for step in reversed(location[:-1]) if isinstance(step, str)), None)
    allowed = list(_FIELDS_OF[within].model_fields)
    close = get_close_matches(str(location[-1]), allowed, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"is not a field here; {hint}allowed: {', '.join(allowed)}"


def _syntax_problem(error: UnicodeDecodeError | yaml.YAMLError | RecursionError) -> tuple[int, str]:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return mark.line + 1 if mark else 1, ", ".join(part for part in (error.context, error.problem) if part)
    if isinstance(error, yaml.reader.ReaderError):
        return 1, f"the character at position {error.position} (U+{int(error.character):04X}) is not allowed"
    if isinstance(error, UnicodeDecodeError):
        return error.object[: error.start].count(b"\n") + 1, "the file is not UTF-8"
    return 1, "nested too deeply"
