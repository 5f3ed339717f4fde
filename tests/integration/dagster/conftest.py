"""The code location on a real Dagster instance, driven like the daemon does: sensors tick, jobs run what they ask."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from engage_pipeline.database.connections import dagster_database_url
from engage_pipeline.definitions import defs
from engage_pipeline.settings import PROJECT_ROOT, Settings, load_settings
from tests.integration.ledger_world import World

JOB_OF_SENSOR = {
    "lead_uploads": "ingest_leads",
    "new_contacts": "engage_new_contacts",
    "due_actions": "dispatch_due_actions",
}


@dataclass(frozen=True)
class House:
    """The definitions, their instance, and the world they work in."""

    instance: dg.DagsterInstance
    world: World
    settings: Settings
    dagster_home: Path

    def evaluate(self, sensor: str) -> SensorExecutionData:
        """One tick of the sensor, with the code location's own resources."""
        repository = defs.get_repository_def()
        resources = {"engage": repository.get_top_level_resources()["engage"]}
        with dg.build_sensor_context(self.instance, repository_def=repository, resources=resources) as context:
            return repository.get_sensor_def(sensor).evaluate_tick(context)

    def tick(self, sensor: str) -> Sequence[dg.RunRequest]:
        """What one tick of the sensor asks for."""
        return self.evaluate(sensor).run_requests or []

    def run(self, sensor: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """The run that a sensor asked for; a failure is in the result, not raised."""
        return defs.resolve_job_def(JOB_OF_SENSOR[sensor]).execute_in_process(
            instance=self.instance,
            run_config=request.run_config,
            tags={**request.tags, "dagster/run_key": request.run_key or ""},
            raise_on_error=False,
        )

    def settle(self, *sensors: str) -> list[dg.ExecuteInProcessResult]:
        """Tick and run until no sensor asks for anything."""
        results = []
        while asked := [(sensor, request) for sensor in sensors or JOB_OF_SENSOR for request in self.tick(sensor)]:
            results += [self.run(sensor, request) for sensor, request in asked]
        return results

    def upload(self, content: str, *, name: str = "leads.csv") -> None:
        """A file in the tenant's inbox."""
        folder = self.settings.inbox / self.world.tenant.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture
def house(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The code location with this test's own database, sandbox and Dagster storage in PostgreSQL."""
    home = tmp_path / "engage"
    settings = {
        "ENGAGE_HOME": str(home),
        "ENGAGE_DATABASE_URL": world.url,
        "ENGAGE_SANDBOX_URL": world.sandbox.url,
        "ENGAGE_DAGSTER_DATABASE_URL": dagster_database_url(world.url),
        "ENGAGE_MAX_CONCURRENT_RUNS": "2",
        "ENGAGE_UPLOAD_SETTLE_SECONDS": "0",
        "ENGAGE_SENSOR_WAIT_SECONDS": "0",
        "DAGSTER_HOME": str(home / "dagster"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    load_settings.cache_clear()
    dagster_home = load_settings().dagster_home
    dagster_home.mkdir(parents=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", dagster_home / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        yield House(instance, world, load_settings(), dagster_home)
    load_settings.cache_clear()
