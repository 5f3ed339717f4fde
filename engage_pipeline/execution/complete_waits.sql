-- complete_waits: pending -> success for the waits of one batch that are over
update flow_action_logs as logs
set
    status = 'success',
    executed_at = logs.created_at,
    completed_at = %(now)s,
    due_at = null,
    micro_batch_id = null,
    updated_at = now()
from flow_executions as executions, auto_engagement_flows as flows
where
    executions.id = logs.execution_id
    and flows.id = executions.flow_id
    and logs.micro_batch_id = %(micro_batch_id)s
    and logs.action_type = 'wait'
    and logs.status = 'pending'
    and logs.due_at <= %(now)s
    and executions.status in ('pending', 'running')
    and flows.is_enabled
returning logs.execution_id
