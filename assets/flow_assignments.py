"""The asset `flow_assignments`: which flow each contact of a micro-batch got, or why none."""

from collections import Counter

import dagster as dg

from assets.metadata import counts_table, preview
from engage_pipeline.resources import EngageResource, MicroBatchRun, nothing_personal


@dg.asset(
    deps=["contacts"],
    group_name="engagement",
    kinds={"postgres", "pandas"},
    description="The highest-priority enabled flow of its tenant whose conditions hold, for each contact of a"
    " micro-batch, or the reason why it got none.",
)
def flow_assignments(engage: EngageResource, micro_batch: MicroBatchRun) -> dg.MaterializeResult[None]:
    """Match the contacts of one micro-batch."""
    from engage_pipeline.matching.batch import assign_batch

    if micro_batch.lease is None:
        return dg.MaterializeResult(metadata={"superseded": True})
    with nothing_personal():
        assigned = assign_batch(engage.url, micro_batch.lease)
    matched = assigned[assigned["reason"].eq("matched")]
    return dg.MaterializeResult(
        metadata={
            "micro_batch_id": micro_batch.batch_id,
            "contact_count": len(assigned),
            "matched_share": len(matched) / len(assigned) if len(assigned) else 0.0,
            "reasons": counts_table(Counter(assigned["reason"]), name="reason"),
            "flows": counts_table(Counter(matched["flow_name"]), name="flow"),
            "preview": preview(assigned),
        }
    )
