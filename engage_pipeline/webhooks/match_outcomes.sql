-- match_outcomes: for each given outcome, the action log that it is about and the log's tenant
-- By our own id where the provider gave it back, else by the provider's; an id of a provider is looked for in its channel.
select
    given.position,
    logs.id,
    executions.user_id
from unnest(%(positions)s::int[], %(action_log_ids)s::uuid[]) as given (position, action_log_id)
inner join flow_action_logs as logs on given.action_log_id = logs.id
inner join flow_executions as executions on logs.execution_id = executions.id
union all
select
    given.position,
    logs.id,
    executions.user_id
from unnest(%(message_positions)s::int[], %(message_ids)s::text[], %(channels)s::text[])
    as given (position, provider_message_id, channel)
inner join flow_action_logs as logs
    on given.provider_message_id = logs.provider_message_id
    and given.channel = logs.action_type
inner join flow_executions as executions on logs.execution_id = executions.id
