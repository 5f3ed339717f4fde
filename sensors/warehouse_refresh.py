"""Notices that a table under the warehouse was written, and refreshes the warehouse by declarative automation."""

import dagster as dg

from assets.warehouse import GROUP
from engage_pipeline.settings import load_settings

warehouse_refresh = dg.AutomationConditionSensorDefinition(
    "warehouse_refresh",
    target=dg.AssetSelection.groups(GROUP),
    # Declared stopped unless it says otherwise.
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=load_settings().warehouse_interval_seconds,
    description="Rebuilds the DuckDB file after engagement runs, at most once in an interval.",
)
