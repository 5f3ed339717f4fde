"""Asks once a day for the clearing of what is older than its days."""

import dagster as dg

from engage_pipeline.jobs import apply_retention

daily_retention = dg.ScheduleDefinition(
    name="daily_retention",
    job=apply_retention,
    cron_schedule="30 3 * * *",
    # Declared stopped unless it says otherwise.
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 03:30 UTC.",
)
