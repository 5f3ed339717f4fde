"""Where the parts meet. This module only assembles: assets, jobs, sensors and resources become one code location."""

import dagster as dg

from assets.contacts import contacts
from assets.flow_action_logs import flow_action_logs
from assets.flow_assignments import flow_assignments
from assets.flow_executions import flow_executions
from engage_pipeline.jobs import dispatch_due_actions, engage_new_contacts, ingest_leads
from engage_pipeline.resources import EngageResource, MicroBatchRun
from sensors.lead_uploads import lead_uploads
from sensors.micro_batches import due_actions, new_contacts

defs = dg.Definitions(
    assets=[contacts, flow_assignments, flow_executions, flow_action_logs],
    jobs=[ingest_leads, engage_new_contacts, dispatch_due_actions],
    sensors=[lead_uploads, new_contacts, due_actions],
    resources={
        "engage": EngageResource(),
        "micro_batch": MicroBatchRun.configure_at_launch(),
        # Ops pass counts to each other; nothing is pickled to disk, where it would stay.
        "io_manager": dg.mem_io_manager,
    },
)
