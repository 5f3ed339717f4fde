"""What pydantic found wrong with a flow, in the words of whoever wrote it: for files and requests alike."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from engage_pipeline.flows.conditions import CONDITION_TAG, GROUP_TAG

FieldPath = tuple[str | int, ...]


def field_path(location: FieldPath) -> str:
    """`flows[1].actions[0].action_config`; the model's own names for kinds of nodes are left out."""
    steps = without_tags(location)
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def without_tags(location: FieldPath) -> FieldPath:
    """The path as it stands in the file: the model also names which kind of node it took a mapping for."""
    return tuple(step for step in location if step not in (CONDITION_TAG, GROUP_TAG))


def complaint(detail: Mapping[str, Any]) -> str:
    """What is wrong, in plain words instead of Python's."""
    kind, message = detail["type"], str(detail["msg"])
    if kind == "missing":
        return "is needed"
    if kind == "extra_forbidden":
        return "is not a field here"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "should be a mapping of fields"
    if kind in ("tuple_type", "list_type"):
        return "should be a list"
    if kind == "literal_error":
        close = get_close_matches(str(detail["input"]), [each.strip("'") for each in message.split("'")[1::2]], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        return message.replace("Input should be", f"{detail['input']!r} should be", 1) + hint
    return message.removeprefix("Value error, ").replace("Input should", "should")
