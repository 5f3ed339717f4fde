"""The code location: what its sensors ask for, and its jobs run in process on a real instance."""

import dagster as dg
import duckdb
import pytest

from assets.warehouse import MODELS
from engage_pipeline.definitions import defs
from tests.integration.ledger_world import CHANNELS, flow_of

LEADS = "First Name,Phone,Email,Lead Source\n" + "".join(
    f"Lead,+1 202 555 01{number:02},lead{number}@example.com,Web\n" for number in range(10, 30)
)


def metadata_of(result, asset):
    (materialization,) = [
        each.materialization
        for each in result.get_asset_materialization_events()
        for each in [each.step_materialization_data]
        if each.materialization.asset_key == dg.AssetKey(asset)
    ]
    return materialization.metadata


def test_the_code_location_loads_with_everything_switched_on():
    dg.Definitions.validate_loadable(defs)
    sensors = defs.get_repository_def().sensor_defs
    assert {sensor.name for sensor in sensors} == {
        "lead_uploads",
        "new_contacts",
        "due_actions",
        "provider_events",
        "warehouse_refresh",
    }
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}


def test_everything_in_the_interface_says_what_it_is_for():
    repository = defs.get_repository_def()
    for each in (*repository.sensor_defs, *repository.schedule_defs):
        assert each.description, each.name


def test_every_job_has_a_maximum_runtime():
    jobs = [job for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")]
    assert len(jobs) == 6
    assert all(int(job.run_tags["dagster/max_runtime"]) > 0 for job in jobs)


def test_a_file_in_the_inbox_becomes_calls_and_success_rates(house):
    house.world.apply(flow_of(*CHANNELS))
    house.upload(LEADS)
    results = house.settle()
    assert [(result.job_def.name, result.success) for result in results] == [
        ("ingest_leads", True),
        ("engage_new_contacts", True),
    ]
    house.world.reach_everybody()
    assert house.world.executions() == ["completed"] * 20
    assert len(house.world.effects()) == len(set(house.world.effects())) == 60
    assert house.world.books().problems == ()

    built = defs.resolve_job_def("refresh_warehouse").execute_in_process(instance=house.instance)
    assert built.success
    with duckdb.connect(str(house.settings.warehouse), read_only=True) as warehouse:
        assert warehouse.execute("select count(*) > 0 from flow_success_rates").fetchone() == (True,)


def test_materializations_say_how_many_and_show_a_preview(house):
    house.world.apply(flow_of("ai_call", "wait"))
    house.upload(LEADS)
    ingested, engaged = house.settle()
    books = metadata_of(ingested, "contacts")
    assert (books["rows_read"].value, books["status"].value) == (20, "loaded")
    assert books["books"].records[0].data == {
        "became": "inserted",
        "rows": 20,
        "share": "100.0%",
    }

    matched = metadata_of(engaged, "flow_assignments")
    assert (matched["contact_count"].value, matched["matched_share"].value) == (20, 1.0)
    assert len(matched["preview"].records) == 10
    assert set(matched["preview"].records[0].data) == {"contact_id", "flow_name", "flow_version", "reason"}
    started = metadata_of(engaged, "flow_executions")
    assert started["execution_count"].value == 20
    assert [record.data for record in started["statuses"].records] == [
        {"status": "pending", "executions": 20, "share": "100.0%"}
    ]
    assert len(started["preview"].records) == 10

    outputs = {
        event.step_key.rsplit(".", 1)[-1]: event.step_output_data.metadata
        for event in engaged.all_events
        if event.event_type_value == "STEP_OUTPUT" and event.step_key.startswith("flow_action_logs.")
    }
    assert outputs["ai_call"]["sent_count"].value == 20
    assert [record.data for record in outputs["close_batch"]["actions"].records] == [
        {"action_type": "ai_call", "result": "sent", "actions": 20}
    ]
    assert outputs["close_batch"]["ai_call_acceptance_rate"].value == 1.0


@pytest.mark.parametrize("sensor", ["lead_uploads", "new_contacts", "due_actions"])
def test_a_tick_that_is_repeated_asks_for_the_same_runs(house, sensor):
    house.world.apply(flow_of("ai_call"))
    if sensor == "lead_uploads":
        house.upload(LEADS)
    else:
        house.world.contact()
    if sensor == "due_actions":
        house.world.sandbox.inject("defers")
        house.settle("new_contacts")
        house.world.pass_time(hours=1)
    first, second = house.tick(sensor), house.tick(sensor)
    assert [request.run_key for request in first] == [request.run_key for request in second]
    (request,) = first
    table = "lead_uploads" if sensor == "lead_uploads" else "micro_batches"
    statement = {
        "lead_uploads": "select id, attempt from lead_uploads where status = 'waiting'",
        "micro_batches": "select id, attempt from micro_batches where status = 'waiting'",
    }[table]
    (work,) = house.world.connection.execute(statement).fetchall()
    assert request.run_key == f"{work[0]}-{work[1]}"


def test_a_tick_with_nothing_to_do_says_so(house):
    for sensor in ("lead_uploads", "new_contacts", "due_actions"):
        tick = house.evaluate(sensor)
        assert not tick.run_requests
        assert tick.skip_message


def test_run_config_and_tags_carry_ids_and_counts_only(house):
    house.world.apply(flow_of("ai_call"))
    house.world.contact()
    (request,) = house.tick("new_contacts")
    (batch_id,) = house.world.connection.execute("select id::text from micro_batches").fetchone()
    assert {name: part for name, part in request.run_config.items() if part} == {
        "resources": {"micro_batch": {"config": {"batch_id": batch_id, "attempt": 1}}},
    }
    assert request.tags["engage/item_count"] == "1"


@pytest.mark.parametrize("sensor", ["lead_uploads", "new_contacts"])
def test_a_superseded_run_succeeds_and_changes_nothing(house, sensor):
    house.world.apply(flow_of("ai_call"))
    house.upload(LEADS) if sensor == "lead_uploads" else house.world.contact()
    (request,) = house.tick(sensor)
    house.world.connection.execute("update micro_batches set attempt = 2")
    house.world.connection.execute("update lead_uploads set attempt = 2")
    before = house.world.everything()
    result = house.run(sensor, request)
    assert result.success
    assert house.world.everything() == before
    assert house.world.effects() == []
    asset = "contacts" if sensor == "lead_uploads" else "flow_assignments"
    assert metadata_of(result, asset)["superseded"].value is True


def test_a_run_that_is_repeated_after_it_has_finished_sends_nothing_again(house):
    house.world.apply(flow_of(*CHANNELS))
    house.world.contact()
    (request,) = house.tick("new_contacts")
    assert house.run("new_contacts", request).success
    before = house.world.everything()
    assert house.run("new_contacts", request).success
    assert house.world.everything() == before
    assert len(house.world.effects()) == 3


def test_a_batch_whose_run_failed_is_finished_by_the_next_attempt(house):
    house.world.apply(flow_of("ai_call", "email"))
    house.world.contact()
    house.world.connection.execute("alter table flow_executions rename to elsewhere")
    (request,) = house.tick("new_contacts")
    assert not house.run("new_contacts", request).success
    house.world.connection.execute("alter table elsewhere rename to flow_executions")
    house.world.let_leases_lapse()
    (again,) = house.tick("new_contacts")
    assert again.run_key != request.run_key
    assert house.run("new_contacts", again).success
    house.settle()
    house.world.reach_everybody()
    assert house.world.executions() == ["completed"]
    assert len(house.world.effects()) == 2


def test_a_refused_file_is_a_row_and_not_a_failed_run(house):
    house.world.apply(flow_of("ai_call"))
    house.upload("this is,\nno lead file\n")
    (result,) = house.settle()
    assert result.success
    metadata = metadata_of(result, "contacts")
    assert metadata["status"].value == "refused"
    assert metadata["refusal"].value


def test_the_warehouse_is_asked_for_after_an_engagement_run_and_not_again(house):
    house.world.apply(flow_of("ai_call"))
    house.world.contact()
    models = dg.AssetSelection.groups("warehouse")
    quiet = dg.evaluate_automation_conditions(defs, house.instance, models)
    house.settle()
    asked = dg.evaluate_automation_conditions(defs, house.instance, models, cursor=quiet.cursor)
    assert [asked.get_num_requested(dg.AssetKey(model.name)) for model in MODELS] == [1] * len(MODELS)
    assert defs.resolve_job_def("refresh_warehouse").execute_in_process(instance=house.instance).success
    again = dg.evaluate_automation_conditions(defs, house.instance, models, cursor=asked.cursor)
    assert again.total_requested == 0
