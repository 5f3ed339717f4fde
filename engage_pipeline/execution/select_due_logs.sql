-- select_due_logs: the pending logs of one batch and action type that are due, oldest first, locked until the claim commits
-- Executions are locked before their logs and in the order of their ids, here and wherever both are written: a cancellation
-- then waits for a claim, or the claim for it, and neither dies of a deadlock.
-- Of a tenant no more is read than its account's budget allows; the rest stays due.
with due as (
    select
        candidates.id,
        candidates.execution_id
    from unnest(%(user_ids)s::uuid[], %(limits)s::int[]) as given (user_id, most)
    cross join lateral (
        select
            logs.id,
            logs.execution_id,
            logs.due_at
        from flow_action_logs as logs
        inner join flow_executions as executions on logs.execution_id = executions.id
        inner join auto_engagement_flows as flows on executions.flow_id = flows.id
        where
            logs.micro_batch_id = %(micro_batch_id)s
            and logs.action_type = %(action_type)s
            and logs.user_id = given.user_id
            and logs.status = 'pending'
            and logs.due_at <= %(now)s
            and executions.status in ('pending', 'running')
            and flows.is_enabled
        order by logs.due_at, logs.id
        limit given.most
    ) as candidates
    where
        not exists (
            select 1
            from channel_accounts as accounts
            where
                accounts.user_id = given.user_id
                and accounts.channel = %(action_type)s
                and accounts.is_active
                and accounts.paused_at is not null
        )
        and not exists (
            select 1
            from pauses
            where
                (pauses.user_id is null or pauses.user_id = given.user_id)
                and (pauses.channel is null or pauses.channel = %(action_type)s)
        )
    order by candidates.due_at, candidates.id
    limit %(chunk_size)s
),

held as (
    select
        id,
        flow_id,
        flow_version,
        user_id,
        contact_id,
        is_test_run
    from flow_executions
    where
        id in (select execution_id from due)
        and status in ('pending', 'running')
    order by id
    for no key update
)

select
    logs.id as action_log_id,
    logs.execution_id,
    executions.flow_id,
    executions.flow_version,
    executions.contact_id,
    executions.is_test_run,
    logs.action_order,
    logs.due_at,
    contacts.time_zones,
    contacts.phone_e164,
    contacts.email,
    contacts.first_name,
    contacts.last_name,
    contacts.company,
    contacts.custom_fields,
    contacts.is_dnc,
    exists (
        select 1
        from suppressions
        where
            suppressions.user_id = contacts.user_id
            and suppressions.channel = logs.action_type
            and suppressions.address in (contacts.phone_e164, contacts.email)
    ) as is_suppressed,
    contacts.user_id
from due
inner join flow_action_logs as logs on due.id = logs.id
inner join held as executions on logs.execution_id = executions.id
inner join contacts on executions.contact_id = contacts.id
where logs.status = 'pending'
order by logs.due_at, logs.id
for update of logs
