"""What a template is told about a contact: the fields that the action's `variables` list names, as text."""

from collections.abc import Mapping
from typing import Any

from engage_pipeline.channels.protocol import Recipient
from engage_pipeline.errors import EngageError


class InvalidVariables(EngageError):
    """`variables` of an action is not a list of field names."""

    code = "invalid-variables"

    def __init__(self, variables: object) -> None:
        super().__init__(
            what="the action's variables cannot be filled in",
            why=f"action_config.variables is a {type(variables).__name__}, not a list of field names",
            fix="write it as a list, such as variables: [first_name, company]",
        )


def variable_values(
    recipient: Recipient, action_config: Mapping[str, Any], *, longest: int | None = None
) -> dict[str, str]:
    """The value of each field in `action_config["variables"]`, in that order; empty text for a field without a value.

    A contact's own field goes before a custom field of the same name. With `longest`, values are one line of at most
    that many printable characters.

    Raises:
        InvalidVariables: `variables` is not a list of field names.
    """
    names = action_config.get("variables", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidVariables(names)
    values = {name: _text(_value(recipient, name)) for name in names}
    return values if longest is None else {name: one_line(value, longest) for name, value in values.items()}


def one_line(text: str, longest: int) -> str:
    """`text` without line breaks and other unprintable characters, cut to `longest` characters."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:longest].strip()


def _value(recipient: Recipient, name: str) -> Any:
    own = recipient.own(name)
    return recipient.custom_fields.get(name) if own is None else own


def _text(value: Any) -> str:
    return "" if value is None else str(value)
