-- form_due_actions_batch: action logs whose time has come and that no batch holds -> one new batch of them, oldest first
-- Pending logs of a disabled flow stay where they are: the flow is paused, and on re-enabling they are due at once. What
-- went out is followed up whatever became of its flow or execution. What an account may not send yet stays where it is. As with new contacts, only a full batch is added while
-- another still waits for its run.
with picked as (
    select logs.id
    from flow_action_logs as logs
    inner join flow_executions as executions on logs.execution_id = executions.id
    inner join auto_engagement_flows as flows on executions.flow_id = flows.id
    where
        logs.micro_batch_id is null
        and logs.due_at <= clock_timestamp()
        and (logs.status <> 'pending' or (executions.status in ('pending', 'running') and flows.is_enabled))
        and not exists (
            select 1
            from channel_accounts as accounts
            inner join channel_budgets as budgets on accounts.id = budgets.account_id
            where
                logs.status = 'pending'
                and accounts.user_id = executions.user_id
                and accounts.channel = logs.action_type
                and accounts.is_active
                and (
                    accounts.paused_at is not null
                    or budgets.held_until > clock_timestamp()
                    or budgets.next_free_at > clock_timestamp() + interval '5 seconds'
                )
        )
    order by logs.due_at, logs.id
    limit %(batch_size)s
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
