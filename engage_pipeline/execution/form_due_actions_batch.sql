-- form_due_actions_batch: action logs whose time has come and that no batch holds -> one new batch, the tenants taking turns
-- Within a tenant the oldest come first. Pending logs of a disabled flow or under a pause stay where they are. What went out
-- is followed up whatever became of its flow or execution. As with new contacts, only a full batch is added while another
-- still waits for its run. What an account may not send yet stays where it is.
with recursive tenants as (
    (
        select user_id
        from flow_action_logs
        where due_at is not null and micro_batch_id is null and not is_parked
        order by user_id
        limit 1
    )
    union all
    select following.user_id
    from tenants
    cross join lateral (
        select user_id
        from flow_action_logs
        where due_at is not null and micro_batch_id is null and not is_parked and user_id > tenants.user_id
        order by user_id
        limit 1
    ) as following
),

candidates as (
    select
        due.id,
        tenants.user_id,
        row_number() over (partition by tenants.user_id order by due.due_at, due.id) as turn
    from tenants
    cross join lateral (
        select
            logs.id,
            logs.due_at
        from flow_action_logs as logs
        inner join flow_executions as executions on logs.execution_id = executions.id
        inner join auto_engagement_flows as flows on executions.flow_id = flows.id
        where
            logs.user_id = tenants.user_id
            and logs.micro_batch_id is null
            and not logs.is_parked
            and logs.due_at <= clock_timestamp()
            and (
                logs.status <> 'pending'
                or (
                    executions.status in ('pending', 'running')
                    and flows.is_enabled
                    and not exists (
                        select 1
                        from pauses
                        where
                            (pauses.user_id is null or pauses.user_id = logs.user_id)
                            and (pauses.channel is null or pauses.channel = logs.action_type)
                    )
                    and not exists (
                        select 1
                        from channel_accounts as accounts
                        inner join channel_budgets as budgets on accounts.id = budgets.account_id
                        where
                            accounts.user_id = logs.user_id
                            and accounts.channel = logs.action_type
                            and accounts.is_active
                            and (
                                accounts.paused_at is not null
                                or budgets.held_until > clock_timestamp()
                                or budgets.next_free_at > clock_timestamp() + interval '5 seconds'
                            )
                    )
                )
            )
        order by logs.due_at, logs.id
        limit %(batch_size)s
    ) as due
),

chosen as (
    select id
    from candidates
    order by turn, user_id
    limit %(batch_size)s
),

picked as (
    select logs.id
    from flow_action_logs as logs
    inner join chosen on logs.id = chosen.id
    where logs.micro_batch_id is null
    order by logs.id
    for update of logs skip locked
),

batch as (
    insert into micro_batches (kind, item_count)
    select 'due_actions', count(*) from picked
    having
        count(*) = %(batch_size)s
        or (
            count(*) > 0
            and not exists (select 1 from micro_batches where kind = 'due_actions' and status = 'waiting')
        )
    returning id
),

claimed as (
    update flow_action_logs
    set micro_batch_id = batch.id
    from picked, batch
    where flow_action_logs.id = picked.id
)

select id from batch
