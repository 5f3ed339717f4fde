"""Where the parts meet. This module only assembles: assets, jobs, sensors and resources become one code location."""

from datetime import timedelta

import dagster as dg

from assets.contacts import contacts
from assets.flow_action_logs import flow_action_logs
from assets.flow_assignments import flow_assignments
from assets.flow_executions import flow_executions
from assets.warehouse import warehouse
from engage_pipeline.jobs import (
    apply_retention,
    check_warehouse,
    dispatch_due_actions,
    engage_new_contacts,
    ingest_leads,
    refresh_warehouse,
)
from engage_pipeline.resources import EngageResource, MicroBatchRun
from sensors.lead_uploads import lead_uploads
from sensors.micro_batches import due_actions, new_contacts
from sensors.provider_events import provider_events
from sensors.retention import daily_retention
from sensors.warehouse_refresh import daily_full_check, warehouse_refresh


def _described(spec: dg.AssetSpec) -> dg.AssetSpec:
    """Mapped on, as a graph_asset takes no freshness policy. Leads come when they come."""
    return spec.replace_attributes(
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=timedelta(days=7), warn_window=timedelta(days=2)),
        owners=[f"team:{spec.group_name}"],
    )


_OPERATIONAL = [contacts, flow_assignments, flow_executions, flow_action_logs]

defs = dg.Definitions(
    assets=[*dg.map_asset_specs(_described, _OPERATIONAL), warehouse],
    jobs=[
        ingest_leads,
        engage_new_contacts,
        dispatch_due_actions,
        refresh_warehouse,
        check_warehouse,
        apply_retention,
    ],
    schedules=[daily_full_check, daily_retention],
    sensors=[lead_uploads, new_contacts, due_actions, provider_events, warehouse_refresh],
    resources={
        "engage": EngageResource(),
        "micro_batch": MicroBatchRun.configure_at_launch(),
        # Ops pass counts to each other; nothing is pickled to disk, where it would stay.
        "io_manager": dg.mem_io_manager,
    },
    # Automation runs have no job of their own, so this is their executor too.
    executor=dg.in_process_executor,
)
