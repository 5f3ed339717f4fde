"""What applying flow files would change: a diff of flows, field by field. Which contacts it moves is not asked here."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import Tenant, find_tenant, list_tenants
from engage_pipeline.flows.apply import apply_tenants
from engage_pipeline.flows.model import Flow
from engage_pipeline.flows.store import ApplyReport, StoredFlow, apply_flows, basis_of, list_flows
from engage_pipeline.flows.yaml_file import TenantFlows

_ABSENT = object()


@dataclass(frozen=True)
class FieldChange:
    """One field that would say something else. `was` or `becomes` is absent where it is added or taken away.

    Attributes:
        path: as in a flow file, such as `actions[0].action_config.template_id`; places in lists are those of before,
            or of after for what is added.
    """

    path: str
    was: Any = _ABSENT
    becomes: Any = _ABSENT

    @property
    def is_added(self) -> bool:
        """There was nothing in its place."""
        return self.was is _ABSENT

    @property
    def is_removed(self) -> bool:
        """There will be nothing in its place."""
        return self.becomes is _ABSENT


@dataclass(frozen=True)
class FlowChange:
    """One flow that would be new, other, or gone.

    Attributes:
        version: what it is now; None for a new flow.
        definition: what it would say, or said when it would be deleted.
        fields: what changes, of a flow that is edited.
    """

    kind: Literal["created", "updated", "deleted"]
    name: str
    version: int | None
    definition: Flow
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True)
class TenantPlan:
    """What an apply would do to one tenant.

    Attributes:
        user_id: None for a tenant that is new.
        settings: changes of the tenant's own fields.
        unchanged: names of flows that would get no new version.
        before, after: all its flows, enabled or not, by priority.
    """

    tenant_name: str
    user_id: UUID | None
    settings: tuple[FieldChange, ...]
    changes: tuple[FlowChange, ...]
    unchanged: tuple[str, ...]
    before: tuple[StoredFlow, ...] = field(repr=False)
    after: tuple[StoredFlow, ...] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether applying would change nothing."""
        return not self.changes and not self.settings

    @property
    def basis(self) -> frozenset[tuple[UUID, int]]:
        """The flows and versions that the plan was made from."""
        return basis_of(self.before)


def plan_tenants(
    connection: Connection, tenants: Sequence[TenantFlows], *, delete_missing: bool = False
) -> list[TenantPlan]:
    """What `apply_tenants` would do with the same arguments, by name of the tenant. Nothing is changed.

    It is done and taken back, so that the plan cannot differ from the deed.

    Raises:
        PriorityTaken, FlowNamedTwice, LegalHoursNeeded: as applying would.
    """
    with connection.transaction(force_rollback=True):
        known = {tenant.name: tenant for tenant in list_tenants(connection)}
        before = {name: tuple(list_flows(connection, tenant)) for name, tenant in known.items()}
        reports = apply_tenants(connection, tenants, delete_missing=delete_missing)
        return [
            _plan(
                known.get(name),
                find_tenant(connection, name),
                report,
                before.get(name, ()),
                tuple(list_flows(connection, find_tenant(connection, name))),
            )
            for name, report in reports.items()
        ]


def plan_flows(
    connection: Connection, tenant: Tenant, flows: Sequence[Flow], *, delete_missing: bool = False
) -> TenantPlan:
    """What `apply_flows` would do with the same arguments for a tenant that is there. Nothing is changed.

    Raises:
        PriorityTaken, FlowNamedTwice: as applying would.
    """
    with connection.transaction(force_rollback=True):
        before = tuple(list_flows(connection, tenant))
        report = apply_flows(connection, tenant, flows, delete_missing=delete_missing)
        return _plan(tenant, tenant, report, before, tuple(list_flows(connection, tenant)))


def differences(was: Any, becomes: Any, path: str = "") -> Iterator[FieldChange]:
    """Where two JSON values differ. Items of lists are paired by what they say, then by their place."""
    if isinstance(was, Mapping) and isinstance(becomes, Mapping) and (was.keys() & becomes.keys()):
        for key in [*was, *(key for key in becomes if key not in was)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from _differ(was.get(key, _ABSENT), becomes.get(key, _ABSENT), inner)
    elif isinstance(was, list) and isinstance(becomes, list):
        yield from _list_differences(was, becomes, path)
    elif _said(was) != _said(becomes):
        yield FieldChange(path, was, becomes)


def _differ(was: Any, becomes: Any, path: str) -> Iterator[FieldChange]:
    if was is _ABSENT or becomes is _ABSENT:
        yield FieldChange(path, was, becomes)
    else:
        yield from differences(was, becomes, path)


def _list_differences(was: list[Any], becomes: list[Any], path: str) -> Iterator[FieldChange]:
    if not all(isinstance(each, dict) for each in (*was, *becomes)):
        # A list of values is one value to whoever reads it.
        if _said(was) != _said(becomes):
            yield FieldChange(path, was, becomes)
        return
    matcher = SequenceMatcher(None, [_said(each) for each in was], [_said(each) for each in becomes], autojunk=False)
    for tag, first, last, new_first, new_last in matcher.get_opcodes():
        if tag == "equal":
            continue
        paired = min(last - first, new_last - new_first)
        for offset in range(paired):
            yield from differences(was[first + offset], becomes[new_first + offset], f"{path}[{first + offset}]")
        for place in range(first + paired, last):
            yield FieldChange(f"{path}[{place}]", was=was[place])
        for place in range(new_first + paired, new_last):
            yield FieldChange(f"{path}[{place}]", becomes=becomes[place])


def _said(value: Any) -> str:
    # Not compared as Python values, where True and 1 are the same.
    return json.dumps(value, sort_keys=True)


def _plan(
    known: Tenant | None,
    tenant: Tenant,
    report: ApplyReport,
    before: tuple[StoredFlow, ...],
    after: tuple[StoredFlow, ...],
) -> TenantPlan:
    was = {stored.definition.name: stored for stored in before}
    becomes = {stored.definition.name: stored for stored in after}
    changes = [
        *(FlowChange("created", name, None, becomes[name].definition) for name in report.created),
        *(_updated(was[name], becomes[name]) for name in report.updated),
        *(FlowChange("deleted", name, was[name].version, was[name].definition) for name in report.deleted),
    ]
    settings = [] if known is None else list(differences(_settings(known), _settings(tenant)))
    return TenantPlan(
        tenant.name,
        None if known is None else known.user_id,
        tuple(settings),
        tuple(changes),
        report.unchanged,
        before,
        after,
    )


def _updated(was: StoredFlow, becomes: StoredFlow) -> FlowChange:
    fields = tuple(differences(_as_written(was.definition), _as_written(becomes.definition)))
    return FlowChange("updated", becomes.definition.name, was.version, becomes.definition, fields)


def _as_written(flow: Flow) -> dict[str, Any]:
    written = flow.model_dump(mode="json")
    written["actions"] = sorted(written["actions"], key=lambda action: int(action["action_order"]))
    return written


def _settings(tenant: Tenant) -> dict[str, Any]:
    return {
        "default_phone_region": tenant.default_phone_region,
        "time_zone": tenant.time_zone,
        "business_hours": tenant.business_hours,
        "legal_hours": tenant.legal_hours,
    }
