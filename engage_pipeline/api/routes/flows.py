"""Flows: list, create, read, change, delete, order."""

from collections.abc import Callable
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field, ValidationError

from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import Editor, EditorPosting, Viewer
from engage_pipeline.api.errors import FieldProblem, InvalidRequest
from engage_pipeline.api.pages import (
    Cursor,
    Limit,
    identifier,
    instant,
    next_cursor,
    place_of,
    split_page,
    text,
    whole_number,
)
from engage_pipeline.api.problems import answers, invalid
from engage_pipeline.api.routes.flow_models import (
    ActionsPut,
    ConditionsPut,
    FlowOut,
    FlowPage,
    FlowPatch,
    NewFlow,
    PrioritiesChanged,
    PriorityUpdate,
    Toggle,
    flow_view,
)
from engage_pipeline.api.sessions import Session
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.cancel import delete_flow_with_executions
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.reading import page_of_flows, show_flow
from engage_pipeline.flows.store import change_flow, create_flow, find_flow_of_id, refuse_moved, reorder_flows

router = APIRouter(prefix="/api/auto-engagement/flows", tags=["flows"])

Sort = Literal["priority", "-priority", "name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"]
_KINDS: dict[str, Any] = {"priority": whole_number, "name": text, "created_at": instant, "updated_at": instant}

IfMatch = Annotated[
    str | None,
    Header(
        max_length=200,
        description="The flow's ETag as it was read; the change is refused when the flow has moved on.",
        examples=['"3"'],
    ),
]


class FlowsAsked(BaseModel):
    """A page of flows."""

    limit: Limit = 50
    cursor: Cursor = None
    sort: Sort = Field(default="priority", description="`-` sorts downwards.")
    is_enabled: bool | None = Field(default=None, description="Only those that are, or are not, enabled.")
    q: str | None = Field(default=None, max_length=200, description="Only those with it in their name.")


_READ = answers(401, 403, 404, 422, 429, 503)
_CHANGED = answers(400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 503)
_ETAG = {"ETag": {"description": "The flow's version, for If-Match.", "schema": {"type": "string"}}}


@router.get("", response_model=FlowPage, responses=answers(401, 403, 422, 429, 503), summary="List flows")
def list_flows(caller: Viewer, asked: Annotated[FlowsAsked, Query()]) -> Response:
    """The tenant's flows, without the deleted ones, by priority unless sorted otherwise."""
    sort, limit = asked.sort, asked.limit
    column = sort.removeprefix("-")
    after = place_of(asked.cursor, sort, (_KINDS[column], identifier))
    with caller.read() as session:
        found = page_of_flows(
            session.connection,
            session.user_id,
            sort=column,  # type: ignore[arg-type]
            descending=sort.startswith("-"),
            is_enabled=asked.is_enabled,
            text=asked.q,
            after=after,
            at_most=limit + 1,
        )
    rows, more = split_page(found, limit)
    cursor_to_next = None
    if more:
        last = rows[-1]
        value = last.definition[column] if column in ("priority", "name") else getattr(last, column)
        cursor_to_next = next_cursor(sort, (value, last.flow_id))
    return Answer.of({"items": [flow_view(each) for each in rows], "next_cursor": cursor_to_next}).response()


@router.post(
    "",
    status_code=201,
    response_model=FlowOut,
    responses={201: {"headers": _ETAG}, **answers(400, 401, 403, 409, 413, 415, 422, 429, 503)},
    summary="Create a flow",
)
def create(caller: EditorPosting, flow: NewFlow) -> Response:
    """A new flow. Its name and its priority must be free."""

    def work(session: Session) -> Answer:
        stored = create_flow(session.connection, session.tenant, Flow(**dict(flow)))
        path = f"{router.prefix}/{stored.flow_id}"
        return _shown(session, stored.flow_id, status=201, Location=path)

    return caller.write(work)


@router.post(
    "/priorities/bulk-update",
    response_model=PrioritiesChanged,
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    summary="Give flows other priorities",
)
def update_priorities(caller: EditorPosting, update: PriorityUpdate) -> Response:
    """All of it in one transaction: a priority or an id that comes twice, or an id that is not yours, refuses all."""
    wanted = {each.id: each.priority for each in update.priorities}
    if len(wanted) < len(update.priorities):
        raise InvalidRequest([FieldProblem("priorities", "an id comes twice", "name each flow once")])
    if len(set(wanted.values())) < len(wanted):
        raise InvalidRequest([FieldProblem("priorities", "a priority comes twice", "give each flow one of its own")])

    def work(session: Session) -> Answer:
        changed = reorder_flows(session.connection, session.tenant, wanted)
        return Answer.of({"updated_count": changed, "priorities": [each.model_dump() for each in update.priorities]})

    return caller.write(work)


@router.get("/{flow_id}", response_model=FlowOut, responses={200: {"headers": _ETAG}, **_READ}, summary="Read a flow")
def read(caller: Viewer, flow_id: UUID) -> Response:
    """One flow, with its conditions and actions. The ETag is its version."""
    with caller.read() as session:
        return _shown(session, flow_id).response()


@router.patch(
    "/{flow_id}", response_model=FlowOut, responses={200: {"headers": _ETAG}, **_CHANGED}, summary="Change a flow"
)
def patch(caller: Editor, flow_id: UUID, changes: FlowPatch, if_match: IfMatch = None) -> Response:
    """Change the fields that are given; the others stay. A change makes a new version."""
    return _change(caller, flow_id, _with(changes.model_dump(mode="json", exclude_unset=True)), if_match)


@router.delete("/{flow_id}", status_code=204, responses=_CHANGED, summary="Delete a flow")
def delete(caller: Editor, flow_id: UUID, if_match: IfMatch = None) -> Response:
    """Take it out of matching for good and cancel its open executions. Its history stays."""

    def work(session: Session) -> Answer:
        stored = find_flow_of_id(session.connection, session.tenant, flow_id)
        refuse_moved(stored, _versions(if_match))
        delete_flow_with_executions(session.connection, session.tenant, stored.definition.name, flow_id, now=utc_now())
        return Answer(204)

    return caller.write(work)


@router.patch(
    "/{flow_id}/toggle",
    response_model=FlowOut,
    responses={200: {"headers": _ETAG}, **_CHANGED},
    summary="Enable or disable a flow",
)
def toggle(caller: Editor, flow_id: UUID, wanted: Toggle | None = None, if_match: IfMatch = None) -> Response:
    """Enable a flow that is disabled and disable one that is enabled; or, with a body, make it as the body says."""

    def change(flow: Flow) -> Flow:
        is_enabled = not flow.is_enabled if wanted is None else wanted.is_enabled
        return flow.model_copy(update={"is_enabled": is_enabled})

    return _change(caller, flow_id, change, if_match)


@router.put(
    "/{flow_id}/conditions",
    response_model=FlowOut,
    responses={200: {"headers": _ETAG}, **_CHANGED},
    summary="Replace a flow's trigger conditions",
)
def put_conditions(caller: Editor, flow_id: UUID, given: ConditionsPut, if_match: IfMatch = None) -> Response:
    """All of them must hold; a group (`all`, `any`, `none`) combines them otherwise."""
    return _change(
        caller, flow_id, _with({"trigger_conditions": given.model_dump(mode="json")["conditions"]}), if_match
    )


@router.put(
    "/{flow_id}/actions",
    response_model=FlowOut,
    responses={200: {"headers": _ETAG}, **_CHANGED},
    summary="Replace a flow's actions",
)
def put_actions(caller: Editor, flow_id: UUID, given: ActionsPut, if_match: IfMatch = None) -> Response:
    """Orders are 1, 2, 3 and so on, each once. Executions that have begun keep the actions of their version."""
    return _change(caller, flow_id, _with({"actions": given.model_dump(mode="json")["actions"]}), if_match)


def _change(caller: Editor, flow_id: UUID, change: Callable[[Flow], Flow], if_match: str | None) -> Response:
    from_versions = _versions(if_match)

    def work(session: Session) -> Answer:
        change_flow(session.connection, session.tenant, flow_id, change, from_versions=from_versions)
        return _shown(session, flow_id)

    return caller.write(work)


def _with(fields: dict[str, Any]) -> Callable[[Flow], Flow]:
    """The flow with other values in these fields; every rule holds for the whole of it."""

    def change(flow: Flow) -> Flow:
        try:
            return Flow.model_validate({**flow.model_dump(mode="json"), **fields})
        except ValidationError as error:
            raise invalid(error.errors()) from error

    return change


def _shown(session: Session, flow_id: UUID, *, status: int = 200, **headers: str) -> Answer:
    shown = show_flow(session.connection, session.user_id, flow_id)
    return Answer.of(flow_view(shown), status, ETag=f'"{shown.version}"', **headers)


def _versions(if_match: str | None) -> set[int] | None:
    """The versions that If-Match names; None for any. A weak tag, or one that is none of ours, matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (each.strip() for each in if_match.split(","))
    inside = (each[1:-1] for each in tags if len(each) > 2 and each[0] == each[-1] == '"')
    return {int(each) for each in inside if each.isascii() and each.isdigit()}
