"""Contacts: create one or many, find, read, tag, opt out, and say why one gets the flow that it gets."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import EditorPosting, Viewer
from engage_pipeline.api.errors import FieldProblem, InvalidRequest
from engage_pipeline.api.problems import answers
from engage_pipeline.api.routes.execution_models import CONTACT_ID
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.suppress import opt_out
from engage_pipeline.flows.storable import storable
from engage_pipeline.intake.emails import email_address
from engage_pipeline.intake.phones import phone_e164
from engage_pipeline.intake.records import RecordResult, create_contacts
from engage_pipeline.intake.tags import change_tags
from engage_pipeline.matching.explain import NoContact
from engage_pipeline.privacy.contacts import contacts_known_by, show_contact

router = APIRouter(prefix="/api/contacts", tags=["contacts"])

MOST_CONTACTS = 1000
MOST_CUSTOM_FIELDS = 200
_READ = answers(401, 403, 404, 422, 429, 503)
_POSTED = answers(400, 401, 403, 404, 413, 415, 422, 429, 503)

Channel = Literal["ai_call", "whatsapp_message", "email"]


def _one_tag(tag: str) -> str:
    if any(mark in tag for mark in ",;|"):
        raise ValueError("a tag holds no comma, semicolon or bar")
    return tag


Text = Annotated[str, StringConstraints(max_length=2000), BeforeValidator(storable)]
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_one_tag),
    BeforeValidator(storable),
]
FieldName = Annotated[str, StringConstraints(min_length=1, max_length=200), BeforeValidator(storable)]
_CONTACT: dict[str, Any] = {
    "external_id": "crm-1042",
    "phone": "(202) 555-0171",
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Example",
    "company": "Example Inc.",
    "lead_source": "Website",
    "tags": ["hot"],
    "custom_fields": {"Team size": 50},
}


class Contact(BaseModel):
    """A contact as somebody sends it. A phone number, an e-mail address or an id is needed."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_CONTACT]})

    external_id: Annotated[Text | None, Field(description="The id that your system knows it by.")] = None
    phone: Annotated[
        Text | None, Field(description="In any spelling; without a country code of the tenant's region.")
    ] = None
    email: Text | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    company: Text | None = None
    lead_source: Text | None = None
    country: Text | None = None
    tags: Annotated[tuple[Tag, ...], Field(max_length=100)] = ()
    do_not_call: bool = False
    do_not_email: bool = False
    do_not_contact: Annotated[bool, Field(description="By no channel.")] = False
    custom_fields: Annotated[dict[FieldName, Any], BeforeValidator(storable), Field(max_length=100)] = {}


Source = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    BeforeValidator(storable),
    Field(description="Whose ids they are."),
]
EntryType = Annotated[Literal["api", "manual"], Field(description="How it came, for conditions of flows.")]


class NewContact(Contact):
    """One contact to be created."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_CONTACT]})

    source_system: Source = "api"
    entry_type: EntryType = "api"


class NewContacts(BaseModel):
    """Up to 1,000 contacts of one source."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"source_system": "crm", "contacts": [_CONTACT]}]},
    )

    source_system: Source = "api"
    entry_type: EntryType = "api"
    contacts: Annotated[tuple[Contact, ...], Field(min_length=1, max_length=MOST_CONTACTS)]

    @model_validator(mode="after")
    def _has_a_width(self) -> Self:
        names = {name for contact in self.contacts for name in contact.custom_fields}
        if len(names) > MOST_CUSTOM_FIELDS:
            raise ValueError(f"the contacts have more than {MOST_CUSTOM_FIELDS} different custom fields together")
        return self


_SHOWN: dict[str, Any] = {
    "id": CONTACT_ID,
    "source_system": "crm",
    "external_id": "crm-1042",
    "phone_e164": "+12025550171",
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Example",
    "company": "Example Inc.",
    "lead_source": "Website",
    "entry_type": "api",
    "tags": ["hot"],
    "custom_fields": {"Team size": 50},
    "time_zones": ["America/New_York"],
    "suppressed_channels": [],
    "suppressed_address_channels": [],
    "is_dnc": False,
    "upload_id": None,
    "created_at": "2026-05-01T09:30:00Z",
    "updated_at": "2026-05-01T09:30:00Z",
    "forgotten_at": None,
}
_RESULT: dict[str, Any] = {"index": 0, "status": "created", "id": CONTACT_ID, "reason_code": None, "reason": None}
_BRIEF: dict[str, Any] = {
    name: _SHOWN[name] for name in ("id", "first_name", "last_name", "phone_e164", "email", "external_id", "created_at")
}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class ContactOut(BaseModel):
    """All that is known of a contact."""

    model_config = _example(_SHOWN)

    id: UUID
    source_system: str | None
    external_id: str | None
    phone_e164: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    company: str | None
    lead_source: str | None
    entry_type: str = Field(description="api, manual or bulk_upload.")
    tags: list[str]
    custom_fields: dict[str, Any]
    time_zones: list[str]
    suppressed_channels: list[str] = Field(description="Channels that the contact said no to.")
    suppressed_address_channels: list[str] = Field(description="Channels on which one of its addresses is suppressed.")
    is_dnc: bool
    upload_id: UUID | None
    created_at: datetime
    updated_at: datetime
    forgotten_at: datetime | None


class RecordOut(BaseModel):
    """What became of one contact of a request."""

    model_config = _example(_RESULT)

    index: int = Field(description="Its place in the request, from 0.")
    status: Literal["created", "updated", "unchanged", "duplicate", "rejected"]
    id: UUID | None
    reason_code: str | None
    reason: str | None


class ContactsCreated(BaseModel):
    """What became of the contacts of a request, in its order."""

    model_config = _example(
        {"created": 1, "updated": 0, "unchanged": 0, "duplicate": 0, "rejected": 0, "results": [_RESULT]}
    )

    created: int
    updated: int
    unchanged: int
    duplicate: int
    rejected: int
    results: list[RecordOut]


class ContactBriefOut(BaseModel):
    """A contact in a list."""

    model_config = _example(_BRIEF)

    id: UUID
    first_name: str | None
    last_name: str | None
    phone_e164: str | None
    email: str | None
    external_id: str | None
    created_at: datetime


class Found(BaseModel):
    """Contacts that were found, the newest first."""

    model_config = _example({"items": [_BRIEF]})

    items: list[ContactBriefOut]


class TagChange(BaseModel):
    """Tags to add and to take off, whatever their case."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"add": ["hot"], "remove": ["cold"]}]}
    )

    add: Annotated[tuple[Tag, ...], Field(max_length=100)] = ()
    remove: Annotated[tuple[Tag, ...], Field(max_length=100)] = ()


class OptOut(BaseModel):
    """The channels that the contact says no to; all of them unless said otherwise."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"channels": ["ai_call"], "source": "told the support team"}]},
    )

    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=3)] = (
        "ai_call",
        "whatsapp_message",
        "email",
    )
    source: Annotated[Text, Field(description="Where the wish was stated.")] = "api"


@router.post(
    "",
    status_code=201,
    response_model=ContactOut,
    responses={
        200: {"model": ContactOut, "description": "The contact was known; it has what the request adds."},
        201: {"description": "A new contact. The sensor picks it up at once."},
        **_POSTED,
    },
    summary="Create a contact",
)
def create(caller: EditorPosting, contact: NewContact) -> Response:
    """A contact is recognised by id, phone number or e-mail address and then takes what is new, as in an upload."""

    def work(session: Session) -> Answer:
        [result] = _create(caller, session, [contact], contact.source_system, contact.entry_type)
        if result.contact_id is None:
            raise InvalidRequest([_problem(result)])
        shown = _shown(session, result.contact_id)
        return Answer.of(shown, 201 if result.status == "created" else 200, Location=f"/api/contacts/{shown['id']}")

    return caller.write(work)


@router.post("/bulk", response_model=ContactsCreated, responses=_POSTED, summary="Create up to 1,000 contacts")
def create_many(caller: EditorPosting, given: NewContacts) -> Response:
    """One result for each contact, in the order of the request; one that is rejected does not hold up the others."""

    def work(session: Session) -> Answer:
        results = _create(caller, session, given.contacts, given.source_system, given.entry_type)
        counts = dict.fromkeys(("created", "updated", "unchanged", "duplicate", "rejected"), 0)
        for result in results:
            counts[result.status] += 1
        listed = [
            {
                "index": index,
                "status": result.status,
                "id": result.contact_id,
                "reason_code": result.reason_code,
                "reason": result.reason,
            }
            for index, result in enumerate(results)
        ]
        return Answer.of({**counts, "results": listed})

    return caller.write(work)


@router.get("", response_model=Found, responses=answers(401, 403, 422, 429, 503), summary="Find contacts")
def find(
    caller: Viewer,
    phone: Annotated[str | None, Query(max_length=100, description="In any spelling.")] = None,
    email: Annotated[str | None, Query(max_length=320)] = None,
    external_id: Annotated[str | None, Query(max_length=500, description="With source_system.")] = None,
    source_system: Annotated[str, Query(max_length=100)] = "api",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Contacts with this phone number, e-mail address or id, the newest first. One of the three is needed."""
    if phone is None and email is None and external_id is None:
        raise InvalidRequest([FieldProblem("phone", "nothing is asked for", "give phone, email or external_id")])
    with caller.read() as session:
        found = contacts_known_by(
            session.connection,
            session.user_id,
            phone_e164=phone and phone_e164(phone, session.tenant.default_phone_region),
            email=email and email_address(email),
            external_id=external_id,
            source_system=source_system,
            at_most=limit,
        )
    return Answer.of({"items": found}).response()


@router.get("/{contact_id}", response_model=ContactOut, responses=_READ, summary="Read a contact")
def read(caller: Viewer, contact_id: UUID) -> Response:
    """All that is known of a contact. Its executions are at /api/auto-engagement/executions?contact_id=..."""
    with caller.read() as session:
        return Answer.of(_shown(session, contact_id)).response()


@router.post("/{contact_id}/tags", response_model=ContactOut, responses=_POSTED, summary="Tag a contact")
def tag(caller: EditorPosting, contact_id: UUID, change: TagChange) -> Response:
    """Add and take off tags. A do-not-contact tag suppresses every channel, and is not taken off."""

    def work(session: Session) -> Answer:
        is_there = change_tags(
            session.connection, session.user_id, contact_id, add=change.add, remove=change.remove, now=utc_now()
        )
        if not is_there:
            raise NoContact
        return Answer.of(_shown(session, contact_id))

    return caller.write(work)


@router.post("/{contact_id}/opt-out", response_model=ContactOut, responses=_POSTED, summary="Opt a contact out")
def opt_contact_out(caller: EditorPosting, contact_id: UUID, wish: OptOut | None = None) -> Response:
    """Keep a no to channels, for good. What is pending there is skipped at once."""
    said = wish or OptOut()

    def work(session: Session) -> Answer:
        now = utc_now()
        if opt_out(session.connection, session.user_id, contact_id, said.channels, source=said.source, now=now) is None:
            raise NoContact
        return Answer.of(_shown(session, contact_id))

    return caller.write(work)


def _create(
    caller: EditorPosting, session: Session, contacts: Any, source_system: str, entry_type: str
) -> list[RecordResult]:
    return create_contacts(
        session.connection,
        caller.services.settings,
        session.tenant,
        [dict(contact) for contact in contacts],
        source_system=source_system,
        entry_type=entry_type,
        now=utc_now(),
    )


def _problem(result: RecordResult) -> FieldProblem:
    field = {"invalid_phone": "phone", "invalid_email": "email"}.get(result.reason_code or "", "body")
    return FieldProblem(field, result.reason or "", "correct it, or leave it out and give another key")


def _shown(session: Session, contact_id: UUID) -> dict[str, Any]:
    found = show_contact(session.connection, contact_id, user_id=session.user_id, with_actions=False)
    shown = {"id": found["contact_id"], **found}
    return {name: shown[name] for name in ContactOut.model_fields}
