-- apply_outcomes: sending, sent, unknown -> success | failed | sent; failed by a timeout -> success | failed
-- On every other log that was sent, only the outcome changes. An outcome of no higher rank than the one that is known changes
-- nothing: events are repeated and come out of order. Executions are locked before their logs, as in select_due_logs.
with held as (
    select
        id,
        contact_id
    from flow_executions
    where
        id in (
            select logs.execution_id
            from flow_action_logs as logs
            where logs.id = any(%(action_log_ids)b::uuid[])
        )
    order by id
    for no key update
),

ranks as (
    select outcome, rank
    from unnest(%(known_outcomes)s::text[], %(known_ranks)s::int[]) as known (outcome, rank)
),

told as (
    select
        logs.id as action_log_id,
        given.outcome,
        given.occurred_at,
        given.provider_message_id,
        case when contacts.forgotten_at is null then given.detail else '{}' end as detail,
        given.cost_cents,
        given.call_seconds,
        case
            -- A later action asks whether it is read: delivered does not end the wait for that.
            when logs.status in ('sending', 'sent', 'unknown') and logs.awaits_reading and given.outcome = 'delivered'
                then 'sent'
            when logs.status in ('sending', 'sent', 'unknown') then coalesce(given.status, 'sent')
            when logs.outcome = 'expired' then coalesce(given.status, logs.status)
            else logs.status
        end as status
    from unnest(
        %(action_log_ids)b::uuid[],
        %(outcomes)b::text[],
        %(statuses)b::text[],
        %(ranks)b::int[],
        %(occurred_ats)b::timestamptz[],
        %(provider_message_ids)b::text[],
        %(details)b::jsonb[],
        %(costs)s::numeric[],
        %(seconds)s::numeric[]
    ) as given (
        action_log_id, outcome, status, rank, occurred_at, provider_message_id, detail, cost_cents, call_seconds
    )
    inner join flow_action_logs as logs on given.action_log_id = logs.id
    inner join held on logs.execution_id = held.id
    inner join contacts on held.contact_id = contacts.id
    left join ranks on logs.outcome = ranks.outcome
    where
        logs.status in ('sending', 'sent', 'unknown', 'success', 'failed')
        and given.rank > coalesce(ranks.rank, -1)
)

update flow_action_logs as logs
set
    status = told.status,
    outcome = told.outcome,
    outcome_at = told.occurred_at,
    accepted_at = coalesce(logs.accepted_at, logs.executed_at),
    provider_message_id = coalesce(logs.provider_message_id, told.provider_message_id),
    result_data = logs.result_data || told.detail,
    cost_cents = coalesce(told.cost_cents, logs.cost_cents),
    call_seconds = coalesce(told.call_seconds, logs.call_seconds),
    error_message = case when told.status = 'failed' then logs.error_message end,
    due_at = case
        when told.status <> 'sent' then null
        when logs.status = 'sent' then logs.due_at
        else %(now)s + make_interval(mins => logs.outcome_timeout_minutes)
    end,
    completed_at = case
        when told.status = 'sent' then null
        when told.status = logs.status then logs.completed_at
        else %(now)s
    end,
    micro_batch_id = null,
    updated_at = now()
from told
where logs.id = told.action_log_id
returning logs.id, logs.execution_id
