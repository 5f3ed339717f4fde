"""Puts flows that were read from files in force: every tenant of them in one transaction."""

from collections.abc import Sequence

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.tenants import ensure_tenant
from engage_pipeline.flows.store import ApplyReport, apply_flows
from engage_pipeline.flows.yaml_file import TenantFlows


def apply_tenants(
    connection: Connection, tenants: Sequence[TenantFlows], *, delete_missing: bool = False
) -> dict[str, ApplyReport]:
    """Put what `read_flows` read in force, making tenants that are new; all of it or, after an error, nothing.

    Args:
        delete_missing: also delete flows of these tenants that were not read. Other tenants are never touched.

    Returns:
        A report for each tenant name.

    Raises:
        PriorityTaken: a flow that was not read has the priority of one that was.
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
            )
            reports[each.tenant_name] = apply_flows(connection, tenant, each.flows, delete_missing=delete_missing)
    return reports
