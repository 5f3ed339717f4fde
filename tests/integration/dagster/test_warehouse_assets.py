"""The warehouse in Dagster: what its assets say of themselves, what a run shows, and what a check that fails stops."""

import base64
import io
import re

import dagster as dg
import pytest
from matplotlib.image import imread

from assets.warehouse import MODELS
from engage_pipeline.analytics.checks import checks_of
from engage_pipeline.analytics.models import MODELS_FOLDER
from engage_pipeline.analytics.read import query
from engage_pipeline.definitions import defs
from tests.integration.ledger_world import CHANNELS, flow_of

CHARTED = {"flow_success_rates", "engagement_funnel", "hourly_heatmap", "daily_engagement"}
SPECS = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def refresh(house, job="refresh_warehouse"):
    return defs.resolve_job_def(job).execute_in_process(instance=house.instance, raise_on_error=False)


def metadata_of(result):
    """Of every model: what its materialization shows."""
    events = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return {event.asset_key.to_user_string(): event.metadata for event in events}


@pytest.fixture
def engaged(house):
    """A house in which twenty contacts were called and written to."""
    house.world.apply(flow_of(*CHANNELS))
    for _ in range(20):
        house.world.contact()
    house.settle()
    house.world.reach_everybody()
    return house


def test_each_file_is_an_asset_with_everything_filled_in_and_its_inputs_above_it():
    files = {path.stem for path in MODELS_FOLDER.glob("*/*.sql")}
    assert {name for name, spec in SPECS.items() if spec.group_name == "warehouse"} == files
    for name, spec in SPECS.items():
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.freshness_policy is not None, name
    for model in MODELS:
        spec = SPECS[model.name]
        assert model.query in spec.description
        assert model.query.splitlines()[0] in {
            "select",
            *(f"with {name} as (" for name in re.findall(r"\w+", model.query)),
        }
        assert {dep.asset_key.to_user_string() for dep in spec.deps} >= {
            name for name in model.inputs if not name.startswith("raw.")
        }
    assert [dep.asset_key.to_user_string() for dep in SPECS["stg_contacts"].deps] == ["contacts"]


def test_the_automation_is_on_and_at_most_once_a_minute():
    sensor = defs.get_repository_def().get_sensor_def("warehouse_refresh")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 60


def test_everything_is_read_again_once_a_day():
    schedule = defs.get_repository_def().get_schedule_def("daily_full_check")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (schedule.job_name, schedule.cron_schedule) == ("check_warehouse", "30 4 * * *")


def test_a_run_shows_what_people_look_at_and_passes_every_check(engaged):
    result = refresh(engaged)
    assert result.success
    metadata = metadata_of(result)
    assert {*metadata} == {model.name for model in MODELS}
    for model in MODELS:
        check_shown(metadata[model.name], model, engaged.settings.warehouse)
    check_lineage(metadata)
    check_charts(metadata)
    check_checks(result)


def check_shown(shown, model, path):
    columns = shown["dagster/column_schema"].value.columns
    assert [(column.name, column.description) for column in columns] == list(model.columns.items())
    assert all(column.type for column in columns)
    ((count,),) = query(path, f"select count(*) from {model.name}").rows
    assert shown["dagster/row_count"].value == count
    assert len(shown["preview"].records) == min(count, 5)
    assert shown["path"].value == str(path)


def check_lineage(metadata):
    lineage = metadata["flow_success_rates"]["dagster/column_lineage"].value.deps_by_column
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["success_rate"]} == {
        ("fct_daily_outcomes", "succeeded_count"),
        ("fct_daily_outcomes", "outcome_known_count"),
    }
    lineage = metadata["stg_contacts"]["dagster/column_lineage"].value.deps_by_column
    assert [(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["is_dnc"]] == [("contacts", "is_dnc")]


def check_charts(metadata):
    """They stand first, and have no ground of their own, so that a light and a dark page show through."""
    assert {name for name, shown in metadata.items() if "chart" in shown} == CHARTED
    for name in CHARTED:
        assert next(iter(metadata[name])) == "chart"
        found = re.fullmatch(rf"!\[{name}\]\(data:image/png;base64,(.+)\)", metadata[name]["chart"].value)
        image = imread(io.BytesIO(base64.b64decode(found[1])))
        assert image[0, 0, 3] == 0
        assert (image[..., 3] > 0.5).sum() > 2_000


def check_checks(result):
    found = {(each.asset_key.to_user_string(), each.check_name): each for each in result.get_asset_check_evaluations()}
    declared = {(check.model, check.name): check for check in checks_of(MODELS)}
    assert {*found} == {*declared}
    assert all(each.passed for each in found.values())
    warning = {"user_id_exists", "flow_id_exists"}
    assert {name for _, name in found} == {
        *warning,
        "key_is_unique_and_not_null",
        "rates_within_bounds",
        "never_grows",
        "agrees_with_the_actions",
        "balances_with_postgresql",
        "has_every_row",
    }
    assert {name for (_, name), check in declared.items() if not check.is_blocking} == warning


def test_a_failed_check_is_shown_blocks_and_leaves_the_published_file(engaged, monkeypatch):
    assert refresh(engaged).success
    before = query(engaged.settings.warehouse, "select as_of from warehouse_build").rows
    monkeypatch.setattr("engage_pipeline.analytics.capture.Snapshot.count", lambda *_: 7)
    result = refresh(engaged)
    assert not result.success
    assert metadata_of(result) == {}
    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert {each.check_name for each in failed} == {"balances_with_postgresql"}
    assert {each.severity for each in failed} == {dg.AssetCheckSeverity.ERROR}
    assert query(engaged.settings.warehouse, "select as_of from warehouse_build").rows == before


def test_the_daily_check_publishes_and_fails_when_a_refresh_had_missed_something(engaged):
    assert refresh(engaged).success
    connection = engaged.world.connection
    connection.execute("alter table flow_action_logs disable trigger note_change")
    connection.execute("update flow_action_logs set outcome = 'voicemail' where action_type = 'ai_call'")
    connection.execute("alter table flow_action_logs enable trigger note_change")
    result = refresh(engaged, "check_warehouse")
    assert not result.success
    assert "fct_actions" in str(result.failure_data_for_node("warehouse").error)
    published = "select voicemail_count = outcome_known_count from channel_performance where channel = 'ai_call'"
    assert query(engaged.settings.warehouse, published).rows == ((True,),)
