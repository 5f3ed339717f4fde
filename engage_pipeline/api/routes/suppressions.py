"""Addresses that must not be used."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import EditorPosting, Viewer
from engage_pipeline.api.errors import FieldProblem, InvalidRequest
from engage_pipeline.api.pages import Cursor, Limit, next_cursor, place_of, split_page, text
from engage_pipeline.api.problems import answers
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.suppress import Wish, list_suppressions, suppress
from engage_pipeline.flows.storable import storable
from engage_pipeline.intake.suppression_list import normal_address

router = APIRouter(prefix="/api/suppressions", tags=["suppressions"])

Channel = Literal["ai_call", "whatsapp_message", "email"]
_ROW: dict[str, Any] = {
    "channel": "email",
    "address": "ada@example.com",
    "source": "api",
    "created_at": "2026-05-01T09:30:00Z",
}
_WISH: dict[str, Any] = {"channel": "ai_call", "address": "(202) 555-0171"}


def _example(example: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class SuppressionOut(BaseModel):
    """An address that a channel must not use."""

    model_config = _example(_ROW)

    channel: Channel
    address: str = Field(description="E.164, lower case, or a keyed hash of somebody who was forgotten.")
    source: str
    created_at: datetime


class SuppressionPage(BaseModel):
    """A page of suppressions, by channel and address."""

    model_config = _example({"items": [_ROW], "next_cursor": None})

    items: list[SuppressionOut]
    next_cursor: str | None


class Address(BaseModel):
    """An address and the channel that must not use it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_WISH]})

    channel: Channel
    address: Annotated[
        str,
        StringConstraints(min_length=1, max_length=320),
        BeforeValidator(storable),
        Field(description="A phone number in any spelling, or an e-mail address."),
    ]


class NewSuppressions(BaseModel):
    """Up to 1,000 addresses that must not be used."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"source": "support", "addresses": [_WISH]}]}
    )

    source: Annotated[
        str,
        StringConstraints(min_length=1, max_length=200),
        BeforeValidator(storable),
        Field(description="Where the wish was stated."),
    ] = "api"
    addresses: Annotated[tuple[Address, ...], Field(min_length=1, max_length=1000)]


class Suppressed(BaseModel):
    """What was kept, and what was stopped."""

    model_config = _example({"address_count": 1, "skipped_action_count": 0})

    address_count: int = Field(description="Different addresses, once for each channel.")
    skipped_action_count: int = Field(description="Pending actions that are skipped now.")


@router.get("", response_model=SuppressionPage, responses=answers(401, 403, 422, 429, 503), summary="List suppressions")
def list_all(
    caller: Viewer,
    channel: Annotated[Channel | None, Query(description="Only this channel's.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The tenant's suppressed addresses, by channel and address."""
    after = place_of(cursor, "suppressions", (text, text))
    with caller.read() as session:
        found = list_suppressions(session.connection, session.user_id, channel=channel, after=after, at_most=limit + 1)
    rows, more = split_page(found, limit)
    last = rows[-1] if more else None
    return Answer.of(
        {
            "items": rows,
            "next_cursor": last and next_cursor("suppressions", (last["channel"], last["address"])),
        }
    ).response()


@router.post(
    "",
    response_model=Suppressed,
    responses=answers(400, 401, 403, 413, 415, 422, 429, 503),
    summary="Suppress addresses",
)
def add(caller: EditorPosting, given: NewSuppressions) -> Response:
    """For good: all of them, or none when one is no address. What is pending for them is skipped at once."""

    def work(session: Session) -> Answer:
        tenant = session.tenant
        wishes: dict[Wish, None] = {}
        problems = []
        for index, each in enumerate(given.addresses):
            address = normal_address(each.channel, each.address, tenant.default_phone_region)
            if address is None:
                kind = "an e-mail address" if each.channel == "email" else "a phone number"
                problems.append(FieldProblem(f"addresses[{index}].address", f"is not {kind}", f"give {kind}"))
            else:
                wishes[Wish(tenant.user_id, each.channel, address, given.source)] = None
        if problems:
            raise InvalidRequest(problems)
        skipped = suppress(session.connection, list(wishes), now=utc_now())
        return Answer.of({"address_count": len(wishes), "skipped_action_count": skipped})

    return caller.write(work)
