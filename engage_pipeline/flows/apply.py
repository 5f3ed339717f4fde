"""Puts flows that were read from files in force: every tenant of them in one transaction."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.store import ApplyReport, apply_flows
from engage_pipeline.flows.yaml_file import TenantFlows

Basis = frozenset[tuple[UUID, int]]
NO_BASES: Mapping[str, Basis] = MappingProxyType({})


def apply_tenants(
    connection: Connection,
    tenants: Sequence[TenantFlows],
    *,
    delete_missing: bool = False,
    bases: Mapping[str, Basis] = NO_BASES,
) -> dict[str, ApplyReport]:
    """Put what `read_flows` read in force, making tenants that are new; all of it or, after an error, nothing.

    Args:
        delete_missing: also delete flows of these tenants that were not read. Other tenants are never touched.
        bases: tenant name -> the flows and versions that a plan was made from.

    Returns:
        A report for each tenant name.

    Raises:
        PriorityTaken: a flow that was not read has the priority of one that was.
        FlowsChanged: the flows of a tenant in `bases` are others by now.
        LegalHoursNeeded: a tenant with a live account would lift its legal hours.
    """
    reports = {}
    with connection.transaction():
        # By name, so that two applies of the same tenants cannot wait for each other in a ring.
        for each in sorted(tenants, key=lambda each: each.tenant_name):
            tenant = ensure_tenant(
                connection,
                each.tenant_name,
                default_phone_region=each.default_phone_region,
                time_zone=each.time_zone,
                business_hours=None if each.business_hours is None else each.business_hours.model_dump(mode="json"),
                legal_hours=each.legal_hours,
            )
            reports[each.tenant_name] = apply_flows(
                connection,
                tenant,
                each.flows,
                delete_missing=delete_missing,
                basis=bases.get(each.tenant_name),
            )
    return reports
