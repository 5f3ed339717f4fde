-- first_executions: ten executions of one batch with the time of their first action, ids as text, for a preview
select
    executions.id::text as execution_id,
    flows.name as flow_name,
    executions.status,
    coalesce(to_char(min(logs.due_at), 'YYYY-MM-DD HH24:MI:SS "UTC"'), '') as first_due_at
from flow_executions as executions
inner join auto_engagement_flows as flows on executions.flow_id = flows.id
left join flow_action_logs as logs on executions.id = logs.execution_id
where executions.micro_batch_id = %s
group by executions.id, flows.name, executions.status
order by executions.id
limit 10
