"""The asset `flow_executions`: each matched contact's walk through its flow."""

import dagster as dg

from assets.metadata import counts_table, records_table
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.start import start_executions
from engage_pipeline.resources import EngageResource, MicroBatchRun, nothing_personal


@dg.asset(
    deps=["flow_assignments"],
    group_name="engagement",
    kinds={"postgres"},
    description="One execution for each matched contact, with its first action log.",
)
def flow_executions(engage: EngageResource, micro_batch: MicroBatchRun) -> dg.MaterializeResult[None]:
    """Start the executions of one micro-batch."""
    if micro_batch.lease is None:
        return dg.MaterializeResult(metadata={"superseded": True})
    with nothing_personal(), engage.connect() as connection:
        report = start_executions(connection, micro_batch.lease, now=utc_now())
    return dg.MaterializeResult(
        metadata={
            "micro_batch_id": micro_batch.batch_id,
            "execution_count": sum(report.statuses.values()),
            "statuses": counts_table(report.statuses, name="status", count="executions"),
            "preview": records_table(report.first),
        }
    )
