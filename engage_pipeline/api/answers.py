"""Answers as JSON, made once: what they look like is in the models that the endpoints name for the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from pydantic_core import to_json


@dataclass(frozen=True)
class Answer:
    """Status, body and headers, ready to be sent or kept."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Any, status: int = 200, **headers: str) -> "Answer":
        """`content` as JSON; a header's name is written with `_` for `-`."""
        return cls(status, to_json(content), {name.replace("_", "-"): value for name, value in headers.items()})

    def response(self, **more: str) -> Response:
        """What the framework sends."""
        headers = {**self.headers, **more}
        media_type = "application/json" if self.body else None
        return Response(self.body, status_code=self.status, media_type=media_type, headers=headers)
