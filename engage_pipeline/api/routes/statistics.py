"""Statistics from the warehouse: of one flow, by mart, and as files. They are as old as the warehouse's last build."""

import tempfile
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from engage_pipeline.analytics.errors import NoWarehouse
from engage_pipeline.analytics.export import export_mart
from engage_pipeline.analytics.marts import find_mart, marts
from engage_pipeline.api.answers import Answer
from engage_pipeline.api.callers import Viewer
from engage_pipeline.api.errors import FieldProblem, InvalidRequest
from engage_pipeline.api.pages import Cursor, next_cursor, place_of, split_page, whole_number
from engage_pipeline.api.problems import answers
from engage_pipeline.database.vocabulary import EXECUTION_STATUSES
from engage_pipeline.flows.reading import show_flow

router = APIRouter(prefix="/api", tags=["statistics"])

_READ = answers(401, 403, 404, 422, 429, 503)
_CHANNEL: dict[str, Any] = {
    "channel": "email",
    "flow_name": "Website leads",
    "attempted_count": 631,
    "accepted_count": 631,
    "outcome_known_count": 631,
    "reached_count": 577,
    "succeeded_count": 577,
    "success_rate": 0.9144,
    "success_rate_low": 0.89,
    "success_rate_high": 0.933,
    "enough_data": True,
}
_FLOW: dict[str, Any] = {
    "flow_id": "0199d3a0-5a5e-7c3e-8f5b-2f1f0c6f6d11",
    "as_of": "2026-05-01T09:30:00Z",
    "executions": {"pending": 0, "running": 12, "completed": 577, "failed": 54, "cancelled": 0, "skipped": 3},
    "channels": [_CHANNEL],
    "actions": [{"flow_version": 1, "action_order": 1, **_CHANNEL}],
}
_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class FlowStatistics(BaseModel):
    """What became of a flow's executions and actions, all versions together, without test runs."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FLOW]})

    flow_id: UUID
    as_of: datetime | None = Field(description="The moment that the figures speak of; null before the first build.")
    executions: dict[str, int] = Field(description="By status.")
    channels: list[dict[str, Any]] = Field(description="Rows of the mart flow_success_rates, one a channel.")
    actions: list[dict[str, Any]] = Field(description="Rows of the mart action_success_rates.")


class MartOut(BaseModel):
    """A mart: what a row of it is, and what its columns hold."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "channel_performance",
                    "description": "one row per tenant and channel",
                    "columns": {"channel": "ai_call, whatsapp_message or email"},
                }
            ]
        }
    )

    name: str
    description: str
    columns: dict[str, str]


class MartRows(BaseModel):
    """A page of a mart's rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "mart": "channel_performance",
                    "as_of": "2026-05-01T09:30:00Z",
                    "items": [_CHANNEL],
                    "next_cursor": None,
                }
            ]
        }
    )

    mart: str
    as_of: datetime
    items: list[dict[str, Any]]
    next_cursor: str | None


@router.get(
    "/auto-engagement/flows/{flow_id}/statistics",
    response_model=FlowStatistics,
    responses=_READ,
    summary="Read a flow's statistics",
)
def of_flow(caller: Viewer, flow_id: UUID) -> Response:
    """Executions by status, and success rates with their 95 % interval by channel and by action."""
    with caller.read() as session:
        show_flow(session.connection, session.user_id, flow_id, even_deleted=True)
        user_id = session.user_id
    warehouse = caller.services.warehouse
    said: dict[str, Any] = {"flow_id": flow_id, "as_of": None, "executions": {}, "channels": [], "actions": []}
    try:
        channels = warehouse.rows_of_tenant(find_mart("flow_success_rates"), user_id, equal={"flow_id": flow_id})
        actions = warehouse.rows_of_tenant(find_mart("action_success_rates"), user_id, equal={"flow_id": flow_id})
        counts = warehouse.executions_of_flow(user_id, flow_id)
    except NoWarehouse:
        # A new installation has figures as soon as the first build is published; until then there is nothing to count.
        pass
    else:
        said |= {"as_of": channels.as_of, "executions": counts, "channels": channels.rows, "actions": actions.rows}
    said["executions"] = {**dict.fromkeys(EXECUTION_STATUSES, 0), **said["executions"]}
    return Answer.of(_plain(said)).response()


@router.get("/statistics", response_model=list[MartOut], responses=answers(401, 403, 429), summary="List marts")
def list_marts(caller: Viewer) -> Response:
    """The marts of the warehouse and their columns."""
    del caller
    shown = [
        {
            "name": mart.name,
            "description": mart.description,
            "columns": {name: words for name, words in mart.columns.items() if name != "user_id"},
        }
        for mart in marts().values()
    ]
    return Answer.of(shown).response()


@router.get("/statistics/{mart}", response_model=MartRows, responses=_READ, summary="Read a mart")
def read_mart(
    caller: Viewer,
    mart: str,
    flow_id: Annotated[UUID | None, Query(description="Only this flow's, where the mart has flows.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows of a page.")] = 100,
    cursor: Cursor = None,
) -> Response:
    """The tenant's rows of a mart."""
    found = find_mart(mart)
    if flow_id is not None and "flow_id" not in found.columns:
        raise InvalidRequest([FieldProblem("flow_id", f"{mart} has no flows", "leave it out")])
    place = place_of(cursor, mart, (whole_number,))
    skip = max(0, place[0]) if place else 0
    with caller.read() as session:
        user_id = session.user_id
    rows = caller.services.warehouse.rows_of_tenant(
        found, user_id, equal={} if flow_id is None else {"flow_id": flow_id}, at_most=limit + 1, skip=skip
    )
    items, more = split_page(rows.rows, limit)
    cursor_to_next = next_cursor(mart, (skip + limit,)) if more else None
    return Answer.of(
        {"mart": mart, "as_of": rows.as_of, "items": _plain(list(items)), "next_cursor": cursor_to_next}
    ).response()


@router.get(
    "/exports/{mart}",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The file.",
            "content": {
                media.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for media in _MEDIA.values()
            },
        },
        **_READ,
    },
    summary="Export a mart",
)
def export(
    caller: Viewer,
    mart: str,
    format: Annotated[Literal["csv", "parquet", "xlsx"], Query(description="The kind of file.")] = "csv",  # noqa: A002 - what the parameter is called
) -> Response:
    """Every row of a mart that is the tenant's, as a file."""
    find_mart(mart)
    with caller.read() as session:
        user_id = session.user_id
    folder = tempfile.TemporaryDirectory(prefix="engage-export-")
    target = Path(folder.name) / f"{mart}.{format}"
    try:
        export_mart(caller.services.settings.warehouse, mart, target, user_id=user_id)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        target, media_type=_MEDIA[format], filename=target.name, background=BackgroundTask(folder.cleanup)
    )


def _plain(value: Any) -> Any:
    """Numbers of DuckDB's as JSON has them."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value
