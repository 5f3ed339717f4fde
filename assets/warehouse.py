"""The warehouse assets: one for each SQL model, built together from one snapshot and published as one DuckDB file."""

from collections.abc import Iterator

import dagster as dg

from assets.metadata import records_table
from engage_pipeline.analytics.models import MODELS_FOLDER, Model, load_models
from engage_pipeline.analytics.read import query
from engage_pipeline.clock import utc_now
from engage_pipeline.resources import EngageResource, nothing_personal

GROUP = "warehouse"

_ASSET_OF_RAW_TABLE = {
    "raw.contacts": "contacts",
    "raw.flow_action_logs": "flow_action_logs",
    "raw.flow_assignments": "flow_assignments",
    "raw.flow_executions": "flow_executions",
    "raw.lead_uploads": "contacts",
    "raw.rejected_rows": "contacts",
}

# A table under the warehouse was written after the last request. Not `eager()`: it waits while a dependency is in
# progress, and under continuous batches one always is. Not `since_last_handled()`: it resets when the warehouse itself
# was written, so a batch that ended after the snapshot and before the next tick would stay unpublished. Only these two
# conditions, bare, carry the times by which Dagster tells which of the two came later. The warehouse's own models are
# left out, or each build would ask for another. The automation sensor's interval keeps it to a build a minute.
_REFRESH = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
    .ignore(dg.AssetSelection.groups(GROUP))
    .since(dg.AutomationCondition.newly_requested())
    & ~dg.AutomationCondition.in_progress()
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
)

MODELS = load_models(MODELS_FOLDER)


def _spec(model: Model) -> dg.AssetSpec:
    inputs = dict.fromkeys(_ASSET_OF_RAW_TABLE.get(name, name) for name in model.inputs)
    return dg.AssetSpec(
        model.name,
        deps=[name for name in inputs if not name.startswith("raw.")],
        group_name=GROUP,
        kinds={"duckdb", "sql"},
        description=f"{model.description}\n\n```sql\n{model.sql}\n```",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, description=description) for name, description in model.columns.items()]
            )
        },
        automation_condition=_REFRESH,
    )


@dg.multi_asset(specs=[_spec(model) for model in MODELS], name="warehouse", can_subset=False)
def warehouse(engage: EngageResource) -> Iterator[dg.MaterializeResult[None]]:
    """Rebuild every model beside the published file and swap it in; readers keep the file they opened."""
    from engage_pipeline.analytics.warehouse import build_warehouse

    with nothing_personal():
        settings = engage.settings
        build = build_warehouse(engage.url, settings.warehouse, models_folder=MODELS_FOLDER, now=utc_now())
        for model in MODELS:
            metadata: dict[str, dg.MetadataValue | str | int | float] = {
                "dagster/row_count": build.row_counts[model.name],
                "as_of": build.as_of.isoformat(),
                "build_seconds": build.seconds,
                "full_build": build.is_full,
                "changed_rows": build.changed_count,
                "published": build.is_published,
                "path": dg.MetadataValue.path(str(settings.warehouse)),
            }
            if model.layer == "marts":
                metadata["preview"] = _preview(engage, model)
            yield dg.MaterializeResult(asset_key=model.name, metadata=metadata)


def _preview(engage: EngageResource, model: Model) -> dg.MetadataValue:
    """The first rows of a mart; the warehouse holds nothing personal."""
    rows = query(engage.settings.warehouse, f'from "{model.name}" limit 20').as_dicts()
    return records_table([{name: "" if value is None else str(value) for name, value in row.items()} for row in rows])
