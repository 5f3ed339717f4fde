"""Notices contacts with no micro-batch and action logs that are due, and asks for a run a batch.

A tick that finds nothing waits for a notice from PostgreSQL; the daemon begins the next one within five seconds.
"""

from collections.abc import Iterator

import dagster as dg

from engage_pipeline.database.notices import await_work
from engage_pipeline.execution.batches import BatchKind, RequestedBatch, form_batches, seconds_until_due
from engage_pipeline.jobs import dispatch_due_actions, engage_new_contacts
from engage_pipeline.resources import EngageResource, MicroBatchRun, nothing_personal
from sensors.dead_runs import end_orphaned_runs, reopen_what_never_began, run_key

_SILENT_SECONDS = 4.5  # a lease that lapses and a run that ends give no notice


@dg.sensor(
    job=engage_new_contacts,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=1,
    description="Contacts that no micro-batch has picked up yet.",
)
def new_contacts(
    context: dg.SensorEvaluationContext, engage: EngageResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Contacts that no micro-batch has picked up yet."""
    yield from _runs("new_contacts", context, engage, nothing="every contact has a micro-batch")


@dg.sensor(
    job=dispatch_due_actions,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=1,
    description="Actions whose time has come: next steps, ended waits, opened hours, retries, lost answers.",
)
def due_actions(context: dg.SensorEvaluationContext, engage: EngageResource) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Action logs whose time has come: next steps, ended waits, opened hours, retries, and lost answers to look up."""
    yield from _runs("due_actions", context, engage, nothing="no action log is due")


def _runs(
    kind: BatchKind, context: dg.SensorEvaluationContext, engage: EngageResource, *, nothing: str
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    with nothing_personal(), engage.connect() as connection:
        end_orphaned_runs(context.instance)

        def look() -> list[RequestedBatch]:
            reopen_what_never_began(context.instance, connection, "micro_batches", engage.settings)
            return form_batches(connection, kind, engage.settings)

        def pause() -> float:
            return min(_SILENT_SECONDS, seconds_until_due(connection)) if kind == "due_actions" else _SILENT_SECONDS

        batches = await_work(connection, kind, look, seconds=engage.settings.sensor_wait_seconds, pause=pause)
    if not batches:
        yield dg.SkipReason(nothing)
    for batch in batches:
        yield dg.RunRequest(
            run_key=run_key(batch.batch_id, batch.attempt),
            run_config=dg.RunConfig(
                resources={"micro_batch": MicroBatchRun(batch_id=str(batch.batch_id), attempt=batch.attempt)}
            ),
            tags={
                "engage/micro_batch_id": str(batch.batch_id),
                "engage/attempt": str(batch.attempt),
                "engage/item_count": str(batch.item_count),
            },
        )
