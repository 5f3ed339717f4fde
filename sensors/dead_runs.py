"""Finds runs that Dagster takes for alive and that are not, and work whose run ended before it took the lease."""

import dagster as dg
import psutil

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import LeasedTable, reopen, requested
from engage_pipeline.settings import Settings

_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]
_BEGUN = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def run_key(work_id: object, attempt: int) -> str:
    """The key of the one run that an attempt ever gets."""
    return f"{work_id}-{attempt}"


def end_orphaned_runs(instance: dg.DagsterInstance, *, server_began_at: float | None = None) -> None:
    """Mark runs as failed that a former code server launched: their processes were begun by it.

    When the machine loses its power, Dagster believes in such runs until their `dagster/max_runtime`, and each holds
    one of the few places of the run queue. One whose process lives on after all loses nothing: its lease still holds.

    Args:
        server_began_at: when this process began, in seconds since 1970; None: ask the system. A sensor is evaluated in
            the code server that launches the runs.
    """
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return  # elsewhere a run outlives the server, and the launcher can be asked about it
    began_at = psutil.Process().create_time() if server_began_at is None else server_began_at
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)):
        run = record.dagster_run
        launches = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_STARTING)
        if launches and max(entry.timestamp for entry in launches) < began_at:
            instance.report_run_failed(run, "The code server that launched this run is gone, and the run with it.")


def reopen_what_never_began(
    instance: dg.DagsterInstance, connection: Connection, table: LeasedTable, settings: Settings
) -> None:
    """Open the next attempt of work that still waits although Dagster has ended the run of its present one.

    Without it such work would wait for `start_timeout_seconds`. Only an ended run is believed: of one that Dagster
    takes for alive, the lease tells the truth.
    """
    dead = [
        (work_id, attempt)
        for work_id, attempt in requested(connection, table)
        if instance.get_runs(
            filters=dg.RunsFilter(tags={"dagster/run_key": run_key(work_id, attempt)}, statuses=_ENDED), limit=1
        )
    ]
    reopen(connection, table, dead, max_attempts=settings.max_attempts)
