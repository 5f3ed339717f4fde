"""The asset `flow_assignments`: which flow each contact of a micro-batch got, or why none."""

from collections import Counter
from typing import TYPE_CHECKING

import dagster as dg

from assets.metadata import PREVIEW_ROWS, counts_table, records_table
from engage_pipeline.resources import EngageResource, MicroBatchRun, nothing_personal

if TYPE_CHECKING:
    from engage_pipeline.matching.batch import Assignment


@dg.asset(
    deps=["contacts"],
    group_name="engagement",
    kinds={"postgres", "duckdb"},
    description="The highest-priority enabled flow of its tenant whose conditions hold, for each contact of a"
    " micro-batch, or the reason why it got none.",
)
def flow_assignments(engage: EngageResource, micro_batch: MicroBatchRun) -> dg.MaterializeResult[None]:
    """Match the contacts of one micro-batch."""
    from engage_pipeline.matching.batch import assign_batch

    if micro_batch.lease is None:
        return dg.MaterializeResult(metadata={"superseded": True})
    with nothing_personal():
        assigned = assign_batch(engage.url, micro_batch.lease, idle_seconds=engage.settings.lease_seconds)
    matched = [each for each in assigned if each.reason == "matched"]
    return dg.MaterializeResult(
        metadata={
            "micro_batch_id": micro_batch.batch_id,
            "contact_count": len(assigned),
            "matched_share": len(matched) / len(assigned) if len(assigned) else 0.0,
            "reasons": counts_table(Counter(each.reason for each in assigned), name="reason"),
            "flows": counts_table(Counter(each.flow_name or "" for each in matched), name="flow"),
            "preview": records_table([_shown(each) for each in assigned[:PREVIEW_ROWS]]),
        }
    )


def _shown(assignment: "Assignment") -> dict[str, str | int | float]:
    return {name: "" if value is None else str(value) for name, value in assignment._asdict().items()}
