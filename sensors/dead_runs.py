"""Finds work whose requested run ended before it took the lease: a worker killed while it started, for one."""

import dagster as dg

from engage_pipeline.database.connections import Connection
from engage_pipeline.database.leases import LeasedTable, reopen, requested
from engage_pipeline.settings import Settings

_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]


def run_key(work_id: object, attempt: int) -> str:
    """The key of the one run that an attempt ever gets."""
    return f"{work_id}-{attempt}"


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
