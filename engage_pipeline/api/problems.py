"""Errors as problem details (RFC 9457): what happened, which field, and how to mend it. Never a stack trace."""

import logging
import traceback
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, to_json
from starlette.exceptions import HTTPException

from engage_pipeline.api.errors import (
    Busy,
    FieldProblem,
    InvalidRequest,
    NotFound,
    TooManyRequests,
    UnreadableBody,
    WrongMediaType,
)
from engage_pipeline.errors import EngageError
from engage_pipeline.flows.complaints import complaint, field_path
from engage_pipeline.masking import mask_personal

log = logging.getLogger("engage.api")

PROBLEM_JSON = "application/problem+json"

STATUS = {
    "invalid-token": 401,
    "role-too-low": 403,
    "no-such-tenant": 403,
    "not-found": 404,
    "no-flow": 404,
    "no-flow-version": 404,
    "no-contact": 404,
    "no-execution": 404,
    "no-action-log": 404,
    "no-upload": 404,
    "no-batch": 404,
    "no-template": 404,
    "no-rejected-rows": 404,
    "unknown-mart": 404,
    "priority-taken": 409,
    "flow-name-taken": 409,
    "execution-ended": 409,
    "not-unknown": 409,
    "not-held": 409,
    "not-failed": 409,
    "held-file-missing": 409,
    "flow-moved": 412,
    "body-too-slow": 408,
    "body-too-large": 413,
    "wrong-media-type": 415,
    "unreadable-body": 400,
    "too-many-requests": 429,
    "busy": 503,
    "no-warehouse": 503,
    "database-unreachable": 503,
    "schema-missing": 503,
    "suppression-key-missing": 503,
}
"""Error code -> status; 422 for every other one."""


class FieldError(BaseModel):
    """One field that cannot be taken."""

    field: str = Field(description="Path of the field, such as actions[0].action_config.")
    detail: str = Field(description="What is wrong with it.")
    fix: str = Field(description="How to mend it.")


class Problem(BaseModel):
    """Problem details as in RFC 9457, with a stable code and how to mend it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:engage:problem:priority-taken",
                    "title": "Priority taken",
                    "status": 409,
                    "detail": "the flow 'Paid social' wants priority 0: the flow 'Hot demo requests' of the same"
                    " tenant has it",
                    "instance": "/api/auto-engagement/flows",
                    "code": "priority-taken",
                    "fix": "give one of them another number",
                    "errors": [],
                }
            ]
        }
    )

    type: str = Field(description="urn:engage:problem:<code>")
    title: str
    status: int
    detail: str = Field(description="What happened, and why.")
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Stable; docs/operations.md lists every one.")
    fix: str = Field(description="How to mend it.")
    errors: list[FieldError] = Field(description="The fields that cannot be taken; empty for another kind of problem.")


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint may answer with, for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted(statuses)
    }


def problem_response(error: EngageError, path: str) -> Response:
    """The answer that shows `error`."""
    status = STATUS.get(error.code, 422)
    headers = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after_seconds)
    elif status == 503:
        headers["Retry-After"] = "5"
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    problems = error.problems if isinstance(error, InvalidRequest) else ()
    return _response(
        status,
        error.code,
        detail=f"{error.what}: {error.why}",
        fix=error.fix,
        path=path,
        problems=problems,
        headers=headers,
    )


def invalid(details: Iterable[ErrorDetails] | Sequence[Any], *, within: str = "body") -> InvalidRequest:
    """What pydantic found wrong, field by field."""
    problems = []
    for detail in details:
        location = tuple(detail["loc"])
        if location and location[0] in ("body", "query", "path", "header"):
            within, location = str(location[0]), location[1:]
        path = field_path(location)
        problems.append(FieldProblem(path or within, complaint(detail), _fix(detail, within)))
    return InvalidRequest(problems)


def handle_problems(app: FastAPI) -> None:
    """Let every error of `app` become a problem."""
    app.add_exception_handler(EngageError, _on_engage_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid_request)  # type: ignore[arg-type]
    app.add_exception_handler(ValidationError, _on_invalid_request)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http_exception)  # type: ignore[arg-type]
    app.add_exception_handler(psycopg.Error, _on_database_error)  # type: ignore[arg-type]
    app.add_exception_handler(PoolTimeout, _on_database_error)  # type: ignore[arg-type]


def unexpected(error: BaseException, path: str) -> Response:
    """The answer to what nobody foresaw; the log has the rest, without addresses and numbers of people."""
    log.error("%s", mask_personal("".join(traceback.format_exception(error))))
    return _response(
        500,
        "unexpected",
        detail="the request was not carried out: something went wrong here that should not",
        fix="report it with the time of the request; the log of the API has the details",
        path=path,
    )


def _response(
    status: int,
    code: str,
    *,
    detail: str,
    fix: str,
    path: str,
    problems: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    body = {
        "type": f"urn:engage:problem:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
        "fix": fix,
        "errors": [{"field": each.field, "detail": each.detail, "fix": each.fix} for each in problems],
    }
    return Response(to_json(body), status_code=status, media_type=PROBLEM_JSON, headers=dict(headers))


def _on_engage_error(request: Request, error: EngageError) -> Response:
    return problem_response(error, request.url.path)


def _on_invalid_request(request: Request, error: RequestValidationError | ValidationError) -> Response:
    details = list(error.errors())
    first: Mapping[str, Any] = details[0] if details else {}
    if first.get("type") == "json_invalid":
        place = first["loc"][-1]
        return problem_response(
            UnreadableBody(f"it is no JSON: {first['ctx']['error']}, at character {place}"), request.url.path
        )
    given = request.headers.get("content-type", "").partition(";")[0]
    is_json = given == "application/json" or given.endswith("+json")
    if first.get("loc") == ("body",) and first.get("type") != "missing" and not is_json:
        return problem_response(WrongMediaType("application/json"), request.url.path)
    return problem_response(invalid(details), request.url.path)


def _on_http_exception(request: Request, error: HTTPException) -> Response:
    carried = getattr(error, "error", None)
    if isinstance(carried, EngageError):
        return problem_response(carried, request.url.path)
    if error.status_code == 404:
        return problem_response(NotFound(request.url.path), request.url.path)
    if error.status_code == 400:
        return problem_response(UnreadableBody("it is nested too deeply, or not what it says it is"), request.url.path)
    phrase = HTTPStatus(error.status_code).phrase
    return _response(
        error.status_code,
        phrase.lower().replace(" ", "-"),
        detail=f"the request was refused: {phrase.lower()}",
        fix="see /api/docs for what this address takes",
        path=request.url.path,
        headers={name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"},
    )


def _on_database_error(request: Request, error: psycopg.Error | PoolTimeout) -> Response:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return problem_response(Busy("it took longer than a request may take"), request.url.path)
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return problem_response(Busy("another request changed the same at the same time"), request.url.path)
    if isinstance(error, psycopg.OperationalError | PoolTimeout):
        return problem_response(Busy("the database cannot be reached, or is busy"), request.url.path)
    if isinstance(error, psycopg.DataError):
        # A text with NUL, or a number that no column holds.
        problem = FieldProblem("body", "a value cannot be stored", "leave out NUL characters and numbers too large")
        return problem_response(InvalidRequest([problem]), request.url.path)
    return unexpected(error, request.url.path)


def _fix(detail: Mapping[str, Any], within: str) -> str:
    kind = detail["type"]
    if kind == "missing":
        return f"add it to the {within}"
    if kind == "extra_forbidden":
        return "take it out, or correct its name"
    return "see the schema of this endpoint in /api/docs"
