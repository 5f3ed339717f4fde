-- list_executions: executions with what is next; `conditions` and `direction` are put in by `reading`
select
    executions.id as execution_id,
    executions.flow_id,
    flows.name as flow_name,
    executions.flow_version,
    executions.user_id,
    executions.contact_id,
    executions.status,
    executions.is_test_run,
    executions.triggered_at,
    executions.completed_at,
    executions.metadata,
    (
        select min(logs.due_at)
        from flow_action_logs as logs
        where logs.execution_id = executions.id
    ) as next_due_at
from flow_executions as executions
inner join auto_engagement_flows as flows on executions.flow_id = flows.id
where {conditions}
order by executions.triggered_at {direction}, executions.id {direction}
limit %(at_most)s
