-- erase_events: events of providers that name a contact, or one of its messages, forget their bodies
-- reads: flow_executions, flow_action_logs, writes: provider_events
with named as (
    select needle
    from unnest(%(needles)s::text[]) as needles (needle)
    union
    select lower(logs.provider_message_id)
    from flow_executions as executions
    inner join flow_action_logs as logs on executions.id = logs.execution_id
    where executions.contact_id = %(contact_id)s and logs.provider_message_id is not null
)

update provider_events as events
set body = null
from channel_accounts as accounts
where
    events.account_id = accounts.id
    and accounts.user_id = %(user_id)s
    and events.applied_at is not null
    and events.body is not null
    and exists (select 1 from named where position(named.needle in lower(events.body)) > 0)
