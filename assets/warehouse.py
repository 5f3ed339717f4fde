"""The warehouse assets: one for each SQL model, built together from one snapshot and published as one DuckDB file."""

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.metadata import records_table
from engage_pipeline.analytics.models import MODELS_FOLDER, Model, load_models
from engage_pipeline.analytics.read import ModelColumns, model_columns, query
from engage_pipeline.clock import utc_now
from engage_pipeline.resources import EngageResource, nothing_personal

if TYPE_CHECKING:
    from engage_pipeline.analytics.warehouse import WarehouseBuild

GROUP = "warehouse"
OWNERS = ["team:analytics"]

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
# left out, or each build would ask for another, and a check of theirs that failed would end all refreshing. The
# automation sensor's interval keeps it to a build a minute.
_OWN = dg.AssetSelection.groups(GROUP)
_REFRESH = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.newly_updated())
    .ignore(_OWN)
    .since(dg.AutomationCondition.newly_requested())
    & ~dg.AutomationCondition.in_progress()
    & dg.AutomationCondition.all_deps_blocking_checks_passed().ignore(_OWN)
)

# The daily full check writes the warehouse even when nothing happens.
_FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=49), warn_window=timedelta(hours=25))

MODELS = load_models(MODELS_FOLDER)


class WarehouseRun(dg.Config):
    """How a run builds."""

    full_check: bool = False
    """Read everything from PostgreSQL again, and compare."""


def _spec(model: Model) -> dg.AssetSpec:
    inputs = dict.fromkeys(_ASSET_OF_RAW_TABLE.get(name, name) for name in model.inputs)
    return dg.AssetSpec(
        model.name,
        deps=[name for name in inputs if not name.startswith("raw.")],
        group_name=GROUP,
        kinds={"duckdb", "sql", "view" if model.is_view else "table"},
        owners=OWNERS,
        tags={"layer": model.layer},
        # The header's columns stand in the table below it.
        description=f"{model.description}\n\n```sql\n{model.query}\n```",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, description=description) for name, description in model.columns.items()]
            ),
            "file": f"dbt_like_sql/{model.layer}/{model.name}.sql",
        },
        automation_condition=_REFRESH,
        freshness_policy=_FRESHNESS,
    )


def _check_specs() -> list[dg.AssetCheckSpec]:
    from engage_pipeline.analytics.checks import checks_of

    return [
        dg.AssetCheckSpec(check.name, asset=check.model, description=check.description, blocking=check.is_blocking)
        for check in checks_of(MODELS)
    ]


@dg.multi_asset(
    specs=[_spec(model) for model in MODELS], check_specs=_check_specs(), name="warehouse", can_subset=False
)
def warehouse(
    engage: EngageResource, config: WarehouseRun
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Bring every model to this moment beside the published file, check it and swap it in; readers keep their file."""
    from engage_pipeline.analytics.checks import CheckResult
    from engage_pipeline.analytics.errors import ChecksFailed
    from engage_pipeline.analytics.warehouse import build_warehouse

    path = engage.settings.warehouse
    failed: tuple[CheckResult, ...] = ()
    with nothing_personal():
        try:
            build = build_warehouse(
                engage.url, path, models_folder=MODELS_FOLDER, now=utc_now(), is_full=config.full_check
            )
        except ChecksFailed as error:
            failed = error.checks
    if failed:
        yield from map(_check_result, failed)
        raise dg.Failure("a check that guards published numbers failed; the published file stays as it was")
    with nothing_personal():
        columns, charts = model_columns(path), _charts(engage)
        materialized = [
            dg.MaterializeResult[None](
                asset_key=model.name, metadata=_metadata(engage, build, model, columns[model.name], charts)
            )
            for model in MODELS
        ]
    yield from materialized
    yield from map(_check_result, build.checks)
    if build.missed:
        raise dg.Failure(f"refreshes had left other rows in {', '.join(build.missed)}; the full build is published")


def _metadata(
    engage: EngageResource,
    build: "WarehouseBuild",
    model: Model,
    columns: ModelColumns,
    charts: Mapping[str, bytes | None],
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    # First, above the table with the preview.
    if image := charts.get(model.name):
        encoded = base64.b64encode(image).decode()
        metadata["chart"] = dg.MetadataValue.md(f"![{model.name}](data:image/png;base64,{encoded})")
    return metadata | {
        "dagster/row_count": build.row_counts[model.name],
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, columns.types[name], text) for name, text in model.columns.items()]
        ),
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(dg.AssetKey(_ASSET_OF_RAW_TABLE.get(table, table)), source)
                    for table, source in sources
                    if not _ASSET_OF_RAW_TABLE.get(table, table).startswith("raw.")
                ]
                for column, sources in columns.sources.items()
            }
        ),
        "as_of": build.as_of.isoformat(),
        "build_seconds": build.seconds,
        "full_build": build.is_full,
        "changed_rows": build.changed_count,
        "published": build.is_published,
        "path": dg.MetadataValue.path(str(engage.settings.warehouse)),
        "preview": _preview(engage, model),
    }


def _charts(engage: EngageResource) -> dict[str, bytes | None]:
    from engage_pipeline.analytics.charts import charts_of

    return {mart: draw() for mart, draw in charts_of(engage.settings.warehouse).items()}


def _check_result(check: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=check.model,
        check_name=check.name,
        passed=check.passed,
        severity=dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN,
        metadata={"failing_count": check.failing_count},
    )


def _preview(engage: EngageResource, model: Model) -> dg.MetadataValue:
    """The first rows; the warehouse holds nothing personal."""
    rows = query(engage.settings.warehouse, f'from "{model.name}" limit 5').as_dicts()
    return records_table([{name: "" if value is None else str(value) for name, value in row.items()} for row in rows])
