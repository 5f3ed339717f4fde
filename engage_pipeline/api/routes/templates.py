"""Message templates: list, read, save a new version, preview."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from engage_pipeline.accounts.recipients import find_recipient
from engage_pipeline.accounts.templates import find_template, list_saved, save_templates
from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import Editor, Viewer, ViewerPosting
from engage_pipeline.api.problems import answers
from engage_pipeline.api.sessions import Session
from engage_pipeline.channels.protocol import Skip
from engage_pipeline.channels.templates import Template
from engage_pipeline.flows.storable import storable
from engage_pipeline.matching.explain import NoContact

router = APIRouter(prefix="/api/templates", tags=["templates"])

Channel = Literal["ai_call", "whatsapp_message", "email"]
Name = Annotated[str, Path(min_length=1, max_length=200)]
_READ = answers(401, 403, 404, 422, 429, 503)
_CONTENT: dict[str, Any] = {"subject": "Hello {{ first_name }}", "text": "Thank you for your interest."}
_SAVED: dict[str, Any] = {
    "name": "welcome",
    "channel": "email",
    "version": 2,
    "content": _CONTENT,
    "defaults": {"first_name": "there"},
    "variables": ["first_name"],
}
_LISTED: dict[str, Any] = {
    "name": "welcome",
    "channel": "email",
    "version": 2,
    "variables": ["first_name"],
    "created_at": "2026-05-01T09:30:00Z",
}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class TemplateOut(BaseModel):
    """One version of a template."""

    model_config = _example(_SAVED)

    name: str
    channel: Channel
    version: int
    content: dict[str, Any]
    defaults: dict[str, str]
    variables: list[str] = Field(description="What it needs of a contact.")


class TemplateListed(BaseModel):
    """A template in a list, at its newest version."""

    model_config = _example(_LISTED)

    name: str
    channel: Channel
    version: int
    variables: list[str]
    created_at: datetime


class TemplateIn(BaseModel):
    """What a message says; docs/channels.md lists the parts of each channel."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"content": _CONTENT, "defaults": {"first_name": "there"}}]},
    )

    content: Annotated[dict[str, Any], BeforeValidator(storable)]
    defaults: Annotated[
        dict[str, str], BeforeValidator(storable), Field(description="For values that a contact lacks.")
    ] = {}


class PreviewOf(BaseModel):
    """The contact whose message is to be seen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"contact": "ada@example.com"}]}
    )

    contact: Annotated[
        str,
        StringConstraints(min_length=1, max_length=320),
        BeforeValidator(storable),
        Field(description="Id, phone number (E.164) or e-mail address."),
    ]


class Preview(BaseModel):
    """What the contact would be sent, or why nothing."""

    model_config = _example(
        {
            "content": {"subject": "Hello Ada", "text": "Thank you for your interest."},
            "skip_reason": None,
            "words": None,
        }
    )

    content: dict[str, Any] | None
    skip_reason: str | None
    words: str | None


@router.get("", response_model=list[TemplateListed], responses=answers(401, 403, 429, 503), summary="List templates")
def list_templates(caller: Viewer) -> Response:
    """The tenant's templates in their newest versions, by channel and name."""
    with caller.read() as session:
        saved = list_saved(session.connection, session.user_id)
    return Answer.of(
        [
            {
                "name": each.template.name,
                "channel": each.template.channel,
                "version": each.template.version,
                "variables": sorted(each.template.variables),
                "created_at": each.created_at,
            }
            for each in saved
        ]
    ).response()


@router.get("/{channel}/{name}", response_model=TemplateOut, responses=_READ, summary="Read a template")
def read(
    caller: Viewer,
    channel: Channel,
    name: Name,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="An older one; the newest otherwise.")] = None,
) -> Response:
    """One version of a template."""
    with caller.read() as session:
        found = find_template(session.connection, session.user_id, name, channel=channel, version=version)
    return Answer.of(_shown(found)).response()


@router.put(
    "/{channel}/{name}",
    response_model=TemplateOut,
    responses=answers(400, 401, 403, 404, 413, 415, 422, 429, 503),
    summary="Save a template",
)
def save(caller: Editor, channel: Channel, name: Name, given: TemplateIn) -> Response:
    """A new version where it says something else; every variable is checked first. Messages use the newest one."""
    template = Template(str(storable(name)), channel, given.content, given.defaults)

    def work(session: Session) -> Answer:
        save_templates(session.connection, session.tenant.user_id, [template])
        return Answer.of(_shown(find_template(session.connection, session.user_id, name, channel=channel)))

    return caller.write(work)


@router.post(
    "/{channel}/{name}/preview",
    response_model=Preview,
    responses=answers(400, 401, 403, 404, 413, 415, 422, 429, 503),
    summary="Preview a message",
)
def preview(caller: ViewerPosting, channel: Channel, name: Name, of: PreviewOf) -> Response:
    """What a contact would be sent, with its values in place, or why nothing. Sends nothing."""
    with caller.read() as session:
        template = find_template(session.connection, session.user_id, name, channel=channel)
        recipient = find_recipient(session.connection, session.tenant, of.contact)
    if recipient is None:
        raise NoContact
    rendered = template.render(recipient, **({"unsubscribe_url": "(link)"} if channel == "email" else {}))
    if isinstance(rendered, Skip):
        said: dict[str, Any] = {"content": None, "skip_reason": rendered.reason, "words": rendered.words}
    else:
        said = {"content": rendered, "skip_reason": None, "words": None}
    return Answer.of(said).response()


def _shown(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "channel": template.channel,
        "version": template.version,
        "content": template.content,
        "defaults": template.defaults,
        "variables": sorted(template.variables),
    }
