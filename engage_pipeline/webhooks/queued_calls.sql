-- queued_calls: accepted calls that nothing was heard of since and that should not be made any more, marked as asked about
-- The execution was cancelled, the flow deleted, or the contact said no after the call was handed over. A call that rings
-- already cannot be stopped; the provider says so.
with unwanted as (
    select logs.id
    from flow_action_logs as logs
    inner join flow_executions as executions on logs.execution_id = executions.id
    inner join contacts on executions.contact_id = contacts.id
    where
        logs.status = 'sent'
        and logs.action_type = 'ai_call'
        and logs.stop_asked_at is null
        and logs.provider_message_id is not null
        and (
            executions.status = 'cancelled'
            or contacts.is_dnc
            or exists (
                select 1
                from suppressions
                where
                    suppressions.user_id = executions.user_id
                    and suppressions.channel = 'ai_call'
                    and suppressions.address = contacts.phone_e164
            )
        )
    order by logs.id
    limit %(limit)s
    for update of logs skip locked
)

update flow_action_logs as logs
set stop_asked_at = %(now)s
from unwanted
where logs.id = unwanted.id
returning logs.id, logs.request, logs.provider_message_id
