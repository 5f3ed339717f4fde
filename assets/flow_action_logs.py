"""The asset `flow_action_logs`: one op an action type, each fanning its calls out and logging every result.

The ops run one after another over one lease; concurrency within an op is asynchronous, and between batches it is runs.
"""

import dagster as dg

from assets.metadata import records_table
from engage_pipeline.clock import utc_now
from engage_pipeline.execution.batches import finish_batch
from engage_pipeline.resources import EngageResource, MicroBatchRun, nothing_personal

Report = dict[str, dict[str, int]]
"""Action type -> name of a count -> count, passed from op to op in memory."""


@dg.op(
    ins={"flow_executions": dg.In(dg.Nothing)},
    description="Ends the waits that are over; what follows joins the batch.",
)
def wait(engage: EngageResource, micro_batch: MicroBatchRun) -> Report:
    """pending -> success for elapsed waits; unknown -> failed for results that nobody could resolve in time."""
    from engage_pipeline.execution.ledger import close_expired, complete_waits

    if micro_batch.lease is None:
        return {}
    with nothing_personal(), engage.connect() as connection:
        closed = close_expired(connection, micro_batch.lease, now=utc_now())
        ended = complete_waits(connection, micro_batch.lease, now=utc_now())
    return {"wait": {"success_count": ended, "expired_count": closed}}


def _channel_op(action_type: str, description: str) -> dg.OpDefinition:
    @dg.op(name=action_type, description=description)
    async def send(
        context: dg.OpExecutionContext, engage: EngageResource, micro_batch: MicroBatchRun, report: Report
    ) -> Report:
        from engage_pipeline.accounts.alarms import alarms
        from engage_pipeline.accounts.opening import open_channels
        from engage_pipeline.execution.budgets import keep_stated_concurrencies
        from engage_pipeline.execution.dispatch import dispatch_client, dispatch_due

        if micro_batch.lease is None:
            return report
        settings = engage.settings
        with nothing_personal():
            with engage.connect() as connection:
                channel = open_channels(connection, settings)[action_type]
            async with dispatch_client(settings) as client:
                stated = await channel.stated_concurrencies(client)
                with engage.connect() as connection:
                    keep_stated_concurrencies(connection, stated)
                counts = (await dispatch_due(engage.url, micro_batch.lease, channel, client, settings)).as_counts()
            with engage.connect() as connection:
                standing = alarms(connection, action_type)
        for alarm in standing:
            context.log.error(alarm)
        context.add_output_metadata({"micro_batch_id": micro_batch.batch_id, **counts})
        return {**report, action_type: counts}

    return send


ai_call = _channel_op("ai_call", "Places the calls that are due in one micro-batch. A refused call is a row.")
whatsapp_message = _channel_op("whatsapp_message", "Sends the WhatsApp messages that are due in one micro-batch.")
email = _channel_op("email", "Sends the e-mails that are due in one micro-batch.")


@dg.op(description="Closes the micro-batch; what it could not send yet becomes due again later.")
def close_batch(
    context: dg.OpExecutionContext, engage: EngageResource, micro_batch: MicroBatchRun, report: Report
) -> None:
    """running -> done, with the counts of all action types as metadata."""
    if micro_batch.lease is None:
        context.add_output_metadata({"superseded": True})
        return
    with nothing_personal(), engage.connect() as connection:
        finish_batch(connection, micro_batch.lease)
    context.add_output_metadata(
        {
            "micro_batch_id": micro_batch.batch_id,
            "actions": records_table(
                [
                    {"action_type": action_type, "result": name.removesuffix("_count"), "actions": count}
                    for action_type, counts in report.items()
                    for name, count in counts.items()
                    if count
                ]
            ),
            **_acceptance_rates(report),
        }
    )


def _acceptance_rates(report: Report) -> dict[str, float]:
    """Share of the answered requests that the provider took, for each channel of this run."""
    rates = {}
    for action_type, counts in report.items():
        accepted = counts.get("success_count", 0) + counts.get("sent_count", 0)
        answered = accepted + counts.get("failed_count", 0)
        if action_type != "wait" and answered:
            rates[f"{action_type}_acceptance_rate"] = accepted / answered
    return rates


@dg.graph_asset(
    ins={"flow_executions": dg.AssetIn(dagster_type=dg.Nothing)},
    group_name="engagement",
    kinds={"postgres", "http"},
    description="Every action of every execution: what was sent, skipped or put off, and what the provider said.",
)
def flow_action_logs(flow_executions: object) -> object:
    """One pass over the channels: a next step whose op is still to come is sent in the same run."""
    return close_batch(email(whatsapp_message(ai_call(wait(flow_executions)))))
