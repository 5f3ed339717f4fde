-- complete_waits: pending -> success for the waits of one batch that are over, complete when they were due
-- Executions are locked before their logs, as in select_due_logs.
with held as (
    select id
    from flow_executions
    where
        status in ('pending', 'running')
        and id in (
            select logs.execution_id
            from flow_action_logs as logs
            where
                logs.micro_batch_id = %(micro_batch_id)s
                and logs.action_type = 'wait'
                and logs.status = 'pending'
                and logs.due_at <= %(now)s
        )
        and flow_id in (select flows.id from auto_engagement_flows as flows where flows.is_enabled)
    order by id
    for no key update
)

update flow_action_logs as logs
set
    status = 'success',
    executed_at = logs.created_at,
    completed_at = logs.due_at,
    due_at = null,
    micro_batch_id = null,
    updated_at = now()
from held
where
    logs.execution_id = held.id
    and logs.micro_batch_id = %(micro_batch_id)s
    and logs.action_type = 'wait'
    and logs.status = 'pending'
    and logs.due_at <= %(now)s
returning logs.execution_id
