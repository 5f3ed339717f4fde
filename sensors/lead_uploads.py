"""Notices new files in the inbox and asks for `ingest_leads`."""

from collections.abc import Iterator
from uuid import UUID

import dagster as dg

from assets.contacts import Upload
from engage_pipeline.clock import utc_now
from engage_pipeline.database.notices import await_work
from engage_pipeline.intake.inbox import waiting_uploads
from engage_pipeline.jobs import ingest_leads
from engage_pipeline.resources import EngageResource, nothing_personal
from sensors.dead_runs import end_orphaned_runs, reopen_what_never_began, run_key

_PAUSE_SECONDS = 0.5  # a folder announces nothing


@dg.sensor(
    job=ingest_leads,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=1,
    description="Lead files in the inbox: a run for each that waits.",
)
def lead_uploads(
    context: dg.SensorEvaluationContext, engage: EngageResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each upload that waits; asking again for the same attempt is harmless."""
    with nothing_personal(), engage.connect() as connection:
        end_orphaned_runs(context.instance)

        def look() -> list[tuple[UUID, int]]:
            reopen_what_never_began(context.instance, connection, "lead_uploads", engage.settings)
            return waiting_uploads(connection, engage.settings, now=utc_now())

        waiting = await_work(
            connection, "lead_uploads", look, seconds=engage.settings.sensor_wait_seconds, pause=lambda: _PAUSE_SECONDS
        )
    if not waiting:
        yield dg.SkipReason("no lead file is waiting in the inbox")
    for upload_id, attempt in waiting:
        yield dg.RunRequest(
            run_key=run_key(upload_id, attempt),
            run_config=dg.RunConfig(ops={"contacts": Upload(upload_id=str(upload_id), attempt=attempt)}),
            tags={"engage/upload_id": str(upload_id), "engage/attempt": str(attempt)},
        )
