"""Flows page by page, to be shown: what each says in its current version, and when it came to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import TupleRow

from engage_pipeline.database.connections import Connection
from engage_pipeline.flows.errors import NoFlowOfId
from engage_pipeline.flows.model import Flow

FlowSort = Literal["priority", "name", "created_at", "updated_at"]

_MOST_SAID = 2000
_said: dict[tuple[UUID, int], Mapping[str, Any]] = {}


@dataclass(frozen=True)
class ShownFlow:
    """One flow. `definition` has every field of the model as a JSON value."""

    flow_id: UUID
    user_id: UUID
    version: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    definition: Mapping[str, Any]


def page_of_flows(
    connection: Connection,
    user_id: UUID,
    *,
    sort: FlowSort = "priority",
    descending: bool = False,
    is_enabled: bool | None = None,
    text: str | None = None,
    after: tuple[Any, UUID] | None = None,
    at_most: int,
) -> list[ShownFlow]:
    """A tenant's flows, without the deleted ones.

    Args:
        text: only those with it in their name, whatever its case.
        after: the value of `sort` and the id of the flow that the page begins after.
    """
    direction, comes_after = ("desc", "<") if descending else ("asc", ">")
    conditions = ["flows.user_id = %(user_id)s", "flows.deleted_at is null"]
    asked: dict[str, Any] = {"user_id": user_id, "at_most": at_most}
    if is_enabled is not None:
        conditions.append("flows.is_enabled = %(is_enabled)s")
        asked["is_enabled"] = is_enabled
    if text:
        conditions.append("position(lower(%(text)s) in lower(flows.name)) > 0")
        asked["text"] = text
    if after is not None:
        conditions.append(f"(flows.{sort}, flows.id) {comes_after} (%(value)s, %(after_id)s)")
        asked |= {"value": after[0], "after_id": after[1]}
    rows = connection.execute(
        f"{_SELECT} where {' and '.join(conditions)}"
        f" order by flows.{sort} {direction}, flows.id {direction} limit %(at_most)s",
        asked,
    ).fetchall()
    return [_shown(row) for row in rows]


def show_flow(connection: Connection, user_id: UUID, flow_id: UUID, *, even_deleted: bool = False) -> ShownFlow:
    """One flow of the tenant.

    Raises:
        NoFlowOfId: the tenant has none of that id, or deleted it.
    """
    row = connection.execute(
        f"{_SELECT} where flows.id = %s and flows.user_id = %s and (flows.deleted_at is null or %s)",
        [flow_id, user_id, even_deleted],
    ).fetchone()
    if row is None:
        raise NoFlowOfId(flow_id)
    return _shown(row)


_SELECT = (
    "select flows.id, flows.user_id, flows.version, flows.created_at, flows.updated_at, flows.deleted_at,"
    " versions.definition from auto_engagement_flows as flows"
    " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
)


def _shown(row: TupleRow) -> ShownFlow:
    flow_id, user_id, version, created_at, updated_at, deleted_at, definition = row
    return ShownFlow(
        flow_id, user_id, version, created_at, updated_at, deleted_at, _whole((flow_id, version), definition)
    )


def _whole(key: tuple[UUID, int], definition: Any) -> Mapping[str, Any]:
    """Through the model, because an older version lacks fields that came later; a version never changes."""
    if key not in _said:
        if len(_said) >= _MOST_SAID:
            _said.clear()
        said = Flow.model_validate(definition).model_dump(mode="json")
        said["actions"].sort(key=lambda action: action["action_order"])
        _said[key] = said
    return _said[key]
