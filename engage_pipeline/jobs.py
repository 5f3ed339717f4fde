"""What a sensor can request. Each job runs in one process: concurrency is asynchronous inside an op, and more runs."""

from typing import Any

import dagster as dg

from assets.contacts import contacts
from assets.flow_action_logs import flow_action_logs
from assets.flow_assignments import flow_assignments
from assets.flow_executions import flow_executions
from assets.retention import clear_expired
from assets.warehouse import GROUP as WAREHOUSE_GROUP

_ALIKE: dict[str, Any] = {
    "executor_def": dg.in_process_executor,
    # A run whose worker died together with its code server stays STARTED for ever unless it has a maximum; its batch
    # was given to another attempt long before.
    "run_tags": {"dagster/max_runtime": "3600"},
}

ingest_leads = dg.define_asset_job(
    "ingest_leads", selection=[contacts], description="Load one uploaded lead file.", **_ALIKE
)

engage_new_contacts = dg.define_asset_job(
    "engage_new_contacts",
    selection=[flow_assignments, flow_executions, flow_action_logs],
    description="Match the contacts of one micro-batch, start their executions, and send what is due.",
    **_ALIKE,
)

dispatch_due_actions = dg.define_asset_job(
    "dispatch_due_actions",
    selection=[flow_action_logs],
    description="Send the action logs of one micro-batch whose time has come.",
    **_ALIKE,
)

refresh_warehouse = dg.define_asset_job(
    "refresh_warehouse",
    selection=dg.AssetSelection.groups(WAREHOUSE_GROUP),
    description="Refresh the warehouse now; automation does it by itself after every engagement run.",
    **_ALIKE,
)

check_warehouse = dg.define_asset_job(
    "check_warehouse",
    selection=dg.AssetSelection.groups(WAREHOUSE_GROUP),
    config={"ops": {"warehouse": {"config": {"full_check": True}}}},
    description="Build the warehouse from nothing, compare it with what refreshing made of it, and publish it.",
    **_ALIKE,
)


@dg.job(description="Clear what is older than the days that the settings give it.", **_ALIKE)
def apply_retention() -> None:
    """Clear once; the schedule asks for it every night."""
    clear_expired()
