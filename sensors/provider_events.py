"""Notices what providers told by webhook and applies it; asks about outcomes that no webhook brought."""

import time
from collections import Counter

import dagster as dg

from engage_pipeline.clock import utc_now
from engage_pipeline.resources import EngageResource, nothing_personal

_SECONDS = 20.0
"""A tick applies what it can in this time, which is well within the limit on a tick; the next goes on."""


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=2,
    description="What providers told about calls, messages and e-mails, stored by the webhooks or asked for here.",
)
def provider_events(context: dg.SensorEvaluationContext, engage: EngageResource) -> dg.SensorResult | dg.SkipReason:
    """Events become outcomes in the tick itself: a run would take longer to start than all of them to apply."""
    from engage_pipeline.accounts.opening import open_channels
    from engage_pipeline.webhooks.apply import ApplyReport, apply_events
    from engage_pipeline.webhooks.poll import poll_overdue
    from engage_pipeline.webhooks.stop_calls import stop_queued_calls

    report, polled = ApplyReport(), Counter[str]()
    ends_at = time.monotonic() + _SECONDS
    with nothing_personal(), engage.connect() as connection:
        channels = open_channels(connection, engage.settings)
        while time.monotonic() < ends_at:
            batch = apply_events(connection, channels, engage.settings, now=utc_now())
            report.add(batch)
            if not (batch.event_count or batch.put_off_count):
                break
        stopped = stop_queued_calls(connection, channels, engage.settings, now=utc_now())
        polled = poll_overdue(connection, channels, engage.settings, now=utc_now())
    for account_id in report.paused:
        context.log.error(f"account {account_id} is paused; `engage accounts list` says what must be mended")
    if report.stopped_template_count:
        context.log.error("a template is stopped; `engage templates list` says what must be mended")
    if not (report.event_count or polled or stopped):
        return dg.SkipReason("no provider has told anything new")
    counts = {
        **report.as_counts(),
        "stopped_call_count": stopped,
        **{f"{name}_polled_count": count for name, count in polled.items()},
    }
    return dg.SensorResult(
        asset_events=[
            dg.AssetMaterialization(
                "flow_action_logs", description="Outcomes that providers told by webhook.", metadata=counts
            )
        ]
    )
