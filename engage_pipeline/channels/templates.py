"""Templates: what a message says, with the contact's values in it. Checked when saved, rendered in a sandbox."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from types import SimpleNamespace
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engage_pipeline.channels.protocol import OWN_FIELDS, Recipient, Skip
from engage_pipeline.errors import EngageError

CUSTOM = "custom"
"""The name under which a template finds custom fields: `{{ custom.Plan }}` or `{{ custom["Team size"] }}`."""

PARTS: Mapping[str, frozenset[str]] = {
    "email": frozenset({"subject", "text", "html"}),
    "whatsapp_message": frozenset({"name", "language", "header", "body", "buttons"}),
    "ai_call": frozenset({"user_data"}),
}
"""What the content of a template may hold, by channel."""

_REQUIRED: Mapping[str, frozenset[str]] = {
    "email": frozenset({"subject", "text"}),
    "whatsapp_message": frozenset({"name", "language"}),
    "ai_call": frozenset({"user_data"}),
}
_EXTRA_NAMES = {"email": frozenset({"unsubscribe_url"})}


class InvalidTemplate(EngageError):
    """A template cannot be saved."""

    code = "invalid-template"

    def __init__(self, name: str, *, why: str, fix: str) -> None:
        self.name = name
        super().__init__(what=f"the template {name!r} was not saved", why=why, fix=fix)


@dataclass(frozen=True)
class Template:
    """One version of a template.

    Attributes:
        content: text with Jinja expressions, in the parts that `PARTS` lists for the channel.
        defaults: what stands for a value that a contact lacks, by `first_name` or `custom.Plan`.
    """

    name: str
    channel: str
    content: Mapping[str, Any]
    defaults: Mapping[str, str] = field(default_factory=dict)
    version: int = 1

    def check(self) -> None:
        """Raises InvalidTemplate for what would otherwise be noticed while sending."""
        self._check_parts()
        known = {*OWN_FIELDS, CUSTOM, *_EXTRA_NAMES.get(self.channel, ())}
        for source in _sources(self.content):
            for name in _names(source, self.name):
                if name.partition(".")[0] not in known or name == CUSTOM:
                    close = get_close_matches(name, known, n=1)
                    raise InvalidTemplate(
                        self.name,
                        why=f"it uses {name!r}, which no contact has",
                        fix=f"use {close[0]!r}" if close else 'custom fields are written custom.Plan or custom["Plan"]',
                    )
        if unused := set(self.defaults) - self.variables:
            raise InvalidTemplate(
                self.name,
                why=f"it has a default for {min(unused)!r}, which it does not use",
                fix="take the default out, or correct its name",
            )

    @property
    def variables(self) -> frozenset[str]:
        """The values it needs of a contact, such as `first_name` and `custom.Plan`."""
        extra = _EXTRA_NAMES.get(self.channel, frozenset())
        return frozenset(
            name for source in _sources(self.content) for name in _names(source, self.name) if name not in extra
        )

    def render(self, recipient: Recipient, **extra: str) -> dict[str, Any] | Skip:
        """The content with the contact's values in it, or why this contact cannot get it. `html` escapes values."""
        # A namespace has no attributes of its own, so that a custom field may be called `items`.
        custom = SimpleNamespace()
        values: dict[str, Any] = {CUSTOM: custom, **extra}
        for name in self.variables:
            is_custom = name.startswith(f"{CUSTOM}.")
            value = recipient.custom_fields.get(name.removeprefix(f"{CUSTOM}.")) if is_custom else recipient.own(name)
            text = self.defaults.get(name) if value in (None, "") else str(value)
            if text is None:
                return Skip("missing_value", f"{name} is not known of the contact")
            if is_custom:
                setattr(custom, name.removeprefix(f"{CUSTOM}."), text)
            else:
                values[name] = text
        return {part: _rendered(content, values, escape=part == "html") for part, content in self.content.items()}

    def _check_parts(self) -> None:
        if self.channel not in PARTS:
            raise InvalidTemplate(
                self.name, why=f"there is no channel {self.channel!r}", fix=f"use one of: {', '.join(PARTS)}"
            )
        allowed, given = PARTS[self.channel], set(self.content)
        if wrong := (given - allowed) or (_REQUIRED[self.channel] - given):
            raise InvalidTemplate(
                self.name,
                why=f"{min(wrong)!r} is {'not a part of it' if wrong & given else 'missing'}",
                fix=f"a template for {self.channel} has: {', '.join(sorted(allowed))}",
            )


def _sources(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _sources(value)
    elif isinstance(content, list):
        for value in content:
            yield from _sources(value)


def _rendered(content: Any, values: Mapping[str, Any], *, escape: bool) -> Any:
    if isinstance(content, str):
        return _compiled(content, escape).render(values)
    if isinstance(content, Mapping):
        return {name: _rendered(value, values, escape=escape) for name, value in content.items()}
    if isinstance(content, list):
        return [_rendered(value, values, escape=escape) for value in content]
    return content


def _environment(escape: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=escape, undefined=StrictUndefined, keep_trailing_newline=False, cache_size=0
    )
    environment.globals.clear()
    return environment


_ENVIRONMENTS = {escape: _environment(escape) for escape in (False, True)}


@cache
def _compiled(source: str, escape: bool) -> Any:
    return _ENVIRONMENTS[escape].from_string(source)


@cache
def _names(source: str, template_name: str) -> frozenset[str]:
    """Every name the source reads; a custom field as `custom.<field>`.

    Raises:
        InvalidTemplate: Jinja cannot read it, or a custom field is not named outright.
    """
    try:
        tree = _ENVIRONMENTS[False].parse(source)
        _compiled(source, False)
    except TemplateError as error:
        raise InvalidTemplate(template_name, why=str(error), fix="correct the expression") from error
    if any(True for kind in _FORBIDDEN for _ in tree.find_all(kind)):
        raise InvalidTemplate(
            template_name,
            why="it has a loop, a macro, a call, a multiplication or refers to another template",
            fix="templates put values in, with filters and conditions",
        )
    assigned = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    fields = {
        f"{CUSTOM}.{_field_name(node, template_name)}"
        for node in _lookups(tree)
        if isinstance(node.node, nodes.Name) and node.node.name == CUSTOM
    }
    plain = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"} - assigned
    return frozenset(fields | (plain - {CUSTOM} if fields else plain))


def _lookups(tree: nodes.Template) -> list[nodes.Getattr | nodes.Getitem]:
    return [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]


def _field_name(node: Any, template_name: str) -> str:
    if isinstance(node, nodes.Getattr):
        return str(node.attr)
    if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.arg.value
    raise InvalidTemplate(
        template_name, why="a custom field is not named outright", fix='write it as custom["Team size"]'
    )


# What could make a small text large or run long, and what reaches beyond the contact's values.
_FORBIDDEN = (
    nodes.For,
    nodes.Macro,
    nodes.CallBlock,
    nodes.Call,
    nodes.Mul,
    nodes.Pow,
    nodes.Include,
    nodes.Import,
    nodes.FromImport,
    nodes.Extends,
)
