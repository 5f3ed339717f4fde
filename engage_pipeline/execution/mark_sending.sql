-- mark_sending: pending -> sending, with the intent: the frozen request, when it was decided, and when to ask what became
-- of it. Every stop is read again here (do not contact, suppression, cancelled, flow disabled, pause): what is not returned
-- is not sent.
update flow_action_logs as logs
set
    status = 'sending',
    attempt_count = logs.attempt_count + 1,
    request = intents.request,
    executed_at = %(now)s,
    due_at = %(reconcile_at)s,
    is_parked = false,
    updated_at = now()
from
    unnest(%(action_log_ids)b::uuid[], %(requests)b::jsonb[]) as intents (action_log_id, request),
    flow_executions as executions,
    auto_engagement_flows as flows,
    contacts
where
    logs.id = intents.action_log_id
    and executions.id = logs.execution_id
    and flows.id = executions.flow_id
    and contacts.id = executions.contact_id
    and logs.status = 'pending'
    and executions.status in ('pending', 'running')
    and flows.is_enabled
    and not exists (
        select 1
        from pauses
        where
            (pauses.user_id is null or pauses.user_id = logs.user_id)
            and (pauses.channel is null or pauses.channel = logs.action_type)
    )
    and not contacts.is_dnc
    and not exists (
        select 1
        from suppressions
        where
            suppressions.user_id = contacts.user_id
            and suppressions.channel = logs.action_type
            and suppressions.address in (contacts.phone_e164, contacts.email)
    )
returning logs.id, logs.attempt_count
