"""Sending stopped and let go on, of everything or of one template, and micro-batches that failed."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from engage_pipeline.accounts.stopped import list_stopped, resume_templates
from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import AdminPosting, Viewer
from engage_pipeline.api.problems import answers
from engage_pipeline.api.sessions import Session
from engage_pipeline.execution import brake
from engage_pipeline.execution.batches import find_batch, list_batches, retry_batch
from engage_pipeline.execution.errors import NoBatch, NotFailed
from engage_pipeline.flows.storable import storable

router = APIRouter(prefix="/api", tags=["sending"])

Channel = Literal["ai_call", "whatsapp_message", "email"]
_POSTED = answers(400, 401, 403, 413, 415, 422, 429, 503)
_PAUSE: dict[str, Any] = {
    "channel": "ai_call",
    "is_for_every_tenant": False,
    "reason": "wrong script",
    "created_at": "2026-05-01T09:30:00Z",
}
_STOP: dict[str, Any] = {
    "channel": "whatsapp_message",
    "template_id": "welcome",
    "reason": "132001: the template does not exist in this language",
    "stopped_at": "2026-05-01T09:30:00Z",
}
_BATCH: dict[str, Any] = {
    "id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d77",
    "kind": "new_contacts",
    "status": "failed",
    "item_count": 2500,
    "attempt": 5,
    "formed_at": "2026-05-01T09:30:00Z",
}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class PauseOut(BaseModel):
    """A brake that is on."""

    model_config = _example(_PAUSE)

    channel: Channel | None = Field(description="Null: every channel.")
    is_for_every_tenant: bool = Field(description="One that the operator of the installation has put on.")
    reason: str
    created_at: datetime


class Pauses(BaseModel):
    """The brakes that hold for the tenant, the oldest first."""

    model_config = _example({"items": [_PAUSE]})

    items: list[PauseOut]


class PauseIn(BaseModel):
    """What to stop, and why."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"channel": "ai_call", "reason": "wrong script"}]},
    )

    channel: Channel | None = Field(default=None, description="Null: every channel.")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500), BeforeValidator(storable)]


class ResumeIn(BaseModel):
    """Which brake to take off."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"channel": "ai_call"}]})

    channel: Channel | None = Field(default=None, description="Null: the one for every channel.")


class StoppedTemplateOut(BaseModel):
    """A template that its provider refuses whoever it is for."""

    model_config = _example(_STOP)

    channel: Channel
    template_id: str = Field(description="What actions call it.")
    reason: str = Field(description="What must be mended at the provider.")
    stopped_at: datetime


class StoppedTemplates(BaseModel):
    """The tenant's stopped templates. Nothing is sent with them, and what is due waits."""

    model_config = _example({"items": [_STOP]})

    items: list[StoppedTemplateOut]


class TemplateResumed(BaseModel):
    """Which template is mended."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"template_id": "welcome", "channel": "whatsapp_message"}]},
    )

    template_id: Annotated[str, StringConstraints(min_length=1, max_length=500), BeforeValidator(storable)]
    channel: Channel | None = Field(default=None, description="Null: on every channel.")


class BatchOut(BaseModel):
    """A micro-batch that holds something of the tenant."""

    model_config = _example(_BATCH)

    id: UUID
    kind: str
    status: str = Field(description="waiting, running, failed or done.")
    item_count: int = Field(description="Contacts or actions; of every tenant whose turn it was.")
    attempt: int
    formed_at: datetime


class Batches(BaseModel):
    """Micro-batches that are waiting, running or failed, the oldest first."""

    model_config = _example({"items": [_BATCH]})

    items: list[BatchOut]


@router.get("/pauses", response_model=Pauses, responses=answers(401, 403, 429, 503), summary="What is paused?")
def list_pauses(caller: Viewer) -> Response:
    """The brakes that hold for the tenant."""
    with caller.read() as session:
        return _pauses(session).response()


@router.post("/pause", response_model=Pauses, responses=_POSTED, summary="Stop sending")
def pause(caller: AdminPosting, what: PauseIn) -> Response:
    """No call or message of the tenant begins after the chunk that is on its way. What is due waits."""

    def work(session: Session) -> Answer:
        brake.pause(session.connection, session.tenant.user_id, what.channel, reason=what.reason)
        return _pauses(session)

    return caller.write(work)


@router.post("/resume", response_model=Pauses, responses=_POSTED, summary="Let sending go on")
def resume(caller: AdminPosting, what: ResumeIn | None = None) -> Response:
    """Take off the brake that was put on for the same channel. What is due is sent, unless it is too late."""

    def work(session: Session) -> Answer:
        brake.resume(session.connection, session.user_id, what.channel if what else None)
        return _pauses(session)

    return caller.write(work)


@router.get(
    "/stopped-templates",
    response_model=StoppedTemplates,
    responses=answers(401, 403, 429, 503),
    summary="Which templates are stopped?",
)
def stopped_templates(caller: Viewer) -> Response:
    """Templates that a provider refuses whoever they are for, and what must be mended there."""
    with caller.read() as session:
        return _stopped(session).response()


@router.post(
    "/stopped-templates/resume", response_model=StoppedTemplates, responses=_POSTED, summary="Send with it again"
)
def resume_template(caller: AdminPosting, what: TemplateResumed) -> Response:
    """Send again with a template that is mended at its provider: what waited is due. Gives what is still stopped."""

    def work(session: Session) -> Answer:
        resume_templates(session.connection, session.user_id, template_id=what.template_id, channel=what.channel)
        return _stopped(session)

    return caller.write(work)


@router.get("/batches", response_model=Batches, responses=answers(401, 403, 429, 503), summary="List micro-batches")
def batches(caller: Viewer) -> Response:
    """Micro-batches with something of the tenant that are waiting, running or failed, the oldest first."""
    with caller.read() as session:
        found = list_batches(session.connection, user_id=session.user_id)
    return Answer.of({"items": found}).response()


@router.post(
    "/batches/{batch_id}/retry",
    response_model=BatchOut,
    responses=answers(401, 403, 404, 409, 413, 422, 429, 503),
    summary="Retry a failed micro-batch",
)
def retry(caller: AdminPosting, batch_id: UUID) -> Response:
    """Open another attempt. What it did already is not done again."""

    def work(session: Session) -> Answer:
        found = find_batch(session.connection, batch_id, user_id=session.user_id)
        if found is None:
            raise NoBatch(batch_id)
        if not retry_batch(session.connection, batch_id):
            raise NotFailed(batch_id, found["status"])
        return Answer.of(find_batch(session.connection, batch_id, user_id=session.user_id))

    return caller.write(work)


def _stopped(session: Session) -> Answer:
    stops = list_stopped(session.connection, session.user_id)
    return Answer.of(
        {"items": [{name: getattr(stop, name) for name in StoppedTemplateOut.model_fields} for stop in stops]}
    )


def _pauses(session: Session) -> Answer:
    return Answer.of(
        {
            "items": [
                {
                    "channel": each.channel,
                    "is_for_every_tenant": each.user_id is None,
                    "reason": each.reason,
                    "created_at": each.created_at,
                }
                for each in brake.pauses(session.connection, user_id=session.user_id)
            ]
        }
    )
