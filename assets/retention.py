"""The op that clears what is older than its days. Not an asset: it makes nothing."""

import dagster as dg

from engage_pipeline.clock import utc_now
from engage_pipeline.privacy.retention import apply_retention
from engage_pipeline.resources import EngageResource, nothing_personal


@dg.op(description="Clears rejected rows, requests, provider events and lead files older than the settings allow.")
def clear_expired(context: dg.OpExecutionContext, engage: EngageResource) -> None:
    """Clear once."""
    with nothing_personal(), engage.connect() as connection:
        report = apply_retention(connection, engage.settings, now=utc_now())
    context.add_output_metadata(report.as_counts())
