-- actions_of_contact: what was done for one contact, in order
select
    logs.id as action_log_id,
    flows.name as flow_name,
    executions.status as execution_status,
    logs.action_type,
    logs.status,
    logs.outcome,
    logs.skip_reason,
    logs.due_at,
    logs.completed_at
from flow_executions as executions
inner join auto_engagement_flows as flows on executions.flow_id = flows.id
inner join flow_action_logs as logs on executions.id = logs.execution_id
where executions.contact_id = %(contact_id)s
order by executions.triggered_at, logs.action_order
