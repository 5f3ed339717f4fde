"""Refreshes the warehouse by declarative automation when a table under it was written, and checks it once a day."""

import dagster as dg

from assets.warehouse import GROUP
from engage_pipeline.jobs import check_warehouse
from engage_pipeline.settings import load_settings

warehouse_refresh = dg.AutomationConditionSensorDefinition(
    "warehouse_refresh",
    target=dg.AssetSelection.groups(GROUP),
    # Declared stopped unless it says otherwise.
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=load_settings().warehouse_interval_seconds,
    description="Rebuilds the DuckDB file after engagement runs, at most once in an interval.",
)

daily_full_check = dg.ScheduleDefinition(
    name="daily_full_check",
    job=check_warehouse,
    # After `daily_retention`, which deletes.
    cron_schedule="30 4 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day nothing is taken on trust.",
)
