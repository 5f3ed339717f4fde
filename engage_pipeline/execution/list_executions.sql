-- list_executions: the newest executions, with what is next; every filter is off when it is null
select
    executions.id as execution_id,
    flows.name as flow_name,
    executions.contact_id,
    executions.status,
    executions.is_test_run,
    executions.triggered_at,
    executions.completed_at,
    (
        select min(logs.due_at)
        from flow_action_logs as logs
        where logs.execution_id = executions.id
    ) as next_due_at
from flow_executions as executions
inner join auto_engagement_flows as flows on executions.flow_id = flows.id
where
    (%(execution_id)s::uuid is null or executions.id = %(execution_id)s::uuid)
    and (%(user_id)s::uuid is null or executions.user_id = %(user_id)s::uuid)
    and (%(status)s::text is null or executions.status = %(status)s::text)
    and (%(contact_id)s::uuid is null or executions.contact_id = %(contact_id)s::uuid)
    and (
        not %(unknown)s
        or exists (
            select 1
            from flow_action_logs as logs
            where logs.execution_id = executions.id and logs.status = 'unknown'
        )
    )
order by executions.triggered_at desc, executions.id desc
limit %(at_most)s
