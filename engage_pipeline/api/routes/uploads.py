"""Lead files: sent as a form, streamed to the inbox, and afterwards their books and what was rejected."""

import json
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import EditorPosting, EditorUploading, Viewer
from engage_pipeline.api.errors import FieldProblem, InvalidRequest
from engage_pipeline.api.multipart import FormWithFile, receive_form
from engage_pipeline.api.pages import Cursor, Limit, identifier, next_cursor, place_of, split_page
from engage_pipeline.api.problems import answers, invalid
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.intake import held
from engage_pipeline.intake.inbox import hidden_file, upload_hidden_file
from engage_pipeline.intake.options import GivenOptions
from engage_pipeline.intake.rejects import write_rejects
from engage_pipeline.intake.uploads import Upload, find_upload, latest_uploads, reject_reasons

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

_READ = answers(401, 403, 404, 422, 429, 503)
_LONGEST_NAME = 200
_WAITING: dict[str, Any] = {
    "id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d66",
    "file_name": "leads.csv",
    "status": "waiting",
    "created_at": "2026-05-01T09:30:00Z",
    "finished_at": None,
    "rows_read": 0,
    "rows_inserted": 0,
    "rows_updated": 0,
    "rows_duplicate": 0,
    "rows_rejected": 0,
    "rows_held": 0,
    "rows_seen": None,
    "repeat_of": None,
    "refusal_code": None,
    "refusal_reason": None,
    "options": {},
    "format": None,
    "column_mapping": None,
    "findings": None,
}
_LOADED: dict[str, Any] = {
    **_WAITING,
    "status": "loaded",
    "finished_at": "2026-05-01T09:30:08Z",
    "rows_read": 1000,
    "rows_inserted": 980,
    "rows_rejected": 20,
    "rejected": [{"reason_code": "invalid_email", "row_count": 20, "first_line_number": 17}],
}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, XLSX, JSON, JSON Lines or Parquet."},
        "format": {"type": "string", "enum": ["delimited", "workbook", "json", "json_lines", "parquet"]},
        "encoding": {"type": "string", "examples": ["cp1252"]},
        "delimiter": {"type": "string", "examples": [";"]},
        "sheet": {"type": "string"},
        "preset": {"type": "string", "examples": ["hubspot"]},
        "known_contacts": {"type": "string", "enum": ["update", "leave"]},
        "mapping": {"type": "string", "description": "A saved mapping of columns, as JSON; see docs/uploads.md."},
    },
    "example": {"file": "Email,First Name\nada@example.com,Ada\n", "preset": "generic"},
}

Status = Literal["waiting", "running", "loaded", "refused", "repeated", "failed", "held", "discarded"]


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class UploadOut(BaseModel):
    """A lead file and its books: rows_read is the sum of the other five."""

    model_config = _example(_WAITING)

    id: UUID
    file_name: str
    status: Status
    created_at: datetime
    finished_at: datetime | None
    rows_read: int
    rows_inserted: int
    rows_updated: int
    rows_duplicate: int
    rows_rejected: int
    rows_held: int = Field(description="Usable rows of an upload that waits for a decision.")
    rows_seen: int | None = Field(description="Progress of the run that loads it.")
    repeat_of: UUID | None = Field(description="The upload that loaded the same bytes before.")
    refusal_code: str | None
    refusal_reason: str | None
    options: dict[str, Any]
    format: dict[str, Any] | None = Field(description="What was found in the file.")
    column_mapping: dict[str, Any] | None
    findings: dict[str, Any] | None


class Rejected(BaseModel):
    """How many rows were rejected for one reason."""

    reason_code: str
    row_count: int
    first_line_number: int


class UploadDetail(UploadOut):
    """A lead file with the reasons why rows were rejected."""

    model_config = _example(_LOADED)

    rejected: list[Rejected]


class UploadPage(BaseModel):
    """A page of uploads, the newest first."""

    model_config = _example({"items": [_WAITING], "next_cursor": None})

    items: list[UploadOut]
    next_cursor: str | None


@router.post(
    "",
    status_code=202,
    response_model=UploadOut,
    responses=answers(400, 401, 403, 408, 413, 415, 422, 429, 503),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
    summary="Upload a lead file",
)
async def upload(request: Request, caller: EditorUploading) -> Response:
    """The file goes to the inbox as it comes. The pipeline notices it there within seconds and loads it."""
    settings = caller.services.settings
    tenant = await run_in_threadpool(_tenant, caller)
    with hidden_file(settings, tenant.name) as hidden:
        form = await receive_form(request.stream(), request.headers.get("content-type", ""), hidden)
        name = _safe_name(form.file_name or "")
        options = _options(form)
        told_apart = b"\0".join((form.sha256, name.encode(), json.dumps(options, sort_keys=True).encode()))

        def work(session: Session) -> Answer:
            upload_id, _ = upload_hidden_file(
                session.connection, settings, tenant, hidden, name, options=options, now=utc_now()
            )
            shown = _shown(find_upload(session.connection, upload_id, user_id=session.user_id))
            return Answer.of(shown, 202, Location=f"/api/uploads/{upload_id}")

        return await run_in_threadpool(caller.with_body(told_apart).write, work)


@router.get("", response_model=UploadPage, responses=answers(401, 403, 422, 429, 503), summary="List uploads")
def list_uploads(
    caller: Viewer,
    status: Annotated[Status | None, Query(description="Only these.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tenant's uploads, the newest first."""
    place = place_of(cursor, "uploads", (identifier,))
    with caller.read() as session:
        found = latest_uploads(
            session.connection,
            user_id=session.user_id,
            status=status,
            before=place[0] if place else None,
            at_most=limit + 1,
        )
    rows, more = split_page(found, limit)
    return Answer.of(
        {
            "items": [_shown(each) for each in rows],
            "next_cursor": next_cursor("uploads", (rows[-1].upload_id,)) if more else None,
        }
    ).response()


@router.get("/{upload_id}", response_model=UploadDetail, responses=_READ, summary="Read an upload's books")
def read(caller: Viewer, upload_id: UUID) -> Response:
    """What became of a lead file, and why rows of it were rejected."""
    with caller.read() as session:
        return Answer.of(_detail(session, upload_id)).response()


@router.get(
    "/{upload_id}/rejects",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The rejected rows as the file had them, with line and reason in front.",
            "content": {
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": "engage_line_number,engage_reason_code,engage_reason,Email\n17,invalid_email,"
                    "the e-mail address is not valid,ada@\n",
                }
            },
        },
        **_READ,
    },
    summary="Download the rejected rows",
)
def rejects(caller: Viewer, upload_id: UUID) -> Response:
    """A CSV to mend and upload again; the three columns in front are passed over then."""
    folder = tempfile.TemporaryDirectory(prefix="engage-rejects-")
    target = Path(folder.name) / "rejects.csv"
    try:
        with caller.read() as session:
            found = find_upload(session.connection, upload_id, user_id=session.user_id)
            write_rejects(session.connection, found, target)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        target,
        media_type="text/csv; charset=utf-8",
        filename=f"rejects-{upload_id}.csv",
        background=BackgroundTask(folder.cleanup),
    )


@router.post(
    "/{upload_id}/release",
    response_model=UploadDetail,
    responses=answers(401, 403, 404, 409, 413, 422, 429, 503),
    summary="Load a held upload",
)
def release(caller: EditorPosting, upload_id: UUID) -> Response:
    """Let the next run load it whatever its share of rejected rows."""

    def work(session: Session) -> Answer:
        find_upload(session.connection, upload_id, user_id=session.user_id)
        held.release(session.connection, caller.services.settings, upload_id)
        return Answer.of(_detail(session, upload_id))

    return caller.write(work)


@router.post(
    "/{upload_id}/discard",
    response_model=UploadDetail,
    responses=answers(401, 403, 404, 409, 413, 422, 429, 503),
    summary="Discard a held upload",
)
def discard(caller: EditorPosting, upload_id: UUID) -> Response:
    """Make nothing of it. What its rows said no to still counts."""

    def work(session: Session) -> Answer:
        find_upload(session.connection, upload_id, user_id=session.user_id)
        held.discard(session.connection, caller.services.settings, upload_id, now=utc_now())
        return Answer.of(_detail(session, upload_id))

    return caller.write(work)


def _tenant(caller: EditorUploading) -> Any:
    with caller.read() as session:
        return session.tenant


def _safe_name(name: str) -> str:
    """The last part of the name that the client gave, without what a file system or a log would trip over."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(letter for letter in last if letter.isprintable()).strip().lstrip(".")
    if not clean:
        raise InvalidRequest(
            [FieldProblem("file", "has no name", "give the part `file` a filename, such as leads.csv")]
        )
    stem, dot, suffix = clean.rpartition(".")
    return f"{stem[: _LONGEST_NAME - 20]}.{suffix[:19]}" if dot and stem else clean[:_LONGEST_NAME]


def _options(form: FormWithFile) -> dict[str, Any]:
    given: dict[str, Any] = dict(form.fields)
    if "mapping" in given:
        try:
            given["mapping"] = json.loads(given["mapping"])
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                [FieldProblem("mapping", "is no JSON", "write it as docs/uploads.md shows")]
            ) from error
    try:
        return dict(GivenOptions.model_validate(given).stored())
    except ValidationError as error:
        raise invalid(error.errors()) from error


def _shown(found: Upload) -> dict[str, Any]:
    shown = {"id": found.upload_id, **vars(found)}
    return {name: shown[name] for name in UploadOut.model_fields}


def _detail(session: Session, upload_id: UUID) -> dict[str, Any]:
    found = find_upload(session.connection, upload_id, user_id=session.user_id)
    return {**_shown(found), "rejected": [vars(each) for each in reject_reasons(session.connection, upload_id)]}
