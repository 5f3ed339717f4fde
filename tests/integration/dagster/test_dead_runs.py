"""A run that died before it took its lease is replaced at the next tick; one that died with its server makes room."""

import time

import dagster as dg
import pytest

from engage_pipeline.definitions import defs
from sensors.dead_runs import end_orphaned_runs
from tests.integration.dagster.conftest import JOB_OF_SENSOR


def record_run(house, sensor, request, status):
    """The run that the daemon made of the request, as Dagster remembers it."""
    house.instance.create_run_for_job(
        defs.resolve_job_def(JOB_OF_SENSOR[sensor]),
        run_config=request.run_config,
        tags={**request.tags, "dagster/run_key": request.run_key},
        status=status,
    )


@pytest.fixture
def waiting(house):
    """A sensor with work that waits for its run."""

    def prepare(sensor):
        if sensor == "lead_uploads":
            house.upload("Lead Id,Email\n1,ada@example.com\n")
        else:
            house.world.contact()
        return house.tick(sensor)[0]

    return prepare


@pytest.mark.parametrize("sensor", ["lead_uploads", "new_contacts"])
@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_the_next_tick_asks_for_another_attempt(house, waiting, sensor, status):
    request = waiting(sensor)
    record_run(house, sensor, request, status)
    [again] = house.tick(sensor)
    assert again.run_key == request.run_key.removesuffix("-1") + "-2"


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_that_may_still_begin_is_waited_for(house, waiting, status):
    request = waiting("new_contacts")
    record_run(house, "new_contacts", request, status)
    [same] = house.tick("new_contacts")
    assert same.run_key == request.run_key


def test_a_batch_whose_runs_never_begin_is_failed_in_the_end(house, waiting):
    request = waiting("new_contacts")
    for _ in range(house.settings.max_attempts):
        record_run(house, "new_contacts", request, dg.DagsterRunStatus.FAILURE)
        request = next(iter(house.tick("new_contacts")), None)
    assert request is None
    assert house.world.connection.execute("select status from micro_batches").fetchall() == [("failed",)]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
def test_a_run_that_died_with_its_code_server_gives_its_place_in_the_queue_back(house, waiting, status):
    """As after a power failure: nobody was left to tell Dagster that the run has ended."""
    request = waiting("new_contacts")
    record_run(house, "new_contacts", request, status)
    [run] = house.instance.get_runs()
    launched = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.RUN_STARTING.value, job_name=run.job_name, message="launched"
    )
    house.instance.report_dagster_event(launched, run.run_id)
    now = time.time()
    end_orphaned_runs(house.instance, server_began_at=now - 3600)
    [alive] = house.instance.get_runs()
    assert alive.status in (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
    end_orphaned_runs(house.instance, server_began_at=now + 3600)
    [dead] = house.instance.get_runs()
    assert dead.status == dg.DagsterRunStatus.FAILURE
    [again] = house.tick("new_contacts")
    assert again.run_key == request.run_key.removesuffix("-1") + "-2"
