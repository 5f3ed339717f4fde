"""The providers' own specifications, by whose schemas requests, answers and webhooks are judged."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


@cache
def specification(folder: Path, name: str) -> dict[str, Any]:
    """The document of that name."""
    text = (folder / "contracts" / "specs" / name).read_text()
    document = json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader)
    _make_nullable(document)
    return dict(document)


def mistakes(document: dict[str, Any], schema_path: str, body: Any) -> list[str]:
    """What the specification's schema at that JSON pointer says against the body."""
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    # SendGrid's refers to a file of shared schemas that was not published with it; those parts go unchecked.
    elsewhere = re.findall(r"\.\./\.\./components/schemas\.json#/([\w-]+)", json.dumps(document, default=str))
    missing = Resource.from_contents({name: {} for name in elsewhere}, default_specification=DRAFT202012)
    registry = Registry().with_resources([("urn:spec", resource), ("../../components/schemas.json", missing)])
    schema = {"$ref": f"urn:spec#{schema_path}"}
    validator = Draft202012Validator(schema, registry=registry, format_checker=FormatChecker())
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in validator.iter_errors(body)]


def response_schema(path: str, method: str, status: int) -> str:
    """The JSON pointer of the schema of a response."""
    return f"/paths/{_escaped(path)}/{method}/responses/{status}/content/application~1json/schema"


def request_schema(path: str, *, among: str = "paths") -> str:
    """The JSON pointer of the schema of what is posted."""
    return f"/{among}/{_escaped(path)}/post/requestBody/content/application~1json/schema"


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1")


def _make_nullable(schema: Any) -> None:
    """OpenAPI 3.0's `nullable: true` in the words of JSON Schema, in which 3.1 has it."""
    if isinstance(schema, dict):
        if schema.get("nullable") is True and isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], "null"]
        for part in schema.values():
            _make_nullable(part)
    elif isinstance(schema, list):
        for part in schema:
            _make_nullable(part)
