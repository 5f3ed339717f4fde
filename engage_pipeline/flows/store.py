"""The flows of a tenant in PostgreSQL: apply, delete, and read what is in force or what a version said.

`flow_versions` holds what runs; `auto_engagement_flows`, `flow_trigger_conditions` and `flow_actions` hold the same for
the current version in columns that people can query. Executions are none of this module's business.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant
from engage_pipeline.flows.conditions import ConditionGroup, TriggerCondition
from engage_pipeline.flows.errors import (
    FlowMoved,
    FlowNamedTwice,
    FlowNameTaken,
    FlowsChanged,
    NoFlow,
    NoFlowOfId,
    NoFlowVersion,
    PriorityTaken,
)
from engage_pipeline.flows.model import Flow


@dataclass(frozen=True)
class StoredFlow:
    """One version of a flow as the database knows it."""

    flow_id: UUID
    user_id: UUID
    version: int
    definition: Flow


@dataclass(frozen=True)
class ApplyReport:
    """Names of the flows that an apply touched or found as they should be; each in the order given."""

    created: tuple[str, ...]
    updated: tuple[str, ...]
    unchanged: tuple[str, ...]
    deleted: tuple[str, ...]


def basis_of(flows: Sequence[StoredFlow]) -> frozenset[tuple[UUID, int]]:
    """What identifies what these flows say: their ids and versions."""
    return frozenset((flow.flow_id, flow.version) for flow in flows)


def apply_flows(
    connection: Connection,
    tenant: Tenant,
    flows: Sequence[Flow],
    *,
    delete_missing: bool = False,
    basis: frozenset[tuple[UUID, int]] | None = None,
) -> ApplyReport:
    """Make the tenant's flows be as given, matched by name, in one transaction.

    A new or changed flow gets the next version and its immutable row; one that says the same gets neither. The id of an
    action stays with its flow and action_order, however the action is edited. Priorities may swap freely within
    `flows`.

    Args:
        delete_missing: also delete the tenant's flows that are not in `flows`; otherwise they stay as they are.
        basis: what `basis_of` gave for the tenant's flows when this was planned; None: whatever they are by now.

    Raises:
        FlowNamedTwice: two of `flows` have one name.
        FlowsChanged: the flows are not those of `basis`.
        PriorityTaken: two of `flows`, or one of them and one that stays, have the same priority.
    """
    _refuse_repeated_names(flows)
    created, updated, unchanged = [], [], []
    with connection.transaction():
        _lock_tenant(connection, tenant)
        if basis is not None and basis_of(list_flows(connection, tenant)) != basis:
            raise FlowsChanged(tenant.name)
        known = _live_flow_ids(connection, tenant)
        missing = [name for name in known if name not in {flow.name for flow in flows}]
        deleted = missing if delete_missing else []
        _mark_deleted(connection, [known[name] for name in deleted])
        _refuse_taken_priorities(connection, tenant, flows)
        connection.execute("set constraints uq_auto_engagement_flows_user_id_priority deferred")
        for flow in flows:
            if flow.name not in known:
                _create(connection, tenant, flow)
                created.append(flow.name)
            elif _is_current(connection, known[flow.name], flow):
                unchanged.append(flow.name)
            else:
                _update(connection, known[flow.name], flow)
                updated.append(flow.name)
        connection.execute("set constraints uq_auto_engagement_flows_user_id_priority immediate")
    return ApplyReport(tuple(created), tuple(updated), tuple(unchanged), tuple(deleted))


def delete_flow(connection: Connection, tenant: Tenant, name: str) -> None:
    """Take the flow out of matching for good. Its versions, executions and action logs stay as they are.

    Its name and its priority are free again at once.

    Raises:
        NoFlow: the tenant has no such flow.
    """
    with connection.transaction():
        _lock_tenant(connection, tenant)
        known = _live_flow_ids(connection, tenant)
        if name not in known:
            raise NoFlow(name, tenant_name=tenant.name, known=list(known))
        _mark_deleted(connection, [known[name]])


def create_flow(connection: Connection, tenant: Tenant, flow: Flow) -> StoredFlow:
    """A new flow, at version 1.

    Raises:
        FlowNameTaken, PriorityTaken: another flow of the tenant has its name or its priority.
    """
    with connection.transaction():
        _lock_tenant(connection, tenant)
        _refuse_taken(connection, tenant, flow, flow_id=None)
        return StoredFlow(_create(connection, tenant, flow), tenant.user_id, 1, flow)


def change_flow(
    connection: Connection,
    tenant: Tenant,
    flow_id: UUID,
    change: Callable[[Flow], Flow],
    *,
    from_versions: Collection[int] | None = None,
) -> StoredFlow:
    """The flow as `change` makes it, at its next version; at the same one if it says the same.

    Args:
        from_versions: those that the change was made for; None: whatever it is by now.

    Raises:
        NoFlowOfId: the tenant has no such flow.
        FlowMoved: it is at none of `from_versions`.
        FlowNameTaken, PriorityTaken: another flow of the tenant has its name or its priority.
    """
    with connection.transaction():
        _lock_tenant(connection, tenant)
        stored = find_flow_of_id(connection, tenant, flow_id)
        refuse_moved(stored, from_versions)
        flow = change(stored.definition)
        if _is_current(connection, flow_id, flow):
            return stored
        _refuse_taken(connection, tenant, flow, flow_id=flow_id)
        _update(connection, flow_id, flow)
        return StoredFlow(flow_id, tenant.user_id, stored.version + 1, flow)


def refuse_moved(stored: StoredFlow, from_versions: Collection[int] | None) -> None:
    """Make sure that a change was made for the version that the flow is at.

    Raises:
        FlowMoved: it is at none of `from_versions`; None of them stands for whatever it is at.
    """
    if from_versions is not None and stored.version not in from_versions:
        raise FlowMoved(stored.definition.name, version=stored.version)


def reorder_flows(connection: Connection, tenant: Tenant, priorities: Mapping[UUID, int]) -> int:
    """Give flows other priorities, all or none; two of them may swap. Returns how many changed, each by a version.

    Raises:
        NoFlowOfId: the tenant lacks one of them.
        PriorityTaken: two of them, or one of them and one that stays, would have the same priority.
    """
    with connection.transaction():
        _lock_tenant(connection, tenant)
        rows = connection.execute(
            "select id, name, priority from auto_engagement_flows where user_id = %s and deleted_at is null",
            [tenant.user_id],
        ).fetchall()
        names = {flow_id: name for flow_id, name, _ in rows}
        for flow_id in priorities:
            if flow_id not in names:
                raise NoFlowOfId(flow_id)
        taken = {priority: name for flow_id, name, priority in rows if flow_id not in priorities}
        for flow_id, priority in priorities.items():
            if priority in taken:
                raise PriorityTaken(priority, flow_name=names[flow_id], taken_by=taken[priority])
            taken[priority] = names[flow_id]
        connection.execute("set constraints uq_auto_engagement_flows_user_id_priority deferred")
        changed = connection.execute(
            "with moved as (update auto_engagement_flows as flows set priority = wanted.priority,"
            " version = flows.version + 1, updated_at = now()"
            " from unnest(%s::uuid[], %s::int[]) as wanted (id, priority)"
            " where flows.id = wanted.id and flows.priority <> wanted.priority"
            " returning flows.id, flows.version, flows.priority)"
            " insert into flow_versions (flow_id, version, definition)"
            " select moved.id, moved.version, jsonb_set(before.definition, '{priority}', to_jsonb(moved.priority))"
            " from moved inner join flow_versions as before"
            " on before.flow_id = moved.id and before.version = moved.version - 1",
            [list(priorities), list(priorities.values())],
        ).rowcount
        connection.execute("set constraints uq_auto_engagement_flows_user_id_priority immediate")
    return changed


def enabled_versions(connection: Connection) -> tuple[tuple[UUID, int], ...]:
    """(flow_id, version) of every enabled flow of all tenants, sorted: what a matching program is made from.

    A version never changes, so equal answers mean equal flows.
    """
    rows = connection.execute(
        "select id, version from auto_engagement_flows where is_enabled and deleted_at is null order by id"
    ).fetchall()
    return tuple(rows)


def enabled_flows(connection: Connection) -> list[StoredFlow]:
    """The flows of all tenants that contacts are matched against, by user_id and then priority (0 first).

    They are read from the version that executions will run, not from the columns.
    """
    rows = connection.execute(
        "select flows.id, flows.user_id, flows.version, versions.definition"
        " from auto_engagement_flows as flows"
        " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
        " where flows.is_enabled and flows.deleted_at is null"
        " order by flows.user_id, flows.priority"
    ).fetchall()
    return [_stored(*row) for row in rows]


def list_flows(connection: Connection, tenant: Tenant) -> list[StoredFlow]:
    """The tenant's flows at their current version, enabled or not, without the deleted ones, by priority."""
    rows = connection.execute(
        "select flows.id, flows.user_id, flows.version, versions.definition"
        " from auto_engagement_flows as flows"
        " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
        " where flows.user_id = %s and flows.deleted_at is null"
        " order by flows.priority",
        [tenant.user_id],
    ).fetchall()
    return [_stored(*row) for row in rows]


def find_flow(connection: Connection, tenant: Tenant, name: str, *, version: int | None = None) -> StoredFlow:
    """The tenant's flow of that name, at its current version or at an earlier one.

    Raises:
        NoFlow: the tenant has no such flow.
        NoFlowVersion: the flow has fewer versions.
    """
    current = {stored.definition.name: stored for stored in list_flows(connection, tenant)}
    if name not in current:
        raise NoFlow(name, tenant_name=tenant.name, known=list(current))
    found = current[name]
    if version is None or version == found.version:
        return found
    earlier = load_definitions(connection, [(found.flow_id, version)])
    if not earlier:
        raise NoFlowVersion(name, version=version, latest=found.version)
    return StoredFlow(found.flow_id, found.user_id, version, earlier[found.flow_id, version])


def find_flow_of_id(connection: Connection, tenant: Tenant, flow_id: UUID) -> StoredFlow:
    """The tenant's flow of that id, at its current version.

    Raises:
        NoFlowOfId: the tenant has no such flow.
    """
    row = connection.execute(
        "select flows.id, flows.user_id, flows.version, versions.definition"
        " from auto_engagement_flows as flows"
        " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
        " where flows.id = %s and flows.user_id = %s and flows.deleted_at is null",
        [flow_id, tenant.user_id],
    ).fetchone()
    if row is None:
        raise NoFlowOfId(flow_id)
    return _stored(*row)


def load_definitions(connection: Connection, keys: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], Flow]:
    """What the versions (flow_id, version) said, of deleted flows too. A key that never was is absent."""
    rows = connection.execute(
        "select flow_id, version, definition from flow_versions"
        " inner join unnest(%s::uuid[], %s::int[]) as wanted (flow_id, version) using (flow_id, version)",
        [[flow_id for flow_id, _ in keys], [version for _, version in keys]],
    ).fetchall()
    return {(flow_id, version): Flow.model_validate(definition) for flow_id, version, definition in rows}


def _stored(flow_id: UUID, user_id: UUID, version: int, definition: object) -> StoredFlow:
    return StoredFlow(flow_id, user_id, version, Flow.model_validate(definition))


def _refuse_repeated_names(flows: Sequence[Flow]) -> None:
    seen: set[str] = set()
    for flow in flows:
        if flow.name in seen:
            raise FlowNamedTwice(flow.name)
        seen.add(flow.name)


def _lock_tenant(connection: Connection, tenant: Tenant) -> None:
    # Not a plain `for update`: that would wait for every transaction that is inserting contacts of this tenant.
    connection.execute("select from users where id = %s for no key update", [tenant.user_id])


def _live_flow_ids(connection: Connection, tenant: Tenant) -> dict[str, UUID]:
    rows = connection.execute(
        "select name, id from auto_engagement_flows where user_id = %s and deleted_at is null order by priority",
        [tenant.user_id],
    ).fetchall()
    return dict(rows)


def _refuse_taken_priorities(connection: Connection, tenant: Tenant, flows: Sequence[Flow]) -> None:
    names = [flow.name for flow in flows]
    rows = connection.execute(
        "select priority, name from auto_engagement_flows"
        " where user_id = %s and deleted_at is null and name <> all(%s)",
        [tenant.user_id, names],
    ).fetchall()
    taken: dict[int, str] = dict(rows)
    for flow in flows:
        if flow.priority in taken:
            raise PriorityTaken(flow.priority, flow_name=flow.name, taken_by=taken[flow.priority])
        taken[flow.priority] = flow.name


def _refuse_taken(connection: Connection, tenant: Tenant, flow: Flow, *, flow_id: UUID | None) -> None:
    rows = connection.execute(
        "select name, priority from auto_engagement_flows where user_id = %s and deleted_at is null"
        " and id is distinct from %s and (name = %s or priority = %s)",
        [tenant.user_id, flow_id, flow.name, flow.priority],
    ).fetchall()
    for name, priority in rows:
        if name == flow.name:
            raise FlowNameTaken(name)
        raise PriorityTaken(priority, flow_name=flow.name, taken_by=name)


def _is_current(connection: Connection, flow_id: UUID, flow: Flow) -> bool:
    row = connection.execute(
        "select versions.definition from auto_engagement_flows as flows"
        " inner join flow_versions as versions on versions.flow_id = flows.id and versions.version = flows.version"
        " where flows.id = %s",
        [flow_id],
    ).fetchone()
    assert row is not None  # noqa: S101 - the tenant is locked and the flow was there
    # Through the model, because an older version lacks fields that came later and had their default.
    current = _definition(Flow.model_validate(row[0]))
    # PostgreSQL compares, because Python takes True and 1 for the same condition_value.
    same = connection.execute("select %s = %s", [current, _definition(flow)]).fetchone()
    return same is not None and bool(same[0])


def _create(connection: Connection, tenant: Tenant, flow: Flow) -> UUID:
    row = connection.execute(
        "insert into auto_engagement_flows (user_id, name, description, is_enabled, priority,"
        " use_custom_business_hours, business_hours_start, business_hours_end, business_hours_timezone,"
        " business_hours_overnight, business_hours, outside_business_hours, expires_after_minutes, reentry_after_days)"
        " values (%(user_id)s, %(name)s, %(description)s, %(is_enabled)s, %(priority)s,"
        " %(use_custom_business_hours)s, %(business_hours_start)s, %(business_hours_end)s,"
        " %(business_hours_timezone)s, %(business_hours_overnight)s, %(business_hours)s,"
        " %(outside_business_hours)s, %(expires_after_minutes)s, %(reentry_after_days)s)"
        " returning id, version",
        {**_columns(flow), "user_id": tenant.user_id},
    ).fetchone()
    assert row is not None  # noqa: S101 - an insert returns its row
    flow_id: UUID = row[0]
    _write_version(connection, flow_id, row[1], flow)
    return flow_id


def _update(connection: Connection, flow_id: UUID, flow: Flow) -> None:
    row = connection.execute(
        "update auto_engagement_flows set name = %(name)s, description = %(description)s,"
        " is_enabled = %(is_enabled)s,"
        " priority = %(priority)s, use_custom_business_hours = %(use_custom_business_hours)s,"
        " business_hours_start = %(business_hours_start)s, business_hours_end = %(business_hours_end)s,"
        " business_hours_timezone = %(business_hours_timezone)s,"
        " business_hours_overnight = %(business_hours_overnight)s, business_hours = %(business_hours)s,"
        " outside_business_hours = %(outside_business_hours)s, expires_after_minutes = %(expires_after_minutes)s,"
        " reentry_after_days = %(reentry_after_days)s,"
        " version = version + 1, updated_at = now()"
        " where id = %(id)s returning id, version",
        {**_columns(flow), "id": flow_id},
    ).fetchone()
    assert row is not None  # noqa: S101 - the tenant is locked and the flow was there
    _write_version(connection, row[0], row[1], flow)


def _write_version(connection: Connection, flow_id: UUID, version: int, flow: Flow) -> None:
    connection.execute(
        "insert into flow_versions (flow_id, version, definition) values (%s, %s, %s)",
        [flow_id, version, _definition(flow)],
    )
    _replace_conditions(connection, flow_id, flow)
    _upsert_actions(connection, flow_id, flow)


def _replace_conditions(connection: Connection, flow_id: UUID, flow: Flow) -> None:
    connection.execute("delete from flow_trigger_conditions where flow_id = %s", [flow_id])
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into flow_trigger_conditions (id, flow_id, parent_id, position, group_kind, condition_type,"
            " condition_operator, condition_value, custom_field_name)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            list(_condition_rows(flow_id, flow.trigger_conditions, parent_id=None)),
        )


def _condition_rows(
    flow_id: UUID, nodes: Sequence[TriggerCondition | ConditionGroup], *, parent_id: UUID | None
) -> Iterator[tuple[object, ...]]:
    """A row for each condition and group, a group before what is in it."""
    for position, node in enumerate(nodes):
        row_id = uuid4()
        if isinstance(node, ConditionGroup):
            yield row_id, flow_id, parent_id, position, node.kind, None, None, None, None
            yield from _condition_rows(flow_id, node.conditions, parent_id=row_id)
        else:
            tested = (node.condition_type, node.condition_operator, _value_text(node), node.custom_field_name)
            yield row_id, flow_id, parent_id, position, None, *tested


def _upsert_actions(connection: Connection, flow_id: UUID, flow: Flow) -> None:
    connection.execute(
        "delete from flow_actions where flow_id = %s and action_order > %s", [flow_id, len(flow.actions)]
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into flow_actions (flow_id, action_order, action_type, action_config, execute_condition,"
            " if_previous_outcome, outcome_timeout_minutes) values (%s, %s, %s, %s, %s, %s, %s)"
            " on conflict (flow_id, action_order) do update set action_type = excluded.action_type,"
            " action_config = excluded.action_config, execute_condition = excluded.execute_condition,"
            " if_previous_outcome = excluded.if_previous_outcome,"
            " outcome_timeout_minutes = excluded.outcome_timeout_minutes",
            [
                (
                    flow_id,
                    each.action_order,
                    each.action_type,
                    Jsonb(each.action_config),
                    each.execute_condition,
                    list(each.if_previous_outcome) or None,
                    each.outcome_timeout_minutes,
                )
                for each in flow.actions
            ],
        )


def _mark_deleted(connection: Connection, flow_ids: Sequence[UUID]) -> None:
    connection.execute(
        "update auto_engagement_flows set deleted_at = now(), updated_at = now(), priority = null, is_enabled = false"
        " where id = any(%s)",
        [list(flow_ids)],
    )


def _definition(flow: Flow) -> Jsonb:
    return Jsonb(flow.model_dump(mode="json"))


def _columns(flow: Flow) -> dict[str, object]:
    return flow.model_dump(exclude={"trigger_conditions", "actions"}) | {
        "business_hours_start": flow.business_hours_start,
        "business_hours_end": flow.business_hours_end,
        "business_hours": flow.business_hours and Jsonb(flow.business_hours.model_dump(mode="json")),
    }


def _value_text(condition: TriggerCondition) -> str | None:
    value = condition.condition_value
    return value if value is None or isinstance(value, str) else json.dumps(value)
