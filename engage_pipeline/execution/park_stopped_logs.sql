-- park_stopped_logs: due logs that nobody may send, of disabled flows or under a pause, leave the due index; still pending
-- Enabling the flow and ending the pause bring them back, by triggers. The flow or the pause is locked first, and its row read
-- again then, so none is parked that was just set free.
with due as (
    select
        logs.id,
        logs.user_id,
        logs.action_type,
        executions.flow_id
    from flow_action_logs as logs
    inner join flow_executions as executions on logs.execution_id = executions.id
    inner join auto_engagement_flows as flows on executions.flow_id = flows.id
    where
        logs.micro_batch_id is null
        and not logs.is_parked
        and logs.status = 'pending'
        and logs.due_at <= clock_timestamp()
        and (
            not flows.is_enabled
            or exists (
                select 1
                from pauses
                where
                    (pauses.user_id is null or pauses.user_id = logs.user_id)
                    and (pauses.channel is null or pauses.channel = logs.action_type)
            )
        )
    limit %(most)s
),

disabled as materialized (
    select id
    from auto_engagement_flows
    where not is_enabled and id in (select flow_id from due)
    order by id
    for share skip locked
),

brakes as materialized (
    select
        user_id,
        channel
    from pauses
    where exists (select 1 from due)
    order by id
    for share skip locked
)

update flow_action_logs as logs
set is_parked = true
from due
where
    logs.id = due.id
    and logs.micro_batch_id is null
    and logs.status = 'pending'
    and (
        due.flow_id in (select id from disabled)
        or exists (
            select 1
            from brakes
            where
                (brakes.user_id is null or brakes.user_id = due.user_id)
                and (brakes.channel is null or brakes.channel = due.action_type)
        )
    )
