-- logs_by_message: for each given id of a provider, the action log of that channel that carries it, and the log's tenant
-- A tenant's own log goes before another tenant's; two providers of a channel may give the same id.
select distinct on (given.position)
    given.position,
    logs.id,
    executions.user_id
from unnest(%(positions)b::int[], %(message_ids)b::text[], %(channels)b::text[], %(user_ids)b::uuid[])
    as given (position, provider_message_id, channel, user_id)
inner join flow_action_logs as logs
    on given.provider_message_id = logs.provider_message_id
    and given.channel = logs.action_type
inner join flow_executions as executions on logs.execution_id = executions.id
order by given.position, executions.user_id = given.user_id desc
